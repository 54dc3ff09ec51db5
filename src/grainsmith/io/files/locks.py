"""File locks that the operating system releases when their process dies."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from grainsmith.errors import WriteError
from grainsmith.io.files.atomic_write import os_error_reason

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def exclusive_lock(path: str | Path, *, busy: WriteError, timeout_s: float = 0.0) -> Iterator[None]:
    """Hold a lock while the block runs.

    Parameters
    ----------
    path : str or Path
        Lock file, which stays on disk. Missing parent folders are created.
    busy : WriteError
        Raised if the lock is taken; says what is in use and what to do.
    timeout_s : float
        Seconds to wait for the lock.

    Raises
    ------
    WriteError
        Another program or thread holds the lock, or the folder is read-only.
    """
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=timeout_s)
        lock.acquire()
    except Timeout as error:
        raise busy from error
    except OSError as error:
        raise WriteError(f"{folder} cannot be written: {os_error_reason(error)}") from error
    try:
        yield
    finally:
        lock.release()
