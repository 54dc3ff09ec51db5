"""A plot in a panel: matplotlib's canvas, and a lasso round the points of a scatter plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.path import Path as Outline
from matplotlib.widgets import LassoSelector
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

_CHOSEN = "#d9480f"


class Plot(QWidget):
    """One figure, drawn anew each time.

    Attributes
    ----------
    figure : Figure
        To be saved.
    """

    def __init__(self) -> None:
        super().__init__()
        self.figure = Figure(figsize=(3.0, 2.7), layout="constrained")
        self._canvas = FigureCanvasQTAgg(self.figure)
        self._canvas.setMinimumHeight(260)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._canvas)
        self._lasso: LassoSelector | None = None
        self._points: PathCollection | None = None
        self._colour: Any = None

    def draw(self, draw: Callable[[Axes], Any], *, polar: bool = False) -> Any:
        """Clear the figure, let draw(axes) fill it, and return what that returns."""
        self._lasso = self._points = None
        self.figure.clear()
        axes = self.figure.add_subplot(projection="polar" if polar else None)
        axes.tick_params(labelsize=8)
        result = draw(axes)
        axes.xaxis.label.set_fontsize(9)
        axes.yaxis.label.set_fontsize(9)
        self._canvas.draw_idle()
        return result

    def show_text(self, text: str) -> None:
        """Show a text instead of a plot."""

        def draw(axes: Axes) -> None:
            axes.set_axis_off()
            axes.text(
                0.5, 0.5, text, ha="center", va="center", color="0.4", transform=axes.transAxes
            )

        self.draw(draw)

    def choose_by_lasso(
        self, axes: Axes, points: PathCollection, slot: Callable[[Any], None]
    ) -> None:
        """Call slot(rows) with the numbers of the points round which a lasso is drawn."""

        def on_lasso(corners: Any) -> None:
            inside = Outline(corners).contains_points(points.get_offsets())
            slot(np.flatnonzero(inside))

        self._points, self._colour = points, np.array(points.get_facecolor())[:1]
        points.set_alpha(None)  # else the alpha of all would override that of each
        self._lasso = LassoSelector(axes, on_lasso, props={"color": _CHOSEN})

    def mark(self, chosen: Any) -> None:
        """Show in another colour the points of a scatter plot where `chosen` (N,) is true."""
        if self._points is None:
            return
        colours = np.repeat(np.asarray(self._colour), len(chosen), axis=0)
        if np.any(chosen):
            colours[:, 3] = 0.25
            colours[np.asarray(chosen)] = (*_rgb(_CHOSEN), 1.0)
        self._points.set_facecolor(colours)
        self._canvas.draw_idle()


def _rgb(code: str) -> tuple[float, float, float]:
    red, green, blue = (int(code[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue
