"""Plots have the colours of the window, and a text instead of empty axes."""

import numpy as np
import pytest

pytest.importorskip("napari")

from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from qtpy.QtWidgets import QVBoxLayout, QWidget

from grainsmith.plots import draw_scatter
from grainsmith.ui.widgets.plot_canvas import Plot

DARK = "QWidget { background-color: #23242b; color: #f0f1f2; }"
LIGHT = "QWidget { background-color: #efebe9; color: #3b3a39; }"


@pytest.fixture
def window(qtbot):
    widget = QWidget()
    widget.setStyleSheet(DARK)
    QVBoxLayout(widget)
    qtbot.addWidget(widget)
    return widget


def _shown(window, plot):
    window.layout().addWidget(plot)
    window.show()
    return plot


def _scatter(axes):
    import pandas as pd

    table = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [0.0, 1.0, 4.0]})
    return draw_scatter(axes, table, "a", "b")


def test_plot_follows_the_theme_of_the_window(window, qtbot):
    plot = _shown(window, Plot())
    plot.draw(_scatter)
    qtbot.waitUntil(lambda: to_hex(plot.figure.get_facecolor()) == "#23242b")
    axes = plot.figure.axes[0]
    assert to_hex(axes.get_facecolor()) == "#23242b"
    assert to_hex(axes.xaxis.label.get_color()) == "#f0f1f2"
    window.setStyleSheet(LIGHT)
    qtbot.waitUntil(lambda: to_hex(plot.figure.get_facecolor()) == "#efebe9")
    assert to_hex(plot.figure.axes[0].xaxis.label.get_color()) == "#3b3a39"


def test_placeholder_replaces_empty_axes(window):
    plot = _shown(window, Plot("no grains measured yet"))
    (axes,) = plot.figure.axes
    assert not axes.axison
    assert [text.get_text() for text in axes.texts] == ["no grains measured yet"]


def test_saved_plot_is_white(window, tmp_path):
    plot = _shown(window, Plot())
    plot.draw(_scatter)
    plot.save(str(tmp_path / "plot.png"), dpi=50)
    pixels = np.asarray(Image.open(tmp_path / "plot.png").convert("RGB"))
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert (pixels < 100).any()  # axes and text are dark


def test_lasso_and_highlight_survive_a_change_of_theme(window, qtbot):
    plot, selected = _shown(window, Plot()), []
    points = plot.draw(_scatter)
    plot.select_by_lasso(points, lambda rows: selected.append(rows.tolist()))
    plot.highlight(np.array([False, True, False]))
    window.setStyleSheet(LIGHT)
    qtbot.waitUntil(lambda: to_hex(plot.figure.get_facecolor()) == "#efebe9")
    assert to_hex(plot._points.get_facecolor()[1]) == "#d9480f"
    plot._lasso.onselect([(-0.5, -0.5), (1.5, -0.5), (1.5, 1.5), (-0.5, 1.5)])
    assert selected == [[0, 1]]


def test_report_plots_are_white_by_default():
    axes = Figure().add_subplot()
    _scatter(axes)
    assert to_hex(axes.get_facecolor()) == "#ffffff"
