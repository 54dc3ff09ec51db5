"""Colour grains by a column of their table."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
from napari.utils.colormaps import CyclicLabelColormap, DirectLabelColormap, label_colormap
from pandas.api.types import is_numeric_dtype

if TYPE_CHECKING:
    from typing import Any

    import pandas as pd
    from napari.layers import Labels

_NO_VALUE = (0.55, 0.55, 0.55, 1.0)
_PERCENTILES = (2, 98)
_N_CANDIDATES = 150
_MIN_SATURATION, _MIN_VALUE = 0.5, 0.55
_ORIGINAL: WeakKeyDictionary[Labels, Any] = WeakKeyDictionary()


def grain_colormap() -> CyclicLabelColormap:
    """Return a colormap of grains without dark and greyish colours, which vanish on grey grains."""
    colors = label_colormap(_N_CANDIDATES).colors
    brightest, dullest = colors[:, :3].max(axis=1), colors[:, :3].min(axis=1)
    is_vivid = (brightest - dullest > _MIN_SATURATION * brightest) & (brightest > _MIN_VALUE)
    # napari does not use the first colour: it is that of the background.
    palette = np.concatenate([np.zeros((1, 4)), colors[is_vivid]])
    return CyclicLabelColormap(colors=palette, name="grains")


def color_grains(layer: Labels, column: pd.Series) -> str:
    """Colour each grain by its value; grains without a value, and new ones, are grey.

    Parameters
    ----------
    layer : Labels layer
    column : Series
        Index `label`. Numbers run from dark to bright between their 2nd and 98th percentiles, each
        word has a colour of its own.

    Returns
    -------
    str
        Legend.
    """
    _ORIGINAL.setdefault(layer, layer.colormap)
    by_number = is_numeric_dtype(column)
    colors, legend = _colors_of_numbers(column) if by_number else _colors_of_words(column)
    table: dict[int | None, Any] = {None: _NO_VALUE, 0: (0.0, 0.0, 0.0, 0.0)}
    table.update(zip(column.index.tolist(), colors, strict=True))
    layer.colormap = DirectLabelColormap(color_dict=table)
    return legend


def restore_colors(layer: Labels) -> None:
    """Undo `color_grains`."""
    if layer in _ORIGINAL:
        layer.colormap = _ORIGINAL.pop(layer)


def _colors_of_numbers(column: pd.Series) -> tuple[np.ndarray, str]:
    values = column.to_numpy(dtype=float)
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, _PERCENTILES) if len(finite) else (0.0, 1.0)
    colors = mpl.colormaps["viridis"]((values - low) / max(high - low, 1e-12))
    colors[~np.isfinite(values)] = _NO_VALUE
    return colors, f"dark {low:.4g} to bright {high:.4g}"


def _colors_of_words(column: pd.Series) -> tuple[np.ndarray, str]:
    words = column.fillna("").astype(str)
    names = [name for name in words.value_counts().index if name]
    palette = mpl.colormaps["tab20"](np.arange(20))[:, :3].tolist()
    color_of = {name: (*palette[i % len(palette)], 1.0) for i, name in enumerate(names)}
    colors = np.array([color_of.get(word, _NO_VALUE) for word in words]).reshape(-1, 4)
    return colors, f"{len(names)} words, one colour each"
