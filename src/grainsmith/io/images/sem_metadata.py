"""Pixel size and data bar from the tags and header files of microscope manufacturers.

Text is searched with regular expressions and never parsed by anything that could execute or expand
it. The formats were checked on files of the manufacturers where available (Zeiss, FEI). TESCAN,
Hitachi, JEOL and point electronic follow the published descriptions of their headers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import tifffile

_UM_PER_UNIT = {
    "m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "nm": 1e-3, "pm": 1e-6, "micron": 1.0,
    "meter": 1e6, "centimeter": 1e4, "millimeter": 1e3, "micrometer": 1.0, "nanometer": 1e-3,
    "picometer": 1e-6, "a": 1e-4, "ang": 1e-4, "angstrom": 1e-4,
}  # fmt: skip

# The whole number must match: "1,5" is never read as 1.
_NUMBER = r"([-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?)(?!\d|[.,]\d)"
_MAX_TEXT_BYTES = 1_000_000
"""Largest part of a header file that is read; real ones have a few thousand bytes."""

_SQUARE = 0.01
"""Relative difference of width and height up to which pixels count as square."""


@dataclass(frozen=True, slots=True)
class SemMetadata:
    """Metadata of an image.

    Attributes
    ----------
    pixel_size_um : float
        0 if unknown, or if the pixels are not square.
    source : str
        Origin of the pixel size, e.g. "Zeiss tag (ap_image_pixel_size)".
    data_bar_rows : int
        0 if the metadata state none; the image may still have one.
    notes : tuple of str
        Problems of the pixel size, in the user's words.
    """

    pixel_size_um: float = 0.0
    source: str = ""
    data_bar_rows: int = 0
    notes: tuple[str, ...] = ()


def metadata_of_tiff(
    tiff: tifffile.TiffFile, path: Path, *, rows: int, columns: int
) -> SemMetadata:
    """Read the metadata of the first page, of `rows` x `columns` pixels, of a TIFF."""
    readers: tuple[Callable[[], SemMetadata], ...] = (
        lambda: _fei(tiff, rows, columns),
        lambda: _fei_xml(tiff),
        lambda: _zeiss(tiff, columns),
        lambda: _tescan_tag(tiff, rows),
        lambda: _point_electronic(tiff),
        lambda: metadata_beside(path, rows=rows, columns=columns),
        lambda: _imagej(tiff),
        lambda: _ome(tiff),
    )
    size, bar = SemMetadata(), 0
    for reader in readers:
        metadata = reader()
        bar = bar or metadata.data_bar_rows
        if metadata.pixel_size_um > 0 or metadata.notes:
            size = metadata
            break
    return SemMetadata(size.pixel_size_um, size.source, bar, size.notes)


def metadata_beside(path: Path, *, rows: int, columns: int) -> SemMetadata:
    """Read the header file beside an image (TESCAN .hdr, Hitachi and JEOL .txt)."""
    suffix = path.suffix.removeprefix(".")
    for header in (path.with_suffix(".hdr"), path.with_name(f"{path.stem}-{suffix}.hdr")):
        metadata = _tescan_text(_text(header), "TESCAN header file", rows)
        if metadata.pixel_size_um > 0 or metadata.notes:
            return metadata
    text = _text(path.with_suffix(".txt"))
    if "[SemImageFile]" in text:
        return _hitachi(text, rows, columns)
    return _jeol(text, rows, columns)


def um_per_unit(unit: str) -> float:
    """Return the micrometres per unit of length; 0 for anything else ("pixel", "inch", "").

    Examples
    --------
    >>> um_per_unit("nm"), um_per_unit("micrometres"), um_per_unit("Å")
    (0.001, 1.0, 0.0001)
    """
    # µ and Å have two code points each, and ImageJ writes escapes.
    plain = unit.strip().lower().replace("\\u00b5", "u").replace("\\u00c5", "a")
    plain = plain.replace("µ", "u").replace("μ", "u").replace("å", "a").replace("\u212b", "a")
    plain = plain.replace("metre", "meter").replace("ångström", "angstrom")
    plain = plain.replace("angström", "angstrom").replace("umeter", "micrometer")
    return _UM_PER_UNIT.get(plain, 0.0) or _UM_PER_UNIT.get(plain.removesuffix("s"), 0.0)


def square_pixel_size(width_um: float, height_um: float, source: str, bar: int = 0) -> SemMetadata:
    """Return the metadata of square pixels; without a size and with a note for any others.

    Parameters
    ----------
    width_um, height_um : float
        Sides of a pixel; a height of 0 is unknown and taken to be the width.
    source : str
    bar : int
        Rows of the data bar.
    """
    if width_um <= 0:
        return SemMetadata(data_bar_rows=bar)
    if height_um > 0 and abs(width_um / height_um - 1) > _SQUARE:
        note = (
            f"Pixels are {width_um:.4g} x {height_um:.4g} µm (x, y; {source}), not square: "
            "lengths stay in pixels. Resample the image to square pixels."
        )
        return SemMetadata(data_bar_rows=bar, notes=(note,))
    return SemMetadata(width_um, source, bar)


# --- in the TIFF


def _fei(tiff: tifffile.TiffFile, rows: int, columns: int) -> SemMetadata:
    content = tiff.fei_metadata
    metadata: Mapping[str, Any] = content if isinstance(content, dict) else {}
    scan = metadata.get("Scan") or metadata.get("EScan") or {}
    width_m, height_m = _float(scan.get("PixelWidth")), _float(scan.get("PixelHeight"))
    image = metadata.get("Image") or {}
    full_columns, full_rows = _int(image.get("ResolutionX")), _int(image.get("ResolutionY"))
    # PrivateFei.DatabarHeight is 0 in files that have a bar.
    bar = _bar(rows, full_rows) if full_columns in (0, columns) else 0
    sides = (width_m * 1e6, height_m * 1e6)
    return _of_scan(sides, "FEI/Thermo tag", full_columns, columns, bar)


def _fei_xml(tiff: tifffile.TiffFile) -> SemMetadata:
    """Read the XML of Phenom (pixelWidth), and of Velox and Helios (PixelSize)."""
    text = "".join(_tag_text(tiff, code) for code in (34680, 34682, 34683))
    width, height = (_xml_um(text, rf"pixel{side}") for side in ("Width", "Height"))
    if width <= 0:
        inner = re.search(r"<PixelSize>(.{1,2000}?)</PixelSize>", text, re.S | re.I)
        width, height = (_xml_um(inner.group(1) if inner else "", side) for side in ("X", "Y"))
    return square_pixel_size(width, height, "FEI/Thermo XML")


def _xml_um(text: str, element: str) -> float:
    pattern = rf"<{element}\b([^<>]{{0,200}})>\s*{_NUMBER}\s*</{element}>"
    match = re.search(pattern, text, re.I)
    if match is None:
        return 0.0
    unit = re.search(r"\bunit\s*=\s*[\"']([^\"']{1,20})[\"']", match.group(1), re.I)
    return _float(match.group(2)) * um_per_unit(unit.group(1) if unit else "m")


def _zeiss(tiff: tifffile.TiffFile, columns: int) -> SemMetadata:
    metadata: Mapping[str, Any] = tiff.sem_metadata or {}
    # ap_pixel_size is that of the 1024-pixel store: wrong by 2 in a 512-pixel file, hence last.
    for key, divisor in (("ap_image_pixel_size", 1), ("ap_width", columns), ("ap_pixel_size", 1)):
        size = _zeiss_length_um(metadata.get(key)) / divisor
        if size > 0:
            how = f"{key} / {columns} columns" if divisor > 1 else key
            return SemMetadata(size, f"Zeiss tag ({how})")
    return SemMetadata()


def _zeiss_length_um(entry: Any) -> float:
    """Return the length of an entry (name, number, unit), or (name, text) with a decimal comma."""
    if not isinstance(entry, tuple) or len(entry) < 2:
        return 0.0
    number, unit = entry[1], entry[2] if len(entry) > 2 else ""
    if isinstance(number, str):
        match = re.fullmatch(rf"\s*{_NUMBER}\s*(\S{{0,12}})\s*", number)
        number, unit = match.groups() if match else ("", "")
    return _float(number) * um_per_unit(str(unit))


def _tescan_tag(tiff: tifffile.TiffFile, rows: int) -> SemMetadata:
    # Ini-like text after a binary head.
    return _tescan_text(_tag_text(tiff, 50431), "TESCAN tag", rows)


def _point_electronic(tiff: tifffile.TiffFile) -> SemMetadata:
    text = _tag_text(tiff, 700)
    # Written as an attribute or as an element.
    width_m, height_m = (
        _search(rf"PixelSize{axis}\s*(?:=\s*[\"']|>)\s*{_NUMBER}", text) for axis in ("X", "Y")
    )
    return square_pixel_size(width_m * 1e6, height_m * 1e6, "point electronic XMP")


def _imagej(tiff: tifffile.TiffFile) -> SemMetadata:
    metadata: Mapping[str, Any] = tiff.imagej_metadata or {}
    um = um_per_unit(str(metadata.get("unit", "")))
    um_y = um_per_unit(str(metadata.get("yunit", ""))) or um
    sides = (_unit_lengths(tiff, "XResolution") * um, _unit_lengths(tiff, "YResolution") * um_y)
    return square_pixel_size(*sides, "ImageJ metadata")


def _unit_lengths(tiff: tifffile.TiffFile, tag_name: str) -> float:
    """Return the side of a pixel in the file's unit; 0 if it is not stated."""
    tag = tiff.pages[0].tags.get(tag_name)
    pixels, units = tag.value if tag is not None else (0, 0)
    return _float(units / pixels) if pixels else 0.0


