"""Element maps of a mosaic: large ones are read piece by piece, small ones are held."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tifffile

from grainsmith.data import ElementMap
from grainsmith.errors import ReadError
from grainsmith.io.maps.filenames import parse_map_name
from grainsmith.io.maps.reader import guess_maps, open_maps
from grainsmith.io.mosaics.reader import Mosaic, is_mosaic, open_mosaic

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_MEMORY_PX = 4_000_000
"""Maps of more pixels stay on disk where their files can be read in pieces of at most so many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyMap:
    """An element map that is read piece by piece.

    Attributes
    ----------
    element, line, kind : str
        As of an `ElementMap`.
    mosaic : Mosaic
        Its pixels, one value each.
    """

    element: str
    line: str
    kind: str
    mosaic: Mosaic

    @property
    def name(self) -> str:
        """Element and line, e.g. "Si Ka1"."""
        return f"{self.element} {self.line}".strip()

    def window(self, y0: int, y1: int, x0: int, x1: int) -> ElementMap:
        """Read a part as an ordinary map."""
        return ElementMap(
            values=self.mosaic.window(y0, y1, x0, x1),
            element=self.element,
            line=self.line,
            kind=self.kind,
            pixel_size_um=self.mosaic.pixel_size_um,
            source=self.mosaic.source,
        )


def open_lazy_maps(paths: Sequence[str | Path]) -> tuple[LazyMap, ...]:
    """Open the maps of a mosaic.

    Parameters
    ----------
    paths : sequence of paths
        Files, OME-Zarr folders, or folders of them. TIFFs above `IN_MEMORY_PX` and OME-Zarr stay
        on disk; those that are mosaics must say their element in their names.

    Raises
    ------
    ReadError
        One is missing, broken, names no element, or is coloured; two are of one element and line.
    """
    files = [file for path in paths for file in _files(Path(path))]
    large = [file for file in files if is_mosaic(file) or _is_read_by_pieces(file)]
    found = [_large(file) for file in large]
    rest = [file for file in files if file not in large]
    if rest:
        opened = open_maps(guess_maps(rest))
        if opened.problems:
            raise ReadError(str(opened.problems[0]))
        found += [_held(one) for one in opened.maps]
    if not found:
        raise ReadError(f"there is no map in {', '.join(map(str, paths))}")
    names = [one.name for one in found]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ReadError(f"there are two maps of {twice}: name the one that is to be used")
    return tuple(found)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise ReadError(f"{path} does not exist")
    if path.is_dir() and not is_mosaic(path):
        return sorted(one for one in path.iterdir() if one.is_file() or is_mosaic(one))
    return [path]


def _is_read_by_pieces(path: Path) -> bool:
    """Say whether a map is no mosaic, yet better left on disk, and whether that is simple."""
    if path.suffix.lower() not in (".tif", ".tiff") or parse_map_name(path).what != "element":
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            is_plain = len(tiff.pages) == 1 and page.samplesperpixel == 1 and page.photometric == 1
            # Of 8 bits: small, and images, which may carry a bar.
            bits, pixels = page.bitspersample, page.imagelength * page.imagewidth
            return bool(is_plain and bits > 8 and pixels > IN_MEMORY_PX and _has_small_pieces(page))
    except (OSError, ValueError, IndexError, tifffile.TiffFileError):
        return False  # said where it is opened


def _has_small_pieces(page: Any) -> bool:
    return bool(page.is_memmappable or math.prod(page.chunks) <= IN_MEMORY_PX)


def _large(path: Path) -> LazyMap:
    said = parse_map_name(path)
    if said.what != "element":
        raise ReadError(f"{path}: the name of a map's file must say its element, as in 'Si Ka.tif'")
    mosaic = open_mosaic(path)
    if mosaic.levels[0].ndim != 2:
        raise ReadError(f"{path} is coloured: an element map has one value a pixel")
    # 8 bits are a stretched image as a rule, as with maps of single fields.
    kind = "picture" if mosaic.levels[0].dtype.itemsize == 1 else said.unit or "counts"
    return LazyMap(element=said.element, line=said.line, kind=kind, mosaic=mosaic)


def _held(element_map: ElementMap) -> LazyMap:
    mosaic = Mosaic(
        levels=(element_map.values,),
        pixel_size_um=element_map.pixel_size_um,
        pixel_size_source="",
        source=element_map.source,
    )
    return LazyMap(
        element=element_map.element, line=element_map.line, kind=element_map.kind, mosaic=mosaic
    )
