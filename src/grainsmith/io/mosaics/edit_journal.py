"""Write-ahead journal of manual edits of the labels of a mosaic.

Every edit is a folder `edits/0001`, ... beside the labels, with the pixels and table rows before
and after. `edit.json` is written last and holds the state of the edit; the next edit removes
folders without it. A process that dies while it writes into the mosaic therefore leaves an edit
that can be completed.
"""

from __future__ import annotations

import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from grainsmith.errors import ReadError, WriteError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.locks import exclusive_lock
from grainsmith.io.files.provenance import read_json, write_json
from grainsmith.io.tables.grain_table import read_table, write_table

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    import pandas as pd

    Pixels = npt.NDArray[np.int32]

Side = Literal["before", "after"]

STATES = ("wanted", "done", "unwanted", "undone")
"""Recorded, perhaps not applied; applied; to be undone; undone."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of a mosaic.

    Attributes
    ----------
    folder : Path
        Folder of the edit.
    state : str
        One of `STATES`.
    window : (y0, y1, x0, x1)
        Bounding window of all changed pixels.
    touched : tuple of int
        Grains that were changed, added or removed.
    next_label : int
        First unused number after the edit.
    """

    folder: Path
    state: str
    window: tuple[int, int, int, int]
    touched: tuple[int, ...]
    next_label: int

    def pixels(self, side: Side) -> Pixels:
        """Return the labels of the window before or after the edit.

        Raises
        ------
        ReadError
            The file is missing or damaged.
        """
        path = self.folder / "labels.npz"
        try:
            with np.load(path) as arrays:
                return np.asarray(arrays[side], np.int32)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ReadError(f"{path} is damaged: {error}") from error

    def rows(self, side: Side) -> pd.DataFrame:
        """Return the rows of the touched grains before or after the edit."""
        return read_table(self.folder / f"{side}.csv")

    def mark(self, state: str) -> None:
        """Record the state of the edit."""
        if state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}, got {state!r}")
        content = read_json(self.folder / "edit.json")
        write_json(self.folder / "edit.json", {**content, "state": state})


class Journal:
    """All edits of a mosaic, the oldest first.

    Parameters
    ----------
    folder : str or Path
        Folder of the mosaic.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder) / "edits"

    def edits(self) -> list[Edit]:
        """Return all recorded edits."""
        if not self.folder.is_dir():
            return []
        folders = sorted(self.folder.glob("[0-9]*"))
        return [_read(folder) for folder in folders if _is_recorded(folder)]

    def interrupted(self) -> list[Edit]:
        """Return the edits that may not be complete."""
        return [edit for edit in self.edits() if edit.state in ("wanted", "unwanted")]

    def last(self) -> Edit | None:
        """Return the edit that can be undone next, or None."""
        done = [edit for edit in self.edits() if edit.state == "done"]
        return done[-1] if done else None

    def note(
        self,
        window: tuple[int, int, int, int],
        pixels: tuple[Pixels, Pixels],
        rows: tuple[pd.DataFrame, pd.DataFrame],
        *,
        next_label: int,
    ) -> Edit:
        """Record an edit without applying it.

        Parameters
        ----------
        window : (y0, y1, x0, x1)
        pixels, rows : (before, after)
        next_label : int

        Raises
        ------
        WriteError
            The disk is full, the folder is read-only, ...; no edit was recorded.
        """
        self._remove_unrecorded()
        edits = self.edits()
        number = int(edits[-1].folder.name) + 1 if edits else 1
        folder = self.folder / f"{number:04d}"
        touched = sorted({*rows[0].index.tolist(), *rows[1].index.tolist()})
        try:
            with atomic_write(folder / "labels.npz") as temporary:
                np.savez_compressed(temporary, before=pixels[0], after=pixels[1])
            write_table(folder / "before.csv", rows[0])
            write_table(folder / "after.csv", rows[1])
            write_json(
                folder / "edit.json",
                {
                    "state": "wanted",
                    "window": list(window),
                    "touched": touched,
                    "next_label": next_label,
                },
            )
        except Exception:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return _read(folder)

    def exclusive_lock(self) -> AbstractContextManager[None]:
        """Lock the mosaic against other writers while the block runs.

        Raises
        ------
        WriteError
            Another program is writing, or the folder is read-only.
        """
        return exclusive_lock(
            self.folder / "lock",
            busy=WriteError(
                f"another program is writing into {self.folder.parent}: try again when it is done"
            ),
        )

    def _remove_unrecorded(self) -> None:
        for folder in self.folder.glob("[0-9]*") if self.folder.is_dir() else ():
            if not _is_recorded(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _is_recorded(folder: Path) -> bool:
    return (folder / "edit.json").is_file()


def _read(folder: Path) -> Edit:
    content = read_json(folder / "edit.json")
    try:
        y0, y1, x0, x1 = (int(n) for n in content["window"])
        return Edit(
            folder=folder,
            state=str(content["state"]),
            window=(y0, y1, x0, x1),
            touched=tuple(int(n) for n in content["touched"]),
            next_label=int(content["next_label"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"{folder / 'edit.json'} does not describe an edit: {error!r}") from error
