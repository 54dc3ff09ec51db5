"""Append-only manifest of the finished fields of a batch."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grainsmith.errors import Hint, MismatchError, ReadError, WriteError
from grainsmith.io.files.locks import exclusive_lock
from grainsmith.io.files.provenance import read_json, write_json

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

NAME = "manifest.jsonl"
FORMAT = "grainsmith-batch-1"

IN_WORK = ".in-work"
"""Folder in OUT for unfinished fields."""

SET_ASIDE = "set-aside"
"""Folder in OUT for results edited by hand before they were computed again."""

FACTS = "field.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finished field.

    Attributes
    ----------
    sample, field : str
    key : str
        SHA-256 of inputs, recipe and version; equal keys mean equal results.
    facts : dict
        Summary: n_grains, height_px, width_px, notes, ...
    files : dict of str to list of int
        Name -> size and modification time (ns) of each file of the field.
    """

    sample: str
    field: str
    key: str
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    files: dict[str, list[int]] = dataclasses.field(default_factory=dict)

    @property
    def name(self) -> str:
        """Sample and field."""
        return f"{self.sample}/{self.field}"


def holds_results(out: str | Path) -> bool:
    """Return whether a folder holds the results of a batch, whole or not."""
    return (Path(out) / NAME).exists()


def output_folder(out: Path) -> AbstractContextManager[None]:
    """Create and lock the folder of a batch.

    Raises
    ------
    MismatchError
        It is a file.
    WriteError
        Another batch is writing into it, or it cannot be created.
    """
    if out.is_file():
        raise MismatchError(f"{out} is a file", hint=Hint.CHOOSE_OUTPUT_FOLDER)
    busy = WriteError(f"another batch is writing into {out}", hint=Hint.WAIT_OR_CHOOSE_OUTPUT)
    return exclusive_lock(out / ".lock", busy=busy)


class Manifest:
    """The finished fields of an output folder.

    Parameters
    ----------
    out : Path
        Locked by `output_folder` during use.
    resume : bool
        Whether results of an earlier batch are accepted.

    Raises
    ------
    MismatchError
        There are results, and `resume` is not set.
    """

    def __init__(self, out: Path, *, resume: bool) -> None:
        self.out, self._path = out, out / NAME
        if holds_results(out) and not resume:
            raise MismatchError(
                f"{out} holds the results of an earlier batch", hint=Hint.RESUME_OR_CHOOSE_OUTPUT
            )
        shutil.rmtree(out / IN_WORK, ignore_errors=True)
        self._entries = {entry.name: entry for entry in self._read()}

    def knows(self, name: str) -> bool:
        """Return whether a field may be finished; cheaper than computing its key."""
        return name in self._entries or (self.out / name / FACTS).exists()

    def find(self, name: str, key: str) -> Entry | None:
        """Return the entry of a field with this key if all its files exist."""
        entry = self._entries.get(name) or self._adopted(name)
        if entry is None or entry.key != key:
            return None
        folder = self.out / name
        return entry if all((folder / file).exists() for file in entry.files) else None

    def take(self, work: Path, entry: Entry) -> Entry:
        """Move a finished field from the work folder to its place and record it.

        Files edited by hand since an earlier batch are moved aside, never lost.

        Raises
        ------
        WriteError
            The field could not be written; it is not recorded and will be computed again.
        """
        target = self.out / entry.name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                self._make_way(target, entry.name)
            work.rename(target)
            self._append(entry)
        except OSError as error:
            raise WriteError(
                f"{target} could not be written: {error.strerror or error}",
                hint=Hint.FREE_SPACE_AND_RESUME,
            ) from error
        self._entries[entry.name] = entry
        return entry

    def _adopted(self, name: str) -> Entry | None:
        # A crash between moving and recording leaves a field that describes itself.
        with suppress(ReadError, KeyError, TypeError):
            entry = _entry_in(self.out / name)
            if entry.name == name:
                self._append(entry)
                return entry
        return None

    def _make_way(self, target: Path, name: str) -> None:
        known = self._entries.get(name)
        if known is not None and known.files == files_of(target):
            shutil.rmtree(target)
            return
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%f")
        aside = self.out / SET_ASIDE / f"{name}-{stamp}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        target.rename(aside)

    def _read(self) -> list[Entry]:
        if not self._path.exists():
            return []
        entries = []
        try:
            lines = self._path.read_text("utf-8", errors="replace").splitlines()
        except OSError as error:
            raise ReadError(f"{self._path} cannot be read: {error}") from error
        for line in lines:
            # A killed process may leave a truncated last line: that field is not finished.
            with suppress(ValueError, TypeError, KeyError):
                entries.append(_entry(json.loads(line)))
        if lines and not entries and not any(FORMAT in line for line in lines):
            raise ReadError(f"{self._path} is not a manifest of Grainsmith: choose another folder")
        return entries

    def _append(self, entry: Entry) -> None:
        line = json.dumps({"format": FORMAT, **asdict(entry)}, ensure_ascii=False) + "\n"
        with self._path.open("ab") as file:
            start = file.tell()
            try:
                # Ends a line truncated by a killed process.
                file.write(b"\n" + line.encode() if start else line.encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(start)
                raise


def write_entry(folder: Path, entry: Entry) -> Entry:
    """Write the description of a field into its folder; return the entry with its files."""
    write_json(folder / FACTS, {"format": FORMAT, **asdict(entry)})
    return replace(entry, files=files_of(folder))


def files_of(folder: Path) -> dict[str, list[int]]:
    """Return size and modification time (ns) of each file in a folder."""
    stats = {path.name: path.stat() for path in sorted(folder.iterdir())}
    return {name: [stat.st_size, stat.st_mtime_ns] for name, stat in stats.items()}


def _entry_in(folder: Path) -> Entry:
    entry = _entry(read_json(folder / FACTS))
    return replace(entry, files=files_of(folder))


def _entry(content: Any) -> Entry:
    if content["format"] != FORMAT:
        raise ValueError(content["format"])
    return Entry(**{name: content[name] for name in ("sample", "field", "key", "facts", "files")})
