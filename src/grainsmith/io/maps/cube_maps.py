"""Element maps from a cube of spectra: a window summed around each line, band after band."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.data import no_progress
from grainsmith.eds import LINES_KEV, find_lines, line_maps
from grainsmith.errors import MismatchError
from grainsmith.io.maps.spectrum_cube import open_cube

if TYPE_CHECKING:
    from grainsmith.data import ElementMap, OnProgress

SUFFIXES = (".rpl", ".hspy", ".h5", ".hdf5")
"""Of files that may hold a cube; a .raw is found through its .rpl."""


def read_cube_maps(
    path: str | Path, lines: str = "", *, on_progress: OnProgress = no_progress
) -> tuple[tuple[ElementMap, ...], tuple[str, ...]]:
    """Return the maps of a cube, and what was noticed.

    Parameters
    ----------
    path : str or Path
        A .rpl with its .raw, or a cube of HyperSpy (.hspy, .h5, .hdf5).
    lines : str
        "Si Ka, Fe Ka", or symbols alone; "" = the lines that stand out in the sum of all spectra.
    on_progress : callable
        Called as on_progress(rows done, rows in all) of each of the one or two readings.

    Raises
    ------
    ReadError
        The file is no cube, or claims more than it holds.
    MismatchError
        A line is unknown or outside of the spectra, or none stands out.
    """
    cube = open_cube(path)
    name = Path(path).name
    wanted = parse_lines(lines) or find_lines(cube, on_progress=on_progress)
    if not wanted:
        raise MismatchError(
            f"{name}: no line stands out in its spectra. Name the lines, such as 'Si Ka, Fe Ka'."
        )
    maps = tuple(line_maps(cube, wanted, on_progress=on_progress))
    how = "as asked" if lines.strip() else "stand out in its spectra; name others if you miss any"
    return maps, (f"{', '.join(wanted)}: {how}",)


def parse_lines(text: str) -> list[str]:
    """Return the lines that a text names, each once; a symbol alone stands for its line.

    Raises
    ------
    MismatchError
        One of them is unknown.
    """
    found = []
    for word in filter(None, (" ".join(one.split()) for one in re.split(r"[,;]", text))):
        fitting = [line for line in LINES_KEV if word in (line, line.split()[0])]
        if not fitting:
            raise MismatchError(f"{word!r} is no known line; known are {', '.join(LINES_KEV)}.")
        found.append(fitting[0])
    return list(dict.fromkeys(found))


def describe_cube(path: str | Path) -> str:
    """Return what a cube holds, in one line; raises ReadError where it is none."""
    rows, columns, channels = open_cube(path).shape
    return f"cube of {columns} x {rows} spectra, {channels} channels"
