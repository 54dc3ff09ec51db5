"""Write corrected grains of a region back into its mosaic, table and statistics."""

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
from grainsmith.pipeline.mosaic.blocks import MEASURE_MARGIN_PX, expand_window, measure_inside
from grainsmith.pipeline.mosaic.edit_replay import STEPS, apply_edit
from grainsmith.pipeline.mosaic.element_maps import placed_maps
from grainsmith.pipeline.mosaic.region import opened, present_ids, stale_region_error
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
    """Changes of a write-back or of its undo.

    Attributes
    ----------
    window : (y0, y1, x0, x1)
        Smallest window of all changed pixels; zeros if nothing changed.
    n_changed, n_gone : int
        Changed or new grains, and removed grains.
    new_labels : dict of int to int
        Number in the region -> number in the mosaic, of new grains.
    n_kept_px : int
        Pixels of locked grains that had been overdrawn and were restored.
    """

    window: Window = (0, 0, 0, 0)
    n_changed: int = 0
    n_gone: int = 0
    new_labels: dict[int, int]
    n_kept_px: int = 0


def write_region(
    region: Region, labels: LabelImage, *, on_progress: OnProgress = no_progress
) -> WriteBackResult:
    """Write corrected grains of a region back: labels of all levels, table and statistics.

    The change is recorded in the journal of the mosaic first. After an interruption by a crash or a
    full disk it is completed when the mosaic is opened next.

    Parameters
    ----------
    region : Region
    labels : (Y, X) int array
        Shape of the region. Pixels of locked grains are not changed.
    on_progress : callable
        Receives (finished steps, all steps). An exception in it stops the work only before the
        change is recorded.

    Raises
    ------
    MismatchError
        The shape differs, or the mosaic has changed since the region was opened.
    WriteError
        The disk is full, the folder read-only, or another program is writing.
    """
    if labels.shape != region.labels.shape:
        raise MismatchError(
            f"the labels are {labels.shape} and the region of the mosaic is {region.labels.shape} "
            "(rows, columns): write back the opened region"
        )
    with Journal(region.folder).exclusive_lock():
        on_progress(0, STEPS)
        mosaic, grains, table = opened(region.folder, alone=True)
        if not np.array_equal(grains.window(*region.window), region.labels):
            raise stale_region_error(region.folder)
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
    """Undo the last write-back that has not been undone yet.

    An exception in `on_progress` stops it only before it is recorded, as in `write_region`.

    Raises
    ------
    MismatchError
        There is none, or the grains have been changed otherwise since.
    """
    with Journal(folder).exclusive_lock():
        _, grains, _ = opened(folder, alone=True)
        edit = Journal(folder).last()
        if edit is None:
            raise MismatchError(f"{folder}: there is no write-back to undo")
        if not np.array_equal(grains.window(*edit.window), edit.pixels("after")):
            raise MismatchError(
                f"{folder}: the grains of the last write-back have been changed since"
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
    """Return labels with mosaic numbers, the numbers of new grains, and restored pixels."""
    merged = labels.astype(np.int32)
    locked = np.isin(region.labels, sorted(region.locked))
    n_kept = int((merged[locked] != region.labels[locked]).sum())
    merged[locked] = region.labels[locked]
    known = set(present_ids(region.labels).tolist()) - region.locked
    # Pixels drawn with the number of a locked grain outside of it form a new grain.
    outside = ~locked
    new = [label for label in present_ids(merged[outside]).tolist() if label not in known]
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
    touched = np.union1d(present_ids(region.labels[changed]), present_ids(merged[changed]))
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
    window = expand_window(region.window, MEASURE_MARGIN_PX, mosaic.shape)
    around = open_mosaic(grains_folder(region.folder)).window(*window).astype(np.int32)
    y, x = region.window[0] - window[0], region.window[2] - window[2]
    around[y : y + merged.shape[0], x : x + merged.shape[1]] = merged
    try:
        placed = placed_maps(region.folder)
    except ReadError:  # maps are missing: the columns of changed grains stay empty
        placed = ()
    return measure_inside(around, window, mosaic, ids, placed)


def _next_label(folder: str | Path, table: pd.DataFrame) -> int:
    """Return the first number never used by a grain."""
    recorded = int(read_json(Path(folder) / FACTS).get("next_label", 0))
    return max(recorded, int(table.index.max()) + 1 if len(table) else 1)


def _check_room(folder: str, nbytes: int) -> None:
    needed = 3 * nbytes + 2 * (Path(folder) / TABLE).stat().st_size
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise WriteError(
            f"{folder} needs {needed / 1e6:.0f} MB to be written into and {free / 1e6:.0f} MB are "
            "free: free some space. Nothing was changed"
        )
