"""Open a region of a mosaic at full resolution for correction.

The region grows by up to `GROWTH_PX` to contain grains at its edge whole. Grains that are still cut
are locked. Numbers of new grains are new in the whole mosaic.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.errors import Hint, MismatchError, ReadError
from grainsmith.io.mosaics.reader import open_mosaic
from grainsmith.io.tables.grain_table import read_table
from grainsmith.pipeline.mosaic.blocks import expand_window
from grainsmith.pipeline.mosaic.edit_replay import finish_interrupted
from grainsmith.pipeline.mosaic.summary import FACTS, TABLE, grains_folder

if TYPE_CHECKING:
    from grainsmith.data import Image, LabelImage
    from grainsmith.io.mosaics.reader import Mosaic
    from grainsmith.segment.tiled import Window

MAX_REGION_PX = 4096
"""Longest side of a requested region."""

GROWTH_PX = 1024
"""Largest growth of a region on each side."""

_MARGIN_PX = 16


@dataclass(frozen=True, eq=False, kw_only=True)
class Region:
    """Region of a mosaic.

    Attributes
    ----------
    folder : str
        Of the mosaic.
    window : (y0, y1, x0, x1)
        Position in pixels of the mosaic.
    labels : (Y, X) int32 array
        Grains with their numbers in the mosaic; read-only.
    image : (Y, X) or (Y, X, 3) array
        Its image.
    locked : frozenset of int
        Grains cut by its edge.
    pixel_size_um : float
        0 = unknown.
    """

    folder: str
    window: Window
    labels: LabelImage
    image: Image
    locked: frozenset[int]
    pixel_size_um: float

    @property
    def address(self) -> str:
        """Mosaic, window and fingerprint of the grains, for `reopen_region`."""
        return f"{self.folder}#{','.join(map(str, self.window))},{_fingerprint(self.labels)}"


def open_region(folder: str | Path, asked: Window) -> Region:
    """Open a region of a mosaic written by `segment_mosaic`.

    Parameters
    ----------
    folder : str or Path
    asked : (y0, y1, x0, x1)
        At most `MAX_REGION_PX` high and wide; clipped to the mosaic.

    Raises
    ------
    MismatchError
        The region is too large, or outside the mosaic.
    ReadError
        The folder is not such a mosaic, or a part of it is damaged.
    WriteError
        An earlier write-back was interrupted and cannot be finished.
    """
    mosaic, grains, table = opened(folder)
    window = _cut_to(asked, mosaic.shape)
    inside = present_ids(grains.window(*window))
    boxes = _boxes(table.loc[table.index.intersection(inside.tolist())])
    limit = expand_window(window, GROWTH_PX, mosaic.shape)
    for box in boxes.to_numpy():
        if _within(box, limit):
            window = _union(window, box)
    window = expand_window(window, _MARGIN_PX, mosaic.shape)
    return _region(folder, mosaic, grains, table, window)


def reopen_region(address: str) -> Region:
    """Open the region of an address again, e.g. after a crash.

    Raises
    ------
    MismatchError
        The address is invalid, or the grains have changed.
    """
    found = re.fullmatch(r"(.+)#(\d+),(\d+),(\d+),(\d+),([0-9a-f]+)", address)
    if not found:
        raise MismatchError(f"{address!r} is not the address of a region of a mosaic")
    mosaic, grains, table = opened(found[1])
    y0, y1, x0, x1 = (int(found[n]) for n in (2, 3, 4, 5))
    region = _region(found[1], mosaic, grains, table, (y0, y1, x0, x1))
    if region.address != address:
        raise stale_region_error(found[1])
    return region


def opened(folder: str | Path, *, alone: bool = False) -> tuple[Mosaic, Mosaic, pd.DataFrame]:
    """Return image, grains and table of a mosaic after completing interrupted changes."""
    folder = Path(folder)
    missing = [name for name in ("labels/grains", TABLE, FACTS) if not (folder / name).exists()]
    if missing:
        raise ReadError(
            f"{folder} has no {missing[0]}: only mosaics segmented by Grainsmith can be edited"
        )
    finish_interrupted(folder, alone=alone)
    mosaic, grains = open_mosaic(folder), open_mosaic(grains_folder(folder))
    if mosaic.shape != grains.shape or grains.levels[0].dtype.kind not in "iu":
        raise MismatchError(
            f"{folder}: the image is {mosaic.shape} and its grains are {grains.shape} "
            f"{grains.levels[0].dtype}: they must be whole numbers on the same pixels"
        )
    return mosaic, grains, read_table(folder / TABLE)


def _region(
    folder: str | Path, mosaic: Mosaic, grains: Mosaic, table: pd.DataFrame, window: Window
) -> Region:
    labels = grains.window(*window).astype(np.int32)
    y0, y1, x0, x1 = window
    boxes = _boxes(table)
    whole = boxes.index[
        (boxes["y0"] >= y0) & (boxes["y1"] <= y1) & (boxes["x0"] >= x0) & (boxes["x1"] <= x1)
    ]
    ids = present_ids(labels)
    gone = np.setdiff1d(whole, ids)
    if len(gone):
        # A missing chunk reads as background; written back, its grains would be lost.
        raise ReadError(
            f"{folder}: grain {gone[0]} is in the table and not in the labels; a file of the "
            "labels was lost, or the table is another mosaic's"
        )
    return Region(
        folder=str(folder),
        window=window,
        labels=labels,
        image=mosaic.window(*window),
        locked=frozenset(ids.tolist()) - frozenset(whole.tolist()),
        pixel_size_um=mosaic.pixel_size_um,
    )


def _cut_to(asked: Window, shape: tuple[int, int]) -> Window:
    y0, y1 = max(0, asked[0]), min(shape[0], asked[1])
    x0, x1 = max(0, asked[2]), min(shape[1], asked[3])
    if y0 >= y1 or x0 >= x1:
        raise MismatchError(f"rows {asked[0]} to {asked[1]}, columns {asked[2]} to {asked[3]} "
                            "lie beside the mosaic")  # fmt: skip
    if max(y1 - y0, x1 - x0) > MAX_REGION_PX:
        raise MismatchError(
            f"{y1 - y0} x {x1 - x0} px are too many to be edited at once",
            hint=Hint.ZOOM_IN,
            side_px=MAX_REGION_PX,
        )
    return y0, y1, x0, x1


def present_ids(labels: npt.NDArray[np.integer]) -> npt.NDArray[np.integer]:
    """Return the numbers of the grains in labels."""
    found = np.unique(labels)
    return found[found > 0]


def _boxes(table: pd.DataFrame) -> pd.DataFrame:
    """Columns y0, y1, x0, x1 of the grains of a table."""
    return pd.DataFrame(
        {
            "y0": table["top_px"],
            "y1": table["top_px"] + table["height_px"],
            "x0": table["left_px"],
            "x1": table["left_px"] + table["width_px"],
        },
        index=table.index,
    ).astype(np.int64)


def _within(box: npt.NDArray[np.int64], window: Window) -> bool:
    return bool(
        box[0] >= window[0] and box[1] <= window[1] and box[2] >= window[2] and box[3] <= window[3]
    )


def _union(window: Window, box: npt.NDArray[np.int64]) -> Window:
    y0, y1, x0, x1 = (int(n) for n in box)
    return min(window[0], y0), max(window[1], y1), min(window[2], x0), max(window[3], x1)


def _fingerprint(labels: LabelImage) -> str:
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()[:12]


def stale_region_error(folder: str) -> MismatchError:
    """Return the error for a region that has changed since it was opened."""
    return MismatchError(
        f"{folder} has changed since this region was opened: save your labels as a file, open "
        "the region again, and copy your grains from that file"
    )
