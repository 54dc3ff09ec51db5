"""Labels -> table, minerals and statistics, for one field."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grainsmith.data import no_progress
from grainsmith.measure import measure_grains, measure_maps
from grainsmith.measure.maps import pair_transforms
from grainsmith.measure.region_moments import present_labels, region_moments
from grainsmith.statistics import FieldGrains, StatisticsSettings, grid_hits, median_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grainsmith.data import ElementMap, LabelImage, OnProgress, SemImage, Transform


def measure_field(
    labels: LabelImage,
    picture: SemImage | None,
    *,
    pixel_size_um: float = 0.0,
    maps: Sequence[ElementMap] = (),
    transforms: Mapping[str, Transform] | Sequence[Transform] = (),
    mixed: bool = False,
    on_progress: OnProgress = no_progress,
) -> pd.DataFrame:
    """Measure the grains of a field, and what they are made of.

    Parameters
    ----------
    labels : (Y, X) int32 array
    picture : SemImage or None
        Its pixel size counts where there is one.
    pixel_size_um : float
        Where there is no image; 0 = unknown.
    maps, transforms
        See `measure.measure_maps`.
    mixed : bool
        Also judge which grains are of two minerals: columns `mixed` and `purity`, see
        `classify.mixed.find_mixed`. Needs maps.
    on_progress : callable
        Of the grains.
    """
    table = measure_grains(
        labels,
        pixel_size_um=picture.pixel_size_um if picture else pixel_size_um,
        image=picture.image if picture else None,
        data_bar_rows=picture.data_bar_rows if picture else 0,
        on_progress=on_progress,
    )
    if maps:
        table = table.join(measure_maps(labels, maps, transforms))
    if mixed:
        from grainsmith.classify.mixed import find_mixed

        placed = {one.element: transform for _, one, transform in pair_transforms(maps, transforms)}
        table = table.join(find_mixed(labels, maps, placed, on_progress=on_progress))
    return table


def field_of(
    table: pd.DataFrame, labels: LabelImage, *, data_bar_rows: int = 0, grid_px: float = 0.0
) -> FieldGrains:
    """Return a measured field as the statistics want it.

    Parameters
    ----------
    table : DataFrame
    labels : (Y, X) int array
    data_bar_rows : int
        Rows at the bottom that are no part of the field.
    grid_px : float
        Also count by a grid of points so far apart; 0 = no.
    """
    seen = labels[: labels.shape[0] - data_bar_rows]
    field = FieldGrains(table=table, height_px=seen.shape[0], width_px=seen.shape[1])
    return replace(field, grid_hits=grid_hits(seen, grid_px)) if grid_px else field


def quick_median_px(labels: LabelImage, *, data_bar_rows: int = 0) -> tuple[int, float]:
    """Compute number and D50 of the grains from their bounding boxes and areas alone.

    D50 is that of `statistics.summarize` by number, with the default size and edge rule.

    Parameters
    ----------
    labels : (Y, X) int array
    data_bar_rows : int
        Rows at the bottom that are not part of the field.

    Returns
    -------
    n_grains : int
    d50_px : float
        NaN if no grain is counted.
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    regions = region_moments(labels, present_labels(labels))
    top, left, bottom, right = regions.boxes.T
    height, width = labels.shape[0] - data_bar_rows, labels.shape[1]
    table = pd.DataFrame(
        {
            "area_px": regions.area,
            "ecd_px": np.sqrt(regions.area * (4 / np.pi)),
            "top_px": top,
            "left_px": left,
            "height_px": bottom - top,
            "width_px": right - left,
            "touches_edge": (top == 0) | (left == 0) | (bottom >= height) | (right == width),
            "below_resolution": False,
        }
    )
    field = FieldGrains(table=table, height_px=height, width_px=width)
    return len(regions), median_sizes([field], StatisticsSettings(), "px")["number"]
