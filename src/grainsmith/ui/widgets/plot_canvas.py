"""A matplotlib plot in the colours of the window, with a lasso for scatter plots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.path import Path as Polygon
from matplotlib.widgets import LassoSelector
from qtpy.QtCore import QEvent
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

_FIGURE_INCHES = (3.0, 2.7)
_HEIGHT_PX = 260
_HIGHLIGHT = "#d9480f"
_FAINT_ALPHA = 0.25
_GRID_SHARE = 0.3
"""Colour of the grid between background and text."""

_SIZES = {
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "axes.labelsize": 9,
    "legend.fontsize": 8,
}


class Plot(QWidget):
    """A figure that is drawn again in other colours when the theme of the window changes.

    Parameters
    ----------
    placeholder : str
        Text that is shown until something is drawn.

    Attributes
    ----------
    figure : Figure
    """

    def __init__(self, placeholder: str = "") -> None:
        super().__init__()
        self.figure = Figure(figsize=_FIGURE_INCHES, layout="constrained")
        self._canvas = FigureCanvasQTAgg(self.figure)
        self._canvas.setMinimumHeight(_HEIGHT_PX)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._canvas)
        self._draw: Callable[[Axes], Any] = lambda axes: axes.set_axis_off()
        self._is_polar = False
        self._colors = ("", "")
        self._lasso: LassoSelector | None = None
        self._on_lasso: Callable[[Any], None] | None = None
        self._points: PathCollection | None = None
        self._point_color: Any = None
        self._highlighted: Any = None
        self.show_text(placeholder)

    def draw(self, draw: Callable[[Axes], Any], *, polar: bool = False) -> Any:
        """Clear the figure, let draw(axes) fill it, and return its result."""
        self._draw, self._is_polar = draw, polar
        self._on_lasso = self._highlighted = None
        return self._redraw()

    def show_text(self, text: str) -> None:
        """Show a text instead of a plot, such as what is missing."""

        def draw(axes: Axes) -> None:
            axes.set_axis_off()
            axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes)

        self.draw(draw)

    def save(self, path: str, *, dpi: float = 300) -> None:
        """Save the plot on white, whatever the theme of the window."""
        with mpl.rc_context(_SIZES):
            figure = Figure(figsize=_FIGURE_INCHES, layout="constrained")
            self._draw(figure.add_subplot(projection="polar" if self._is_polar else None))
            figure.savefig(path, dpi=dpi)

    def select_by_lasso(self, points: PathCollection, slot: Callable[[Any], None]) -> None:
        """Call slot(rows) with the indices of the points inside a drawn lasso.

        Parameters
        ----------
        points : PathCollection
            Result of the last `draw`.
        slot : callable
        """
        self._on_lasso = slot
        self._add_lasso(points)

    def highlight(self, selected: Any) -> None:
        """Highlight the points of a scatter plot where `selected` (N,) is true."""
        self._highlighted = np.asarray(selected)
        if self._points is None:
            return
        colors = np.repeat(np.asarray(self._point_color), len(self._highlighted), axis=0)
        if self._highlighted.any():
            colors[:, 3] = _FAINT_ALPHA
            colors[self._highlighted] = (*to_rgb(_HIGHLIGHT), 1.0)
        self._points.set_facecolor(colors)
        self._canvas.draw_idle()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw again in the colours of another theme."""
        super().changeEvent(event)
        kinds = (QEvent.Type.StyleChange, QEvent.Type.PaletteChange)
        if event.type() in kinds and self._window_colors() != self._colors:
            self._redraw()

    def _redraw(self) -> Any:
        self._colors = self._window_colors()
        self._lasso = self._points = None
        self.figure.clear()
        with mpl.rc_context(_style(*self._colors)):
            self.figure.set_facecolor(self._colors[0])
            axes = self.figure.add_subplot(projection="polar" if self._is_polar else None)
            result = self._draw(axes)
        if self._on_lasso is not None:
            self._add_lasso(result)
        if self._highlighted is not None:
            self.highlight(self._highlighted)
        self._canvas.draw_idle()
        return result

    def _add_lasso(self, points: PathCollection) -> None:
        def select(corners: Any) -> None:
            if self._on_lasso is not None:
                inside = Polygon(corners).contains_points(points.get_offsets())
                self._on_lasso(np.flatnonzero(inside))

        self._points, self._point_color = points, np.array(points.get_facecolor())[:1]
        points.set_alpha(None)  # else the alpha of all would override that of each
        self._lasso = LassoSelector(self.figure.axes[0], select, props={"color": _HIGHLIGHT})

    def _window_colors(self) -> tuple[str, str]:
        """Return the colours of background and text."""
        palette = self.palette()
        roles = (QPalette.ColorRole.Window, QPalette.ColorRole.WindowText)
        background, text = (palette.color(role).name() for role in roles)
        return background, text


def _style(background: str, text: str) -> dict[str, Any]:
    """Return matplotlib's parameters for a theme."""
    grid = (1 - _GRID_SHARE) * np.array(to_rgb(background)) + _GRID_SHARE * np.array(to_rgb(text))
    return {
        **_SIZES,
        "axes.facecolor": background,
        "axes.edgecolor": text,
        "axes.labelcolor": text,
        "axes.titlecolor": text,
        "text.color": text,
        "xtick.color": text,
        "ytick.color": text,
        "grid.color": tuple(grid),
        "legend.labelcolor": text,
    }
