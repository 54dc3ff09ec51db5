"""Draw a combo as one image."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.gallery.colors import hue_of
from grainsmith.gallery.text import width_of, wrapped, write

if TYPE_CHECKING:
    from grainsmith.gallery.combo import Combo, ComboTile
    from grainsmith.gallery.field import ImageRGB

_PAPER, _INK, _DIM = (26, 27, 32), (238, 238, 238), (165, 168, 178)
_BRIGHT, _WARNING = (255, 226, 110), (255, 150, 60)
_GROUP = (150, 153, 163)
_SMALL, _LINE = 11, 15
_GAP, _HEAD = 6, 40


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Layout of a combo, in pixels."""

    tile: int
    gap: int = _GAP
    title: int = 15
    lines: int = 28
    head: int = _HEAD

    @property
    def step_y(self) -> int:
        return self.tile + self.title + self.lines + self.gap

    @property
    def step_x(self) -> int:
        return self.tile + self.gap


def draw_combo(combo: Combo) -> ImageRGB:
    """Draw a combo.

    Returns
    -------
    (Y, X, 3) uint8 array
        As wide as one row of tiles.
    """
    tile = combo.tiles[0].image.shape[0]
    places = len(combo.tiles) + bool(combo.bars)
    columns = min(combo.columns, places)
    lines = wrapped(combo.richer, columns * (tile + _GAP) - _GAP, partial(width_of, size_px=_SMALL))
    sheet = _Sheet(tile=tile, head=_HEAD + _LINE * len(lines))
    rows = -(-places // columns)
    image = np.empty(
        (sheet.head + rows * sheet.step_y, sheet.gap + columns * sheet.step_x, 3), np.uint8
    )
    image[:] = _PAPER
    width = image.shape[1] - 2 * sheet.gap
    write(image, combo.title, at=(17, 6), size_px=14, color=_INK, bold=True, max_width_px=width)
    write(image, combo.subtitle, at=(33, 6), size_px=11, color=_DIM, max_width_px=width)
    for number, line in enumerate(lines):
        base = _HEAD + _LINE * number + 7
        write(image, line, at=(base, 6), size_px=_SMALL, color=_BRIGHT, max_width_px=width)
    for place in range(places):
        top = sheet.head + place // columns * sheet.step_y
        left = sheet.gap + place % columns * sheet.step_x
        block = image[top : top + sheet.step_y, left : left + sheet.tile]
        if place < len(combo.tiles):
            _draw_tile(block, combo.tiles[place], sheet)
        else:
            _draw_bars(block, combo, sheet)
    return image


def _draw_tile(block: ImageRGB, tile: ComboTile, sheet: _Sheet) -> None:
    write(block, tile.title, at=(11, 0), size_px=12, color=_INK, bold=True, max_width_px=sheet.tile)
    shown = block[sheet.title : sheet.title + sheet.tile]
    shown[:] = tile.image
    if tile.scale_bar:
        length = round(tile.scale_bar * sheet.tile)
        shown[-9:-4, 4 : 8 + length] = 0
        shown[-8:-5, 6 : 6 + length] = 255
    if tile.warning:
        shown[:14] = shown[:14] // 4
        write(
            shown, tile.warning, at=(10, 3), size_px=9, color=_WARNING, max_width_px=sheet.tile - 6
        )
    base = sheet.title + sheet.tile
    write(block, tile.caption, at=(base + 12, 0), size_px=10, color=_INK, max_width_px=sheet.tile)
    color = _BRIGHT if "▲" in tile.note else _DIM
    write(block, tile.note, at=(base + 25, 0), size_px=9, color=color, max_width_px=sheet.tile)


def _draw_bars(block: ImageRGB, combo: Combo, sheet: _Sheet) -> None:
    """Draw the grain (coloured) next to the mean of its group (grey, ± 1 sd) for each element."""
    write(
        block,
        combo.bars_title,
        at=(11, 0),
        size_px=11,
        color=_INK,
        bold=True,
        max_width_px=sheet.tile,
    )
    height = sheet.tile - 14
    chart = block[sheet.title : sheet.title + height]
    chart[:] = (36, 37, 43)
    step = sheet.tile / len(combo.bars)
    half = max(1, int(0.42 * step))
    for place, bar in enumerate(combo.bars):
        left = round(place * step)
        _column(chart, left, half, bar.grain, hue_of(bar.element))
        _column(chart, left + half, half, bar.group, _GROUP)
        low, high = (
            height - round(height * np.clip(bar.group + sign * bar.group_spread, 0, 1))
            for sign in (-1, 1)
        )
        chart[high : low + 1, left + half + half // 2] = _INK
        write(block, bar.element, at=(sheet.title + height + 11, left), size_px=9, color=_DIM)
    base = sheet.title + sheet.tile
    text = "colour: grain · grey: group ± sd"
    write(block, text, at=(base + 12, 0), size_px=9, color=_DIM, max_width_px=sheet.tile)
    write(
        block, "100 % = richest grain", at=(base + 25, 0), size_px=9, color=_DIM,
        max_width_px=sheet.tile,
    )  # fmt: skip


def _column(
    chart: ImageRGB, left: int, width: int, share: float, color: tuple[int, int, int]
) -> None:
    top = len(chart) - round(len(chart) * float(np.clip(np.nan_to_num(share), 0, 1)))
    chart[top:, left : left + width] = color
