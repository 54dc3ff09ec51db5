"""Limits on what a file may claim before memory or time is spent on it.

Every reader checks sizes, coordinates, numbers and names from a file here. A claim beyond a limit
raises `ReadError`, or `ValueError` inside a reader that reports its path itself.
"""

from __future__ import annotations

import json
import math
import os
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import yaml

from grainsmith.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

MAX_LABEL = int(np.iinfo(np.int32).max)
"""Largest number of a grain."""

MAX_COORDINATE = 1e7
"""Largest absolute pixel coordinate; compiled loops turn coordinates into integers."""

MAX_TEXT_BYTES = 1 << 29
"""Largest text file (JSON, CSV) that is parsed as a whole."""

MAX_YAML_BYTES = 1 << 20
MAX_NAME_LENGTH = 200
MAX_ZIP_MEMBERS = 200_000
MAX_ZIP_BYTES = 1 << 30
"""Unpacked size of all members of an archive."""

MAX_EXPANSION = 5000
"""Pixels may need this many times the bytes of their file, unless they are small anyway."""

SMALL_BYTES = 1 << 30

_MAX_MEGAPIXELS = 250.0
_MEGAPIXELS_VARIABLE = "GRAINSMITH_MAX_MEGAPIXELS"


def max_pixels() -> int:
    """Return how many pixels a file may claim without holding them.

    The environment variable GRAINSMITH_MAX_MEGAPIXELS replaces the default of 250 megapixels.
    """
    text = os.environ.get(_MEGAPIXELS_VARIABLE, "")
    try:
        megapixels = float(text) if text else _MAX_MEGAPIXELS
    except ValueError:
        megapixels = math.nan
    if not 0 < megapixels < 1e9:
        raise ReadError(f"{_MEGAPIXELS_VARIABLE} must be a positive number, got {text!r}")
    return int(megapixels * 1e6)


def check_shape(shape: Sequence[Any], what: str) -> tuple[int, ...]:
    """Return a shape claimed by a file as integers.

    Raises
    ------
    ReadError
        A side is no positive whole number, or there are more pixels than `max_pixels`.
    """
    try:
        sides = tuple(int(side) for side in shape)
    except (TypeError, ValueError, OverflowError) as error:
        raise ReadError(f"{what} claims the size {str(shape)[:60]}, which is no size") from error
    if min(sides, default=0) < 1:
        raise ReadError(f"{what} claims the size {sides}: every side must be 1 or more")
    if math.prod(sides) > max_pixels():
        raise ReadError(
            f"{what} claims {' x '.join(f'{side:,}' for side in sides)} pixels, the limit is "
            f"{max_pixels():,}. Set {_MEGAPIXELS_VARIABLE} to raise it."
        )
    return sides


def check_expansion(claimed: int, held: int, what: str) -> None:
    """Refuse data that would need far more memory than their file explains."""
    if claimed > SMALL_BYTES and claimed > held * MAX_EXPANSION:
        raise ReadError(f"{what} claims {claimed:,} bytes but holds {held:,} bytes of them")


def check_coordinates(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return coordinates; raise ValueError where one is not finite or beyond `MAX_COORDINATE`."""
    if not np.isfinite(points).all():
        raise ValueError("a coordinate is not a finite number")
    if points.size and np.abs(points).max() > MAX_COORDINATE:
        raise ValueError(f"a coordinate of {np.abs(points).max():.3g} px")
    return points


def is_label(value: Any) -> bool:
    """Return whether a value from a file is a whole number from 1 to `MAX_LABEL`."""
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_LABEL


def file_stem(name: Any, default: str = "field") -> str:
    """Return a name from a file as a single path component without its suffix.

    Folders of Windows and POSIX paths are dropped, so the name cannot leave its folder.
    """
    last = str(name).replace("\\", "/").rstrip("/").rsplit("/", 1)[-1]
    stem = Path(last).stem if last not in ("", ".", "..") else ""
    stem = "".join(letter for letter in stem if letter.isprintable() and letter not in '<>:"|?*')
    return stem.strip(" .")[:MAX_NAME_LENGTH] or default


def is_component(name: str) -> bool:
    """Return whether a name from a file is a single path component."""
    return name not in ("", ".", "..") and "/" not in name and "\\" not in name


def is_inside(name: str) -> bool:
    """Return whether a relative path from a file stays inside its folder."""
    parts = str(name).replace("\\", "/").split("/")
    has_drive = len(parts[0]) == 2 and parts[0].endswith(":")
    return bool(name) and parts[0] != "" and not has_drive and ".." not in parts


def read_text(path: str | Path, *, max_bytes: int = MAX_TEXT_BYTES) -> str:
    """Read a text file as UTF-8.

    Raises
    ------
    ReadError
        It is missing, too large or not UTF-8.
    """
    path = Path(path)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise ReadError(f"{path} has {size:,} bytes, the limit is {max_bytes:,}")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise ReadError(f"{path} does not exist") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read as text: {error}") from error


def parse_json(text: str, path: str | Path) -> Any:
    """Parse JSON text of a file.

    Raises
    ------
    ReadError
        It is not JSON, or nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ReadError(f"{path} cannot be read as JSON: it is nested too deeply") from error
    except ValueError as error:
        raise ReadError(f"{path} cannot be read as JSON: {error}") from error


class _PlainLoader(yaml.SafeLoader):
    """A safe loader without aliases: a few bytes of them expand to gigabytes."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not supported")
        return super().compose_node(parent, index)


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file of plain values, without aliases.

    Raises
    ------
    ReadError
        It is missing, larger than 1 MiB, not YAML, or nested too deeply.
    """
    text = read_text(path, max_bytes=MAX_YAML_BYTES)
    try:
        # _PlainLoader only adds a refusal to SafeLoader.
        return yaml.load(text, Loader=_PlainLoader)
    except RecursionError as error:
        raise ReadError(f"{path} cannot be read as YAML: it is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ReadError(f"{path} cannot be read as YAML: {reason}") from error


def check_zip(path: str | Path) -> None:
    """Refuse an archive whose members are too many or too large.

    Raises
    ------
    ReadError
        It claims too much.
    zipfile.BadZipFile, OSError
        It is no archive, or cannot be read.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
    unpacked = sum(member.file_size for member in members)
    if len(members) > MAX_ZIP_MEMBERS or unpacked > MAX_ZIP_BYTES:
        raise ReadError(
            f"{path} claims {len(members):,} members of {unpacked:,} bytes in all; the limits are "
            f"{MAX_ZIP_MEMBERS:,} and {MAX_ZIP_BYTES:,}"
        )
