"""Colours of grains: vivid, by a column of the table, and back."""

import numpy as np
import pandas as pd
from napari.layers import Image, Labels

from grainsmith.minerals import colors_of
from grainsmith.ui.layers.label_colors import color_grains, grain_colormap, restore_colors
from grainsmith.ui.layers.labels import labels_options

LABELS = np.arange(12, dtype=np.int32).reshape(3, 4)


def _saturation(colors):
    brightest, dullest = colors[:, :3].max(axis=1), colors[:, :3].min(axis=1)
    return (brightest - dullest) / brightest


def test_grains_have_no_grey_or_dark_colours():
    image = Image(np.zeros((3, 4), np.uint8), name="field")
    layer = Labels(LABELS, **labels_options(image, name="grains"))
    colors = np.asarray(layer.colormap.map(np.arange(1, 2000)))
    assert _saturation(colors).min() > 0.5
    assert colors[:, :3].max(axis=1).min() > 0.5
    assert len(np.unique(colors, axis=0)) > 40
    np.testing.assert_array_equal(layer.colormap.map(np.array([0])), [[0, 0, 0, 0]])


def test_neighbouring_numbers_differ():
    colors = np.asarray(grain_colormap().map(np.arange(1, 200)))
    assert np.abs(np.diff(colors[:, :3], axis=0)).max(axis=1).min() > 0.05


def test_grains_are_coloured_by_a_column_and_back():
    layer = Labels(LABELS)
    original = layer.colormap
    values = pd.Series([1.0, 2.0, np.nan], index=pd.Index([1, 2, 3], name="label"))
    assert color_grains(layer, values) == "dark 1.02 to bright 1.98"
    colors = np.asarray(layer.colormap.map(np.array([1, 2, 3])))
    np.testing.assert_allclose(colors[2, :3], 0.55, atol=0.01)
    assert colors[1].sum() > colors[0].sum()
    words = pd.Series(["a", "b", ""], index=values.index)
    assert color_grains(layer, words) == "2 words, one colour each"
    restore_colors(layer)
    assert layer.colormap is original


def test_unknown_minerals_are_not_the_brightest():
    colors = colors_of(["quartz", "calcite", "unknown", "unmapped"])
    brightness = {
        name: sum(int(code[i : i + 2], 16) for i in (1, 3, 5)) for name, code in colors.items()
    }
    assert max(brightness["unknown"], brightness["unmapped"]) < brightness["quartz"]
    assert brightness["unknown"] < brightness["calcite"]
    assert brightness["unknown"] != brightness["unmapped"]
