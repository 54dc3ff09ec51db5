"""Grains in the colours of a column of their table."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
from napari.utils.colormaps import DirectLabelColormap
from pandas.api.types import is_numeric_dtype

if TYPE_CHECKING:
    from typing import Any

    import pandas as pd
    from napari.layers import Labels

_UNKNOWN = (0.55, 0.55, 0.55, 1.0)
_BEFORE: WeakKeyDictionary[Labels, Any] = WeakKeyDictionary()


def color_grains(layer: Labels, column: pd.Series) -> str:
    """Colour every grain by its value; those without one, and new ones, are grey.

    Parameters
    ----------
    layer : Labels layer
    column : Series
        Index `label`; numbers go from dark to bright between their 2nd and 98th per cent, words
        have a colour each.

    Returns
    -------
    str
        What the colours mean.
    """
    _BEFORE.setdefault(layer, layer.colormap)
    colours, meaning = _of_numbers(column) if is_numeric_dtype(column) else _of_words(column)
    table: dict[int | None, Any] = {None: _UNKNOWN, 0: (0.0, 0.0, 0.0, 0.0)}
    table.update(zip(column.index.tolist(), colours, strict=True))
    layer.colormap = DirectLabelColormap(color_dict=table)
    return meaning


def restore_colors(layer: Labels) -> None:
    """Give the grains back the colours that they had."""
    if layer in _BEFORE:
        layer.colormap = _BEFORE.pop(layer)


def _of_numbers(column: pd.Series) -> tuple[np.ndarray, str]:
    values = column.to_numpy(dtype=float)
    known = values[np.isfinite(values)]
    low, high = np.percentile(known, [2, 98]) if len(known) else (0.0, 1.0)
    colours = mpl.colormaps["viridis"]((values - low) / max(high - low, 1e-12))
    colours[~np.isfinite(values)] = _UNKNOWN
    return colours, f"dark {low:.4g} to bright {high:.4g}"


def _of_words(column: pd.Series) -> tuple[np.ndarray, str]:
    words = column.fillna("").astype(str)
    names = [name for name in words.value_counts().index if name]
    wheel = mpl.colormaps["tab20"](np.arange(20))[:, :3].tolist()
    of_name = {name: (*wheel[i % len(wheel)], 1.0) for i, name in enumerate(names)}
    colours = np.array([of_name.get(word, _UNKNOWN) for word in words]).reshape(-1, 4)
    return colours, f"{len(names)} words, a colour each"