def _ome(tiff: tifffile.TiffFile) -> SemMetadata:
    text = tiff.ome_metadata or ""
    sides = []
    for axis in ("X", "Y"):
        size = _search(rf'PhysicalSize{axis}="{_NUMBER}"', text)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]{{1,12}})"', text)
        sides.append(size * um_per_unit(unit.group(1) if unit else "um"))
    return square_pixel_size(sides[0], sides[1], "OME metadata")


def _tag_text(tiff: tifffile.TiffFile, code: int) -> str:
    """Return a text tag of the first page; "" if it is missing or another type."""
    tag = tiff.pages[0].tags.get(code)
    value = tag.value if tag is not None else ""
    if isinstance(value, dict):  # tifffile parses some tags as ini files, whatever they hold
        tiff.filehandle.seek(tag.valueoffset)
        value = tiff.filehandle.read(min(tag.count, _MAX_TEXT_BYTES))
    if isinstance(value, bytes):
        value = value[:_MAX_TEXT_BYTES].decode("utf8", "ignore")
    return value[:_MAX_TEXT_BYTES] if isinstance(value, str) else ""


# --- beside the image


def _tescan_text(text: str, source: str, rows: int) -> SemMetadata:
    width_m, height_m = (_search(rf"PixelSize{axis}\s*=\s*{_NUMBER}", text) for axis in ("X", "Y"))
    strip = int(_search(rf"ImageStripSize\s*=\s*{_NUMBER}", text))
    bar = strip if 0 < strip < rows // 2 else 0
    return square_pixel_size(width_m * 1e6, height_m * 1e6, source, bar)


