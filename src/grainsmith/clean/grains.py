"""Edit individual grains; every edit returns patches and changes only the given grains."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage import draw

from grainsmith.clean.patch import Box, Patch, disjoint, window
from grainsmith.errors import Hint, MismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from grainsmith.clean.index import GrainIndex
    from grainsmith.clean.patch import Labels, Mask

EIGHT = np.ones((3, 3), bool)
"""Structuring element of 8-connectivity, used for all connected pieces."""

_MAX_BRIDGED_PX = 4_000_000  # gaps are only closed in smaller boxes


def delete(labels: Labels, index: GrainIndex, grains: Iterable[int]) -> tuple[Patch, ...]:
    """Delete grains."""
    return _each(labels, index, grains, 0, lambda mask: np.zeros_like(mask))


def merge(
    labels: Labels, index: GrainIndex, grains: Sequence[int], *, gap_px: int = 2
) -> tuple[Patch, ...]:
    """Merge grains; the result has the label of the first.

    Parameters
    ----------
    labels : (Y, X) int array
    index : GrainIndex
        Of these labels.
    grains : sequence of int
        At least two.
    gap_px : int
        Background gaps of up to twice this width between the grains are closed; 0 = none.

    Raises
    ------
    MismatchError
        Fewer than two grains, or a missing one.
    """
    grains = list(dict.fromkeys(grains))
    if len(grains) < 2:
        raise MismatchError("merging needs at least two grains", hint=Hint.SELECT_SECOND_GRAIN)
    box = index.union(grains)
    if box.size > _MAX_BRIDGED_PX:
        rest = (_relabel(labels, index.box(grain), grain, grains[0]) for grain in grains[1:])
        return disjoint(rest)
    old = window(labels, box)
    joined = np.isin(old, grains)
    if gap_px:
        joined |= (old == 0) & _bridges(old, joined, grains, gap_px)
    return disjoint([Patch(box, old, np.where(joined, old.dtype.type(grains[0]), old))])


def fill_holes(labels: Labels, index: GrainIndex, grains: Iterable[int]) -> tuple[Patch, ...]:
    """Fill the holes of grains; grains inside a hole are kept."""
    return _each(labels, index, grains, 0, lambda mask: ndimage.binary_fill_holes(mask))


def keep_largest(labels: Labels, index: GrainIndex, grains: Iterable[int]) -> tuple[Patch, ...]:
    """Remove all but the largest piece of each grain."""
    return _each(labels, index, grains, 0, lambda mask: largest_piece(mask))


def smooth(
    labels: Labels, index: GrainIndex, grains: Iterable[int], *, radius_px: float = 2.0
) -> tuple[Patch, ...]:
    """Smooth the outline with a Gaussian of `radius_px`.

    Straight outlines and those shared with a neighbour do not move. A grain that would disappear is
    not changed.
    """
    if radius_px <= 0:
        raise ValueError(f"radius_px must be more than 0, got {radius_px}")

    def round_off(mask: Mask) -> Mask:
        # Extend the mask beyond the image, otherwise grains would shrink from the edge.
        blurred = ndimage.gaussian_filter(mask.astype(np.float32), radius_px, mode="nearest")
        smoothed = largest_piece(blurred > 0.5)
        return smoothed if smoothed.any() else mask

    return _each(labels, index, grains, int(np.ceil(2 * radius_px)), round_off)


def grow(
    labels: Labels, index: GrainIndex, grains: Iterable[int], *, by_px: float = 1.0
) -> tuple[Patch, ...]:
    """Grow grains into the background by `by_px`, never into neighbours.

    Background within reach of several of the grains goes to the nearest.
    """
    if by_px <= 0:
        raise ValueError(f"by_px must be more than 0, got {by_px}")
    unique = list(dict.fromkeys(grains))
    margin = 2 * int(np.ceil(by_px))  # distance at which another grain may still be nearer

    def spread(grain: int) -> Patch:
        box = index.box(grain).grown(margin, labels.shape)
        old = window(labels, box)
        distance = ndimage.distance_transform_edt(old != grain)
        gained = (old == 0) & (distance <= by_px)
        rivals = np.isin(old, [other for other in unique if other != grain])
        if rivals.any():
            gained &= distance <= ndimage.distance_transform_edt(~rivals)
        return Patch(box, old, np.where(gained, old.dtype.type(grain), old))

    return disjoint(spread(grain) for grain in unique)


def shrink(
    labels: Labels, index: GrainIndex, grains: Iterable[int], *, by_px: float = 1.0
) -> tuple[Patch, ...]:
    """Shrink grains by `by_px`, but not at the edge of the image.

    Raises
    ------
    MismatchError
        A grain would disappear.
    """
    if by_px <= 0:
        raise ValueError(f"by_px must be more than 0, got {by_px}")
    grains = list(grains)

    def erode(mask: Mask) -> Mask:
        return np.asarray(ndimage.distance_transform_edt(mask) > by_px)

    patches = _each(labels, index, grains, 1, erode)
    for patch, grain in ((p, int(p.old[p.changed][0])) for p in patches):
        if np.count_nonzero(patch.changed) == index.areas_px[grain]:
            raise MismatchError(f"grain {grain} would vanish", hint=Hint.DELETE_GRAIN)
    return patches


def copy_grain(
    labels: Labels, index: GrainIndex, source: Labels, point: tuple[int, int]
) -> tuple[Patch, ...]:
    """Copy a grain from another label image of the same field onto the background.

    Only the piece around the point is copied.

    Parameters
    ----------
    labels : (Y, X) int array
    index : GrainIndex
        Of `labels`.
    source : (Y, X) int array
        The other labels.
    point : (int, int)
        A pixel (y, x) of the grain in `source`.

    Raises
    ------
    MismatchError
        The shapes differ, there is no grain at the point, or it is covered already.
    """
    if source.shape != labels.shape:
        raise MismatchError(
            f"the other labels are {source.shape}, these {labels.shape}: not the same field"
        )
    inside = all(0 <= at < side for at, side in zip(point, source.shape, strict=True))
    grain = int(source[point]) if inside else 0
    if grain == 0:
        raise MismatchError("the other labels have no grain at this point")
    box, mask = _window_of_piece(source, point, grain)
    return add_mask(labels, index, box, mask)


def add_mask(labels: Labels, index: GrainIndex, box: Box, mask: Mask) -> tuple[Patch, ...]:
    """Add a grain where a mask covers background.

    Parameters
    ----------
    labels : (Y, X) int array
    index : GrainIndex
    box : Box
        Bounding box of the mask.
    mask : (h, w) bool array

    Raises
    ------
    MismatchError
        Grains cover the whole mask already.
    """
    old = window(labels, box)
    free = mask & (old == 0)
    if not free.any():
        raise MismatchError("all of this place belongs to grains already; nothing was added")
    (number,) = index.new_labels(1, labels)
    return disjoint([Patch(box, old, np.where(free, old.dtype.type(number), old))])


def reshape(
    labels: Labels, index: GrainIndex, grain: int, box: Box, mask: Mask
) -> tuple[Patch, ...]:
    """Replace the shape of a grain by a mask, except where other grains are.

    Parameters
    ----------
    labels : (Y, X) int array
    index : GrainIndex
    grain : int
    box : Box
        Bounding box of the mask, which contains the whole grain.
    mask : (h, w) bool array
    """
    old = window(labels, box)
    new = np.where((old == grain) & ~mask, 0, old)
    new[(old == 0) & mask] = grain
    return disjoint([Patch(box, old, new.astype(old.dtype))])


def grains_under(labels: Labels, points: npt.ArrayLike) -> list[int]:
    """List the grains under a polyline of points (y, x), in order."""
    line = pixels_under(np.asarray(points, dtype=float).reshape(-1, 2), labels.shape)
    along = labels[line[:, 0], line[:, 1]].tolist()
    return [label for label in dict.fromkeys(along) if label != 0]


def grains_inside(labels: Labels, index: GrainIndex, points: npt.ArrayLike) -> list[int]:
    """List the grains with more than half of their area in a polygon of points (y, x)."""
    corners = np.asarray(points, dtype=float).reshape(-1, 2)
    low = np.clip(np.floor(corners.min(axis=0)).astype(int), 0, labels.shape)
    high = np.clip(np.ceil(corners.max(axis=0)).astype(int) + 1, 0, labels.shape)
    box = Box(int(low[0]), int(low[1]), int(high[0]), int(high[1]))
    if box.size == 0:
        return []
    inside = draw.polygon2mask((box.y1 - box.y0, box.x1 - box.x0), corners - box[:2])
    inside_labels, counts = np.unique(labels[box.slices][inside], return_counts=True)
    pairs = zip(inside_labels.tolist(), counts.tolist(), strict=True)
    return [label for label, n in pairs if label != 0 and 2 * n > index.areas_px[label]]


def pixels_under(points: npt.NDArray[np.float64], shape: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Rasterize a polyline to (N, 2) pixels (y, x), without those outside the image."""
    ends = np.round(points).astype(int)
    pieces = [np.stack(draw.line(*first, *second), axis=1) for first, second in pairwise(ends)]
    line = np.concatenate([ends[:1], *pieces])
    return line[((line >= 0) & (line < shape)).all(axis=1)]


