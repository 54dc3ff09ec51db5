"""Find grains that consist of two minerals, unsplit or intergrown.

The pixels of the core of each grain are smoothed, projected on their first principal
component and split in two by Otsu's threshold. The grain is mixed if both parts are large enough,
differ enough in composition, and are farther apart than the parts of simulated noise in a grain of
the same shape. Grains with too small a core are tested by `classify.small_grains`.
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
_MAX_SMALL_BOX = 40_000  # map pixels; a thin vein across the field is not a small grain
_ROUNDS = 19  # the maximum of 19 simulations is the threshold of a test at 5 %
_MIN_NOISE = 0.05  # relative to the noisiest map


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedSettings:
    """Settings of the search for mixed grains.

    Attributes
    ----------
    least_part_pct : float
        Minimum share of the smaller part in the core.
    least_contrast_pct : float
        Minimum contrast of the parts: half the sum of the differences of all elements, in per cent
        of their sum. Zoning is below the default.
    least_pixels : int
        Grains with fewer map pixels are not tested.
    """

    least_part_pct: float = field(default=10.0, metadata={"label": "Min. part (%)"})
    least_contrast_pct: float = field(default=15.0, metadata={"label": "Min. contrast (%)"})
    least_pixels: int = field(default=8, metadata={"label": "Min. size (map px)"})

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
    """Test whether grains consist of two minerals.

    Parameters
    ----------
    labels : (Y, X) int32 array
        Grains on the image.
    maps : sequence of ElementMap
        Maps in native pixels; others are sampled on the grid of the first by nearest neighbour.
    transforms : mapping of str to Transform
        Element -> transform from map to image; identity by default.
    settings : MixedSettings
        Criteria for mixed grains.
    on_progress : OnProgress
        Called with (grains done, total), also while the blur of the maps is estimated.

    Returns
    -------
    DataFrame
        Index `label`; `mixed` (bool) and `purity`: the share of the larger part, 1 for grains that
        are not mixed, NaN for grains too small to test.

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
    stack = np.stack([_on_grid(element_map, maps[0], first, transforms) for element_map in maps])
    counted = np.array([element_map.kind == "counts" for element_map in maps])
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
            if core.sum() >= (settings.least_pixels if mask.size > _MAX_SMALL_BOX else _ENOUGH_PX):
                purity[row] = _purity(values, core, counted, settings)
            elif mask.sum() >= settings.least_pixels and mask.size <= _MAX_SMALL_BOX:
                purity[row] = _purity_of_split(small.split(int(label)), settings)
        on_progress(row + 1, len(present))
    return pd.DataFrame(
        {"mixed": purity < 1, "purity": purity}, index=pd.Index(present, name="label")
    )


def _on_grid(
    element_map: ElementMap,
    first_map: ElementMap,
    first: Transform,
    transforms: Mapping[str, Transform],
) -> npt.NDArray[np.float32]:
    own = transforms.get(element_map.element, Transform())
    values = element_map.values.astype(np.float32)
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
    """Two parts of a grain: share of the smaller part, and their separation and contrast."""

    share: float
    separation: float
    contrast_pct: float


def _purity(
    values: npt.NDArray[np.float32],
    core: npt.NDArray[np.bool_],
    counted: npt.NDArray[np.bool_],
    settings: MixedSettings,
) -> float:
    """Compute the share of the larger part of a grain; 1 unless mixed."""
    noise = _noise(values, core)
    if not noise.any():
        return 1.0
    noise = np.maximum(noise, _MIN_NOISE * noise.max())
    parts = _parts(values, core, noise)
    apart = (
        parts.share >= settings.least_part_pct / 100
        and parts.contrast_pct >= settings.least_contrast_pct
        and parts.separation > _separation_of_noise(values, core, noise, counted)
    )
    return 1 - parts.share if apart else 1.0


def _purity_of_split(split: TwoPhaseSplit | None, settings: MixedSettings) -> float:
    if split is None:
        return float("nan")
    apart = (
        split.real
        and split.share >= settings.least_part_pct / 100
        and split.contrast_pct >= settings.least_contrast_pct
    )
    return 1 - split.share if apart else 1.0


def _parts(values: npt.NDArray[np.float32], core: npt.NDArray[np.bool_], noise: Floats) -> _Parts:
    small = _smaller_part(_smoothed(values, core) / noise[:, np.newaxis])
    pixels = values[:, core].astype(float)
    first, second = pixels[:, small].mean(axis=1), pixels[:, ~small].mean(axis=1)
    total = (np.abs(first) + np.abs(second)).sum() / 2
    return _Parts(
        share=float(small.mean()),
        separation=float(np.linalg.norm((first - second) / noise)),
        contrast_pct=float(50 * np.abs(first - second).sum() / total) if total else 0.0,
    )


def _separation_of_noise(
    values: npt.NDArray[np.float32],
    core: npt.NDArray[np.bool_],
    noise: Floats,
    counted: npt.NDArray[np.bool_],
) -> float:
    """Compute the largest separation of parts in simulated noise of the same shape."""
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
    # Exclude two pixels at the rim, where neighbours contribute; one if too few pixels remain.
    core = np.asarray(ndimage.binary_erosion(np.pad(mask, 1))[1:-1, 1:-1])
    deeper = np.asarray(ndimage.binary_erosion(np.pad(core, 1))[1:-1, 1:-1])
    return deeper if deeper.sum() >= _ENOUGH_PX else core


def _noise(values: npt.NDArray[np.float32], core: npt.NDArray[np.bool_]) -> Floats:
    """Estimate the noise of each map, (C,), from differences of neighbouring pixels.

    Neighbours nearly always belong to the same mineral, so that they differ by noise only.
    """
    pairs = core[:, 1:] & core[:, :-1]
    if pairs.sum() < 2:
        return np.zeros(len(values))
    difference = (values[:, :, 1:] - values[:, :, :-1])[:, pairs].astype(float)
    sigma: Floats = np.sqrt((difference**2).mean(axis=1) / 2)
    return sigma


def _smoothed(values: npt.NDArray[np.float32], core: npt.NDArray[np.bool_]) -> Floats:
    """Compute (C, pixels) window means within the core."""
    weight = ndimage.uniform_filter(core.astype(np.float64), _WINDOW_PX, mode="constant")
    total = ndimage.uniform_filter(
        np.where(core, values, 0).astype(np.float64), (0, _WINDOW_PX, _WINDOW_PX), mode="constant"
    )
    smooth: Floats = total[:, core] / weight[core]
    return smooth


def _smaller_part(smooth: Floats) -> npt.NDArray[np.bool_]:
    """Split (C, pixels) along their first principal component; True = the smaller part."""
    centred = smooth - smooth.mean(axis=1, keepdims=True)
    _, axes = np.linalg.eigh(centred @ centred.T)
    along = axes[:, -1] @ centred
    upper: npt.NDArray[np.bool_] = along > _otsu(along)
    return upper if upper.mean() <= 0.5 else ~upper


def _otsu(values: Floats) -> float:
    """Compute Otsu's threshold (1979) without bins."""
    ordered = np.sort(values)
    n = np.arange(1, len(ordered))
    below = ordered.cumsum()[:-1]
    between = (below - n * ordered.mean()) ** 2 / (n * (len(ordered) - n))
    return float(ordered[between.argmax()])
