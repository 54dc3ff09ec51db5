"""Write labels and images as TIFF files with their pixel size."""

from __future__ import annotations

from typing import Any

import numpy as np

from grainsmith.io.images.reader import write_image
from grainsmith.io.labels.label_image import write_labels
from grainsmith.io.labels.label_metadata import LabelMetadata
from grainsmith.io.labels.review_states import write_states
from grainsmith.ui.editing.history import mark_saved
from grainsmith.ui.layers.geometry import length_um
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.session.gallery_field import named_rows


def write_labels_layer(path: str, data: Any, options: dict[str, Any]) -> list[str]:
    """Write a labels layer as a TIFF; states, minerals and examples go into a file beside it."""
    metadata = GrainsMetadata.from_options(options)
    file_metadata = LabelMetadata(pixel_size_um=_pixel_size_um(options), source=metadata.image)
    write_labels(path, np.asarray(data), metadata=file_metadata)
    naming = named_rows(options.get("features"))
    written = [
        path,
        *write_states(path, metadata.states, naming=naming, examples=metadata.examples),
    ]
    mark_saved(data)
    return written


def write_image_layer(path: str, data: Any, options: dict[str, Any]) -> list[str]:
    """Write an image layer as a TIFF."""
    write_image(path, np.asarray(data), pixel_size_um=_pixel_size_um(options))
    return [path]


def _pixel_size_um(options: dict[str, Any]) -> float:
    units = options.get("units", ("pixel",))
    return length_um(float(options["scale"][-1]), units[-1])