def _hitachi(text: str, rows: int, columns: int) -> SemMetadata:
    width_nm = _search(rf"^PixelSize\s*=\s*{_NUMBER}", text)
    full = re.search(r"^DataSize\s*=\s*(\d+)\s*x\s*(\d+)", text, re.M)
    return _of_full_size(width_nm * 1e-3, "Hitachi text file", full, rows, columns)


def _jeol(text: str, rows: int, columns: int) -> SemMetadata:
    bar_px = _search(rf"\$SM_MICRON_BAR\s+{_NUMBER}", text)
    marker = re.search(rf"\$SM_MICRON_MARKER\s+{_NUMBER}\s*([^\d\s.,]\S{{0,11}})", text)
    if bar_px <= 0 or marker is None:
        return SemMetadata()
    size = _float(marker.group(1)) * um_per_unit(marker.group(2)) / bar_px
    full = re.search(r"\$CM_FULL_SIZE\s+(\d+)\s+(\d+)", text)
    return _of_full_size(size, "JEOL text file", full, rows, columns)


def _of_full_size(
    size_um: float, source: str, full: re.Match[str] | None, rows: int, columns: int
) -> SemMetadata:
    if full is None:
        return square_pixel_size(size_um, size_um, source)
    full_columns, full_rows = _int(full.group(1)), _int(full.group(2))
    bar = _bar(rows, full_rows) if full_columns == columns else 0
    return _of_scan((size_um, size_um), source, full_columns, columns, bar)


# --- helpers


def _of_scan(
    sides_um: tuple[float, float], source: str, full_columns: int, columns: int, bar: int
) -> SemMetadata:
    """Return the metadata of an image that may have been resized after the scan."""
    if full_columns in (0, columns):
        return square_pixel_size(*sides_um, source, bar)
    how = f"{source} (scanned with {full_columns} columns)"
    factor = full_columns / columns
    return square_pixel_size(sides_um[0] * factor, sides_um[1] * factor, how, bar)


def _bar(rows: int, full_rows: int) -> int:
    return rows - full_rows if 0 < full_rows < rows and rows - full_rows < rows // 2 else 0


def _search(pattern: str, text: str) -> float:
    match = re.search(pattern, text, re.M)
    return _float(match.group(1)) if match else 0.0


def _float(value: Any) -> float:
    """Return a positive finite number; 0 for anything else. A decimal comma is a point."""
    try:
        number = float(value.replace(",", ".") if isinstance(value, str) else value)
    except (TypeError, ValueError, OverflowError):
        return 0.0
    return number if 0 < number < 1e12 else 0.0


def _int(value: Any) -> int:
    return int(_float(value))


def _text(path: Path) -> str:
    """Return the text of a header file, whatever the case of its suffix; "" if it is missing."""
    for file_path in (path, path.with_suffix(path.suffix.upper())):
        try:
            with file_path.open("rb") as file:
                raw = file.read(_MAX_TEXT_BYTES)
        except (OSError, ValueError):
            continue
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        return raw.decode(encoding, "ignore").replace("\r\n", "\n")
    return ""
