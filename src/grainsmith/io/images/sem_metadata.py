"""Pixel size and data bar as the makers of microscopes write them, in tags and in files beside.

Everything here is text that is searched, never parsed by a machine that could run or expand it.
Facts were checked on files of the makers where there are any (Zeiss, FEI); TESCAN, Hitachi, JEOL
and point electronic follow the published descriptions of their headers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import tifffile

_UM_PER = {"m": 1e6, "cm": 1e4, "mm": 1e3, "um": 1.0, "nm": 1e-3, "pm": 1e-6, "micron": 1.0}
_NUMBER = r"([-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)"
_LONGEST_TEXT = 1_000_000
"""Bytes of a header file that are read; real ones have a few thousand."""


@dataclass(frozen=True, slots=True)
class SemMetadata:
    """What a file says about its image.

    Attributes
    ----------
    pixel_size_um : float
        0 where it does not say.
    source : str
        Who said so, e.g. "Zeiss tag (ap_image_pixel_size)".
    data_bar_rows : int
        0 where the file names none: there may still be one in the image.
    """

    pixel_size_um: float = 0.0
    source: str = ""
    data_bar_rows: int = 0


def metadata_of_tiff(
    tiff: tifffile.TiffFile, path: Path, *, rows: int, columns: int
) -> SemMetadata:
    """Return what a TIFF says about its first page of `rows` x `columns` pixels."""
    makers: tuple[Callable[[tifffile.TiffFile, int, int], SemMetadata], ...] = (
        _fei,
        _zeiss,
        _tescan_tag,
        _point_electronic,
    )
    found = [maker(tiff, rows, columns) for maker in makers]
    found.append(metadata_beside(path, rows=rows, columns=columns))
    found += [exchange(tiff, rows, columns) for exchange in (_imagej, _ome)]
    size = next((one for one in found if one.pixel_size_um > 0), SemMetadata())
    bar = next((one.data_bar_rows for one in found if one.data_bar_rows > 0), 0)
    return SemMetadata(size.pixel_size_um, size.source, bar)


def metadata_beside(path: Path, *, rows: int, columns: int) -> SemMetadata:
    """Return what a header file beside an image says (TESCAN .hdr, Hitachi and JEOL .txt)."""
    suffix = path.suffix.removeprefix(".")
    for place in (path.with_suffix(".hdr"), path.with_name(f"{path.stem}-{suffix}.hdr")):
        found = _tescan_text(_text(place), "TESCAN header file", rows)
        if found.pixel_size_um > 0:
            return found
    text = _text(path.with_suffix(".txt"))
    if "[SemImageFile]" in text:
        return _hitachi(text, rows, columns)
    return _jeol(text, rows, columns)


def um_per_unit(unit: str) -> float:
    """Return micrometres per unit of length; 0 for anything else ("pixel", "inch", "")."""
    # µ has two code points, and ImageJ writes an escape.
    plain = unit.strip().lower().replace("\\u00b5", "u").replace("µ", "u").replace("μ", "u")
    return _UM_PER.get(plain.removesuffix("s") if plain.startswith("micron") else plain, 0.0)


# --- in the TIFF


def _fei(tiff: tifffile.TiffFile, rows: int, columns: int) -> SemMetadata:
    known: Mapping[str, Any] = tiff.fei_metadata or {}
    scan = known.get("Scan") or known.get("EScan") or {}
    width_m = _float(scan.get("PixelWidth"))
    image = known.get("Image") or {}
    full_columns, full_rows = _int(image.get("ResolutionX")), _int(image.get("ResolutionY"))
    # PrivateFei.DatabarHeight is 0 in files that have a bar.
    bar = _bar(rows, full_rows) if full_columns in (0, columns) else 0
    return _scaled(width_m * 1e6, "FEI/Thermo tag", full_columns, columns, bar)


def _zeiss(tiff: tifffile.TiffFile, _rows: int, columns: int) -> SemMetadata:
    known: Mapping[str, Any] = tiff.sem_metadata or {}
    # ap_pixel_size is that of the 1024-pixel store: wrong by 2 in a 512-pixel file, hence last.
    for key, divisor in (("ap_image_pixel_size", 1), ("ap_width", columns), ("ap_pixel_size", 1)):
        entry = known.get(key)
        if isinstance(entry, tuple) and len(entry) >= 3:
            size = _float(entry[1]) * um_per_unit(str(entry[2])) / divisor
            if size > 0:
                how = f"{key} / {columns} columns" if divisor > 1 else key
                return SemMetadata(size, f"Zeiss tag ({how})")
    return SemMetadata()


def _tescan_tag(tiff: tifffile.TiffFile, rows: int, _columns: int) -> SemMetadata:
    tag = tiff.pages[0].tags.get(50431)
    # Ini-like text after a binary head.
    text = bytes(tag.value).decode("utf8", "ignore") if tag is not None else ""
    return _tescan_text(text, "TESCAN tag", rows)


def _point_electronic(tiff: tifffile.TiffFile, _rows: int, _columns: int) -> SemMetadata:
    tag = tiff.pages[0].tags.get(700)
    text = bytes(tag.value).decode("utf8", "ignore") if tag is not None else ""
    # As an attribute or as an element of its own.
    width_m = _search(rf"PixelSizeX\s*(?:=\s*[\"']|>)\s*{_NUMBER}", text)
    return _facts(width_m * 1e6, "point electronic XMP")


def _imagej(tiff: tifffile.TiffFile, _rows: int, _columns: int) -> SemMetadata:
    known: Mapping[str, Any] = tiff.imagej_metadata or {}
    tag = tiff.pages[0].tags.get("XResolution")
    if tag is None or not tag.value[0]:
        return SemMetadata()
    pixels, units = tag.value
    return _facts(units / pixels * um_per_unit(str(known.get("unit", ""))), "ImageJ metadata")


def _ome(tiff: tifffile.TiffFile, _rows: int, _columns: int) -> SemMetadata:
    text = tiff.ome_metadata or ""
    size = _search(rf'PhysicalSizeX="{_NUMBER}"', text)
    unit = re.search(r'PhysicalSizeXUnit="([^"]{1,12})"', text)
    return _facts(size * um_per_unit(unit.group(1) if unit else "um"), "OME metadata")


# --- beside the image


def _tescan_text(text: str, source: str, rows: int) -> SemMetadata:
    width_m = _search(rf"PixelSizeX\s*=\s*{_NUMBER}", text)
    strip = int(_search(rf"ImageStripSize\s*=\s*{_NUMBER}", text))
    return _facts(width_m * 1e6, source, strip if 0 < strip < rows // 2 else 0)


def _hitachi(text: str, rows: int, columns: int) -> SemMetadata:
    width_nm = _search(rf"^PixelSize\s*=\s*{_NUMBER}", text)
    full = re.search(r"^DataSize\s*=\s*(\d+)\s*x\s*(\d+)", text, re.M)
    return _of_full_size(width_nm * 1e-3, "Hitachi text file", full, rows, columns)


def _jeol(text: str, rows: int, columns: int) -> SemMetadata:
    bar_px = _search(rf"\$SM_MICRON_BAR\s+{_NUMBER}", text)
    marker = re.search(rf"\$SM_MICRON_MARKER\s+{_NUMBER}\s*(\S{{1,3}})", text)
    if bar_px <= 0 or marker is None:
        return SemMetadata()
    size = float(marker.group(1)) * um_per_unit(marker.group(2)) / bar_px
    full = re.search(r"\$CM_FULL_SIZE\s+(\d+)\s+(\d+)", text)
    return _of_full_size(size, "JEOL text file", full, rows, columns)


def _of_full_size(
    size_um: float, source: str, full: re.Match[str] | None, rows: int, columns: int
) -> SemMetadata:
    if full is None:
        return _facts(size_um, source)
    full_columns, full_rows = int(full.group(1)), int(full.group(2))
    bar = _bar(rows, full_rows) if full_columns == columns else 0
    return _scaled(size_um, source, full_columns, columns, bar)


# --- small parts


def _facts(size_um: float, source: str, bar: int = 0) -> SemMetadata:
    return SemMetadata(size_um, source, bar) if size_um > 0 else SemMetadata(data_bar_rows=bar)


def _scaled(size_um: float, source: str, full_columns: int, columns: int, bar: int) -> SemMetadata:
    """Return the facts of an image that was perhaps saved in another size than scanned."""
    if full_columns in (0, columns):
        return _facts(size_um, source, bar)
    how = f"{source} (scanned with {full_columns} columns)"
    return _facts(size_um * full_columns / columns, how, bar)


def _bar(rows: int, full_rows: int) -> int:
    return rows - full_rows if 0 < full_rows < rows and rows - full_rows < rows // 2 else 0


def _search(pattern: str, text: str) -> float:
    match = re.search(pattern, text, re.M)
    return _float(match.group(1)) if match else 0.0


def _float(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if 0 < number < 1e12 else 0.0  # also drops NaN and infinity


def _int(value: Any) -> int:
    return int(_float(value))


def _text(path: Path) -> str:
    """Return a header file's text, whichever case its suffix is in; "" where there is none."""
    for place in (path, path.with_suffix(path.suffix.upper())):
        try:
            with place.open("rb") as file:
                raw = file.read(_LONGEST_TEXT)
        except OSError:
            continue
        encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
        return raw.decode(encoding, "ignore").replace("\r\n", "\n")
    return ""
