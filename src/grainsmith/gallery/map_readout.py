"""Read maps within and around one grain, in native pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.data import Transform
from grainsmith.errors import MismatchError
from grainsmith.measure.intensity import CORE_PX, MIN_CORE_PIXELS, depth_in_region
from grainsmith.parallel import compiled

if TYPE_CHECKING:
    from grainsmith.data import ElementMap, LabelImage
    from grainsmith.gallery.field import Floats

_MIN_MARGIN_PX = 6
_MIN_SIGMA, _MIN_RATIO = 5.0, 1.1
_RELIABLE_VERDICTS = ("aligned", "inherited", "by hand")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrainReading:
    """One element within and around one grain, from native map pixels.

    Attributes
    ----------
    element, unit : str
        Such as "Si" and "cts" (counts per pixel).
    mean, error : float
        Mean of the core and its standard error; NaN outside the map. The error of a single pixel is
        NaN except for counts.
    around, around_error : float
        The same for the rest of the crop.
    coverage : float
        Fraction of the grain that the map covers.
    verdict : str
        Verdict of the alignment of the map.
    """

    element: str
    unit: str
    mean: float
    error: float
    around: float
    around_error: float
    coverage: float
    verdict: str

    @property
    def sigmas(self) -> float:
        """Difference between grain and surroundings in standard errors."""
        return (self.mean - self.around) / float(np.hypot(self.error, self.around_error) or np.nan)

    @property
    def stands_out(self) -> bool:
        """Whether the grain is richer than its surroundings by 5 σ and by 10 %."""
        return self.sigmas >= _MIN_SIGMA and self.mean > _MIN_RATIO * max(self.around, 0.0)

    @property
    def aligned(self) -> bool:
        """Whether the alignment of the map is reliable."""
        return self.verdict in _RELIABLE_VERDICTS


@dataclass(frozen=True, slots=True)
class Crop:
    """Square crop of the image, and the positions of the pixels of its tile."""

    top: float
    left: float
    side: float
    rows: Floats
    columns: Floats


def grain_box(labels: LabelImage, label: int) -> tuple[int, int, int, int]:
    """Return the bounding box of a grain: (top, left, bottom, right), the last two exclusive.

    Raises
    ------
    MismatchError
        The grain does not exist.
    """
    top, left, bottom, right = _box_of(labels, label)
    if bottom <= top or label <= 0:
        raise MismatchError(f"there is no grain {label} in the labels")
    return top, left, bottom, right


@compiled
def _box_of(labels: LabelImage, label: int) -> tuple[int, int, int, int]:
    top, left, bottom, right = labels.shape[0], labels.shape[1], 0, 0
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            if labels[y, x] == label:
                top = min(top, y)
                left = min(left, x)
                bottom = y + 1
                right = max(right, x + 1)
    return top, left, bottom, right


def crop_around(box: tuple[int, int, int, int], *, margin_pct: float, tile_px: int) -> Crop:
    """Return a square crop centred on the grain, with a margin of at least 6 px."""
    top, left, bottom, right = box
    longer = max(bottom - top, right - left)
    side = longer + 2 * max(_MIN_MARGIN_PX, margin_pct / 100 * longer)
    middle_y, middle_x = (top + bottom - 1) / 2, (left + right - 1) / 2
    steps = (np.arange(tile_px) + 0.5) * side / tile_px - side / 2
    rows, columns = np.meshgrid(middle_y + steps, middle_x + steps, indexing="ij")
    return Crop(middle_y - side / 2, middle_x - side / 2, side, rows, columns)


@dataclass(frozen=True, slots=True)
class GrainOnMap:
    """Position of a grain and its crop on the grid of a map.

    Attributes
    ----------
    box : tuple of slice
        Crop on the map.
    own, away : (H, W) bool arrays
        Within the box: the grain, and pixels more than two pixels away from it.
    depth : (H, W) uint8 array
        Depth below the boundary of the grain: 0, 1 or 2.
    rows, columns, inside : (tile_px, tile_px) arrays
        Map pixel of each pixel of the tile, and whether it lies on the map.
    pixel_area : float
        Area of a map pixel, in pixels of the image.
    """

    box: tuple[slice, slice]
    own: npt.NDArray[np.bool_]
    away: npt.NDArray[np.bool_]
    depth: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]
    inside: npt.NDArray[np.bool_]
    pixel_area: float

    def tile(self, values: npt.NDArray[np.generic]) -> Floats:
        """Sample the map at the pixels of the tile; NaN outside the map."""
        shown: Floats = np.where(self.inside, values[self.rows, self.columns], np.nan)
        return shown


def place_on_map(
    labels: LabelImage, label: int, crop: Crop, transform: Transform, shape: tuple[int, ...]
) -> GrainOnMap:
    """Locate a grain and its crop on the grid of a map."""
    top, left, bottom, right = _box_on_map(crop, transform, shape)
    shift = np.array([[1, 0, top], [0, 1, left], [0, 0, 1]], dtype=float)
    on_crop = Transform(matrix=transform.matrix @ shift)
    size = (max(bottom - top, 0), max(right - left, 0))
    own = on_crop.look_up(labels, size, outside=-1) == label
    depth, away = _depth_and_distance(own)
    back = transform.inverse().matrix
    y = back[0, 0] * crop.rows + back[0, 1] * crop.columns + back[0, 2]
    x = back[1, 0] * crop.rows + back[1, 1] * crop.columns + back[1, 2]
    rows, columns = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
    return GrainOnMap(
        box=(slice(top, bottom), slice(left, right)),
        own=own,
        away=away,
        depth=depth,
        rows=np.clip(rows, 0, shape[0] - 1),
        columns=np.clip(columns, 0, shape[1] - 1),
        inside=inside,
        pixel_area=float(abs(np.linalg.det(transform.matrix[:2, :2]))),
    )


def read_grain_on_map(
    element_map: ElementMap, verdict: str, on_map: GrainOnMap, area_px: int
) -> GrainReading:
    """Measure a map in the core of a grain and in the rest of the crop.

    The core is that of the grain table; `area_px` is the area of the grain on the image.
    """
    values = np.asarray(element_map.values[on_map.box], dtype=float)
    measured = np.isfinite(values)
    mean, error = _mean_and_error(values[_core(on_map, measured)], element_map.kind)
    around, around_error = _mean_and_error(values[on_map.away & measured], element_map.kind)
    return GrainReading(
        element=element_map.element,
        unit={"picture": "grey", "counts": "cts"}.get(element_map.kind, element_map.kind),
        mean=mean,
        error=error,
        around=around,
        around_error=around_error,
        coverage=min(1.0, float((on_map.own & measured).sum() * on_map.pixel_area / area_px)),
        verdict=verdict,
    )


def _box_on_map(
    crop: Crop, transform: Transform, shape: tuple[int, ...]
) -> tuple[int, int, int, int]:
    corners = [
        (crop.top + dy * crop.side, crop.left + dx * crop.side) for dy in (0, 1) for dx in (0, 1)
    ]
    on_map = transform.inverse().apply(corners)
    top, left = np.clip(np.floor(on_map.min(axis=0)), 0, shape).astype(int)
    bottom, right = np.clip(np.ceil(on_map.max(axis=0)) + 1, 0, shape).astype(int)
    return int(top), int(left), int(bottom), int(right)


def _core(on_map: GrainOnMap, measured: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    grain = on_map.own & measured
    for depth in range(CORE_PX, 0, -1):
        core: npt.NDArray[np.bool_] = grain & (on_map.depth >= depth)
        if core.sum() >= MIN_CORE_PIXELS:
            return core
    return grain


@compiled
def _depth_and_distance(
    grain: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Compute the depth of each pixel of the grain, and which pixels are more than 2 px away.

    Pixels within 2 px of the grain contain signal of both sides and are not surroundings.
    """
    height, width = grain.shape
    depth = np.zeros((height, width), np.uint8)
    away = np.ones((height, width), np.bool_)
    labels = grain.astype(np.int32)
    for y in range(height):
        for x in range(width):
            reach = depth_in_region(labels, y, x)
            if grain[y, x]:
                depth[y, x], away[y, x] = reach, False
            else:
                away[y, x] = reach == 2 or not _near_grain(labels, y, x)
    return depth, away


