"""Draw text into images with Pillow."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from grainsmith.gallery.field import ImageRGB

Color = tuple[int, int, int]


def write(
    image: ImageRGB,
    text: str,
    *,
    at: tuple[int, int],
    size_px: int,
    color: Color,
    bold: bool = False,
    max_width_px: int = 0,
) -> None:
    """Write one line of text into an image, in place.

    Parameters
    ----------
    image : (Y, X, 3) uint8 array
        Text outside the image is cut off.
    text : str
        Drawn in DejaVu Sans, which comes with matplotlib and contains σ, µ, ± and ▲.
    at : (int, int)
        Row of the baseline, column of the first letter.
    size_px : int
        Font size.
    color : (int, int, int)
        Red, green, blue.
    bold : bool
        Use the bold font.
    max_width_px : int
        Wider text ends in "…"; 0 = no limit.
    """
    if not text:
        return
    ink = _ink(_shortened(text, size_px, bold, max_width_px), size_px, bold)
    ascent = _font(size_px, bold).getmetrics()[0]
    top, left = at[0] - ascent, at[1]
    rows = slice(max(top, 0), min(top + ink.shape[0], image.shape[0]))
    columns = slice(max(left, 0), min(left + ink.shape[1], image.shape[1]))
    window = ink[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    under = image[rows, columns].astype(np.float32)
    share = window[..., np.newaxis].astype(np.float32) / 255
    image[rows, columns] = (under + share * (np.array(color) - under)).astype(np.uint8)


def width_of(text: str, size_px: int, *, bold: bool = False) -> int:
    """Return the width of a text in pixels."""
    return int(np.ceil(_font(size_px, bold).getlength(text)))


def wrapped(text: str, max_width: int, width: Callable[[str], int]) -> list[str]:
    """Break a text at spaces into lines of up to `max_width`; no lines for an empty text."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer) <= max_width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _shortened(text: str, size_px: int, bold: bool, max_width_px: int) -> str:
    if max_width_px <= 0 or width_of(text, size_px, bold=bold) <= max_width_px:
        return text
    while len(text) > 1 and width_of(f"{text}…", size_px, bold=bold) > max_width_px:
        text = text[:-1].rstrip()
    return f"{text}…"


@lru_cache(maxsize=16)
def _font(size_px: int, bold: bool) -> ImageFont.FreeTypeFont:
    from matplotlib import font_manager

    name = font_manager.FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
    path = font_manager.findfont(name)
    # The basic layout is the same whether or not Pillow was built with Raqm.
    return ImageFont.truetype(path, size_px, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def _ink(text: str, size_px: int, bold: bool) -> npt.NDArray[np.uint8]:
    """Render a text from its ascender line: (height, width) coverage, 0..255."""
    font = _font(size_px, bold)
    canvas = Image.new("L", (width_of(text, size_px, bold=bold) + 2, sum(font.getmetrics())))
    ImageDraw.Draw(canvas).text((0, 0), text, fill=255, font=font)
    return np.asarray(canvas)
