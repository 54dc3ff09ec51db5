"""Say of a file that cannot be read what happened to it: missing, empty, cut off, or broken."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tifffile

from grainsmith.errors import ReadError

if TYPE_CHECKING:
    from collections.abc import Iterable

TIFF_HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

AGAIN = "Copy or export it again."

_ENDS = {b"\x89PNG": b"IEND", b"\xff\xd8\xff": b"\xff\xd9", b"PK\3\4": b"PK\5\6"}
"""How a file of some head (PNG, JPEG, zip) ends."""

_TAIL_BYTES = 1 << 16
_SAID_MOST = 200


def damaged_file_error(
    path: str | Path, what: str, error: Exception, reason: str = ""
) -> ReadError:
    """Return what is to be said where a decoder has failed.

    Parameters
    ----------
    path : str or Path
    what : str
        What the file was taken for, such as "a label image".
    error : Exception
        What the decoder raised.
    reason : str
        Said instead of the decoder's words where the file seems to be whole.
    """
    path = Path(path)
    if not path.exists():
        return ReadError(f"{path} does not exist")
    try:
        found = _found(path, error) if path.is_file() else ""
    except OSError:
        found = ""  # the first error says it
    if found:
        return ReadError(f"{path} {found}. {AGAIN}")
    reason = reason or " ".join(str(error).split()) or type(error).__name__
    return ReadError(f"{path} cannot be read as {what}: {reason[:_SAID_MOST]}")


def check_tiff(pages: Iterable[Any], path: str | Path) -> None:
    """Refuse pages of a TIFF of which its file does not hold all pixels.

    Decoders do not always notice: some give black where the pixels are missing.
    """
    size = Path(path).stat().st_size
    for page in pages:
        if page is None:  # of a stack that lies in one piece behind its first page
            continue
        pieces = zip(page.dataoffsets, page.databytecounts, strict=False)
        needed = max((start + n for start, n in pieces if n), default=0)
        if not needed or needed > size:
            wanted = f"its pixels need {needed:,}" if needed else "none of them pixels"
            raise ReadError(f"{path} is cut off: {size:,} bytes are there, {wanted}. {AGAIN}")


def _found(path: Path, error: Exception) -> str:
    size = path.stat().st_size
    if not size:
        return "is empty (0 bytes)"
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(max(0, size - _TAIL_BYTES))
        tail = file.read()
    if head.startswith(TIFF_HEADS):
        cut_off = not _holds_a_page(path)
    elif head.startswith(b"BM"):
        cut_off = len(head) < 6 or struct.unpack_from("<I", head, 2)[0] > size
    else:
        end = next((end for start, end in _ENDS.items() if head.startswith(start)), b"")
        cut_off = end not in tail
    # Pillow, zlib, HDF5, pickle and numpy say it in these words.
    said = str(error)
    cut_off = cut_off or isinstance(error, EOFError) or "truncated" in said or "EOF" in said
    return f"is cut off: {size:,} bytes are there and they end too early" if cut_off else ""


def _holds_a_page(path: Path) -> bool:
    try:
        with tifffile.TiffFile(path) as tiff:
            return bool(tiff.pages[0].dataoffsets)
    except Exception:  # noqa: BLE001  (decoders raise anything on broken files)
        return False
