"""Element maps of a mosaic: large ones are read by window, small ones are kept in memory."""

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
"""Larger maps stay on disk if their files can be read in chunks of at most this size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LazyMap:
    """An element map that is read window by window.

    Attributes
    ----------
    element, line, kind : str
        As of an `ElementMap`.
    mosaic : Mosaic
        Pixels of the map.
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
        """Read a window as an `ElementMap`."""
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
        A map is missing, damaged, without an element or in color, or two have the same name.
    """
    files = [file for path in paths for file in _files(Path(path))]
    large = [file for file in files if is_mosaic(file) or _is_read_by_pieces(file)]
    maps = [_large(file) for file in large]
    rest = [file for file in files if file not in large]
    if rest:
        opened = open_maps(guess_maps(rest))
        if opened.problems:
            raise ReadError(str(opened.problems[0]))
        maps += [_in_memory(element_map) for element_map in opened.maps]
    if not maps:
        raise ReadError(f"there is no map in {', '.join(map(str, paths))}")
    names = [lazy_map.name for lazy_map in maps]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise ReadError(f"there are two maps of {twice}: name the one that is to be used")
    return tuple(maps)


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise ReadError(f"{path} does not exist")
    if path.is_dir() and not is_mosaic(path):
        return sorted(file for file in path.iterdir() if file.is_file() or is_mosaic(file))
    return [path]


def _is_read_by_pieces(path: Path) -> bool:
    """Return whether a large map that is not a mosaic can be read in small chunks."""
    if path.suffix.lower() not in (".tif", ".tiff") or parse_map_name(path).what != "element":
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            is_plain = len(tiff.pages) == 1 and page.samplesperpixel == 1 and page.photometric == 1
            # Maps of 8 bits are small, and images that may have a bar.
            bits, pixels = page.bitspersample, page.imagelength * page.imagewidth
            return bool(is_plain and bits > 8 and pixels > IN_MEMORY_PX and _has_small_pieces(page))
    except (OSError, ValueError, IndexError, tifffile.TiffFileError):
        return False  # reported when it is opened


def _has_small_pieces(page: Any) -> bool:
    return bool(page.is_memmappable or math.prod(page.chunks) <= IN_MEMORY_PX)


def _large(path: Path) -> LazyMap:
    name = parse_map_name(path)
    if name.what != "element":
        raise ReadError(f"{path}: the name of a map's file must say its element, as in 'Si Ka.tif'")
    mosaic = open_mosaic(path)
    if mosaic.levels[0].ndim != 2:
        raise ReadError(f"{path} is coloured: an element map has one value per pixel")
    # 8 bits are usually a stretched image, as with maps of single fields.
    kind = "picture" if mosaic.levels[0].dtype.itemsize == 1 else name.unit or "counts"
    return LazyMap(element=name.element, line=name.line, kind=kind, mosaic=mosaic)


def _in_memory(element_map: ElementMap) -> LazyMap:
    mosaic = Mosaic(
        levels=(element_map.values,),
        pixel_size_um=element_map.pixel_size_um,
        pixel_size_source="",
        source=element_map.source,
    )
    return LazyMap(
        element=element_map.element, line=element_map.line, kind=element_map.kind, mosaic=mosaic
    )
