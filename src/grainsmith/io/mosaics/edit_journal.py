"""What was done to the labels of a mosaic by hand: noted whole before it is done.

Every edit is a folder `edits/0001`, ... beside the labels: what the pixels and the rows of the
table were, and what they become. `edit.json` is written last and says how far it has got; a folder
without it is the rest of an edit that was never noted, and is swept away by the next one. So a
process that dies while it writes into the mosaic leaves an edit that can be done to its end.
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
"""Noted but perhaps not done; done; to be taken back; taken back."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One edit of a mosaic.

    Attributes
    ----------
    folder : Path
        Its own.
    state : str
        One of `STATES`.
    window : (y0, y1, x0, x1)
        The smallest that holds all changed pixels.
    touched : tuple of int
        The grains that lost or gained pixels, came or went.
    next_label : int
        The first number that no grain has had, after the edit.
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
            with np.load(path) as kept:
                return np.asarray(kept[side], np.int32)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ReadError(f"{path} is damaged: {error}") from error

    def rows(self, side: Side) -> pd.DataFrame:
        """Return the rows of the touched grains before or after the edit."""
        return read_table(self.folder / f"{side}.csv")

    def mark(self, state: str) -> None:
        """Note how far the edit has got."""
        if state not in STATES:
            raise ValueError(f"state must be one of {', '.join(STATES)}, got {state!r}")
        said = read_json(self.folder / "edit.json")
        write_json(self.folder / "edit.json", {**said, "state": state})


class Journal:
    """All edits of a mosaic, the oldest first.

    Parameters
    ----------
    folder : str or Path
        Of the mosaic.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder) / "edits"

    def edits(self) -> list[Edit]:
        """Return all edits that were noted."""
        if not self.folder.is_dir():
            return []
        return [_read(one) for one in sorted(self.folder.glob("[0-9]*")) if _is_noted(one)]

    def interrupted(self) -> list[Edit]:
        """Return the edits that were begun and perhaps not done to their end."""
        return [one for one in self.edits() if one.state in ("wanted", "unwanted")]

    def last(self) -> Edit | None:
        """Return the edit that can be taken back next, None without one."""
        done = [one for one in self.edits() if one.state == "done"]
        return done[-1] if done else None

    def note(
        self,
        window: tuple[int, int, int, int],
        pixels: tuple[Pixels, Pixels],
        rows: tuple[pd.DataFrame, pd.DataFrame],
        *,
        next_label: int,
    ) -> Edit:
        """Write an edit down; it is not done by that.

        Parameters
        ----------
        window : (y0, y1, x0, x1)
        pixels, rows : (before, after)
        next_label : int

        Raises
        ------
        WriteError
            The disk is full, the folder read-only, ...; no edit was noted.
        """
        self._sweep()
        noted = self.edits()
        number = int(noted[-1].folder.name) + 1 if noted else 1
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
        """Keep other programs from writing into the mosaic while the block runs.

        Raises
        ------
        WriteError
            Another one is writing, or the folder is read-only.
        """
        return exclusive_lock(
            self.folder / "lock",
            busy=WriteError(
                f"another program is writing into {self.folder.parent}: try again when it is done"
            ),
        )

    def _sweep(self) -> None:
        for one in self.folder.glob("[0-9]*") if self.folder.is_dir() else ():
            if not _is_noted(one):
                shutil.rmtree(one, ignore_errors=True)


def _is_noted(folder: Path) -> bool:
    return (folder / "edit.json").is_file()


def _read(folder: Path) -> Edit:
    said = read_json(folder / "edit.json")
    try:
        y0, y1, x0, x1 = (int(n) for n in said["window"])
        return Edit(
            folder=folder,
            state=str(said["state"]),
            window=(y0, y1, x0, x1),
            touched=tuple(int(n) for n in said["touched"]),
            next_label=int(said["next_label"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(f"{folder / 'edit.json'} describes no edit: {error!r}") from error
