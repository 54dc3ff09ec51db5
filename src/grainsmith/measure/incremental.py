"""Update a grain table after an edit without measuring all grains again.

Undo in napari does not report what it changed. Comparing checksums of tiles finds the changes in
one pass over the image and needs 8 bytes per tile instead of a copy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.measure.grains import measure_regions
from grainsmith.measure.intensity import channels_of
from grainsmith.measure.region_moments import present_labels, region_moments
from grainsmith.parallel import compiled, map_threads

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grainsmith.data import Image, LabelImage

TILE_PX = 64
"""Side of the tiles that are compared."""

# A tile's checksum is a weighted sum of its labels: two different tiles have the same checksum with
# a probability of about 2**-32.
_WEIGHTS = np.random.default_rng(20260101).integers(
    1, 2**32, size=(TILE_PX, TILE_PX), dtype=np.uint32
)


def changed_labels(before: LabelImage, after: LabelImage) -> npt.NDArray[np.int32]:
    """Find the labels that gained or lost pixels.

    Parameters
    ----------
    before, after : (Y, X) int array
        A label image, or the same box of it, before and after an edit.

    Returns
    -------
    (N,) int32 array
        Ascending, without 0.
    """
    if before.shape != after.shape:
        raise ValueError(
            f"before is {before.shape} and after is {after.shape}: crop both to the same box"
        )
    differs = before != after
    changed = np.union1d(before[differs], after[differs])
    return changed[changed > 0].astype(np.int32)


def tile_checksums(labels: LabelImage) -> npt.NDArray[np.uint64]:
    """Compute one checksum for every `TILE_PX` x `TILE_PX` tile of a (Y, X) label image."""
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    tiles = tuple(-(-side // TILE_PX) for side in labels.shape)
    out = np.zeros(tiles, np.uint64)

    def sum_row(row: int) -> None:
        _checksums(labels[row * TILE_PX : (row + 1) * TILE_PX], _WEIGHTS, out[row])

    map_threads(sum_row, range(tiles[0]))
    return out


def update_grains(
    table: pd.DataFrame,
    labels: LabelImage,
    changed_tiles: npt.NDArray[np.bool_],
    *,
    pixel_size_um: float = 0.0,
    image: Image | Mapping[str, npt.NDArray[Any]] | None = None,
    data_bar_rows: int = 0,
) -> tuple[pd.DataFrame, npt.NDArray[np.int32]]:
    """Re-measure the grains that overlap changed tiles.

    Parameters
    ----------
    table : DataFrame
        Result of `measure_grains` before the edit. Columns from other sources are kept and are
        empty for new grains.
    labels : (Y, X) int array
        Labels after the edit, of the same shape.
    changed_tiles : bool array
        Tiles whose `tile_checksums` differ before and after.
    pixel_size_um, image, data_bar_rows
        As for `measure_grains`.

    Returns
    -------
    table : DataFrame
        Bit-identical to measuring all grains.
    measured : (N,) int32 array
        Labels whose rows were updated, or removed because no pixel is left.
    """
    if not changed_tiles.any():
        return table, np.empty(0, np.int32)
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    top, bottom, left, right = _spans(changed_tiles)
    boxes = table[["top_px", "left_px", "height_px", "width_px"]].to_numpy()
    reaches = (boxes[:, 0] < bottom) & (boxes[:, 0] + boxes[:, 2] > top)
    reaches &= (boxes[:, 1] < right) & (boxes[:, 1] + boxes[:, 3] > left)
    present = present_labels(np.ascontiguousarray(labels[top:bottom, left:right]))
    ids = np.union1d(table.index[reaches].to_numpy(dtype=np.int32), present)
    # A grain that reaches into a changed tile may extend far beyond it.
    old = boxes[table.index.isin(ids)]
    first = old[:, 0].min(initial=top)
    last = (old[:, 0] + old[:, 2]).max(initial=bottom)
    regions = region_moments(labels, ids, rows=(int(first), min(int(last), labels.shape[0])))
    rows = measure_regions(
        labels,
        regions,
        pixel_size_um=pixel_size_um,
        channels=channels_of(image),
        data_bar_rows=data_bar_rows,
    )
    return replace_rows(table, rows, ids), ids


def replace_rows(
    table: pd.DataFrame, rows: pd.DataFrame, ids: npt.NDArray[np.int32]
) -> pd.DataFrame:
    """Replace the rows with labels `ids` by `rows`; labels missing from `rows` are removed.

    Columns that only `table` has keep their values and are empty for new labels.
    """
    others = table.columns.difference(rows.columns, sort=False)
    rows = rows.join(table[others]) if len(others) else rows
    kept = table[~table.index.isin(ids)]
    if kept.empty:
        return rows.reindex(columns=table.columns) if len(table.columns) else rows
    merged = pd.concat([kept, rows[table.columns]]) if len(rows) else kept
    return merged.sort_index()


def _spans(tiles: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    # Bounding box of the tiles in pixels: top, bottom, left, right.
    rows, columns = np.nonzero(tiles)
    ends = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
    top, bottom, left, right = (int(end) * TILE_PX for end in ends)
    return top, bottom, left, right


@compiled
def _checksums(
    labels: npt.NDArray[np.int32],
    weights: npt.NDArray[np.uint32],
    out: npt.NDArray[np.uint64],
) -> None:
    for y in range(labels.shape[0]):
        for tile in range(len(out)):
            # Slices and 32-bit factors let the compiler vectorize: 16 million pixels take 2 ms
            # instead of 18 ms.
            row, factors = labels[y, tile * TILE_PX : (tile + 1) * TILE_PX], weights[y]
            total = np.uint64(0)
            for x in range(len(row)):
                total += np.uint64(np.uint32(row[x])) * np.uint64(factors[x])
            out[tile] += total
