"""Atomic file writes, file fingerprints and modification stamps."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from grainsmith.errors import ReadError, WriteError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TEMPORARY = re.compile(r"\..+-(\d+)-[a-z0-9_]{8}(?:\.[^.]+)?")
_ABANDONED_S = 3600.0


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path that replaces `path` when the block succeeds.

    Parameters
    ----------
    path : str or Path
        Final file. Missing parent folders are created, a symbolic link is followed, and the
        permissions of an existing file are kept.

    Yields
    ------
    Path
        Write here. Its suffix is that of `path`, because some libraries go by the suffix.

    Raises
    ------
    WriteError
        The disk is full, the folder is read-only, ...; an existing file is unchanged.
    """
    target = Path(path)
    target = target.resolve() if target.is_symlink() else target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target.parent)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}-{os.getpid()}-", suffix=target.suffix, dir=target.parent
        )
        os.close(handle)
    except OSError as error:
        raise WriteError(_write_message(target, error)) from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(_mode(target))
        temporary.replace(target)
    except OSError as error:
        raise WriteError(_write_message(target, error)) from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes `path` when the block succeeds.

    Parameters
    ----------
    path : str or Path
        Final folder, which must be missing or empty.

    Yields
    ------
    Path
        Write here.

    Raises
    ------
    WriteError
        The folder is not empty, or cannot be written; nothing is left behind.
    """
    target = Path(path)
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise WriteError(f"{target} exists already and is not empty: choose a new folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise WriteError(f"{target} could not be written: {os_error_reason(error)}") from error
    try:
        yield temporary
        temporary.chmod(0o777 & ~_umask())
        if target.is_dir():
            target.rmdir()
        temporary.replace(target)
    except OSError as error:
        raise WriteError(f"{target} could not be written: {os_error_reason(error)}") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def fingerprint(path: str | Path) -> str:
    """Compute the SHA-256 of a file as 64 hexadecimal digits."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error


def modification_stamp(path: str | Path) -> tuple[int, int]:
    """Return the modification time (ns) and the size (bytes) of a file."""
    try:
        status = Path(path).stat()
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
    return status.st_mtime_ns, status.st_size


def os_error_reason(error: OSError) -> str:
    """Return the reason of a system error without the path."""
    # numpy reports a full disk as "50176 requested and 10072 written", without an errno.
    is_full = error.errno is None and " requested and " in str(error)
    return os.strerror(errno.ENOSPC) if is_full else error.strerror or str(error)


def _write_message(target: Path, error: OSError) -> str:
    return (
        f"{target} could not be written: {os_error_reason(error)}. "
        "Nothing was changed; choose another folder or free some space."
    )


@lru_cache(maxsize=1024)
def _remove_abandoned(folder: Path) -> None:
    """Remove temporary files that a killed process left in a folder; once per process."""
    with suppress(OSError):
        for file in folder.iterdir():
            match = _TEMPORARY.fullmatch(file.name)
            if match is None or psutil.pid_exists(int(match.group(1))):
                continue
            # On a shared disk the process may run on another machine, hence the minimum age.
            if time.time() - file.stat().st_mtime > _ABANDONED_S:
                file.unlink()


def _mode(target: Path) -> int:
    """Return the permissions of the existing file, or the default ones."""
    with suppress(OSError):
        return stat.S_IMODE(target.stat().st_mode)
    return 0o666 & ~_umask()


def _umask() -> int:
    # The umask can only be read by setting it.
    mask = os.umask(0)
    os.umask(mask)
    return mask
