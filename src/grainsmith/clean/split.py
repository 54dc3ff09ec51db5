"""Split a grain along a line, by seeds, or along a contact of two compositions.

No pixel is lost: pixels on the cut go to the nearest part. The largest part keeps the label, and
with it the row of the table.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.morphology import h_maxima
from skimage.segmentation import watershed

from grainsmith.clean.grains import EIGHT, pixels_under
from grainsmith.clean.patch import Box, Patch, disjoint, window
from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grainsmith.clean.index import GrainIndex
    from grainsmith.clean.patch import Labels, Mask
    from grainsmith.data import Transform

_MIN_PART_SHARE = 0.005  # smaller parts are debris of the cut
_MIN_NECK_DEPTH = 0.15  # relative to the half-width of the grain
_MIN_EXPLAINED = 0.7  # share of the variance that two compositions must explain
_MIN_PHASE_SHARE = 0.05  # of the area of the grain


def split_by_line(
    labels: Labels,
    index: GrainIndex,
    line: npt.ArrayLike,
    grains: Iterable[int] = (),
) -> tuple[Patch, ...]:
    """Split grains along a line.

    Parameters
    ----------
    labels : (Y, X) int array
    index : GrainIndex
        Of these labels.
    line : (N, 2) array-like
        Points (y, x) in pixels, in order. Ends inside a grain are extended straight by up to half
        of the length of the line.
    grains : iterable of int
        Grains to split; by default all that the line crosses.

    Returns
    -------
    tuple of Patch
        Empty if the line does not cross any grain from side to side.

    Raises
    ------
    MismatchError
        The line is a single point.
    """
    points = np.asarray(line, dtype=float).reshape(-1, 2)
    length = np.hypot(*np.diff(points, axis=0).T).sum()
    if length < 1:
        raise MismatchError("the line is a single point: draw it right across the grain")
    cut = pixels_under(_extended(points, length / 2), labels.shape)
    drawn = pixels_under(points, labels.shape)
    crossed = np.unique(labels[drawn[:, 0], drawn[:, 1]]).tolist()
    wanted = set(grains) or set(crossed)
    patches: list[Patch] = []
    for grain in crossed:
        if grain != 0 and grain in wanted:
            patches += _cut(labels, index, grain, (drawn, cut), used=_new_labels(patches))
    return disjoint(patches)


def split_by_seeds(
    labels: Labels, index: GrainIndex, grain: int, seeds: npt.ArrayLike
) -> tuple[Patch, ...]:
    """Split a grain into one part per seed, along its necks.

    Parameters
    ----------
    labels : (Y, X) int array
    index : GrainIndex
    grain : int
    seeds : (N, 2) array-like
        Points (y, x) in pixels inside the grain, at least two.

    Raises
    ------
    MismatchError
        Fewer than two seeds lie in the grain.

    Notes
    -----
    Watershed of the distance transform (Vincent and Soille 1991).
    """
    box = index.box(grain)
    old = window(labels, box)
    mask = np.pad(old == grain, 1)
    places = np.round(np.asarray(seeds, dtype=float).reshape(-1, 2)).astype(int)
    places = places - box[:2] + 1
    inside = ((places >= 0) & (places < mask.shape)).all(axis=1)
    places = places[inside]
    places = places[mask[places[:, 0], places[:, 1]]]
    if len(np.unique(places, axis=0)) < 2:
        raise MismatchError(f"splitting grain {grain} needs two seeds inside it")
    markers = np.zeros(mask.shape, np.int32)
    markers[places[:, 0], places[:, 1]] = np.arange(1, len(places) + 1)
    parts = watershed(-ndimage.distance_transform_edt(mask), markers, mask=mask)
    return _numbered(labels, index, grain, box, parts[1:-1, 1:-1], used=0)


def propose_seeds(labels: Labels, index: GrainIndex, grain: int) -> npt.NDArray[np.float64]:
    """Propose one seed per lobe of a grain.

    Parameters
    ----------
    labels : (Y, X) int array
    index : GrainIndex
    grain : int

    Returns
    -------
    (N, 2) float array
        One point (y, x) in pixels per lobe; a single one for a grain without a neck.

    Notes
    -----
    The lobes are the maxima of the distance to the outline that stand at least 15 % of the largest
    half-width above the saddle between them (h-maxima, Soille 2003).
    """
    box = index.box(grain)
    mask = np.pad(labels[box.slices] == grain, 1)
    if not mask.any():
        raise MismatchError(f"grain {grain} is gone: a script changed the labels in place")
    depth = ndimage.gaussian_filter(ndimage.distance_transform_edt(mask), 1)
    depth[~mask] = 0
    lobes, count = ndimage.label(h_maxima(depth, _MIN_NECK_DEPTH * depth.max()), EIGHT)
    centres = ndimage.center_of_mass(mask, lobes, range(1, count + 1))
    seeds: npt.NDArray[np.float64] = np.reshape(centres, (-1, 2)) + np.array(box[:2]) - 1
    return seeds


def split_by_chemistry(
    labels: Labels,
    index: GrainIndex,
    grain: int,
    maps: Sequence[tuple[npt.NDArray[Any], Transform]],
) -> tuple[Patch, ...]:
    """Split a grain of two compositions along their contact.

    Parameters
    ----------
    labels : (Y, X) int array
    index : GrainIndex
    grain : int
    maps : sequence of ((H, W) array, Transform)
        Maps or channels (NaN = not measured), each with its transform to pixels of the labels.

    Raises
    ------
    MismatchError
        There is no map, no map covers the grain, or the grain has one composition only.

    Notes
    -----
    Otsu's threshold (1979) on the first principal component of the smoothed, standardised values;
    refused if the two classes explain less than 70 % of its variance (the halves of a normal
    distribution explain 64 %).
    """
    if not maps:
        raise MismatchError("splitting by chemistry needs an element map or an image")
    box = index.box(grain)
    old = window(labels, box)
    mask = old == grain
    stack = np.stack([_nearest_values(values, transform, box) for values, transform in maps])
    component = _first_component(stack, mask)
    high = mask & (component > threshold_otsu(component[mask]))
    if _explained(component[mask], high[mask]) < _MIN_EXPLAINED:
        raise MismatchError(f"grain {grain} is of one composition; split it by a line instead")
    pieces, count = ndimage.label(high, EIGHT)
    others, more = ndimage.label(mask & ~high, EIGHT)
    parts = np.where(others > 0, others + count, pieces)
    large = np.bincount(parts.ravel(), minlength=count + more + 1) >= _MIN_PHASE_SHARE * mask.sum()
    parts = _nearest_part(np.where(large[parts], parts, 0), mask)
    patches = _numbered(labels, index, grain, box, parts, used=0)
    if not patches:
        raise MismatchError(f"the two compositions of grain {grain} are too finely mixed to cut")
    return patches


def _first_component(stack: npt.NDArray[Any], mask: Mask) -> npt.NDArray[np.float64]:
    """Compute the first principal component within a grain, (h, w), from (C, h, w)."""
    measured = np.isfinite(stack).all(axis=0) & mask
    if np.count_nonzero(measured) < 4:
        raise MismatchError("nothing was measured in this grain: no map covers it")
    columns = []
    for channel in stack:
        weight = ndimage.gaussian_filter(measured.astype(float), 1.5)
        smoothed = ndimage.gaussian_filter(np.where(measured, channel, 0.0), 1.5)
        columns.append((smoothed / np.maximum(weight, 1e-9))[mask])
    table = np.stack(columns)
    spread = table.std(axis=1, keepdims=True)
    table = (table - table.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)
    _, axes = np.linalg.eigh(np.cov(table).reshape(len(table), len(table)))
    component = np.zeros(mask.shape)
    component[mask] = axes[:, -1] @ table
    return component


def _nearest_values(
    values: npt.NDArray[Any], transform: Transform, box: Box
) -> npt.NDArray[np.float64]:
    """Sample the nearest pixel of a map at every pixel of a box; NaN outside the map."""
    grid = np.stack(np.meshgrid(*map(np.arange, box[:2], box[2:]), indexing="ij"), axis=-1)
    places = np.round(transform.inverse().apply(grid.reshape(-1, 2))).astype(int)
    inside = ((places >= 0) & (places < values.shape)).all(axis=1)
    sampled = np.full(len(places), np.nan)
    sampled[inside] = values[tuple(places[inside].T)]
    return sampled.reshape(grid.shape[:2])


def _explained(values: npt.NDArray[np.float64], high: Mask) -> float:
    """Compute the share of the variance between two classes (Otsu's eta)."""
    if not high.any() or high.all() or values.std() == 0:
        return 0.0
    share = high.mean()
    gap = values[high].mean() - values[~high].mean()
    return float(share * (1 - share) * gap**2 / values.var())


def _cut(
    labels: Labels,
    index: GrainIndex,
    grain: int,
    lines: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]],
    used: int,
) -> tuple[Patch, ...]:
    """Split one grain along the first line that crosses it completely."""
    box = index.box(grain)
    mask = labels[box.slices] == grain
    for line in lines:
        barrier = np.zeros(mask.shape, bool)
        within = ((line >= box[:2]) & (line < box[2:])).all(axis=1)
        barrier[tuple((line[within] - box[:2]).T)] = True
        # 4-connected parts cannot connect across an 8-connected line.
        parts, count = ndimage.label(mask & ~barrier)
        whole = np.bincount(parts.ravel(), minlength=count + 1) >= max(
            3, _MIN_PART_SHARE * mask.sum()
        )
        parts = np.where(whole[parts], parts, 0)
        if len(np.unique(parts)) > 2:
            return _numbered(labels, index, grain, box, _nearest_part(parts, mask), used)
    return ()


