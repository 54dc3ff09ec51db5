"""Corrected grains of a piece of a mosaic -> the mosaic, its table and its statistics."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.data import no_progress
from grainsmith.errors import MismatchError, ReadError, WriteError
from grainsmith.io.files.provenance import read_json
from grainsmith.io.mosaics.edit_journal import Journal
from grainsmith.io.mosaics.reader import open_mosaic
from grainsmith.pipeline.mosaic.blocks import AROUND_PX, measure_inside, widened
from grainsmith.pipeline.mosaic.edit_replay import STEPS, apply_edit
from grainsmith.pipeline.mosaic.element_maps import placed_maps
from grainsmith.pipeline.mosaic.region import changed_meanwhile, ids_of, opened
from grainsmith.pipeline.mosaic.summary import FACTS, TABLE, grains_folder

if TYPE_CHECKING:
    import pandas as pd

    from grainsmith.data import LabelImage, OnProgress
    from grainsmith.io.mosaics.edit_journal import Edit
    from grainsmith.io.mosaics.reader import Mosaic
    from grainsmith.pipeline.mosaic.region import Region
    from grainsmith.segment.tiled import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteBackResult:
    """What a write-back, or taking it back, has changed.

    Attributes
    ----------
    window : (y0, y1, x0, x1)
        The smallest that holds all changed pixels; all 0 where nothing changed.
    n_changed, n_gone : int
        Grains that were changed or came into being, and grains that are no more.
    new_labels : dict of int to int
        Number in the piece -> number in the mosaic, of the grains that came into being.
    n_kept_px : int
        Pixels of locked grains that had been drawn over, and were not changed.
    """

    window: Window = (0, 0, 0, 0)
    n_changed: int = 0
    n_gone: int = 0
    new_labels: dict[int, int]
    n_kept_px: int = 0


def write_region(
    region: Region, labels: LabelImage, *, on_progress: OnProgress = no_progress
) -> WriteBackResult:
    """Write corrected grains of a piece back: labels of all levels, table and statistics.

    The change is noted in the mosaic's folder before it is done. What is interrupted later, by a
    crash or a full disk, is done to its end when the mosaic is opened next.

    Parameters
    ----------
    region : Region
    labels : (Y, X) int array
        Of its shape. Pixels of locked grains stay what they are.
    on_progress : callable
        Told (steps done, steps in all). Raising in it stops the work only before it is noted.

    Raises
    ------
    MismatchError
        The shape is another one, or the mosaic was changed since the piece was opened.
    WriteError
        No room, read-only, or another program is writing.
    """
    if labels.shape != region.labels.shape:
        raise MismatchError(
            f"the labels are {labels.shape} and the piece of the mosaic is {region.labels.shape} "
            "(rows, columns): write back what was opened"
        )
    with Journal(region.folder).exclusive_lock():
        on_progress(0, STEPS)
        mosaic, grains, table = opened(region.folder, alone=True)
        if not np.array_equal(grains.window(*region.window), region.labels):
            raise changed_meanwhile(region.folder)
        merged, new_labels, n_kept = _numbered(region, labels, _next_label(region.folder, table))
        on_progress(1, STEPS)
        changed = merged != region.labels
        if not changed.any():
            return WriteBackResult(new_labels={}, n_kept_px=n_kept)
        edit = _note(region, mosaic, table, merged, changed)
        apply_edit(region.folder, edit, "after", on_progress)
    n_after = len(edit.rows("after"))
    return WriteBackResult(
        window=edit.window,
        n_changed=n_after,
        n_gone=len(edit.touched) - n_after,
        new_labels=new_labels,
        n_kept_px=n_kept,
    )


def undo_write(folder: str | Path, *, on_progress: OnProgress = no_progress) -> WriteBackResult:
    """Take the last write-back back that has not been taken back yet.

    Raising in `on_progress` stops it only before it is noted, as with `write_region`.

    Raises
    ------
    MismatchError
        There is none, or something else has changed the grains there since.
    """
    with Journal(folder).exclusive_lock():
        _, grains, _ = opened(folder, alone=True)
        edit = Journal(folder).last()
        if edit is None:
            raise MismatchError(f"{folder}: nothing has been written back that could be undone")
        if not np.array_equal(grains.window(*edit.window), edit.pixels("after")):
            raise MismatchError(
                f"{folder}: the grains of the last write-back were changed by something else since"
            )
        on_progress(0, STEPS)
        edit.mark("unwanted")
        apply_edit(folder, edit, "before", on_progress)
    n_before = len(edit.rows("before"))
    return WriteBackResult(
        window=edit.window,
        n_changed=n_before,
        n_gone=len(edit.touched) - n_before,
        new_labels={},
    )


def _numbered(
    region: Region, labels: LabelImage, first: int
) -> tuple[LabelImage, dict[int, int], int]:
    """Return labels as they go into the mosaic, the numbers of new grains, and pixels kept."""
    merged = labels.astype(np.int32)
    locked = np.isin(region.labels, sorted(region.locked))
    n_kept = int((merged[locked] != region.labels[locked]).sum())
    merged[locked] = region.labels[locked]
    known = set(ids_of(region.labels).tolist()) - region.locked
    # What was drawn with the number of a locked grain, beside it, is a grain of its own.
    outside = ~locked
    new = [label for label in ids_of(merged[outside]).tolist() if label not in known]
    if first + len(new) > np.iinfo(np.int32).max:
        raise MismatchError("the labels have no number left for new grains")
    numbers = {label: first + k for k, label in enumerate(new)}
    if numbers:
        drawn = np.isin(merged, new) & outside
        merged[drawn] = np.array(list(numbers.values()))[np.searchsorted(new, merged[drawn])]
    return merged, numbers, n_kept


def _note(
    region: Region,
    mosaic: Mosaic,
    table: pd.DataFrame,
    merged: LabelImage,
    changed: npt.NDArray[np.bool_],
) -> Edit:
    ys, xs = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    part = (slice(int(ys[0]), int(ys[-1]) + 1), slice(int(xs[0]), int(xs[-1]) + 1))
    touched = np.union1d(ids_of(region.labels[changed]), ids_of(merged[changed]))
    left = touched[np.isin(touched, merged)]
    before = table.loc[table.index.intersection(touched.tolist())]
    after = _measured(region, mosaic, merged, left).reindex(columns=_columns(table))
    after["source"] = "edited"
    y0, x0 = region.window[0], region.window[2]
    window = (part[0].start + y0, part[0].stop + y0, part[1].start + x0, part[1].stop + x0)
    pixels = (region.labels[part], merged[part])
    _check_room(region.folder, pixels[0].nbytes)
    next_label = max(_next_label(region.folder, table), int(touched.max()) + 1)
    return Journal(region.folder).note(window, pixels, (before, after), next_label=next_label)


def _columns(table: pd.DataFrame) -> list[str]:
    return [*(str(name) for name in table.columns if name != "source"), "source"]


def _measured(
    region: Region, mosaic: Mosaic, merged: LabelImage, ids: npt.NDArray[np.integer]
) -> pd.DataFrame:
    window = widened(region.window, AROUND_PX, mosaic.shape)
    around = open_mosaic(grains_folder(region.folder)).window(*window).astype(np.int32)
    y, x = region.window[0] - window[0], region.window[2] - window[2]
    around[y : y + merged.shape[0], x : x + merged.shape[1]] = merged
    try:
        placed = placed_maps(region.folder)
    except ReadError:  # maps that have gone: the columns of the changed grains stay empty
        placed = ()
    return measure_inside(around, window, mosaic, ids, placed)


def _next_label(folder: str | Path, table: pd.DataFrame) -> int:
    """Return the first number that no grain has had: numbers are never used twice."""
    said = int(read_json(Path(folder) / FACTS).get("next_label", 0))
    return max(said, int(table.index.max()) + 1 if len(table) else 1)


def _check_room(folder: str, nbytes: int) -> None:
    needed = 3 * nbytes + 2 * (Path(folder) / TABLE).stat().st_size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WriteError(
            f"{folder} needs {needed / 1e6:.0f} MB to be written into and {free / 1e6:.0f} MB are "
            "free: free some space. Nothing was changed"
        )
