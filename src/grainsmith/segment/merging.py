"""Selection of the best candidates among those of all octaves.

Every octave proposes candidates. Each is scored by its predicted quality, and candidates are
accepted in the order of their quality as long as they are mostly free of accepted ones (greedy
non-maximum suppression). An accepted grain never loses a pixel; a later one that overlaps it a
little is trimmed.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt

from grainsmith.segment.flows import find_boxes
from grainsmith.segment.tidy import fill_label_holes, keep_largest_pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.data import LabelImage

_Values = npt.NDArray[np.float64]
_Facts = dict[str, _Values]

_INTERCEPT, _PER_CONFIDENCE, _PER_DOUBLING, _PER_AGREEMENT = -4.9, 3.2, 0.5, 5.4
"""Logistic regression of IoU >= 0.5 with a labelled grain, fitted to the candidates on 34 labelled
images, none of which is among the validation images of the benchmarks."""
_DOUBLINGS_PX = (3.0, 30.0)
"""Diameters on the network's grid between which a larger candidate is a better one."""
_WIDE_PX = 320.0
"""Diameter on the network's grid at which a candidate exceeds the context of the network."""
_PRIOR_WEIGHT, _PRIOR_AGREEMENT = 0.3, 0.7
"""Assumed agreement, for candidates that no other octave can confirm."""
MIN_QUALITY = 0.3
MIN_QUALITY_FOR_SCALE = 0.1
"""The choice of the finest scale must not wait for grains that only the finer octave confirms."""
_MAX_OVERLAP = 0.3
_VISIBLE_PX = (12.0, 160.0)
"""Diameters on the network's grid between which an octave is expected to see a grain."""
_MAX_OCTAVES_APART = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Grain candidates of one octave.

    Attributes
    ----------
    labels : (Y, X) int32 array
        Labels 1..n on the grid of the image.
    scale : float
        Network pixels per image pixel.
    facts : dict of str to (n,) array
        `confidence`, `flow_error` and `probability`; element k belongs to label k + 1.
    seen : (Y, X) bool array or None
        Where the octave was predicted; None = everywhere.
    """

    labels: LabelImage
    scale: float
    facts: _Facts
    seen: npt.NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.facts["confidence"])

    @property
    def areas_px(self) -> npt.NDArray[np.intp]:
        """Areas (n,) in image pixels."""
        return np.bincount(self.labels.ravel(), minlength=len(self) + 1)[1:]

    @property
    def diameters_px(self) -> _Values:
        """Equivalent circle diameters (n,) in image pixels."""
        diameters: _Values = np.sqrt(np.maximum(self.areas_px, 1) * 4 / np.pi)
        return diameters


def merge_octaves(
    octaves: Sequence[Candidates], *, min_area_px: int, min_quality: float = MIN_QUALITY
) -> tuple[LabelImage, _Facts]:
    """Merge the candidates of all octaves into one label image.

    Parameters
    ----------
    octaves : sequence of Candidates
        On one image grid, finest first.
    min_area_px : int
        Smaller grains are dropped.
    min_quality : float
        Candidates of lower predicted quality are dropped, unless there is only one octave.

    Returns
    -------
    labels : (Y, X) int32 array
        One connected piece without holes per grain; labels may have gaps.
    facts : dict of str to array
        Element k belongs to label k + 1.
    """
    qualities = predicted_qualities(octaves)
    quality = np.concatenate(qualities)
    octave = np.repeat(np.arange(len(octaves)), [len(candidates) for candidates in octaves])
    ids = np.concatenate([np.arange(1, len(candidates) + 1) for candidates in octaves])
    order = np.lexsort((ids, octave, -quality))
    if len(octaves) > 1:
        order = order[quality[order] >= min_quality]
    octave, ids = octave[order].astype(np.int32), ids[order].astype(np.int32)
    boxes = np.concatenate([_boxes(candidates) for candidates in octaves])[order]
    stack = np.stack([candidates.labels for candidates in octaves])
    labels = np.zeros(stack.shape[1:], np.int32)
    accepted = _select(stack, octave, ids, boxes, min_area_px, labels)
    labels = keep_largest_pieces(fill_label_holes(labels), min_area_px=min_area_px)
    facts = {
        name: np.concatenate([candidates.facts[name] for candidates in octaves])[order][accepted]
        for name in octaves[0].facts
    }
    return labels, facts


def predicted_qualities(octaves: Sequence[Candidates]) -> list[_Values]:
    """Predict how well each candidate outlines a grain.

    The quality is the probability of an IoU of at least 0.5 with a true grain, from the confidence,
    the diameter on the network's grid and the agreement: the mean IoU with the best match in every
    octave that is expected to see a grain of that size. Pieces and mergers of grains rarely look
    alike at two scales.
    """
    diameters = [candidates.diameters_px for candidates in octaves]
    total = [np.full(len(d), _PRIOR_WEIGHT * _PRIOR_AGREEMENT) for d in diameters]
    weight = [np.full(len(d), _PRIOR_WEIGHT) for d in diameters]
    for i, j in combinations(range(len(octaves)), 2):
        if j - i > _MAX_OCTAVES_APART:
            continue
        ious = best_ious(octaves[i].labels, octaves[j].labels)
        for k, other, iou in ((i, j, ious[0]), (j, i, ious[1])):
            visible = _visibility(octaves[k], octaves[other], diameters[k])
            total[k] += visible * _padded(iou[1:], len(visible))
            weight[k] += visible
    qualities = []
    for k, candidates in enumerate(octaves):
        own = diameters[k] * candidates.scale
        quality = _quality(candidates.facts["confidence"], own, total[k] / weight[k])
        if k > 0:
            # What is too small for this octave is left to the finer one, where that was predicted.
            finer = _seen_share(candidates, octaves[k - 1]) > 0.5
            quality[finer & (own < _VISIBLE_PX[0])] = 0
        qualities.append(quality)
    return qualities


def _quality(confidence: _Values, diameters: _Values, agreement: _Values) -> _Values:
    smallest, largest = _DOUBLINGS_PX
    doublings = np.log2(np.clip(diameters, smallest, largest) / largest)
    logit = (
        _INTERCEPT
        + _PER_CONFIDENCE * confidence
        + _PER_DOUBLING * doublings
        + _PER_AGREEMENT * agreement
    )
    quality: _Values = 1 / (1 + np.exp(-logit)) / (1 + (diameters / _WIDE_PX) ** 4)
    return quality


def _visibility(candidates: Candidates, other: Candidates, diameters_px: _Values) -> _Values:
    """Compute how far another octave is expected to see each candidate, 0..1."""
    diameters = diameters_px * other.scale
    smallest, widest = _VISIBLE_PX
    visible: _Values = 1 / (1 + (smallest / diameters) ** 4) / (1 + (diameters / widest) ** 4)
    return visible * _seen_share(candidates, other)


def _seen_share(candidates: Candidates, other: Candidates) -> _Values:
    """Compute the share of each candidate's area where another octave was predicted."""
    if other.seen is None:
        return np.ones(len(candidates))
    labels = candidates.labels.ravel()
    seen = np.bincount(labels, weights=other.seen.ravel(), minlength=len(candidates) + 1)[1:]
    share: _Values = seen / np.maximum(candidates.areas_px, 1)
    return share


