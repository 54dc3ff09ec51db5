"""Compute element maps from a spectrum cube: the counts in a window around each X-ray line."""

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
"""Of files that may hold a cube; a .raw is opened through its .rpl."""


def read_cube_maps(
    path: str | Path, lines: str = "", *, on_progress: OnProgress = no_progress
) -> tuple[tuple[ElementMap, ...], tuple[str, ...]]:
    """Read the element maps of a cube.

    Parameters
    ----------
    path : str or Path
        A .rpl with its .raw, or a cube of HyperSpy (.hspy, .h5, .hdf5).
    lines : str
        "Si Ka, Fe Ka", or symbols alone; "" = the lines detected in the sum spectrum.
    on_progress : callable
        Called as on_progress(rows done, total rows) during each of the one or two readings.

    Returns
    -------
    tuple of ElementMap, tuple of str
        The maps, and notes.

    Raises
    ------
    ReadError
        The file is not a cube, or claims more than it holds.
    MismatchError
        A line is unknown or outside the spectra, or none was detected.
    """
    cube = open_cube(path)
    chosen = parse_lines(lines) or find_lines(cube, on_progress=on_progress)
    if not chosen:
        raise MismatchError(
            f"{Path(path).name}: no X-ray line was detected in its spectra. Name the lines, such "
            "as 'Si Ka, Fe Ka'."
        )
    maps = tuple(line_maps(cube, chosen, on_progress=on_progress))
    origin = "as requested" if lines.strip() else "detected in the spectra; name any others"
    return maps, (f"{', '.join(chosen)}: {origin}", *cube.notes)


def parse_lines(text: str) -> list[str]:
    """Return the X-ray lines named in a text, without repeats; a symbol stands for its first line.

    Raises
    ------
    MismatchError
        A line is unknown.
    """
    lines = []
    for word in filter(None, (" ".join(part.split()) for part in re.split(r"[,;]", text))):
        matches = [line for line in LINES_KEV if word in (line, line.split()[0])]
        if not matches:
            raise MismatchError(f"{word!r} is no known line; known are {', '.join(LINES_KEV)}.")
        lines.append(matches[0])
    return list(dict.fromkeys(lines))


def describe_cube(path: str | Path) -> str:
    """Describe a cube in one line; raise ReadError if the file is not one."""
    rows, columns, channels = open_cube(path).shape
    return f"cube of {columns} x {rows} spectra, {channels} channels"