def largest_piece(mask: Mask) -> Mask:
    """Return the largest connected piece of a mask, (h, w) bool; empty for an empty mask."""
    pieces, count = ndimage.label(mask, EIGHT)
    if count <= 1:
        return mask
    return np.asarray(pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]))


def _each(
    labels: Labels,
    index: GrainIndex,
    grains: Iterable[int],
    margin_px: int,
    reshape: Callable[[Mask], Mask],
) -> tuple[Patch, ...]:
    """Change the shape of each grain; gained pixels come from the background only.

    `reshape` takes the mask of a grain, with a margin of `margin_px`, and returns the new mask.
    """
    unique = dict.fromkeys(grains)
    return disjoint(_reshaped(labels, index, grain, margin_px, reshape) for grain in unique)


def _reshaped(
    labels: Labels,
    index: GrainIndex,
    grain: int,
    margin_px: int,
    reshape: Callable[[Mask], Mask],
) -> Patch:
    box = index.box(grain).grown(margin_px, labels.shape)
    old = window(labels, box)
    mask = old == grain
    target = reshape(mask)
    new = old.copy()
    new[mask & ~target] = 0
    new[(old == 0) & target] = grain
    return Patch(box, old, new)


def _window_of_piece(source: Labels, point: tuple[int, int], grain: int) -> tuple[Box, Mask]:
    """Return a box around a point that contains the whole piece of a grain, and its mask."""
    reach_px = 64
    while True:
        box = Box(*point, point[0] + 1, point[1] + 1).grown(reach_px, source.shape)
        mask = window(source, box) == grain
        ends = zip(box, (0, 0, *source.shape), strict=True)
        at_edge = [side == end for side, end in ends]  # at the edge of the image
        sides = mask[0], mask[:, 0], mask[-1], mask[:, -1]
        if all(edge or not side.any() for edge, side in zip(at_edge, sides, strict=True)):
            return box, mask
        reach_px *= 2


def _relabel(labels: Labels, box: Box, grain: int, number: int) -> Patch:
    old = window(labels, box)
    return Patch(box, old, np.where(old == grain, old.dtype.type(number), old))


def _bridges(old: Labels, joined: Mask, grains: Sequence[int], gap_px: int) -> Mask:
    """Find gaps up to 2 x `gap_px` wide between at least two of the grains."""
    near = np.zeros(joined.shape, np.uint8)
    for grain in grains:
        near += ndimage.binary_dilation(old == grain, EIGHT, iterations=2 * gap_px)
    closed = ndimage.binary_closing(np.pad(joined, gap_px), EIGHT, iterations=gap_px)
    return np.asarray(closed[gap_px:-gap_px, gap_px:-gap_px] & (near >= 2))
