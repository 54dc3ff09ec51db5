"""Text as pixels, fast: an image per click leaves no time for a plotting library."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.ft2font import FT2Font

    from grainsmith.gallery.field import Picture

Colour = tuple[int, int, int]


def write(
    picture: Picture,
    text: str,
    *,
    at: tuple[int, int],
    size_px: int,
    colour: Colour,
    bold: bool = False,
    room_px: int = 0,
) -> None:
    """Write one line of text into an image, in place.

    Parameters
    ----------
    picture : (Y, X, 3) uint8 array
        What lies outside of it is cut off.
    text : str
        In DejaVu Sans, which comes with matplotlib: σ, µ, ± and ▲ are there on every machine.
    at : (int, int)
        Row of the base line, column of the first letter.
    size_px : int
        Height of the letters from accent to descender, roughly.
    colour : (int, int, int)
        Red, green, blue.
    bold : bool
        Heavy letters.
    room_px : int
        Text wider than this ends in "…"; 0 = no limit.
    """
    if not text:
        return
    mask, ascent = _mask(_fitting(text, size_px, bold, room_px), size_px, bold)
    top, left = at[0] - ascent, at[1]
    rows = slice(max(top, 0), min(top + mask.shape[0], picture.shape[0]))
    columns = slice(max(left, 0), min(left + mask.shape[1], picture.shape[1]))
    ink = mask[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    under = picture[rows, columns].astype(np.float32)
    share = ink[..., np.newaxis].astype(np.float32) / 255
    picture[rows, columns] = (under + share * (np.array(colour) - under)).astype(np.uint8)


def width_of(text: str, size_px: int, *, bold: bool = False) -> int:
    """Return how wide a text is, in pixels."""
    return int(_mask(text, size_px, bold)[0].shape[1]) if text else 0


def wrapped(text: str, room: int, width: Callable[[str], int]) -> list[str]:
    """Cut a text at its spaces into lines that are no wider than the room; no line for no text."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _fitting(text: str, size_px: int, bold: bool, room_px: int) -> str:
    if room_px <= 0 or width_of(text, size_px, bold=bold) <= room_px:
        return text
    while len(text) > 1 and width_of(f"{text}…", size_px, bold=bold) > room_px:
        text = text[:-1].rstrip()
    return f"{text}…"


@lru_cache(maxsize=4)
def _font(size_px: int, bold: bool) -> FT2Font:
    from matplotlib import font_manager
    from matplotlib.ft2font import FT2Font

    name = font_manager.FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    font = FT2Font(font_manager.findfont(name))
    font.set_size(size_px, 72)
    return font


@lru_cache(maxsize=4096)
def _mask(text: str, size_px: int, bold: bool) -> tuple[npt.NDArray[np.uint8], int]:
    """Return the ink of a text, 0..255, and the row of its base line."""
    font = _font(size_px, bold)
    font.set_text(text, 0.0)
    font.draw_glyphs_to_bitmap(antialiased=True)
    mask = np.array(font.get_image(), dtype=np.uint8)
    return mask, mask.shape[0] - round(font.get_descent() / 64)
