"""One writer at a time: a lock that the system takes back when its process dies."""

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
def exclusive_lock(path: str | Path, *, busy: WriteError) -> Iterator[None]:
    """Keep other programs out while the block runs.

    Parameters
    ----------
    path : str or Path
        A file that stays, in a folder that is made where it is missing.
    busy : WriteError
        Raised if the lock is taken.

    Raises
    ------
    WriteError
        Another program, or another thread, is inside, or the folder is read-only.
    """
    folder = Path(path).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise busy from error
    except OSError as error:
        raise WriteError(f"{folder} cannot be written: {os_error_reason(error)}") from error
    try:
        yield
    finally:
        lock.release()
