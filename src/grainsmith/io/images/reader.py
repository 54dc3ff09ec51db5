"""Open one image of a field of view: SEM TIFFs of all makers, PNG, JPEG, BMP."""

from __future__ import annotations

import lzma
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tifffile

from grainsmith.data import SemImage
from grainsmith.errors import ReadError, WriteError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import AGAIN, TIFF_HEADS, check_tiff, damaged_file_error
from grainsmith.io.images.data_bar import find_data_bar
from grainsmith.io.images.sem_metadata import SemMetadata, metadata_beside, metadata_of_tiff

if TYPE_CHECKING:
    from grainsmith.data import Image

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
"""Of the files that `read_image` opens (it goes by what is in them, not by these)."""

_PICTURE_FORMATS = ("PNG", "JPEG", "BMP")
"""Pillow may use no other: some of its readers start programs."""

_LARGEST_BYTES = 1 << 30
_LARGEST_RATIO = 5000
"""Pixels may be this many times larger than their file, unless they are small anyway."""

_BROKEN = (
    OSError, ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError,
    RuntimeError, EOFError, SyntaxError, MemoryError, ImportError, AssertionError,
    struct.error, zlib.error, lzma.LZMAError, tifffile.TiffFileError,
)  # fmt: skip
"""What the decoders raise on broken files: they were not made with such files in mind."""


@dataclass(frozen=True, slots=True)
class _Raw:
    """Pixels as their file holds them, and what it says about them."""

    pixels: npt.NDArray[Any]
    facts: SemMetadata
    notes: tuple[str, ...] = ()


def read_image(path: str | Path, *, crop_databar: str | int = "auto") -> SemImage:
    """Read an image with its pixel size and data bar.

    Parameters
    ----------
    path : str or Path
        TIFF, PNG, JPEG or BMP; 8 or 16 bit, float, grey or colour. Header files of TESCAN, Hitachi
        and JEOL beside it are read too.
    crop_databar : "auto", "no" or int
        How many rows at the bottom are a data bar. "auto" asks the file, then the image.

    Returns
    -------
    SemImage
        All rows of the file. Grey that was stored as colour is grey; colour is (Y, X, 3). The notes
        say what was done and what was found.

    Raises
    ------
    ReadError
        The file is missing, empty, cut off, no image, or claims more than it can hold.
    ValueError
        `crop_databar` is none of the above.
    """
    path = Path(path)
    raw = _read_raw(path)
    image, notes = _as_grey_or_rgb(raw.pixels, path)
    bar, bar_notes = _data_bar(image, raw.facts, crop_databar)
    size_note = (
        f"Pixel size {raw.facts.pixel_size_um:.4g} µm: {raw.facts.source}."
        if raw.facts.pixel_size_um > 0
        else "The file does not say its pixel size: lengths stay in pixels until it is set."
    )
    return SemImage(
        image=image,
        pixel_size_um=raw.facts.pixel_size_um,
        pixel_size_source=raw.facts.source,
        data_bar_rows=bar,
        source=str(path),
        notes=(size_note, *raw.notes, *notes, *bar_notes),
    )


def write_image(path: str | Path, image: Image, *, pixel_size_um: float = 0.0) -> None:
    """Write an image as a TIFF that ImageJ and `read_image` understand.

    Parameters
    ----------
    path : str or Path
        Ends in .tif or .tiff; never half-written.
    image : (Y, X) or (Y, X, 3) array
        Its dtype is kept.
    pixel_size_um : float
        Kept in the file (ImageJ's way) where it is known.

    Raises
    ------
    WriteError
        The file could not be written, or the image is of a kind that TIFF cannot hold.
    """
    # ImageJ knows these four kinds only; others lose their pixel size rather than their values.
    simple = image.dtype in (np.uint8, np.uint16, np.float32)
    scale: dict[str, Any] = {}
    if pixel_size_um > 0 and simple:
        resolution = (1 / pixel_size_um, 1 / pixel_size_um)
        scale = {"imagej": True, "resolution": resolution, "metadata": {"unit": "um"}}
    photometric = "rgb" if image.ndim == 3 else "minisblack"
    try:
        with atomic_write(path) as temporary:
            tifffile.imwrite(temporary, image, photometric=photometric, **scale)
    except ValueError as error:
        raise WriteError(f"{path} could not be written: {error}") from error


def _read_raw(path: Path) -> _Raw:
    head = _head(path)
    try:
        # Broken files make the decoders warn before they fail; the failure says enough.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            raw = _read_tiff(path) if head.startswith(TIFF_HEADS) else _read_picture(path)
    except ReadError:
        raise
    except _BROKEN as error:
        raise damaged_file_error(path, "an image", error) from error
    if raw.pixels.ndim not in (2, 3) or 0 in raw.pixels.shape:
        raise ReadError(f"{path} holds no image: an array of {raw.pixels.shape}")
    if raw.pixels.dtype.kind not in "buif":
        raise ReadError(f"{path} holds {raw.pixels.dtype} values; an image has real numbers")
    return raw


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except FileNotFoundError as error:
        raise ReadError(f"{path} does not exist") from error
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
    if not head:
        raise ReadError(f"{path} is empty (0 bytes). {AGAIN}")
    return head


