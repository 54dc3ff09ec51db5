"""Autosave of labels during editing, tile by tile and atomic.

Every session has a folder. A save writes the changed tiles under new names and then replaces
`manifest.json`, which makes the save valid. A process that dies earlier leaves the previous save
intact; the next save removes tiles that the manifest does not list.
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
from grainsmith.io.files.limits import is_component

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Tile = tuple[int, int]

TILE_PX = 512
_MANIFEST = "manifest.json"
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Copy of the changed tiles and their metadata at one moment.

    Attributes
    ----------
    tiles : dict of (int, int) to (h, w) int array
        Pixels by row and column of the tile.
    states : dict of int to str
        State by grain.
    table : DataFrame or None
        The grain table with its column `index`; None = unchanged.
    edits : int
        Number of editing steps, shown to the user.
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
    """Copy the tiles to write; fast enough to run between two edits.

    Parameters
    ----------
    labels : (Y, X) int array
    tiles : iterable of (int, int) or None
        Tiles changed since the last save; None = all.
    states, table, edits, notes
        As in `Snapshot`.
    """
    if tiles is None:
        rows, columns = (range(-(-side // TILE_PX)) for side in labels.shape)
        tiles = [(row, column) for row in rows for column in columns]
    copies = {tile: labels[_place(tile)].copy() for tile in tiles}
    return Snapshot(copies, dict(states), table, edits, dict(notes or {}))


def tiles_at(rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> set[Tile]:
    """Return the tiles of pixels given by their rows and columns, (N,) each."""
    pairs = np.unique(np.stack([rows // TILE_PX, columns // TILE_PX], axis=1), axis=0)
    return {(row, column) for row, column in pairs.tolist()}


class AutosaveFolder:
    """Folder of one labels layer; used by one process, one thread at a time.

    Parameters
    ----------
    shape : (int, int)
        Shape of the labels.
    dtype : numpy dtype
        Dtype of the labels.
    about : mapping
        JSON values that identify it for the user: `name`, `source` and `pixel_size_um`.
    root : Path, optional
        Folder of all sessions; default `autosave_root()`.
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

    def write(self, snapshot: Snapshot) -> None:
        """Save a snapshot; the first one must hold all tiles.

        Raises
        ------
        WriteError
            The disk is full, the folder is read-only, ...; the previous save is intact.
        """
        try:
            self._files, self._table = self._write_files(snapshot)
        finally:
            # Also removes the files of a failed attempt, which would keep a full disk full.
            self._remove_unlisted()

    def _write_files(self, snapshot: Snapshot) -> tuple[dict[str, str], str]:
        """Write a snapshot; return its tile files and its table."""
        self._generation += 1
        files, table = dict(self._files), self._table
        for (row, column), pixels in snapshot.tiles.items():
            key = f"{row}-{column}"
            files.pop(key, None)
            if pixels.any():
                files[key] = f"{key}.{self._generation}.z"
                with atomic_write(self.folder / files[key]) as temporary:
                    temporary.write_bytes(zlib.compress(pixels.tobytes(), 1))
        if snapshot.table is not None:
            table = f"table.{self._generation}.csv"
            with atomic_write(self.folder / table) as temporary:
                snapshot.table.to_csv(temporary, index=False)
        manifest = self._head | {
            "saved_at": time.time(),
            "edits": snapshot.edits,
            "states": {str(label): state for label, state in snapshot.states.items()},
            "notes": snapshot.notes,
            "tiles": files,
            "table": table,
        }
        with atomic_write(self.folder / _MANIFEST) as temporary:
            temporary.write_text(json.dumps(manifest), encoding="utf-8")
        return files, table

    def fits(self, labels: npt.NDArray[Any]) -> bool:
        """Return whether labels have the shape and dtype of this folder."""
        head = list(labels.shape), labels.dtype.name
        return head == (self._head["shape"], self._head["dtype"])

    def discard(self) -> None:
        """Remove the folder after the labels were saved elsewhere or discarded."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove_unlisted(self) -> None:
        """Remove tiles of earlier saves; files in use are removed later with the folder."""
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
        Name of the layer.
    source : str
        File of its image; "" if unknown.
    pixel_size_um : float
        0 if unknown.
    saved_at : float
        Seconds since 1970.
    edits : int
        Number of editing steps.
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
        """Return labels (Y, X), states by label, and the grain table or None.

        Raises
        ------
        ReadError
            A file of the session is missing or damaged.
        """
        try:
            manifest = _manifest(self.folder)
            shape = tuple(int(side) for side in manifest["shape"])
            labels = np.zeros(shape, _dtype(manifest["dtype"]))
            for key, file in manifest["tiles"].items():
                row, column = map(int, key.split("-"))
                part = labels[_place((row, column))]
                raw = _decompress((self.folder / _component(file)).read_bytes(), part.nbytes)
                part[...] = np.frombuffer(raw, labels.dtype).reshape(part.shape)
            states = {int(label): state for label, state in manifest["states"].items()}
            file = manifest["table"]
            table = pd.read_csv(self.folder / _component(file)) if file else None
        except ReadError:
            raise
        except Exception as error:
            raise ReadError(f"the autosave {self.folder} is damaged: {error}") from error
        return labels, states, table

    def discard(self) -> None:
        """Delete this work."""
        shutil.rmtree(self.folder, ignore_errors=True)


def find_recoverable(root: Path | None = None) -> list[Recovery]:
    """Return the sessions whose process has ended, the latest first.

    Folders without a valid save are skipped; one damaged session never hides the others.
    """
    recoveries = []
    root = root or autosave_root()
    for folder in root.iterdir() if root.is_dir() else ():
        try:
            manifest = _manifest(folder)
            if not _alive(manifest["pid"], manifest["pid_started"]):
                about = manifest["about"]
                recoveries.append(
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
        except Exception:  # noqa: BLE001  (a damaged manifest may raise anything)
            continue
    return sorted(recoveries, key=lambda recovery: -recovery.saved_at)


def autosave_root() -> Path:
    """Return the folder of all sessions; GRAINSMITH_AUTOSAVE replaces the default."""
    folder = os.environ.get("GRAINSMITH_AUTOSAVE", "")
    return Path(folder) if folder else user_data_path("grainsmith") / "autosave"


def _manifest(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    if manifest["format"] != _FORMAT:
        raise ValueError(f"format {manifest['format']} is unknown to this version")
    return manifest


def _dtype(name: Any) -> np.dtype[Any]:
    dtype = np.dtype(str(name))
    if dtype.kind not in "iu":
        raise ValueError(f"labels of type {dtype}")
    return dtype


def _component(name: Any) -> str:
    if not is_component(str(name)):
        raise ValueError(f"{name!r} lies outside the folder")
    return str(name)


def _decompress(raw: bytes, size: int) -> bytes:
    """Decompress a tile; stop where it is larger than its pixels."""
    decompressor = zlib.decompressobj()
    content = decompressor.decompress(raw, size)
    if len(content) != size or decompressor.unconsumed_tail:
        raise ValueError("a tile has another size than its pixels")
    return content


def _alive(pid: int, started: float) -> bool:
    """Return whether the process still runs; its number may belong to another one by now."""
    try:
        return bool(abs(psutil.Process(pid).create_time() - started) < 1)
    except psutil.NoSuchProcess:
        return False


def _place(tile: Tile) -> tuple[slice, slice]:
    y, x = tile[0] * TILE_PX, tile[1] * TILE_PX
    return slice(y, y + TILE_PX), slice(x, x + TILE_PX)
