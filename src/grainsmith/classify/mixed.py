"""Find grains that are two minerals: not yet parted, or grown together.

For each grain the pixels of its core are smoothed, projected on their first principal component
and cut in two where the parts differ most (Otsu). The grain is mixed where the parts are large
enough, differ in composition by a share that matters, and lie farther apart than parts that are cut
in the same way out of nothing but noise in a grain of the same shape. Grains with too small a core
for that are cut in halves by `classify.halves`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from grainsmith.classify.small_grains import TwoPhaseTest
from grainsmith.data import Transform, no_progress
from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grainsmith.classify.naming_table import Floats
    from grainsmith.classify.small_grains import TwoPhaseSplit
    from grainsmith.data import ElementMap, LabelImage, OnProgress

_WINDOW_PX = 5
_ENOUGH_PX = 80
_LARGEST_BOX = 40_000  # map pixels; a thin vein across the field is no small grain
_ROUNDS = 19  # the farthest of 19 is the bound of a test at 5 %
_LEAST_NOISE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedSettings:
    """When a grain counts as two minerals.

    Attributes
    ----------
    least_part_pct : float
        The smaller part must hold this share of the core.
    least_contrast_pct : float
        Half the sum of the differences of all elements, in per cent of their sum, by which the
        parts must differ; zoning stays below it.
    least_pixels : int
        Grains of fewer map pixels are not judged.
    """

    least_part_pct: float = field(default=10.0, metadata={"label": "Least part (%)"})
    least_contrast_pct: float = field(default=15.0, metadata={"label": "Least contrast (%)"})
    least_pixels: int = field(default=8, metadata={"label": "Least size (map px)"})

    def __post_init__(self) -> None:
        if not 0 < self.least_part_pct < 50:
            raise ValueError(f"least_part_pct must lie in 0..50, got {self.least_part_pct}")
        if self.least_contrast_pct < 0:
            raise ValueError(f"least_contrast_pct must be 0 or more, got {self.least_contrast_pct}")
        if self.least_pixels < 4:
            raise ValueError(f"least_pixels must be 4 or more, got {self.least_pixels}")


def find_mixed(
    labels: LabelImage,
    maps: Sequence[ElementMap],
    transforms: Mapping[str, Transform],
    settings: MixedSettings = MixedSettings(),
    *,
    on_progress: OnProgress = no_progress,
) -> pd.DataFrame:
    """Judge for each grain whether it is of one mineral.

    Parameters
    ----------
    labels : (Y, X) int32 array
        Grains on the image.
    maps : sequence of ElementMap
        In their native pixels; those of other grids are looked up on the grid of the first.
    transforms : mapping of str to Transform
        Element -> map to image; the identity where missing.
    settings : MixedSettings
        When a grain counts as mixed.
    on_progress : OnProgress
        Called with the number of grains done, and while the blur of the maps is learned.

    Returns
    -------
    DataFrame
        Index `label`; `mixed` (bool) and `purity`, the share of the larger part, 1 where the
        grain is not mixed and NaN where it is too small to be judged.

    Raises
    ------
    MismatchError
        There is no map.
    """
    if not maps:
        raise MismatchError("no element map is open: mixed grains are found in the maps")
    first = transforms.get(maps[0].element, Transform())
    shape = maps[0].values.shape
    on_map = first.look_up(labels, (shape[0], shape[1]))
    stack = np.stack([_on_grid(each, maps[0], first, transforms) for each in maps])
    counted = np.array([each.kind == "counts" for each in maps])
    present = np.unique(labels)
    present = present[present > 0]
    purity = np.full(len(present), np.nan)
    boxes = ndimage.find_objects(on_map)
    row = 0
    small = TwoPhaseTest(labels, maps, transforms, lambda: on_progress(row, len(present)))
    for row, label in enumerate(present):
        box = boxes[label - 1] if label <= len(boxes) else None
        if box is not None:
            values, mask = stack[:, box[0], box[1]], on_map[box] == label
            mask &= np.isfinite(values).all(axis=0)
            core = _core(mask)
            if core.sum() >= (settings.least_pixels if mask.size > _LARGEST_BOX else _ENOUGH_PX):
                purity[row] = _purity(values, core, counted, settings)
            elif mask.sum() >= settings.least_pixels and mask.size <= _LARGEST_BOX:
                purity[row] = _purity_of_halves(small.halve(int(label)), settings)
        on_progress(row + 1, len(present))
    return pd.DataFrame(
        {"mixed": purity < 1, "purity": purity}, index=pd.Index(present, name="label")
    )


def _on_grid(
    each: ElementMap,
    first_map: ElementMap,
    first: Transform,
    transforms: Mapping[str, Transform],
) -> npt.NDArray[np.float32]:
    own = transforms.get(each.element, Transform())
    values = each.values.astype(np.float32)
    shape = first_map.values.shape
    if values.shape == shape and np.array_equal(own.matrix, first.matrix):
        return values
    between = Transform(matrix=np.linalg.inv(own.matrix) @ first.matrix)
    moved: npt.NDArray[np.float32] = between.look_up(
        values, (shape[0], shape[1]), outside=float("nan")
    )
    return moved


@dataclass(frozen=True, slots=True)
class _Parts:
    """Two parts of a grain: share of the smaller one, and how far they are apart."""

    share: float
    separation: float
    contrast_pct: float


def _purity(
    values: npt.NDArray[np.float32],
    core: npt.NDArray[np.bool_],
    counted: npt.NDArray[np.bool_],
    settings: MixedSettings,
) -> float:
    """Return the share of the larger part of a grain; 1 unless mixed."""
    noise = _noise(values, core)
    if not noise.any():
        return 1.0
    noise = np.maximum(noise, _LEAST_NOISE * noise.max())
    found = _parts(values, core, noise)
    apart = (
        found.share >= settings.least_part_pct / 100
        and found.contrast_pct >= settings.least_contrast_pct
        and found.separation > _separation_of_noise(values, core, noise, counted)
    )
    return 1 - found.share if apart else 1.0


def _purity_of_halves(halves: TwoPhaseSplit | None, settings: MixedSettings) -> float:
    if halves is None:
        return float("nan")
    apart = (
        halves.real
        and halves.share >= settings.least_part_pct / 100
        and halves.contrast_pct >= settings.least_contrast_pct
    )
    return 1 - halves.share if apart else 1.0


def _parts(values: npt.NDArray[np.float32], core: npt.NDArray[np.bool_], noise: Floats) -> _Parts:
    small = _smaller_part(_smoothed(values, core) / noise[:, np.newaxis])
    pixels = values[:, core].astype(float)
    one, other = pixels[:, small].mean(axis=1), pixels[:, ~small].mean(axis=1)
    total = (np.abs(one) + np.abs(other)).sum() / 2
    return _Parts(
        share=float(small.mean()),
        separation=float(np.linalg.norm((one - other) / noise)),
        contrast_pct=float(50 * np.abs(one - other).sum() / total) if total else 0.0,
    )


def _separation_of_noise(
    values: npt.NDArray[np.float32],
    core: npt.NDArray[np.bool_],
    noise: Floats,
    counted: npt.NDArray[np.bool_],
) -> float:
    """Return how far apart the parts come that are cut out of noise in a grain of this shape."""
    random = np.random.default_rng(0)
    mean = np.clip(values[:, core].mean(axis=1, keepdims=True), 0, None).astype(float)
    pure = np.zeros_like(values)
    farthest = 0.0
    for _ in range(_ROUNDS):
        size = (len(values), int(core.sum()))
        blurred = mean + noise[:, np.newaxis] * random.standard_normal(size)
        pure[:, core] = np.where(counted[:, np.newaxis], random.poisson(mean, size), blurred)
        farthest = max(farthest, _parts(pure, core, noise).separation)
    return farthest


def _core(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    # Two pixels are left out at the rim, where neighbours shine in; one where little is left.
    core = np.asarray(ndimage.binary_erosion(np.pad(mask, 1))[1:-1, 1:-1])
    deeper = np.asarray(ndimage.binary_erosion(np.pad(core, 1))[1:-1, 1:-1])
    return deeper if deeper.sum() >= _ENOUGH_PX else core


def _noise(values: npt.NDArray[np.float32], core: npt.NDArray[np.bool_]) -> Floats:
    """Return the standard deviation of one pixel, (C,), from pairs of neighbours.

    Neighbours share their mineral nearly always, so their difference is noise alone.
    """
    pairs = core[:, 1:] & core[:, :-1]
    if pairs.sum() < 2:
        return np.zeros(len(values))
    difference = (values[:, :, 1:] - values[:, :, :-1])[:, pairs].astype(float)
    sigma: Floats = np.sqrt((difference**2).mean(axis=1) / 2)
    return sigma


def _smoothed(values: npt.NDArray[np.float32], core: npt.NDArray[np.bool_]) -> Floats:
    """Return the (C, pixels) means over a window, taken inside the core only."""
    weight = ndimage.uniform_filter(core.astype(np.float64), _WINDOW_PX, mode="constant")
    total = ndimage.uniform_filter(
        np.where(core, values, 0).astype(np.float64), (0, _WINDOW_PX, _WINDOW_PX), mode="constant"
    )
    smooth: Floats = total[:, core] / weight[core]
    return smooth


def _smaller_part(smooth: Floats) -> npt.NDArray[np.bool_]:
    """Cut (C, pixels) in two along their first principal component; True = the smaller part."""
    centred = smooth - smooth.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(centred @ centred.T)
    along = axes[:, -1] @ centred
    upper: npt.NDArray[np.bool_] = along > _otsu(along)
    return upper if upper.mean() <= 0.5 else ~upper


def _otsu(values: Floats) -> float:
    """Return the cut with the largest variance between the parts (Otsu 1979), without bins."""
    ordered = np.sort(values)
    n = np.arange(1, len(ordered))
    below = ordered.cumsum()[:-1]
    between = (below - n * ordered.mean()) ** 2 / (n * (len(ordered) - n))
    return float(ordered[between.argmax()])