def _padded(values: _Values, length: int) -> _Values:
    return np.pad(values, (0, length - len(values)))


def best_ious(first: LabelImage, second: LabelImage) -> tuple[_Values, _Values]:
    """Compute the largest IoU of every label with any label of another image.

    Parameters
    ----------
    first, second : (Y, X) int32 array

    Returns
    -------
    (N + 1,), (M + 1,) float arrays
        Element k belongs to label k of `first` and of `second`.
    """
    n, m = int(first.max(initial=0)), int(second.max(initial=0))
    key = first.ravel().astype(np.int64) * (m + 1) + second.ravel()
    # Neighbouring pixels mostly have the same labels: counting runs is faster than pixels.
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1]))
    lengths = np.diff(np.append(starts, len(key)))
    pairs, inverse = np.unique(key[starts], return_inverse=True)
    shared = np.bincount(inverse, weights=lengths)
    a, b = pairs // (m + 1), pairs % (m + 1)
    areas_a = np.bincount(a, weights=shared, minlength=n + 1)
    areas_b = np.bincount(b, weights=shared, minlength=m + 1)
    both = (a > 0) & (b > 0)
    a, b, shared = a[both], b[both], shared[both]
    iou = shared / (areas_a[a] + areas_b[b] - shared)
    best_a, best_b = np.zeros(n + 1), np.zeros(m + 1)
    np.maximum.at(best_a, a, iou)
    np.maximum.at(best_b, b, iou)
    return best_a, best_b


def _boxes(candidates: Candidates) -> npt.NDArray[np.int32]:
    boxes = np.zeros((len(candidates), 4), np.int32)
    present = find_boxes(candidates.labels)
    boxes[present.ids - 1] = present.edges
    return boxes


@nb.njit(cache=True, nogil=True)
def _select(stack, octave, ids, boxes, min_area, labels):  # type: ignore[no-untyped-def]
    """Draw candidates in order unless accepted ones cover them; return the indices accepted."""
    accepted = np.zeros(len(ids), np.bool_)
    n = 0
    for i in range(len(ids)):
        y0, y1, x0, x1 = boxes[i]
        candidate = stack[octave[i], y0:y1, x0:x1] == ids[i]
        drawn = labels[y0:y1, x0:x1]
        free = candidate & (drawn == 0)
        area, left = candidate.sum(), free.sum()
        needed = max(min_area, (1 - _MAX_OVERLAP) * area)
        if needed <= left < area:
            free = _largest_piece(free)
            left = free.sum()
        if left >= needed:
            n += 1
            accepted[i] = True
            for y in range(free.shape[0]):
                for x in range(free.shape[1]):
                    if free[y, x]:
                        drawn[y, x] = n
    return np.flatnonzero(accepted)


@nb.njit(cache=True, nogil=True)
def _largest_piece(mask):  # type: ignore[no-untyped-def]
    """Return the largest 4-connected piece of a mask."""
    height, width = mask.shape
    piece = np.zeros(mask.shape, np.int32)
    stack = np.empty(mask.size, np.int64)
    best, best_size, n = 0, 0, 0
    for start in range(mask.size):
        if not mask.flat[start] or piece.flat[start] > 0:
            continue
        n += 1
        size, top = 0, 1
        stack[0] = start
        piece.flat[start] = n
        while top > 0:
            top -= 1
            y, x = divmod(stack[top], width)
            size += 1
            for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                inside = 0 <= v < height and 0 <= u < width
                if inside and mask[v, u] and piece[v, u] == 0:
                    piece[v, u] = n
                    stack[top] = v * width + u
                    top += 1
        if size > best_size:
            best, best_size = n, size
    return piece == best
