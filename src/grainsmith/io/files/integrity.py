"""Report why a file cannot be read: missing, empty, truncated or damaged."""

from __future__ import annotations

import struct
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tifffile

from grainsmith.errors import GrainsmithError, ReadError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

AGAIN = "Copy or export it again."

_ENDS = {b"\x89PNG": b"IEND", b"\xff\xd8\xff": b"\xff\xd9", b"PK\3\4": b"PK\5\6"}
"""Last bytes of a complete file by its first bytes (PNG, JPEG, zip)."""

_TAIL_BYTES = 1 << 16
_REASON_LENGTH = 200


@contextmanager
def reading(path: str | Path, what: str, reason: str = "") -> Iterator[None]:
    """Turn every exception of a decoder into a `ReadError` that names the file.

    Decoders raise anything on damaged files, from `struct.error` to `RecursionError`. Every reader
    runs its decoder and the conversion of what it returned inside this block.

    Parameters
    ----------
    path : str or Path
    what : str
        Expected content, such as "a label image".
    reason : str
        Replaces the decoder's message if the file is complete.

    Raises
    ------
    ReadError
        In place of any exception but a `GrainsmithError`, which passes.
    """
    try:
        yield
    except GrainsmithError:
        raise
    except MemoryError as error:
        raise ReadError(f"{path} needs more memory than is free to be read as {what}") from error
    except Exception as error:
        raise damaged_file_error(path, what, error, reason) from error


def damaged_file_error(
    path: str | Path, what: str, error: Exception, reason: str = ""
) -> ReadError:
    """Return the error that explains why a decoder failed.

    Parameters
    ----------
    path : str or Path
    what : str
        Expected content, such as "a label image".
    error : Exception
        Exception of the decoder.
    reason : str
        Replaces the decoder's message if the file is complete.
    """
    path = Path(path)
    if not path.exists():
        return ReadError(f"{path} does not exist")
    try:
        damage = _damage(path, error) if path.is_file() else ""
    except OSError:
        damage = ""  # the message of the first error is used
    if damage:
        return ReadError(f"{path} {damage}. {AGAIN}")
    reason = reason or " ".join(str(error).split()) or type(error).__name__
    return ReadError(f"{path} cannot be read as {what}: {reason[:_REASON_LENGTH]}")


def check_tiff(pages: Iterable[Any], path: str | Path) -> None:
    """Refuse TIFF pages whose pixels are not all in the file.

    Some decoders fill missing pixels with black without an error.
    """
    size = Path(path).stat().st_size
    for page in pages:
        if page is None:  # part of a stack stored in one piece behind its first page
            continue
        chunks = zip(page.dataoffsets, page.databytecounts, strict=False)
        needed = max((start + n for start, n in chunks if n), default=0)
        if not needed or needed > size:
            missing = f"its pixels need {needed:,}" if needed else "none of them are pixels"
            raise ReadError(f"{path} is cut off: it has {size:,} bytes, {missing}. {AGAIN}")


def _damage(path: Path, error: Exception) -> str:
    size = path.stat().st_size
    if not size:
        return "is empty (0 bytes)"
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    if head.startswith(TIFF_HEADS):
        is_truncated = not _has_page(path)
    elif head.startswith(b"BM"):
        is_truncated = len(head) < 6 or struct.unpack_from("<I", head, 2)[0] > size
    else:
        end = next((end for start, end in _ENDS.items() if head.startswith(start)), b"")
        is_truncated = end not in tail
    # The words of Pillow, zlib, HDF5, pickle and numpy.
    message = str(error)
    is_truncated = is_truncated or isinstance(error, EOFError)
    is_truncated = is_truncated or "truncated" in message or "EOF" in message
    return f"is cut off: it ends after {size:,} bytes" if is_truncated else ""


def _has_page(path: Path) -> bool:
    try:
        with tifffile.TiffFile(path) as tiff:
            return bool(tiff.pages[0].dataoffsets)
    except Exception:  # noqa: BLE001  (decoders raise anything on damaged files)
        return False
