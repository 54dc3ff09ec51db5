"""Convert labels to polygons and back, exactly: outlines run along the edges of pixels.

Coordinates are (y, x) of pixel *corners*: the upper left pixel covers 0..1. ImageJ, QuPath, COCO
and YOLO use the same convention, so nothing is shifted by half a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np
import numpy.typing as npt
from skimage.measure import label as connected_components

from grainsmith.io.files.limits import check_coordinates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from grainsmith.data import LabelImage

Ring = npt.NDArray[np.float64]
"""(N, 2) corners (y, x); the first is not repeated at the end."""

# Steps along an edge with the grain on the right: right, down, left, up.
_DY, _DX = np.array([0, 1, 0, -1]), np.array([1, 0, -1, 0])
# Offsets from a corner to the pixels ahead, on the right and on the left.
_RIGHT_Y, _RIGHT_X = np.array([0, 0, -1, -1]), np.array([0, -1, -1, 0])
_LEFT_Y, _LEFT_X = np.array([-1, 0, 0, -1]), np.array([0, 0, -1, -1])


@dataclass(frozen=True, slots=True, eq=False)
class Polygon:
    """One piece of a grain.

    Attributes
    ----------
    exterior : (N, 2) array
        Corners (y, x), clockwise on the screen.
    holes : tuple of (N, 2) arrays
        Counter-clockwise.
    """

    exterior: Ring
    holes: tuple[Ring, ...] = ()

    @property
    def rings(self) -> tuple[Ring, ...]:
        """The exterior and the holes."""
        return (self.exterior, *self.holes)


def trace_outlines(labels: LabelImage) -> dict[int, list[Polygon]]:
    """Trace the outlines of all grains as valid OGC polygons.

    Parameters
    ----------
    labels : (Y, X) int32 array
        0 is background.

    Returns
    -------
    dict of int to list of Polygon
        By ascending label, one polygon per 4-connected piece. Only corners are kept, and no ring
        touches itself: a hole that meets the outside in a corner stays a hole.
    """
    pieces = connected_components(labels, background=0, connectivity=1).astype(np.int32)
    padded = np.pad(pieces, 1)
    tops = np.argwhere((padded > 0) & (padded != np.roll(padded, 1, axis=0)))
    corners, starts, owners, pinched = _trace(padded, tops)
    label_of_piece = np.zeros(int(pieces.max(initial=0)) + 1, np.int32)
    label_of_piece[pieces.ravel()] = labels.ravel()
    exteriors: dict[int, Ring] = {}
    holes: dict[int, list[Ring]] = {}
    for index, piece in enumerate(owners.tolist()):
        ring = corners[starts[index] : starts[index + 1]] - 1.0
        for part in _simple_rings(ring) if pinched[index] else (ring,):
            if signed_area(part) > 0:
                exteriors[piece] = part
            else:
                holes.setdefault(piece, []).append(part)
    polygons: dict[int, list[Polygon]] = {int(k): [] for k in np.unique(labels) if k}
    for piece, exterior in exteriors.items():
        polygon = Polygon(exterior, tuple(holes.get(piece, ())))
        polygons[int(label_of_piece[piece])].append(polygon)
    return polygons


def signed_area(ring: Ring) -> float:
    """Compute the area of a ring in px²; positive if it is clockwise on the screen."""
    y, x = ring[:, 0], ring[:, 1]
    return float(0.5 * (np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))))


def draw_polygons(
    shape: tuple[int, int], grains: Mapping[int, Sequence[Polygon]]
) -> tuple[LabelImage, int]:
    """Draw polygons as labels.

    Parameters
    ----------
    shape : (int, int)
        Shape of the labels.
    grains : mapping of int to sequence of Polygon
        A pixel belongs to a grain if its center lies in a polygon and in none of its holes. Where
        grains overlap, the smaller one is on top.

    Returns
    -------
    labels : (Y, X) int32 array
    overlapping_px : int
        Number of pixels claimed by more than one grain.
    """
    labels = np.zeros(shape, np.int32)
    overlapping = 0
    order = sorted(grains, key=lambda k: -sum(abs(signed_area(p.exterior)) for p in grains[k]))
    for label in order:
        for polygon in grains[label]:
            box, mask = fill_rings(polygon.rings, shape)
            below = labels[box]
            overlapping += int(np.count_nonzero(mask & (below != 0) & (below != label)))
            below[mask] = label
    return labels, overlapping


def fill_rings(
    rings: Sequence[Ring], shape: tuple[int, int]
) -> tuple[tuple[slice, slice], npt.NDArray[np.bool_]]:
    """Fill rings by the even-odd rule.

    Returns
    -------
    box : (slice, slice)
        Bounding box of the rings within the shape.
    mask : (h, w) bool array
        Mask of the box.

    Raises
    ------
    ValueError
        A coordinate is not finite or too large.
    """
    points = check_coordinates(np.concatenate(rings))
    top, left = np.clip(np.floor(points.min(axis=0)), 0, shape).astype(int)
    bottom, right = np.clip(np.ceil(points.max(axis=0)), 0, shape).astype(int)
    toggles = np.zeros((max(0, bottom - top), max(0, right - left)), np.bool_)
    for ring in rings:
        _toggle(toggles, np.ascontiguousarray(ring, np.float64), float(top), float(left))
    mask = np.logical_xor.accumulate(toggles, axis=1) if toggles.size else toggles
    return (slice(top, top + mask.shape[0]), slice(left, left + mask.shape[1])), mask


def join_rings(polygons: Sequence[Polygon]) -> Ring:
    """Join pieces and holes into one ring by cuts of zero width, for formats of a single ring.

    Filled by the even-odd rule, it covers exactly the area of the polygons.
    """
    rings = [ring for polygon in polygons for ring in polygon.rings]
    joined = rings[0]
    for ring in rings[1:]:
        distance = np.hypot(*(joined[:, None] - ring[None]).transpose(2, 0, 1))
        start, end = np.unravel_index(int(distance.argmin()), distance.shape)
        rolled = np.roll(ring, -int(end), axis=0)
        joined = np.concatenate([joined[: start + 1], rolled, rolled[:1], joined[start:]])
    return joined


def parse_ring(points: Iterable[Any], *, xy: bool = True) -> Ring:
    """Convert (x, y) (or (y, x)) pairs from a file to a ring; a repeated last point is dropped.

    Raises
    ------
    ValueError
        There are fewer than three points, or they are not pairs of finite numbers of a plausible
        size.
    """
    ring = np.asarray(list(points), dtype=np.float64)
    if ring.ndim != 2 or ring.shape[1] < 2 or not np.isfinite(ring).all():
        raise ValueError(f"a polygon needs pairs of finite numbers, got an array of {ring.shape}")
    ring = check_coordinates(ring[:, :2][:, ::-1] if xy else ring[:, :2])
    if len(ring) > 1 and np.array_equal(ring[0], ring[-1]):
        ring = ring[:-1]
    if len(ring) < 3:
        raise ValueError(f"a polygon needs three points or more, got {len(ring)}")
    return ring


def _simple_rings(ring: Ring) -> list[Ring]:
    """Split a ring that touches itself at the corners that it passes twice."""
    loops: list[list[tuple[float, float]]] = []
    path: list[tuple[float, float]] = []
    position: dict[tuple[float, float], int] = {}
    for point in map(tuple, ring.tolist()):
        if point in position:
            start = position[point]
            loops.append(path[start:])
            for passed in path[start + 1 :]:
                del position[passed]
            del path[start + 1 :]
        else:
            position[point] = len(path)
            path.append(point)
    return [np.array(loop) for loop in (*loops, path) if len(loop) > 2]


@nb.njit(cache=True, nogil=True)
def _trace(pieces, tops):  # type: ignore[no-untyped-def]
    """Walk along all edges of all pieces with the piece on the right.

    Takes the pieces padded by one pixel, and the (y, x) of every pixel with an edge above it.
    Returns the corners (N, 2), the start of each ring in them (and N), the piece of each ring, and
    whether it passes a corner twice.
    """
    seen = np.zeros(pieces.shape, np.bool_)
    corners = np.empty((1024, 2), np.float64)
    starts, owners, pinches = [0], [0], [False]
    count = 0
    for i in range(len(tops)):
        y0, x0 = tops[i]
        y, x, way, pinched = y0, x0, 0, False
        while not (seen[y, x] and way == 0):
            seen[y, x] |= way == 0
            y, x, next_way, touches = _step(pieces, pieces[y0, x0], y, x, way)
            if next_way != way:
                if count == len(corners):
                    corners = np.concatenate((corners, np.empty_like(corners)))
                corners[count] = y, x
                count += 1
            pinched |= touches
            way = next_way
        if count > starts[-1]:
            starts.append(count)
            owners.append(pieces[y0, x0])
            pinches.append(pinched)
    return corners[:count], np.array(starts), np.array(owners[1:]), np.array(pinches[1:])


@nb.njit(cache=True, nogil=True)
def _step(pieces, piece, y, x, way):  # type: ignore[no-untyped-def]
    """Follow one edge; return the new corner, the new direction, and whether pixels touch there."""
    y, x = y + _DY[way], x + _DX[way]
    right = pieces[y + _RIGHT_Y[way], x + _RIGHT_X[way]] == piece
    left = pieces[y + _LEFT_Y[way], x + _LEFT_X[way]] == piece
    if not right:
        # Pixels that only share a corner are kept apart.
        return y, x, (way + 1) % 4, left
    return y, x, (way + 3) % 4 if left else way, False


@nb.njit(cache=True, nogil=True)
def _toggle(box, ring, top, left):  # type: ignore[no-untyped-def]
    """Mark the crossing of every row with an edge; the running xor along a row then fills it.

    Coordinates are bounded by `check_coordinates`: casting huge floats to int is undefined here.
    """
    height, width = box.shape
    for i in range(len(ring)):
        ya, xa = ring[i - 1, 0] - top, ring[i - 1, 1] - left
        yb, xb = ring[i, 0] - top, ring[i, 1] - left
        if ya > yb:  # both directions along an edge must meet the same pixels
            ya, xa, yb, xb = yb, xb, ya, xa
        for row in range(max(0, int(np.ceil(ya - 0.5))), min(height, int(np.ceil(yb - 0.5)))):
            x = xa + (row + 0.5 - ya) * (xb - xa) / (yb - ya)
            column = max(0, int(np.floor(x - 0.5)) + 1)
            if column < width:
                box[row, column] ^= True
