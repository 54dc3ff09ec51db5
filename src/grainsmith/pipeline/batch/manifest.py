"""What of a batch is done: a file that only grows, and folders that are there whole or not."""

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
"""Folder in OUT of what is not done yet; nothing in there counts."""

KEPT = "set-aside"
"""Folder in OUT for results that were changed by hand before they were made anew."""

FACTS = "field.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finished field.

    Attributes
    ----------
    sample, field : str
    key : str
        SHA-256 of its inputs, the recipe and the version: the same key, the same result.
    facts : dict
        What is to be said of it: n_grains, height_px, width_px, notes, ...
    files : dict of str to list of int
        Name -> size and time of last change (ns) of each file of the field.
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
    """Make the folder of a batch and give it to one batch at a time.

    Raises
    ------
    MismatchError
        It is a file.
    WriteError
        Another batch is writing into it, or it cannot be made.
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
        To be held by `output_folder` as long as this is in use.
    resume : bool
        Whether results of an earlier batch may be there.

    Raises
    ------
    MismatchError
        There are results, and they were not to be gone on with.
    """

    def __init__(self, out: Path, *, resume: bool) -> None:
        self.out, self._path = out, out / NAME
        if holds_results(out) and not resume:
            raise MismatchError(
                f"{out} holds the results of an earlier batch", hint=Hint.RESUME_OR_CHOOSE_OUTPUT
            )
        shutil.rmtree(out / IN_WORK, ignore_errors=True)
        self._entries = {one.name: one for one in self._read()}

    def knows(self, name: str) -> bool:
        """Return whether a field of this name may be done: asking for its key takes time."""
        return name in self._entries or (self.out / name / FACTS).exists()

    def find(self, name: str, key: str) -> Entry | None:
        """Return the entry of a field with this key whose files are all there."""
        entry = self._entries.get(name) or self._adopted(name)
        if entry is None or entry.key != key:
            return None
        folder = self.out / name
        return entry if all((folder / file).exists() for file in entry.files) else None

    def take(self, work: Path, entry: Entry) -> Entry:
        """Move a finished field from the work folder to its place and note it.

        Files that were changed by hand since an earlier batch are set aside, never lost.

        Raises
        ------
        WriteError
            The disk is full, or the like; the field then is not noted and will be made again.
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
        # A field that was put in its place, but whose line got lost, says itself what it is.
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
        aside = self.out / KEPT / f"{name}-{stamp}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        target.rename(aside)

    def _read(self) -> list[Entry]:
        if not self._path.exists():
            return []
        found = []
        try:
            lines = self._path.read_text("utf-8", errors="replace").splitlines()
        except OSError as error:
            raise ReadError(f"{self._path} cannot be read: {error}") from error
        for line in lines:
            # The last line of a killed process may be cut off: that field was not done.
            with suppress(ValueError, TypeError, KeyError):
                found.append(_entry(json.loads(line)))
        if lines and not found and not any(FORMAT in line for line in lines):
            raise ReadError(f"{self._path} is no manifest of Grainsmith: choose another folder")
        return found

    def _append(self, entry: Entry) -> None:
        line = json.dumps({"format": FORMAT, **asdict(entry)}, ensure_ascii=False) + "\n"
        with self._path.open("ab") as file:
            start = file.tell()
            try:
                # Ends what a killed process began.
                file.write(b"\n" + line.encode() if start else line.encode())
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):
                    file.truncate(start)
                raise


def write_entry(folder: Path, entry: Entry) -> Entry:
    """Write what a field is into its folder, and return the entry with all its files."""
    write_json(folder / FACTS, {"format": FORMAT, **asdict(entry)})
    return replace(entry, files=files_of(folder))


def files_of(folder: Path) -> dict[str, list[int]]:
    """Return size and time of last change of each file in a folder."""
    stats = {one.name: one.stat() for one in sorted(folder.iterdir())}
    return {name: [one.st_size, one.st_mtime_ns] for name, one in stats.items()}


def _entry_in(folder: Path) -> Entry:
    entry = _entry(read_json(folder / FACTS))
    return replace(entry, files=files_of(folder))


def _entry(content: Any) -> Entry:
    if content["format"] != FORMAT:
        raise ValueError(content["format"])
    return Entry(**{name: content[name] for name in ("sample", "field", "key", "facts", "files")})
