"""Read one image of a field: TIFF of all SEM manufacturers, PNG, JPEG, BMP, GIF and WebP."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tifffile

from grainsmith.data import SemImage
from grainsmith.errors import ReadError, WriteError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import AGAIN, TIFF_HEADS, check_tiff, damaged_file_error, reading
from grainsmith.io.files.limits import check_expansion
from grainsmith.io.files.vendor_formats import vendor_advice
from grainsmith.io.images.data_bar import find_data_bar
from grainsmith.io.images.sem_metadata import SemMetadata, metadata_beside, metadata_of_tiff

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

    from grainsmith.data import Image

SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
"""Suffixes of the files that `read_image` opens; it goes by their content, not by these."""

_PILLOW_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP")
"""No other formats: Pillow decodes some of them with external programs."""

_CMYK, _YCBCR, _CIELAB, _ICCLAB = 5, 6, 8, 9
_UPRIGHT = 1
_ORIENTATION = 274
_ORIENTATION_NOTE = "The orientation that the camera recorded was ignored."


@dataclass(frozen=True, slots=True)
class _Raw:
    """Pixels as stored in a file, and its metadata."""

    pixels: npt.NDArray[Any]
    metadata: SemMetadata
    notes: tuple[str, ...] = ()


def read_image(path: str | Path, *, crop_databar: str | int = "auto") -> SemImage:
    """Read an image with its pixel size and data bar.

    Parameters
    ----------
    path : str or Path
        TIFF, PNG, JPEG, BMP, GIF or WebP; 8 or 16 bit, float, gray or color. Header files of
        TESCAN, Hitachi and JEOL beside it are read too.
    crop_databar : "auto", "no" or int
        Number of data bar rows at the bottom. "auto" uses the metadata, else the pixels.

    Returns
    -------
    SemImage
        All rows of the file. Gray stored as color becomes (Y, X); color is (Y, X, 3). The notes
        say what was converted and where the pixel size came from.

    Raises
    ------
    ReadError
        It is missing, empty, damaged or not an image, or claims more pixels than it can hold.
    ValueError
        `crop_databar` is invalid.
    """
    path = Path(path)
    with reading(path, "an image"):
        raw = _read_raw(path)
        image, notes = _as_gray_or_rgb(raw.pixels, path)
    bar, bar_notes = _data_bar(image, raw.metadata, crop_databar)
    return SemImage(
        image=image,
        pixel_size_um=raw.metadata.pixel_size_um,
        pixel_size_source=raw.metadata.source,
        data_bar_rows=bar,
        source=str(path),
        notes=(*_size_notes(raw.metadata), *raw.notes, *notes, *bar_notes),
    )


def write_image(path: str | Path, image: Image, *, pixel_size_um: float = 0.0) -> None:
    """Write an image as a TIFF for ImageJ and `read_image`.

    Parameters
    ----------
    path : str or Path
        Ends in .tif or .tiff; written atomically.
    image : (Y, X) or (Y, X, 3) array
        Its dtype is kept.
    pixel_size_um : float
        Stored in the file (as ImageJ does) if known.

    Raises
    ------
    WriteError
        The file could not be written, or TIFF does not support the dtype.
    """
    # ImageJ supports these three types only; others lose the pixel size rather than their values.
    is_simple = image.dtype in (np.uint8, np.uint16, np.float32)
    options: dict[str, Any] = {}
    if pixel_size_um > 0 and is_simple:
        resolution = (1 / pixel_size_um, 1 / pixel_size_um)
        options = {"imagej": True, "resolution": resolution, "metadata": {"unit": "um"}}
    photometric = "rgb" if image.ndim == 3 else "minisblack"
    try:
        with atomic_write(path) as temporary:
            tifffile.imwrite(temporary, image, photometric=photometric, **options)
    except ValueError as error:
        raise WriteError(f"{path} could not be written: {error}") from error


def _size_notes(metadata: SemMetadata) -> tuple[str, ...]:
    if metadata.notes:
        return metadata.notes
    if metadata.pixel_size_um > 0:
        return (f"Pixel size {metadata.pixel_size_um:.4g} µm: {metadata.source}.",)
    return ("The file does not say its pixel size: lengths stay in pixels until it is set.",)


def _read_raw(path: Path) -> _Raw:
    is_tiff = _head(path).startswith(TIFF_HEADS)
    # Decoders warn about damaged files before they fail; the error says enough.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = _read_tiff(path) if is_tiff else _read_with_pillow(path)
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
    except (OSError, ValueError) as error:
        raise ReadError(f"{path} cannot be read: {error}") from error
    if not head:
        raise ReadError(f"{path} is empty (0 bytes). {AGAIN}")
    return head


# --- TIFF


def _read_tiff(path: Path) -> _Raw:
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        _check_claim(page, path)
        pixels, notes = _page_pixels(tiff, page, path)
        rows, columns = pixels.shape[:2]
        count = len(tiff.pages)
        if count > 1:
            notes = (*notes, f"{count} pages in the file: the first was read.")
        if page.tags.valueof(_ORIENTATION, default=_UPRIGHT) != _UPRIGHT:
            notes = (*notes, _ORIENTATION_NOTE)
        return _Raw(pixels, metadata_of_tiff(tiff, path, rows=rows, columns=columns), notes)


def _check_claim(page: Any, path: Path) -> None:
    """Refuse a page whose file cannot hold its pixels, before memory is allocated."""
    check_tiff([page], path)
    held = sum(page.databytecounts)
    check_expansion(page.nbytes, held, f"{path}, {page.shape} pixels,")
    # 1-bit and 12-bit pixels are packed.
    packed = page.size * np.max(page.bitspersample) // 8
    if page.compression == 1 and packed > held:
        raise ReadError(
            f"{path} claims {page.shape} pixels ({page.nbytes:,} bytes) "
            f"but holds {held:,} bytes of them"
        )


def _page_pixels(
    tiff: tifffile.TiffFile, page: Any, path: Path
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    pixels = np.asarray(page.asarray())
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    if page.planarconfig == 2 and pixels.ndim == 3:  # (S, Y, X)
        pixels = np.moveaxis(pixels, 0, -1)
    photometric = int(page.photometric)
    if photometric == 0:
        inverted = _invert(pixels, int(np.max(page.bitspersample)))
        return inverted, ("Stored as a negative (white is zero): inverted, bright is high.",)
    if photometric == 3 and page.colormap is not None and not tiff.sem_metadata:
        return _apply_palette(pixels, page.colormap)
    if photometric == _CMYK:
        return _cmyk_to_rgb(pixels, path)
    if photometric in (_CIELAB, _ICCLAB):
        return _lab_to_rgb(pixels, path, is_icc=photometric == _ICCLAB)
    if photometric == _YCBCR and page.compression == 1:
        return _ycbcr_to_rgb(pixels, path)
    return pixels, ()


def _invert(pixels: npt.NDArray[Any], bits: int) -> npt.NDArray[Any]:
    """Return the negative; alpha, the last of several samples, is dropped later and ignored."""
    if pixels.dtype.kind == "b":
        return ~pixels
    if pixels.dtype.kind == "u":
        return ((1 << bits) - 1 - pixels.astype(np.uint64)).astype(pixels.dtype)
    if pixels.dtype.kind == "i":
        return ~pixels
    finite = pixels[np.isfinite(pixels)]
    low, high = (finite.min(), finite.max()) if finite.size else (0, 0)
    inverted: npt.NDArray[Any] = (low + high - pixels).astype(pixels.dtype)
    return inverted


def _apply_palette(
    pixels: npt.NDArray[Any], colormap: npt.NDArray[Any]
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Return the indices if the palette is a gray ramp, else the colors."""
    alpha_note: tuple[str, ...] = ()
    if pixels.ndim == 3:
        pixels, alpha_note = pixels[..., 0], ("The transparency (alpha) was dropped.",)
    is_gray = bool((colormap == colormap[:1]).all())
    if is_gray and colormap.shape[1] > 2 and (np.diff(colormap[0].astype(int)) >= 0).all():
        return pixels, alpha_note
    colors = (colormap.T[pixels.astype(np.intp)] >> 8).astype(np.uint8)
    return colors, (*alpha_note, "The colors of the palette were applied.")