# --- TIFF


def _read_tiff(path: Path) -> _Raw:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        _check_claim(page, path)
        pixels, notes = _page_pixels(tiff, page)
        rows, columns = pixels.shape[:2]
        count = len(tiff.pages)
        if count > 1:
            notes = (*notes, f"{count} pages in the file: the first was read.")
        return _Raw(pixels, metadata_of_tiff(tiff, path, rows=rows, columns=columns), notes)


def _check_claim(page: Any, path: Path) -> None:
    """Refuse a page whose pixels its file cannot hold, before memory is asked for them."""
    check_tiff([page], path)
    claimed, held = page.nbytes, sum(page.databytecounts)
    too_dense = claimed > _LARGEST_BYTES and claimed > held * _LARGEST_RATIO
    # 1-bit and 12-bit pixels are packed.
    packed = page.size * np.max(page.bitspersample) // 8
    if too_dense or (page.compression == 1 and packed > held):
        raise ReadError(
            f"{path} claims {page.shape} pixels ({claimed:,} bytes) "
            f"but holds {held:,} bytes of them"
        )


def _page_pixels(tiff: tifffile.TiffFile, page: Any) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    pixels = np.asarray(page.asarray())
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if page.planarconfig == 2 and pixels.ndim == 3:  # (S, Y, X)
        pixels = np.moveaxis(pixels, 0, -1)
    if page.photometric == 0 and pixels.dtype.kind == "u":  # white is zero
        inverted = np.iinfo(pixels.dtype).max - pixels
        return inverted, ("Stored as a negative (white is zero): turned to bright is high.",)
    if page.photometric == 3 and page.colormap is not None and not tiff.sem_metadata:
        return _through_palette(pixels, page.colormap)
    return pixels, ()


def _through_palette(
    pixels: npt.NDArray[Any], colormap: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Return indices as they are where the palette is a ramp of grey, else the colours."""
    is_grey = bool((colormap == colormap[:1]).all())
    if is_grey and (np.diff(colormap[0].astype(int)) >= 0).all():
        return pixels, ()
    colours = (colormap.T[pixels] >> 8).astype(np.uint8)
    return colours, ("The palette's colours were applied.",)


# --- PNG, JPEG, BMP


def _read_picture(path: Path) -> _Raw:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        opened = Pillow.open(path, formats=_PICTURE_FORMATS)
    except UnidentifiedImageError as error:
        reason = "it is no TIFF, PNG, JPEG or BMP"
        raise damaged_file_error(path, "an image", error, reason) from error
    with opened as picture:
        # 0x0112: photographs that were taken upright; labels keep the shape of the file.
        turned = picture.getexif().get(0x0112, 1) != 1
        as_is = picture.mode in ("L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I", "F")
        target = picture.mode if as_is else "L" if picture.mode == "1" else "RGB"
        pixels = np.asarray(picture if as_is else picture.convert(target))
    rows, columns = pixels.shape[:2]
    notes = ("The camera's note on rotation was ignored.",) if turned else ()
    return _Raw(pixels, metadata_beside(path, rows=rows, columns=columns), notes)


# --- what both have in common


def _as_grey_or_rgb(pixels: npt.NDArray[Any], path: Path) -> tuple[Image, tuple[str, ...]]:
    notes: list[str] = []
    if pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype == np.int32 and pixels.min() >= 0 and pixels.max() <= 65535:
        pixels = pixels.astype(np.uint16)  # 16-bit PNG as some versions of Pillow give it
    if pixels.ndim == 2:
        return pixels, ()
    samples = pixels.shape[-1]
    if samples in (2, 4):
        pixels = pixels[..., : samples - 1]
        notes.append("The transparency (alpha) was dropped.")
    if pixels.shape[-1] not in (1, 3):
        raise ReadError(
            f"{path} has {samples} channels in one image; save one channel, or split the stack"
        )
    if pixels.shape[-1] == 1:
        return np.ascontiguousarray(pixels[..., 0]), tuple(notes)
    if (pixels == pixels[..., :1]).all():
        notes.append("Grey stored as colour: read as grey.")
        return np.ascontiguousarray(pixels[..., 0]), tuple(notes)
    return np.ascontiguousarray(pixels), tuple(notes)


def _data_bar(
    image: Image, facts: SemMetadata, crop_databar: str | int
) -> tuple[int, tuple[str, ...]]:
    rows = image.shape[0]
    if crop_databar == "no":
        return 0, ()
    if crop_databar == "auto":
        if facts.data_bar_rows > 0:
            return _said(facts.data_bar_rows, "says the file")
        return _said(find_data_bar(image), "seen in the image")
    if isinstance(crop_databar, str) and not crop_databar.isdecimal():
        raise ValueError(f'crop_databar must be "auto", "no" or rows, got {crop_databar!r}')
    wanted = int(crop_databar)
    if not 0 <= wanted < rows:
        raise ValueError(f"crop_databar must be 0..{rows - 1} rows of this image, got {wanted}")
    return _said(wanted, "as you asked")


def _said(bar: int, who: str) -> tuple[int, tuple[str, ...]]:
    if bar == 0:
        return 0, ()
    return bar, (f"The lowest {bar} rows are a data bar ({who}): background, never segmented.",)
