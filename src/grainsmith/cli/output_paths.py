"""Check that the outputs of a command differ from its inputs and from one another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.errors import WriteError

if TYPE_CHECKING:
    from collections.abc import Iterable


def check_outputs(outputs: dict[str, Path | None], inputs: Iterable[Path | None]) -> None:
    """Raise WriteError if a command would overwrite an input, or an output with another.

    Parameters
    ----------
    outputs : dict of str to Path or None
        What is written, such as "--stats" -> its path; None = not asked for.
    inputs : iterable of Path or None
        Files that are read, and folders of such files.
    """
    read = {_identity(file): file for path in inputs if path for file in _files(path)}
    written: dict[object, str] = {}
    for name, path in outputs.items():
        if path is None:
            continue
        identity = _identity(path)
        if identity in read:
            raise WriteError(f"{name} would overwrite the input {path}: choose another name")
        if identity in written:
            raise WriteError(
                f"{written[identity]} and {name} would both be written to {path}: choose another "
                "name for one of them"
            )
        written[identity] = name


def check_tiff_name(name: str, path: Path) -> None:
    """Raise WriteError if a label image would not be named as a TIFF."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise WriteError(f"{name} must end in .tif, got {path.name!r}")


def _files(path: Path) -> list[Path]:
    return [file for file in path.iterdir() if file.is_file()] if path.is_dir() else [path]


def _identity(path: Path) -> object:
    """Return what identifies a file: links and spellings of one file give the same."""
    try:
        stat = path.stat()
    except OSError:
        return str(path.resolve()).casefold()
    return stat.st_dev, stat.st_ino