def _cmyk_to_rgb(pixels: npt.NDArray[Any], path: Path) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    _require_samples(pixels, 4, "CMYK", path)
    largest = np.iinfo(pixels.dtype).max
    inks = pixels[..., :4].astype(np.float64) / largest
    rgb = (1 - inks[..., :3]) * (1 - inks[..., 3:])
    return np.rint(rgb * largest).astype(pixels.dtype), ("Stored as CMYK: converted to RGB.",)


def _lab_to_rgb(
    pixels: npt.NDArray[Any], path: Path, *, is_icc: bool
) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    """Convert CIE L*a*b* (D50) to sRGB; only L* is left if there is one sample."""
    from skimage.color import lab2rgb

    note = ("Stored as CIELAB: converted to RGB.",)
    largest = np.iinfo(pixels.dtype).max
    if pixels.ndim == 2:
        return pixels, ("Stored as CIELAB lightness: read as gray.",)
    _require_samples(pixels, 3, "CIELAB", path)
    # TIFF 6: a* and b* are signed, L* is not; ICCLAB adds half the range to a* and b*.
    middle = (largest + 1) // 2
    scale = largest // 255 if largest > 255 else 1
    chroma = pixels[..., 1:3].astype(np.int64)
    chroma = chroma - middle if is_icc else np.where(chroma >= middle, chroma - largest - 1, chroma)
    lab = np.dstack([pixels[..., 0] * (100.0 / largest), chroma / scale])
    rgb = lab2rgb(lab, illuminant="D50")
    return np.rint(np.clip(rgb, 0, 1) * largest).astype(pixels.dtype), note


