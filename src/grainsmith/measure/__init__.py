"""Measure size, shape, intensity and element content of grains, one row per grain."""

from grainsmith._callable_package import make_callable
from grainsmith.measure.grains import RESOLUTION_PX, measure_grains, pieces_note
from grainsmith.measure.incremental import (
    changed_labels,
    replace_rows,
    tile_checksums,
    update_grains,
)
from grainsmith.measure.maps import measure_maps

__all__ = [
    "RESOLUTION_PX",
    "changed_labels",
    "measure_grains",
    "measure_maps",
    "pieces_note",
    "replace_rows",
    "tile_checksums",
    "update_grains",
]

make_callable(__name__)
