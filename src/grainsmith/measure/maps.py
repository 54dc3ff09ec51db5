"""Measure element maps per grain in the maps' native pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.data import no_progress
from grainsmith.errors import MismatchError
from grainsmith.measure.intensity import core_values
from grainsmith.measure.region_moments import RegionMoments, present_labels, region_moments
from grainsmith.parallel import compiled, map_threads

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grainsmith.data import ElementMap, LabelImage, OnProgress, Transform

_GRAINS_PER_CHUNK = 512


def measure_maps(
    labels: LabelImage,
    maps: Sequence[ElementMap],
    transforms: Mapping[str, Transform] | Sequence[Transform],
    *,
    only: Iterable[int] | None = None,
    on_progress: OnProgress = no_progress,
) -> pd.DataFrame:
    """Measure every map in every grain.

    The labels are resampled to the grid of the map by nearest neighbour; the map is not resampled,
    so counts stay counts. Only the core of a grain is measured, where neighbours contribute least:
    more than 2 map pixels from the boundary if at least 9 pixels remain, else 1, else all.

    Parameters
    ----------
    labels : (Y, X) int array
        0 is background.
    maps : sequence of ElementMap
    transforms : mapping of element (or `ElementMap.name`) to Transform, or one per map
        From pixels of each map to pixels of the labels.
    only : iterable of int, optional
        Labels to measure; all by default.
    on_progress : OnProgress
        Called with (maps done, total).

    Returns
    -------
    DataFrame with index `label`; for each map, named by its element (by its full name if an
    element has several maps)
        <Element>_mean
            Mean of the core in the unit of the map; NaN where the map does not cover the grain.
        <Element>_error
            Standard error of that mean: for counts, the square root of the counts (at least one)
            divided by the pixels; else the standard deviation divided by the square root of the
            pixels.
        <Element>_counts
            Sum of counts in the core; NaN for maps that are not in counts.
        <Element>_coverage
            Fraction of the grain, 0 to 1, that the map covers.

    Raises
    ------
    MismatchError
        A map without a transform.
    """
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    ids = present_labels(labels) if only is None else np.unique(np.fromiter(only, np.int32))
    regions = region_moments(labels, ids[ids > 0])
    grids: dict[tuple[Any, ...], tuple[LabelImage, RegionMoments]] = {}
    columns: dict[str, npt.NDArray[Any]] = {}
    on_progress(0, len(maps))
    for done, (name, element_map, transform) in enumerate(
        pair_transforms(maps, transforms), start=1
    ):
        shape = element_map.values.shape
        key = (shape, transform.matrix.tobytes())
        if key not in grids:
            warped = _labels_on_map(labels, transform.matrix, shape[0], shape[1])
            grids[key] = warped, region_moments(warped, regions.ids)
        columns |= _columns(name, element_map, *grids[key], regions.ids)
        columns[f"{name}_coverage"] = _coverages(labels, regions, element_map, transform)
        on_progress(done, len(maps))
    return pd.DataFrame(columns, index=pd.Index(regions.ids, name="label"))


def pair_transforms(
    maps: Sequence[ElementMap], transforms: Mapping[str, Transform] | Sequence[Transform]
) -> list[tuple[str, ElementMap, Transform]]:
    """Pair each map with its column name and transform; parameters as in `measure_maps`."""
    if not isinstance(transforms, Mapping):
        if len(transforms) != len(maps):
            raise ValueError(f"{len(maps)} maps need as many transforms, got {len(transforms)}")
        chosen = list(transforms)
    else:
        chosen = [transforms.get(m.name) or _transform_of(m, transforms) for m in maps]
    maps_per_element = Counter(m.element for m in maps)
    names = [
        m.element if maps_per_element[m.element] == 1 else m.name.replace(" ", "_") for m in maps
    ]
    return list(zip(names, maps, chosen, strict=True))


def _transform_of(element_map: ElementMap, transforms: Mapping[str, Transform]) -> Transform:
    try:
        return transforms[element_map.element]
    except KeyError:
        raise MismatchError(
            f"the map of {element_map.name} has no transform (available: "
            f"{', '.join(sorted(transforms)) or 'none'}). Align the map first, or leave it out"
        ) from None


def _columns(
    name: str,
    element_map: ElementMap,
    warped: LabelImage,
    map_regions: RegionMoments,
    ids: npt.NDArray[np.int32],
) -> dict[str, npt.NDArray[np.float64]]:
    values = np.full((len(ids), 5), np.nan)
    values[np.searchsorted(ids, map_regions.ids)] = core_values(
        warped, map_regions, element_map.values
    )
    pixels, mean, _, _, deviation = values.T
    if element_map.kind == "counts":
        counts = mean * pixels
        error = np.sqrt(np.maximum(counts, 1)) / pixels
    else:
        counts = np.full(len(ids), np.nan)
        error = np.where(pixels > 1, deviation / np.sqrt(np.maximum(pixels - 1, 1)), np.nan)
    return {f"{name}_mean": mean, f"{name}_error": error, f"{name}_counts": counts}


def _coverages(
    labels: LabelImage, regions: RegionMoments, element_map: ElementMap, transform: Transform
) -> npt.NDArray[np.float64]:
    measured = np.isfinite(element_map.values)
    to_map = transform.inverse().matrix
    out = np.empty(len(regions))

    def count_chunk(start: int) -> None:
        chunk = slice(start, start + _GRAINS_PER_CHUNK)
        _count_covered(
            labels, regions.ids[chunk], regions.boxes[chunk], measured, to_map, out[chunk]
        )

    map_threads(count_chunk, range(0, len(regions), _GRAINS_PER_CHUNK))
    return out / regions.area


@compiled
def _labels_on_map(
    labels: npt.NDArray[np.int32], to_image: npt.NDArray[np.float64], height: int, width: int
) -> npt.NDArray[np.int32]:
    out = np.zeros((height, width), np.int32)
    for i in range(height):
        for j in range(width):
            y = round(to_image[0, 0] * i + to_image[0, 1] * j + to_image[0, 2])
            x = round(to_image[1, 0] * i + to_image[1, 1] * j + to_image[1, 2])
            if 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1]:
                out[i, j] = labels[int(y), int(x)]
    return out


@compiled
def _count_covered(
    labels: npt.NDArray[np.int32],
    ids: npt.NDArray[np.int32],
    boxes: npt.NDArray[np.int64],
    measured: npt.NDArray[np.bool_],
    to_map: npt.NDArray[np.float64],
    out: npt.NDArray[np.float64],
) -> None:
    height, width = measured.shape
    for k in range(len(ids)):
        covered = 0
        for y in range(boxes[k, 0], boxes[k, 2]):
            for x in range(boxes[k, 1], boxes[k, 3]):
                if labels[y, x] != ids[k]:
                    continue
                i = round(to_map[0, 0] * y + to_map[0, 1] * x + to_map[0, 2])
                j = round(to_map[1, 0] * y + to_map[1, 1] * x + to_map[1, 2])
                if 0 <= i < height and 0 <= j < width and measured[int(i), int(j)]:
                    covered += 1
        out[k] = covered