def _numbered(
    labels: Labels,
    index: GrainIndex,
    grain: int,
    box: Box,
    parts: npt.NDArray[Any],
    used: int,
) -> tuple[Patch, ...]:
    """Return the patch that labels the parts; the largest keeps the label of the grain."""
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    order = [int(part) for part in np.argsort(-sizes, kind="stable") if sizes[part]]
    numbers = [grain, *index.new_labels(used + len(order) - 1, labels)[used:]]
    number_of = np.zeros(len(sizes), labels.dtype)
    number_of[order] = numbers
    old = window(labels, box)
    return disjoint([Patch(box, old, np.where(parts > 0, number_of[parts], old))])


def _nearest_part(parts: npt.NDArray[Any], mask: Mask) -> npt.NDArray[Any]:
    """Assign pixels of the mask without a part to the nearest part."""
    nearest = ndimage.distance_transform_edt(
        parts == 0, return_distances=False, return_indices=True
    )
    return np.where(mask, parts[tuple(nearest)], 0)


def _new_labels(patches: list[Patch]) -> int:
    """Count the new labels used by these patches."""
    return sum(len(np.unique(patch.new[patch.changed])) for patch in patches)


def _extended(points: npt.NDArray[np.float64], by_px: float) -> npt.NDArray[np.float64]:
    """Extend both ends of a line straight."""
    head, tail = points[0] - points[1], points[-1] - points[-2]
    ends = [np.divide(end, max(np.hypot(*end), 1e-9)) * by_px for end in (head, tail)]
    return np.concatenate([[points[0] + ends[0]], points, [points[-1] + ends[1]]])
