"""Join the grains of blocks across seams, independently of the order of work."""

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

    BlockGrains = Mapping[str, npt.NDArray[Any]]

_MIN_OVERLAP = 0.5
"""Share of common pixels on a seam above which two grains are one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StitchedGrains:
    """Grains of a mosaic.

    Attributes
    ----------
    numbers : dict of BlockId to (n + 1,) int32 array
        Block number -> mosaic number; 0 for background and grains without a pixel in the core of
        the block.
    owner : (N,) int array
        Index of the block that contains grain k + 1 whole.
    local : (N,) int array
        Number of the grain in that block.
    boxes : (N, 4) int64 array
        y0, x0, y1, x1 in the mosaic.
    """

    numbers: dict[BlockId, npt.NDArray[np.int32]]
    owner: npt.NDArray[np.int64]
    local: npt.NDArray[np.int64]
    boxes: npt.NDArray[np.int64]


def stitch(blocks: Mapping[BlockId, BlockGrains]) -> StitchedGrains:
    """Join the grains of blocks across their seams and number them in reading order.

    A grain that is whole in two blocks has the same key, its first pixel. Grains cut by the edge of
    a window, or drawn differently by two blocks, are joined if they overlap beyond the seam.

    Parameters
    ----------
    blocks : mapping
        Output of `describe_grains` per block.
    """
    order = sorted(blocks)
    counts = [len(blocks[block_id]["key"]) for block_id in order]
    first = dict(zip(order, np.cumsum([0, *counts[:-1]]).tolist(), strict=True))
    n = sum(counts)
    if n == 0:
        empty = {block_id: np.zeros(1, np.int32) for block_id in order}
        nothing = np.zeros(0, np.int64)
        return StitchedGrains(
            numbers=empty, owner=nothing, local=nothing, boxes=np.zeros((0, 4), np.int64)
        )
    key = np.concatenate([blocks[block_id]["key"] for block_id in order])
    box = np.concatenate([blocks[block_id]["box"] for block_id in order])
    whole = np.concatenate([blocks[block_id]["whole"] for block_id in order]).astype(bool)
    shown = np.zeros(n, bool)
    for block_id in order:
        present = np.unique(blocks[block_id]["labels"])
        shown[first[block_id] + present[present > 0] - 1] = True
    pairs = [_same_key(key, whole & shown)]
    for i, j in order:
        block = blocks[i, j]
        for other, beyond, edge in (
            ((i, j + 1), "right", (slice(None), 0)),
            ((i + 1, j), "below", (0, slice(None))),
        ):
            if other in blocks:
                neighbour = blocks[other]["labels"][edge]
                matches = _on_seam(block[beyond], neighbour, block["whole"], blocks[other]["whole"])
                starts = np.array([first[i, j], first[other]])
                pairs.append(matches + starts)
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
    neighbour: npt.NDArray[Any],
    whole_seen: npt.NDArray[Any],
    whole_neighbour: npt.NDArray[Any],
) -> npt.NDArray[np.int64]:
    """Return index pairs of the grains of two blocks that are one grain on their seam."""
    both = (seen > 0) & (neighbour > 0)
    pairs, shared = np.unique(
        np.stack([seen[both], neighbour[both]], axis=1), axis=0, return_counts=True
    )
    pairs = pairs.reshape(-1, 2).astype(np.int64)
    n_seen = np.bincount(seen)[pairs[:, 0]] if len(pairs) else np.zeros(0)
    n_neighbour = np.bincount(neighbour)[pairs[:, 1]] if len(pairs) else np.zeros(0)
    pairs -= 1
    both_whole = whole_seen[pairs[:, 0]] & whole_neighbour[pairs[:, 1]]
    # A cut grain may be in pieces, so the smaller of the two decides.
    most = np.where(both_whole, n_seen + n_neighbour - shared, np.minimum(n_seen, n_neighbour))
    return pairs[shared > _MIN_OVERLAP * most]


def _number(
    order: list[BlockId],
    first: dict[BlockId, int],
    counts: list[int],
    group: npt.NDArray[Any],
    key: npt.NDArray[Any],
    box: npt.NDArray[Any],
    whole: npt.NDArray[np.bool_],
    shown: npt.NDArray[np.bool_],
) -> StitchedGrains:
    """Number the groups by their first pixel; the first whole grain represents its group."""
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
    # The last write wins: whole grains, and among them the first.
    ranked = nodes[np.lexsort((-nodes, whole[nodes]))]
    representative = np.zeros(len(reading), np.int64)
    representative[ids[ranked] - 1] = ranked
    starts = np.array([first[block_id] for block_id in order])
    # Blocks without grains start where the next one does, so the last one is meant.
    owner = np.searchsorted(starts, representative, side="right") - 1
    numbers = {
        block_id: np.append(0, ids[first[block_id] : first[block_id] + count]).astype(np.int32)
        for block_id, count in zip(order, counts, strict=True)
    }
    return StitchedGrains(
        numbers=numbers, owner=owner, local=representative - starts[owner] + 1, boxes=boxes
    )
