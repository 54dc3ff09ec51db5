"""Labels that are being edited, kept safe on disk: tile by tile, never half-written.

A session has a folder. Every save writes the changed tiles under new names, then one
`manifest.json` in place of the last one: that is the moment at which the save counts. A process
that dies before it leaves the save before, whole; tiles that no manifest names are swept away by
the next save.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import psutil
from platformdirs import user_data_path

from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Tile = tuple[int, int]

TILE_PX = 512
_MANIFEST = "manifest.json"
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Labels at one moment: copies of the tiles to be written and what belongs to them.

    Attributes
    ----------
    tiles : dict of (int, int) to (h, w) int array
        Row and column of a tile to its pixels.
    states : dict of int to str
        State of the grains that have one.
    table : DataFrame or None
        The grain table with its column `index`; None = as it was saved last.
    edits : int
        How many steps had been done: for the user and for tests.
    notes : dict
        Further metadata of the labels, all JSON.
    """

    tiles: dict[Tile, npt.NDArray[Any]]
    states: dict[int, str]
    table: pd.DataFrame | None
    edits: int
    notes: dict[str, Any] = field(default_factory=dict)


def snapshot(
    labels: npt.NDArray[Any],
    tiles: Iterable[Tile] | None,
    *,
    states: Mapping[int, str],
    table: pd.DataFrame | None = None,
    edits: int = 0,
    notes: Mapping[str, Any] | None = None,
) -> Snapshot:
    """Copy what has to be written; quick, so that it can be done between two edits.

    Parameters
    ----------
    labels : (Y, X) int array
    tiles : iterable of (int, int) or None
        The tiles that changed since the last save; None = all.
    states, table, edits, notes
        As in `Snapshot`.
    """
    if tiles is None:
        rows, columns = (range(-(-side // TILE_PX)) for side in labels.shape)
        tiles = [(row, column) for row in rows for column in columns]
    copies = {tile: labels[_place(tile)].copy() for tile in tiles}
    return Snapshot(copies, dict(states), table, edits, dict(notes or {}))


def tiles_at(rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> set[Tile]:
    """Return the tiles in which pixels lie, given by their rows and columns, (N,) each."""
    pairs = np.unique(np.stack([rows // TILE_PX, columns // TILE_PX], axis=1), axis=0)
    return {(row, column) for row, column in pairs.tolist()}


class AutosaveFolder:
    """The place of one labels layer on disk; used by one process, one thread at a time.

    Parameters
    ----------
    shape : (int, int)
        Of the labels.
    dtype : numpy dtype
        Of the labels.
    about : mapping
        What the user needs to know it again by: `name`, `source` and `pixel_size_um`, all JSON.
    root : Path, optional
        Where the sessions lie; `autosave_root()` where not given.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        about: Mapping[str, Any],
        *,
        root: Path | None = None,
    ) -> None:
        stamp = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{time.monotonic_ns() % 10**6}"
        self.folder = (root or autosave_root()) / stamp
        self._generation = 0
        self._files: dict[str, str] = {}
        self._table = ""
        self._head = {
            "format": _FORMAT,
            "shape": list(shape),
            "dtype": np.dtype(dtype).name,
            "about": dict(about),
            "pid": os.getpid(),
            "pid_started": psutil.Process().create_time(),
        }

    def write(self, taken: Snapshot) -> None:
        """Save a snapshot; the first one must hold all tiles.

        Raises
        ------
        WriteError
            The disk is full, the folder read-only, ...; the save before it is still whole.
        """
        try:
            self._files, self._table = self._written(taken)
        finally:
            # Also what a failed attempt has written: it would keep a full disk full.
            self._sweep()

    def _written(self, taken: Snapshot) -> tuple[dict[str, str], str]:
        """Write a snapshot; return its files of tiles and its table."""
        self._generation += 1
        files, table = dict(self._files), self._table
        for (row, column), pixels in taken.tiles.items():
            key = f"{row}-{column}"
            files.pop(key, None)
            if pixels.any():
                files[key] = f"{key}.{self._generation}.z"
                with atomic_write(self.folder / files[key]) as temporary:
                    temporary.write_bytes(zlib.compress(pixels.tobytes(), 1))
        if taken.table is not None:
            table = f"table.{self._generation}.csv"
            with atomic_write(self.folder / table) as temporary:
                taken.table.to_csv(temporary, index=False)
        manifest = self._head | {
            "saved_at": time.time(),
            "edits": taken.edits,
            "states": {str(label): state for label, state in taken.states.items()},
            "notes": taken.notes,
            "tiles": files,
            "table": table,
        }
        with atomic_write(self.folder / _MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest), encoding="utf-8")
        return files, table

    def fits(self, labels: npt.NDArray[Any]) -> bool:
        """Say whether labels are of the shape and dtype that are saved here."""
        head = list(labels.shape), labels.dtype.name
        return head == (self._head["shape"], self._head["dtype"])

    def discard(self) -> None:
        """Remove the folder: all is saved elsewhere, or given up."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _sweep(self) -> None:
        """Remove tiles of earlier saves; what cannot be removed now goes with the folder."""
        wanted = {*self._files.values(), self._table, _MANIFEST}
        for file in self.folder.iterdir() if self.folder.is_dir() else ():
            if file.name not in wanted:
                with suppress(OSError):
                    file.unlink()


@dataclass(frozen=True)
class Recovery:
    """Work of a session that ended without saving.

    Attributes
    ----------
    folder : Path
    name : str
        Of the layer.
    source : str
        File of the image it belongs to; "" where unknown.
    pixel_size_um : float
        0 where unknown.
    saved_at : float
        Seconds since 1970.
    edits : int
        Steps that had been done.
    image : str
        Name of the image's layer; "" where unknown.
    notes : dict
        Further metadata of the labels, as in `Snapshot`.
    """

    folder: Path
    name: str
    source: str
    pixel_size_um: float
    saved_at: float
    edits: int
    image: str = ""
    notes: dict[str, Any] = field(default_factory=dict)

    def load(self) -> tuple[npt.NDArray[Any], dict[int, str], pd.DataFrame | None]:
        """Return labels (Y, X), states by label and the grain table (None where there was none).

        Raises
        ------
        ReadError
            A file of the session is missing or damaged.
        """
        try:
            manifest = _manifest(self.folder)
            labels = np.zeros(manifest["shape"], manifest["dtype"])
            for key, file in manifest["tiles"].items():
                row, column = map(int, key.split("-"))
                part = labels[_place((row, column))]
                raw = zlib.decompress((self.folder / file).read_bytes())
                part[...] = np.frombuffer(raw, labels.dtype).reshape(part.shape)
            states = {int(label): state for label, state in manifest["states"].items()}
            text = manifest["table"]
            table = pd.read_csv(self.folder / text) if text else None
        except (OSError, ValueError, KeyError, zlib.error) as error:
            raise ReadError(f"the autosave {self.folder} is damaged: {error}") from error
        return labels, states, table

    def discard(self) -> None:
        """Give this work up for good."""
        shutil.rmtree(self.folder, ignore_errors=True)


def find_recoverable(root: Path | None = None) -> list[Recovery]:
    """Return the sessions whose process is gone, the latest first.

    Folders that hold no whole save are passed over: nothing in them can be recovered.
    """
    found = []
    root = root or autosave_root()
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            manifest = _manifest(folder)
            if not _alive(manifest["pid"], manifest["pid_started"]):
                about = manifest["about"]
                found.append(
                    Recovery(
                        folder,
                        str(about.get("name", "grains")),
                        str(about.get("source", "")),
                        float(about.get("pixel_size_um", 0.0)),
                        float(manifest["saved_at"]),
                        int(manifest["edits"]),
                        str(about.get("image", "")),
                        dict(manifest.get("notes", {})),
                    )
                )
        except (OSError, ValueError, KeyError):
            continue
    return sorted(found, key=lambda one: -one.saved_at)


def autosave_root() -> Path:
    """Return the folder of all sessions; GRAINSMITH_AUTOSAVE names another one."""
    named = os.environ.get("GRAINSMITH_AUTOSAVE", "")
    return Path(named) if named else user_data_path("grainsmith") / "autosave"


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != _FORMAT:
        raise ValueError(f"format {manifest['format']} is not known to this version")
    return manifest


def _alive(pid: int, started: float) -> bool:
    """Say whether the process still runs: a number alone may have gone to another one."""
    try:
        return bool(abs(psutil.Process(pid).create_time() - started) < 1)
    except psutil.NoSuchProcess:
        return False


def _place(tile: Tile) -> tuple[slice, slice]:
    y, x = tile[0] * TILE_PX, tile[1] * TILE_PX
    return slice(y, y + TILE_PX), slice(x, x + TILE_PX)
