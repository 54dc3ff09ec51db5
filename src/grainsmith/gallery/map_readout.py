"""Where a grain lies on each map, and what each map says of it, in native pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.data import Transform
from grainsmith.errors import MismatchError
from grainsmith.parallel import compiled

if TYPE_CHECKING:
    from grainsmith.data import ElementMap, LabelImage
    from grainsmith.gallery.field import Floats

_LEAST_MARGIN_PX = 6
_CORE_PX, _LEAST_CORE = 2, 9
_SIGMAS, _RATIO = 5.0, 1.1
_SURE = ("aligned", "inherited", "by hand")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrainReading:
    """One element in one grain and around it, from the map's native pixels.

    Attributes
    ----------
    element, unit : str
        Such as "Si" and "cts" (counts in a pixel).
    mean, error : float
        Of the core of the grain, with the standard error; NaN outside the map. The error of a
        single pixel is NaN too, but for counts, which tell their own.
    around, around_error : float
        Of the rest of the crop, likewise.
    coverage : float
        Share of the grain for which the map has a value.
    verdict : str
        Of the map's alignment.
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
        """How many standard errors the grain lies above its surroundings."""
        return (self.mean - self.around) / float(np.hypot(self.error, self.around_error) or np.nan)

    @property
    def stands_out(self) -> bool:
        """Whether the grain is richer than its surroundings by 5 σ and by a tenth."""
        return self.sigmas >= _SIGMAS and self.mean > _RATIO * max(self.around, 0.0)

    @property
    def aligned(self) -> bool:
        """Whether the map is known to lie where it is drawn."""
        return self.verdict in _SURE


@dataclass(frozen=True, slots=True)
class Crop:
    """A square piece of the image, and the points of its tile on the image."""

    top: float
    left: float
    side: float
    rows: Floats
    columns: Floats


def grain_box(labels: LabelImage, label: int) -> tuple[int, int, int, int]:
    """Return (top, left, bottom, right) of a grain, the last two not included.

    Raises
    ------
    MismatchError
        There is no such grain.
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
    """Return a square with the grain in its middle, and a margin of 6 px or more."""
    top, left, bottom, right = box
    longer = max(bottom - top, right - left)
    side = longer + 2 * max(_LEAST_MARGIN_PX, margin_pct / 100 * longer)
    middle_y, middle_x = (top + bottom - 1) / 2, (left + right - 1) / 2
    steps = (np.arange(tile_px) + 0.5) * side / tile_px - side / 2
    rows, columns = np.meshgrid(middle_y + steps, middle_x + steps, indexing="ij")
    return Crop(middle_y - side / 2, middle_x - side / 2, side, rows, columns)


@dataclass(frozen=True, slots=True)
class GrainOnMap:
    """A grain and its crop on the grid of a map; maps of one grid and place share it.

    Attributes
    ----------
    box : tuple of slice
        Of the crop, on the map.
    own, away : (H, W) bool arrays
        In the box: the grain, and what is more than two pixels away from it.
    depth : (H, W) uint8 array
        0, 1 or 2: pixels of the grain deeper than this under its edge.
    rows, columns, inside : (tile_px, tile_px) arrays
        The map's pixel for each point of the tile, and whether there is one.
    pixel_area : float
        Of a map pixel, in pixels of the image.
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
        """Return the map's native pixels at the points of the tile; NaN outside the map."""
        shown: Floats = np.where(self.inside, values[self.rows, self.columns], np.nan)
        return shown


def place_on_map(
    labels: LabelImage, label: int, crop: Crop, transform: Transform, shape: tuple[int, ...]
) -> GrainOnMap:
    """Find a grain and its crop on the grid of a map."""
    top, left, bottom, right = _box_on_map(crop, transform, shape)
    shift = np.array([[1, 0, top], [0, 1, left], [0, 0, 1]], dtype=float)
    there = Transform(matrix=transform.matrix @ shift)
    size = (max(bottom - top, 0), max(right - left, 0))
    own = there.look_up(labels, size, outside=-1) == label
    depth, away = _rims(own)
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
    each: ElementMap, verdict: str, on_map: GrainOnMap, area_px: int
) -> GrainReading:
    """Measure a map in the core of a grain and in the rest of the crop, in native pixels.

    The core is that of the grain table, so that both say the same; `area_px` is the grain's area on
    the image.
    """
    values = np.asarray(each.values[on_map.box], dtype=float)
    measured = np.isfinite(values)
    mean, error = _mean_and_error(values[_core(on_map, measured)], each.kind)
    around, around_error = _mean_and_error(values[on_map.away & measured], each.kind)
    return GrainReading(
        element=each.element,
        unit={"picture": "grey", "counts": "cts"}.get(each.kind, each.kind),
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
    # The same core as that of the grain table: deeper than 2 px where 9 pixels are left.
    own = on_map.own & measured
    for least in range(_CORE_PX, 0, -1):
        deep = own & (on_map.depth >= least)
        if deep.sum() >= _LEAST_CORE:
            return deep
    return own


@compiled
def _rims(
    own: npt.NDArray[np.bool_],
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Return how deep each pixel of the grain lies, and which pixels are away from it.

    Depth 2: no foreign pixel within 2 px (Euclidean); depth 1: none within 1 px. Pixels near the
    grain hold some of both sides, so those within 2 px of it are not away.
    """
    height, width = own.shape
    depth = np.zeros((height, width), np.uint8)
    away = np.ones((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            deep, far = 2, True
            for dy in range(-2, 3):
                for dx in range(-2, 3):
                    square = dy * dy + dx * dx
                    if square > 4:
                        continue
                    v, u = y + dy, x + dx
                    its = 0 <= v < height and 0 <= u < width and own[v, u]
                    if its:
                        far = False
                    elif square <= 1:
                        deep = 0
                    else:
                        deep = min(deep, 1)
            depth[y, x] = deep if own[y, x] else 0
            away[y, x] = far
    return depth, away


def _mean_and_error(values: Floats, kind: str) -> tuple[float, float]:
    n = len(values)
    if n == 0:
        return float("nan"), float("nan")
    mean = float(values.mean())
    if kind == "counts":
        return mean, float(np.sqrt(max(values.sum(), 1.0)) / n)
    return mean, float(values.std() / np.sqrt(n - 1)) if n > 1 else float("nan")


def nice_length(longest: float) -> float:
    """Return the largest of 1, 2, 5, 10, ... that is not longer."""
    power = 10.0 ** np.floor(np.log10(longest))
    return float(max(step * power for step in (1, 2, 5) if step * power <= longest * 1.0001))


def bar_of(pixel_size_um: float, side_px: float) -> tuple[float, str]:
    """Return the length of a scale bar as a share of an image's side, and its text."""
    side = side_px * (pixel_size_um or 1.0)
    length = nice_length(0.4 * side)
    return length / side, f"{length:g} {'µm' if pixel_size_um else 'px'}"
