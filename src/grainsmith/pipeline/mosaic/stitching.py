"""Grains of single blocks -> grains of the mosaic, with numbers that no order of work changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grainsmith.pipeline.mosaic.blocks import BlockId

    LayerAutosave = Mapping[str, npt.NDArray[Any]]

_SAME = 0.5
"""Share of their common pixels on a seam from which two grains are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """The grains of a mosaic.

    Attributes
    ----------
    numbers : dict of BlockId to (n + 1,) int32 array
        The number in the mosaic of each number in the block; 0 for background and for what has no
        pixel in the block's core.
    owner : (N,) int array
        Place of the block that saw grain k + 1 whole, in the order of the blocks.
    local : (N,) int array
        The grain's number there.
    boxes : (N, 4) int64 array
        y0, x0, y1, x1 in the mosaic.
    """

    numbers: dict[BlockId, npt.NDArray[np.int32]]
    owner: npt.NDArray[np.int64]
    local: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.int64]


def join(blocks: Mapping[BlockId, LayerAutosave]) -> Joined:
    """Join the grains of blocks over their seams and number them in reading order.

    A grain that two blocks see whole has one key, its first pixel: no comparison is needed. What a
    window's edge has cut, or what two blocks draw differently, is joined where the one block's view
    of the pixels beyond its seam covers the other's grain.

    Parameters
    ----------
    blocks : mapping
        What `describe` returns, per block.
    """
    order = sorted(blocks)
    counts = [len(blocks[one]["key"]) for one in order]
    first = dict(zip(order, np.cumsum([0, *counts[:-1]]).tolist(), strict=True))
    n = sum(counts)
    if n == 0:
        empty = {one: np.zeros(1, np.int32) for one in order}
        nothing = np.zeros(0, np.int64)
        return Joined(numbers=empty, owner=nothing, local=nothing, boxes=np.zeros((0, 4), np.int64))
    key = np.concatenate([blocks[one]["key"] for one in order])
    box = np.concatenate([blocks[one]["box"] for one in order])
    whole = np.concatenate([blocks[one]["whole"] for one in order]).astype(bool)
    shown = np.zeros(n, bool)
    for one in order:
        present = np.unique(blocks[one]["labels"])
        shown[first[one] + present[present > 0] - 1] = True
    pairs = [_same_key(key, whole & shown)]
    for i, j in order:
        here = blocks[i, j]
        for other, beyond, edge in (
            ((i, j + 1), "right", (slice(None), 0)),
            ((i + 1, j), "below", (0, slice(None))),
        ):
            if other in blocks:
                there = blocks[other]["labels"][edge]
                found = _on_seam(here[beyond], there, here["whole"], blocks[other]["whole"])
                starts = np.array([first[i, j], first[other]])
                pairs.append(found + starts)
    edges = np.concatenate(pairs).astype(np.int64)
    edges = edges[shown[edges].all(axis=1)]
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(n, n))
    _, group = connected_components(graph, directed=False)
    return _number(order, first, counts, group, key, box, whole, shown)


def _same_key(key: npt.NDArray[Any], usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    nodes = np.flatnonzero(usable)
    nodes = nodes[np.argsort(key[nodes], kind="stable")]
    same = key[nodes[1:]] == key[nodes[:-1]]
    return np.stack([nodes[:-1][same], nodes[1:][same]], axis=1).reshape(-1, 2)


def _on_seam(
    seen: npt.NDArray[Any],
    there: npt.NDArray[Any],
    whole_seen: npt.NDArray[Any],
    whole_there: npt.NDArray[Any],
) -> npt.NDArray[np.int64]:
    """Places (0..) of the grains of two blocks that are one, by a block's view of the next."""
    both = (seen > 0) & (there > 0)
    pairs, shared = np.unique(
        np.stack([seen[both], there[both]], axis=1), axis=0, return_counts=True
    )
    pairs = pairs.reshape(-1, 2).astype(np.int64)
    n_seen = np.bincount(seen)[pairs[:, 0]] if len(pairs) else np.zeros(0)
    n_there = np.bincount(there)[pairs[:, 1]] if len(pairs) else np.zeros(0)
    pairs -= 1
    both_whole = whole_seen[pairs[:, 0]] & whole_there[pairs[:, 1]]
    # A grain that a window cut may be in pieces there, so the smaller of the two decides.
    most = np.where(both_whole, n_seen + n_there - shared, np.minimum(n_seen, n_there))
    return pairs[shared > _SAME * most]


def _number(
    order: list[BlockId],
    first: dict[BlockId, int],
    counts: list[int],
    group: npt.NDArray[Any],
    key: npt.NDArray[Any],
    box: npt.NDArray[Any],
    whole: npt.NDArray[np.bool_],
    shown: npt.NDArray[np.bool_],
) -> Joined:
    """Number the groups by their first pixel; of each, the first node that is whole speaks."""
    nodes = np.flatnonzero(shown)
    best: npt.NDArray[Any] = np.full(int(group.max()) + 1, np.iinfo(np.int64).max)
    np.minimum.at(best, group[nodes], key[nodes])
    present = np.unique(group[nodes])
    reading = present[np.argsort(best[present], kind="stable")]
    number = np.zeros(len(best), np.int32)
    number[reading] = np.arange(1, len(reading) + 1)
    ids = np.where(shown, number[group], 0).astype(np.int32)
    boxes = np.zeros((len(reading), 4), np.int64)
    boxes[:, :2] = np.iinfo(np.int64).max
    for axis, extreme in enumerate((np.minimum, np.minimum, np.maximum, np.maximum)):
        extreme.at(boxes[:, axis], ids[nodes] - 1, box[nodes, axis])
    # Written last, so winning: whole ones, and of those the first.
    ranked = nodes[np.lexsort((-nodes, whole[nodes]))]
    speaker = np.zeros(len(reading), np.int64)
    speaker[ids[ranked] - 1] = ranked
    starts = np.array([first[one] for one in order])
    # Of blocks without grains, which begin where the next one does, the last is right.
    owner = np.searchsorted(starts, speaker, side="right") - 1
    numbers = {
        one: np.append(0, ids[first[one] : first[one] + count]).astype(np.int32)
        for one, count in zip(order, counts, strict=True)
    }
    return Joined(numbers=numbers, owner=owner, local=speaker - starts[owner] + 1, boxes=boxes)
