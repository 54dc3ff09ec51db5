"""Segmentation in pieces: tiles are predicted once each, then grains are derived from windows.

Tiles, grey values, scales and interpolation are those of the whole image, so a window shows the
grains that the whole image would show, except for those cut by the window's edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.segment.normalize import MARGIN_PX, grid_shape, resize_part, scaled, support_px
from grainsmith.segment.prediction import (
    network_scale,
    network_scales,
    predict_tile,
    tile_slices,
    tile_weights,
)
from grainsmith.segment.types import Prediction, ScalePrediction

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.models.model import Model
    from grainsmith.segment.types import SegmentSettings

Window = tuple[int, int, int, int]
"""First row, row after the last, first column, column after the last."""

TileId = tuple[int, int, int]
"""Number of the scale, row and column of the tile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Positions of the tiles of an image.

    Attributes
    ----------
    shape : (Y, X)
        Of the image.
    scales : tuple of float
        Network pixels per image pixel of every octave, finest first.
    tiles : tuple of (rows, columns)
        For each octave the (start, stop) of its rows and columns of tiles on the network's grid,
        whose origin lies `MARGIN_PX` before that of the image.
    """

    shape: tuple[int, int]
    scales: tuple[float, ...]
    tiles: tuple[tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]], ...]

    def ids(self) -> list[TileId]:
        """List all tiles in order."""
        return [
            (s, i, j)
            for s, (rows, columns) in enumerate(self.tiles)
            for i, j in product(range(len(rows)), range(len(columns)))
        ]

    def grid(self, s: int) -> tuple[int, int]:
        """Return the shape of the network's grid at a scale."""
        return grid_shape(self.shape, self.scales[s])


def plan(
    shape: tuple[int, int], model: Model, settings: SegmentSettings, diameter_px: float
) -> Layout:
    """Lay out the tiles of an image as for a prediction of the whole image."""
    scales = network_scales(network_scale(model, diameter_px, shape), shape, settings)
    largest = model.tile_px or settings.tile_px
    tiles = []
    for scale in scales:
        rows, columns = (
            tuple((piece.start, piece.stop) for piece in tile_slices(n, model, largest))
            for n in grid_shape(shape, scale)
        )
        tiles.append((rows, columns))
    return Layout(shape=shape, scales=tuple(scales), tiles=tuple(tiles))


def predict_layout_tile(
    layout: Layout,
    tile: TileId,
    model: Model,
    read: Callable[[Window], npt.NDArray[np.float32]],
) -> npt.NDArray[np.float32]:
    """Predict one tile of a layout, (3, H, W).

    Parameters
    ----------
    layout : Layout
    tile : TileId
    model : Model
    read : callable
        Returns the normalised grey values of a window of the image.
    """
    s, i, j = tile
    scale = layout.scales[s]
    spans, beyond = [], []
    tile_spans = (layout.tiles[s][0][i], layout.tiles[s][1][j])
    for (first, end), length in zip(tile_spans, scaled(layout.shape, scale), strict=True):
        first, end = first - MARGIN_PX, end - MARGIN_PX
        spans.append((max(0, first), min(length, end)))
        beyond.append((max(0, -first), max(0, end - length)))
    reach = support_px(scale)
    edges: list[int] = []
    for (first, end), length in zip(spans, layout.shape, strict=True):
        edges += [
            max(0, int(np.floor(first / scale)) - reach),
            min(length, int(np.ceil(end / scale)) + reach),
        ]
    shape = (spans[0][1] - spans[0][0], spans[1][1] - spans[1][0])
    offset = (spans[0][0] / scale - edges[0], spans[1][0] / scale - edges[2])
    part = resize_part(read((edges[0], edges[1], edges[2], edges[3])), shape, scale, offset)
    return predict_tile(model, np.pad(part, beyond, mode="symmetric"))


def blend_window(
    layout: Layout,
    window: Window,
    read_tile: Callable[[TileId], npt.NDArray[np.float32]],
    *,
    diameter_px: float,
) -> Prediction:
    """Blend the tiles under a window of the image into a prediction."""
    return Prediction(
        octaves=tuple(_blend(layout, s, window, read_tile) for s in range(len(layout.scales))),
        shape=(window[1] - window[0], window[3] - window[2]),
        diameter_px=diameter_px,
        estimated=False,
        model="",
        fingerprint="",
        seconds={},
    )


def _blend(
    layout: Layout,
    s: int,
    window: Window,
    read_tile: Callable[[TileId], npt.NDArray[np.float32]],
) -> ScalePrediction:
    scale, grid = layout.scales[s], layout.grid(s)
    y0, x0 = (int(np.floor(first * scale)) for first in (window[0], window[2]))
    y1 = min(grid[0], int(np.ceil(window[1] * scale)) + 2 * MARGIN_PX)
    x1 = min(grid[1], int(np.ceil(window[3] * scale)) + 2 * MARGIN_PX)
    total = np.zeros((3, y1 - y0, x1 - x0), np.float32)
    weight = np.zeros(total.shape[1:], np.float32)
    for (i, rows), (j, columns) in product(*(enumerate(spans) for spans in layout.tiles[s])):
        top, bottom = max(rows[0], y0), min(rows[1], y1)
        left, right = max(columns[0], x0), min(columns[1], x1)
        if top >= bottom or left >= right:
            continue
        shape = (rows[1] - rows[0], columns[1] - columns[0])
        in_tile = (
            slice(top - rows[0], bottom - rows[0]),
            slice(left - columns[0], right - columns[0]),
        )
        weights = tile_weights(shape, grid)[in_tile]
        in_window = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
        total[(slice(None), *in_window)] += read_tile((s, i, j))[(slice(None), *in_tile)] * weights
        weight[in_window] += weights
    total /= weight
    offset = (window[0] * scale + MARGIN_PX - y0, window[2] * scale + MARGIN_PX - x0)
    return ScalePrediction(flows=total[:2], probability=total[2], scale=scale, offset=offset)
