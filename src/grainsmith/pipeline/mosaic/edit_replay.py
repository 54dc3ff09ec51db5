"""Edits that a mosaic's journal has noted are done, taken back, or done to their end."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from grainsmith.data import no_progress
from grainsmith.errors import ReadError, WriteError
from grainsmith.io.files.atomic_write import os_error_reason
from grainsmith.io.files.provenance import read_json
from grainsmith.io.mosaics.edit_journal import Journal
from grainsmith.io.mosaics.ome_zarr import build_coarser_levels, open_levels
from grainsmith.io.tables.grain_table import read_table
from grainsmith.pipeline.mosaic.summary import FACTS, TABLE, grains_folder, write_summary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.data import OnProgress
    from grainsmith.io.mosaics.edit_journal import Edit, Side

STEPS = 6
"""Of a write-back, from reading what is there to the last file."""


def finish_interrupted(folder: str | Path, *, alone: bool = False) -> int:
    """Do write-backs to their end that a crash or a full disk interrupted; return how many.

    Parameters
    ----------
    folder : str or Path
        Of the mosaic.
    alone : bool
        The caller keeps others out already (`Journal.exclusive_lock`).
    """
    journal = Journal(folder)
    if not journal.interrupted():
        return 0
    if not alone:
        with journal.exclusive_lock():
            return finish_interrupted(folder, alone=True)
    open_edits = journal.interrupted()
    for edit in open_edits:
        apply_edit(folder, edit, "after" if edit.state == "wanted" else "before", no_progress)
    return len(open_edits)


def apply_edit(folder: str | Path, edit: Edit, side: Side, on_progress: OnProgress) -> None:
    """Bring pixels, coarser levels and table to one side of an edit; may be done twice.

    Raising in `on_progress` does not stop it: half an edit would only have to be finished later.
    """
    folder = Path(folder)
    tell = _never_stopped(on_progress)
    tell(2, STEPS)
    y0, y1, x0, x1 = edit.window
    try:
        levels = open_levels(grains_folder(folder), writable=True)
        pixels = edit.pixels(side)
        with _damage_named(folder, edit):
            levels[0][y0:y1, x0:x1] = pixels
            tell(3, STEPS)
            build_coarser_levels(levels, labels=True, window=edit.window)
        tell(4, STEPS)
        table = read_table(folder / TABLE)
        if "source" not in table:
            table["source"] = "model"
        table = table.drop(index=list(edit.touched), errors="ignore")
        rows = edit.rows(side).reindex(columns=table.columns).fillna({"source": "model"})
        table = pd.concat([table, rows] if len(rows) else [table]).sort_index()
        tell(5, STEPS)
        write_summary(
            folder,
            table,
            (levels[0].shape[0], levels[0].shape[1]),
            next_label=max(edit.next_label, int(read_json(folder / FACTS).get("next_label", 0))),
            hand_edited=int((table["source"] == "edited").sum()),
        )
        edit.mark("done" if side == "after" else "undone")
    except (OSError, WriteError) as error:
        # Files that are written whole say of themselves that nothing was changed.
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = os_error_reason(cause) if isinstance(cause, OSError) else str(error)
        raise WriteError(
            f"{folder} could not be written to the end: {reason}. The change is noted in "
            f"{edit.folder} and will be finished when the mosaic is opened next: free some space "
            "first"
        ) from error
    tell(STEPS, STEPS)


@contextmanager
def _damage_named(folder: Path, edit: Edit) -> Iterator[None]:
    """Say in words what zarr and its codecs raise on broken files: anything."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise ReadError(
            f"a file of the labels below {grains_folder(folder)} is damaged ({error}). The change "
            f"is noted in {edit.folder} and will be finished when the mosaic is opened next: bring "
            "the file back from a copy first"
        ) from error


def _never_stopped(on_progress: OnProgress) -> OnProgress:
    def tell(done: int, total: int) -> None:
        with suppress(Exception):
            on_progress(done, total)

    return tell
