"""Write a file whole or not at all, and say what a file is by its fingerprint."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.errors import ReadError, WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; it takes its place only when the block ends well.

    Parameters
    ----------
    path : str or Path
        Where the finished file shall be. Its folder is made where it is missing.

    Yields
    ------
    Path
        Write here. The suffix is that of `path`, so libraries which go by it are not misled.

    Raises
    ------
    WriteError
        The disk is full, the folder read-only, ...; a file that was there before is untouched.
    """
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent
        )
        os.close(handle)
    except OSError as error:
        raise WriteError(_cannot_write(target, error)) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(target)
    except OSError as error:
        raise WriteError(_cannot_write(target, error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def fingerprint(path: str | Path) -> str:
    """Return the SHA-256 of a file as 64 hexadecimal digits."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error


def modification_stamp(path: str | Path) -> tuple[int, int]:
    """Return what changes when a file is written anew: its time in ns and its size in bytes."""
    try:
        found = Path(path).stat()
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
    return found.st_mtime_ns, found.st_size


def os_error_reason(error: OSError) -> str:
    """Return why something could not be written or read, without the path."""
    # numpy says "50176 requested and 10072 written" where the disk is full.
    full = error.errno is None and " requested and " in str(error)
    return os.strerror(errno.ENOSPC) if full else error.strerror or str(error)


def _cannot_write(target: Path, error: OSError) -> str:
    return (
        f"{target} could not be written: {os_error_reason(error)}. "
        "Nothing was changed; choose another folder or free some space."
    )


def _umask() -> int:
    # There is no way to read the umask but to set it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