def _ycbcr_to_rgb(pixels: npt.NDArray[Any], path: Path) -> tuple[npt.NDArray[Any], tuple[str, ...]]:
    from PIL import Image as Pillow

    _require_samples(pixels, 3, "YCbCr", path)
    if pixels.dtype != np.uint8:
        raise ReadError(f"{path} holds YCbCr of {pixels.dtype}: save it as RGB")
    image = Pillow.fromarray(np.ascontiguousarray(pixels[..., :3]), mode="YCbCr")
    return np.asarray(image.convert("RGB")), ("Stored as YCbCr: converted to RGB.",)


def _require_samples(pixels: npt.NDArray[Any], count: int, what: str, path: Path) -> None:
    if pixels.ndim != 3 or pixels.shape[-1] < count or pixels.dtype.kind != "u":
        raise ReadError(
            f"{path} claims {what}, but holds {pixels.shape} values of {pixels.dtype}: save as RGB"
        )


# --- PNG, JPEG, BMP, GIF, WebP


def _read_with_pillow(path: Path) -> _Raw:
    from PIL import Image as Pillow
    from PIL import UnidentifiedImageError

    try:
        opened = Pillow.open(path, formats=_PILLOW_FORMATS)
    except UnidentifiedImageError as error:
        reason = vendor_advice(path) or "it is not a TIFF, PNG, JPEG, BMP, GIF or WebP"
        raise damaged_file_error(path, "an image", error, reason) from error
    with opened as image:
        notes = []
        # Labels keep the shape of the file, and other programs ignore the orientation too.
        if image.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
            notes.append(_ORIENTATION_NOTE)
        frames = getattr(image, "n_frames", 1)
        if frames > 1:
            notes.append(f"{frames} frames in the file: the first was read.")
        pixels = _pillow_pixels(image, notes)
    rows, columns = pixels.shape[:2]
    return _Raw(pixels, metadata_beside(path, rows=rows, columns=columns), tuple(notes))


def _pillow_pixels(image: PillowImage, notes: list[str]) -> npt.NDArray[Any]:
    if image.mode in ("L", "LA", "RGB", "RGBA", "I;16", "I;16B", "I", "F"):
        return np.asarray(image)
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode == "CMYK":
        notes.append("Stored as CMYK: converted to RGB.")
    if image.mode in ("P", "PA") and "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    return np.asarray(image.convert("RGB"))


# --- all formats


def _as_gray_or_rgb(pixels: npt.NDArray[Any], path: Path) -> tuple[Image, tuple[str, ...]]:
    notes: list[str] = []
    if pixels.dtype.kind == "b":
        pixels = pixels.astype(np.uint8) * 255
    if pixels.dtype == np.int32 and pixels.min() >= 0 and pixels.max() <= 65535:
        pixels = pixels.astype(np.uint16)  # 16-bit PNG in some versions of Pillow
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
        notes.append("Gray stored as color: read as gray.")
        return np.ascontiguousarray(pixels[..., 0]), tuple(notes)
    return np.ascontiguousarray(pixels), tuple(notes)


def _data_bar(
    image: Image, metadata: SemMetadata, crop_databar: str | int
) -> tuple[int, tuple[str, ...]]:
    rows = image.shape[0]
    if crop_databar == "no":
        return 0, ()
    if crop_databar == "auto":
        if metadata.data_bar_rows > 0:
            return _with_note(metadata.data_bar_rows, "stated in the file")
        return _with_note(find_data_bar(image), "detected in the image")
    if isinstance(crop_databar, str) and not crop_databar.isdecimal():
        raise ValueError(f'crop_databar must be "auto", "no" or rows, got {crop_databar!r}')
    bar = int(crop_databar)
    if not 0 <= bar < rows:
        raise ValueError(f"crop_databar must be 0..{rows - 1} rows of this image, got {bar}")
    return _with_note(bar, "as requested")


def _with_note(bar: int, origin: str) -> tuple[int, tuple[str, ...]]:
    if bar == 0:
        return 0, ()
    note = f"The lowest {bar} rows are a data bar ({origin}): background, never segmented."
    return bar, (note,)
