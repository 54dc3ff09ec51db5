"""Measure the grains of one field."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grainsmith.classify.mixed import find_mixed
from grainsmith.data import no_progress
from grainsmith.measure import measure_grains, measure_maps
from grainsmith.measure.maps import pair_transforms
from grainsmith.measure.region_moments import present_labels, region_moments
from grainsmith.statistics import FieldGrains, StatisticsSettings, grid_hits, median_sizes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grainsmith.data import ElementMap, LabelImage, OnProgress, SemImage, Transform
    from grainsmith.io.labels.label_metadata import LabelMetadata

_SCALE_TOLERANCE = 1e-3
"""Relative difference up to which two pixel sizes are the same; files round them."""


def measure_field(
    labels: LabelImage,
    image: SemImage | None,
    *,
    pixel_size_um: float = 0.0,
    data_bar_rows: int = 0,
    maps: Sequence[ElementMap] = (),
    transforms: Mapping[str, Transform] | Sequence[Transform] = (),
    mixed: bool = False,
    on_progress: OnProgress = no_progress,
) -> pd.DataFrame:
    """Measure size, shape, intensity and composition of the grains of a field.

    Parameters
    ----------
    labels : (Y, X) int32 array
    image : SemImage or None
        Source of intensities, pixel size and data bar.
    pixel_size_um : float
        Pixel size in µm if there is no image; 0 = unknown.
    data_bar_rows : int
        Rows of the data bar if there is no image.
    maps, transforms
        See `measure.measure_maps`.
    mixed : bool
        Also add the columns `mixed` and `purity` of `classify.mixed.find_mixed`; needs maps.
    on_progress : callable
        Receives (done, total) of the grains.

    Returns
    -------
    DataFrame
        One row per grain, index `label`.
    """
    table = measure_grains(
        labels,
        pixel_size_um=image.pixel_size_um if image else pixel_size_um,
        image=image.image if image else None,
        data_bar_rows=image.data_bar_rows if image else data_bar_rows,
        on_progress=on_progress,
    )
    if maps:
        table = table.join(measure_maps(labels, maps, transforms))
    if mixed:
        by_element = {
            element_map.element: transform
            for _, element_map, transform in pair_transforms(maps, transforms)
        }
        table = table.join(find_mixed(labels, maps, by_element, on_progress=on_progress))
    return table


def field_of(
    table: pd.DataFrame, labels: LabelImage, *, data_bar_rows: int = 0, grid_px: float = 0.0
) -> FieldGrains:
    """Return a measured field in the form that statistics take.

    Parameters
    ----------
    table : DataFrame
        From `measure_field`.
    labels : (Y, X) int array
    data_bar_rows : int
        Rows at the bottom that are not part of the field.
    grid_px : float
        Distance of the points of a grid by which grains are counted too; 0 = no grid.
    """
    visible = labels[: labels.shape[0] - data_bar_rows]
    field = FieldGrains(table=table, height_px=visible.shape[0], width_px=visible.shape[1])
    return replace(field, grid_hits=grid_hits(visible, grid_px)) if grid_px else field


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


def with_metadata(image: SemImage | None, metadata: LabelMetadata) -> SemImage | None:
    """Return the image with the pixel size and data bar of combined metadata; None without one."""
    if image is None:
        return None
    return replace(
        image, pixel_size_um=metadata.pixel_size_um, data_bar_rows=metadata.data_bar_rows
    )


def combine_metadata(
    metadata: LabelMetadata,
    image: SemImage | None,
    *,
    pixel_size_um: float = 0.0,
    edge_rule: str = "",
) -> LabelMetadata:
    """Return the metadata of labels, completed by their image and by the user.

    Parameters
    ----------
    metadata : LabelMetadata
        Metadata of the label file.
    image : SemImage or None
        Image of the grains; what it says takes precedence over the label file.
    pixel_size_um : float
        Pixel size given by the user, which takes precedence over both; 0 = not given.
    edge_rule : str
        Rule of the statistics; adds a note if it needs edge grains that have been removed.

    Returns
    -------
    LabelMetadata
        Its notes name contradictions.
    """
    notes = list(dict.fromkeys([*(image.notes if image else ()), *metadata.notes]))
    size, origin = metadata.pixel_size_um, metadata.pixel_size_source
    rows = metadata.data_bar_rows
    if image is not None:
        if image.pixel_size_um > 0:
            if abs(size - image.pixel_size_um) > _SCALE_TOLERANCE * size > 0:
                notes.append(
                    f"The labels say {size:g} µm per pixel, the image {image.pixel_size_um:g}: "
                    "the image counts."
                )
            size, origin = image.pixel_size_um, image.pixel_size_source
        if image.data_bar_rows and rows and image.data_bar_rows != rows:
            notes.append(
                f"The labels have a data bar of {rows} rows, the image one of "
                f"{image.data_bar_rows}: the image counts."
            )
        rows = image.data_bar_rows or rows
    if pixel_size_um > 0:
        size, origin = pixel_size_um, "given by hand"
    if metadata.edge_grains_removed and edge_rule == "count all":
        notes.append(
            "Grains at the edge were removed from these labels, so 'count all' counts as 'drop'."
        )
    return replace(
        metadata,
        pixel_size_um=size,
        pixel_size_source=origin,
        data_bar_rows=rows,
        source=image.source if image and image.source else metadata.source,
        notes=tuple(notes),
    )