@compiled
def _near_grain(labels: npt.NDArray[np.int32], y: int, x: int) -> bool:
    """Return whether a pixel with label 1 lies within 2 px."""
    for v in range(max(y - 2, 0), min(y + 3, labels.shape[0])):
        for u in range(max(x - 2, 0), min(x + 3, labels.shape[1])):
            if labels[v, u] and (v - y) ** 2 + (u - x) ** 2 <= 4:
                return True
    return False


def _mean_and_error(values: Floats, kind: str) -> tuple[float, float]:
    n = len(values)
    if n == 0:
        return float("nan"), float("nan")
    mean = float(values.mean())
    if kind == "counts":
        return mean, float(np.sqrt(max(values.sum(), 1.0)) / n)
    return mean, float(values.std() / np.sqrt(n - 1)) if n > 1 else float("nan")


def nice_length(longest: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... up to `longest`."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * power for step in (1, 2, 5) if step * power <= longest * 1.0001))


def bar_of(pixel_size_um: float, side_px: float) -> tuple[float, str]:
    """Return the length of a scale bar as a share of the side of an image, and its text."""
    side = side_px * (pixel_size_um or 1.0)
    length = nice_length(0.4 * side)
    return length / side, f"{length:g} {'µm' if pixel_size_um else 'px'}"
