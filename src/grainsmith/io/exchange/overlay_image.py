"""The image with its grains drawn on it, for a talk or a report."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from grainsmith.errors import MismatchError
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_rgb
from grainsmith.io.exchange.folders import as_8bit
from grainsmith.io.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

_PLAIN = (255, 200, 0)
"""Outlines of grains without a mineral: seen on grey."""

_BAR_SHARE = 0.2


def write_overlay_image(path: str | Path, field: LabelledField) -> None:
    """Write a PNG: the image, the outlines in the colours of the minerals, a scale bar.

    Parameters
    ----------
    path : str or Path
        Ends in .png.
    field : LabelledField
        With its image; the bar is drawn where the pixel size is known.

    Raises
    ------
    MismatchError
        There is no image.
    """
    if field.image is None:
        raise MismatchError(f"'{field.name}' has no image to draw its grains on")
    grey = as_8bit(field.image)
    rgb = np.dstack([grey] * 3) if grey.ndim == 2 else grey.copy()
    colors = np.full((int(field.labels.max(initial=0)) + 1, 3), _PLAIN, np.uint8)
    for label, name in field.minerals.items():
        if name != UNNAMED and label < len(colors):
            colors[label] = class_rgb(name)
    edge = find_boundaries(field.labels, mode="inner")
    rgb[edge] = colors[field.labels[edge]]
    overlay = Image.fromarray(rgb)
    if field.pixel_size_um > 0:
        _draw_bar(overlay, field.pixel_size_um)
    with atomic_write(path) as temporary:
        overlay.save(temporary)


def bar_um(width_um: float) -> float:
    """Return the length of a scale bar: 1, 2 or 5 times a power of ten, a fifth of the width."""
    wanted = width_um * _BAR_SHARE
    power = 10.0 ** math.floor(math.log10(wanted))
    return max(step * power for step in (1, 2, 5) if step * power <= wanted)


def _font(size: int) -> ImageFont.FreeTypeFont:
    # Pillow's own font has no µ; the one that comes with matplotlib has.
    from matplotlib import get_data_path

    return ImageFont.truetype(f"{get_data_path()}/fonts/ttf/DejaVuSans.ttf", size)


def _draw_bar(overlay: Image.Image, pixel_size_um: float) -> None:
    width, height = overlay.size
    length_um = bar_um(width * pixel_size_um)
    length, thick = round(length_um / pixel_size_um), max(2, height // 120)
    margin, size = max(4, width // 50), max(10, height // 30)
    draw = ImageDraw.Draw(overlay)
    x, y = width - margin - length, height - margin - thick
    text = f"{length_um:g} µm" if length_um < 1000 else f"{length_um / 1000:g} mm"
    draw.rectangle((x - 2, y - 2, x + length + 1, y + thick + 1), fill="black")
    draw.rectangle((x, y, x + length - 1, y + thick - 1), fill="white")
    draw.text(
        (x + length / 2, y - 4),
        text,
        anchor="mb",
        fill="white",
        stroke_fill="black",
        stroke_width=2,
        font=_font(size),
    )
