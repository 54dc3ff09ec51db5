"""Pairs of points, clicked by turns on reference and map: with the error of each, and undo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QVBoxLayout, QWidget

from grainsmith.align import MODELS, POINTS_NEEDED, fit_points, leave_one_out_px, residuals_px
from grainsmith.data import Transform
from grainsmith.ui.layers.geometry import place_of, transform_of
from grainsmith.ui.panels.base import button, label

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Points

_LOOKS = ({"symbol": "cross", "face_color": "cyan"}, {"symbol": "x", "face_color": "red"})


class PointPairs(QWidget):
    """Click the same place on the reference, then on the map; three places give any transform."""

    found = Signal(object)  # the Transform, when Apply is pressed

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._pictures: tuple[Image, Image] | None = None
        self._layers: tuple[Points, Points] | None = None
        self._model = QComboBox()
        self._model.addItems(MODELS)
        self._model.setCurrentText("similarity")
        self._model.setToolTip("shift: 1 pair; similarity (turn, zoom): 2; affine: 3 or more")
        self._says = label("")
        self._start = button("Set points", self._toggle, tip="Click by turns: reference, then map")
        self._undo = button("Undo point", self.undo, tip="Take the last click back")
        self._apply = button("Apply", self.apply, tip="Move the map by these pairs")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        row = QHBoxLayout()
        for widget in (self._start, self._model):
            row.addWidget(widget)
        layout.addLayout(row)
        self._row = QWidget()
        below = QHBoxLayout(self._row)
        below.setContentsMargins(0, 0, 0, 0)
        for widget in (self._undo, self._apply):
            below.addWidget(widget)
        layout.addWidget(self._row)
        layout.addWidget(self._says)
        self._row.hide()
        self._model.currentTextChanged.connect(lambda _: self._refresh())

    @property
    def running(self) -> bool:
        """Whether points are being set."""
        return self._layers is not None

    def choose(self, reference: Image | None, moving: Image | None) -> None:
        """Say which images the points belong to; others end what was begun."""
        wanted = None if reference is None or moving is None else (reference, moving)
        if wanted != self._pictures:
            self.stop()
            self._pictures = wanted

    def _toggle(self) -> None:
        if self.running:
            self.stop()
        else:
            self.begin()

    def begin(self) -> None:
        """Make the two layers of points and take clicks on the first."""
        if self._pictures is None:
            self._says.setText("Choose a map in the table first.")
            return
        names = [f"points on {picture.name}" for picture in self._pictures]
        first, second = (
            self._viewer.add_points(
                np.empty((0, 2)),
                name=name,
                size=max(4, min(picture.data.shape[:2]) // 60),
                **look,
                **place_of(picture),
            )
            for name, picture, look in zip(names, self._pictures, _LOOKS, strict=True)
        )
        self._layers = (first, second)
        for layer in self._layers:
            layer.events.data.connect(self._on_points)
        self._start.setText("End points")
        self._row.show()
        self._refresh()

    def stop(self) -> None:
        """Take the points away."""
        layers, self._layers = self._layers, None
        for layer in layers or ():
            layer.events.data.disconnect(self._on_points)
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._start.setText("Set points")
        self._row.hide()
        self._says.setText("")

    def _on_points(self, _event: Any = None) -> None:
        self._refresh()

    def pairs(self) -> tuple[Any, Any]:
        """Return the complete pairs: points of the map and of the reference, (N, 2) in pixels."""
        if self._layers is None:
            return np.empty((0, 2)), np.empty((0, 2))
        reference, moving = (np.asarray(layer.data).reshape(-1, 2) for layer in self._layers)
        count = min(len(reference), len(moving))
        return moving[:count], reference[:count]

    def undo(self) -> None:
        """Take the last click back."""
        if self._layers is None:
            return
        first, second = self._layers
        last = second if len(second.data) >= len(first.data) else first
        if len(last.data):
            last.data = last.data[:-1]
        self._refresh()

    def _refresh(self) -> None:
        if self._layers is None:
            return
        if any(layer not in self._viewer.layers for layer in self._layers):
            self.stop()
            return
        first, second = self._layers
        wanted = first if len(first.data) <= len(second.data) else second
        if self._viewer.layers.selection.active != wanted:
            self._viewer.layers.selection.active = wanted
        wanted.mode = "add"
        self._says.setText(self._text(wanted is first))

    def _text(self, on_reference: bool) -> str:
        moving, reference = self.pairs()
        model = self._model.currentText()
        where = "the reference (cross)" if on_reference else "the map (x)"
        missing = POINTS_NEEDED[model] - len(moving)
        self._apply.setEnabled(missing <= 0)
        if missing > 0:
            return f"Click on {where}. {missing} more pair{'s'[: missing > 1]} needed."
        try:
            matrix = fit_points(moving, reference, model)
        except ValueError as error:
            self._apply.setEnabled(False)
            return f"Click on {where}. {str(error).capitalize()}."
        errors = residuals_px(moving, reference, matrix)
        honest = leave_one_out_px(moving, reference, model)
        lines = [
            f"{number}: residual {error:.2f} px"
            + (f", without it off by {other:.2f} px" if np.isfinite(other) else "")
            for number, (error, other) in enumerate(zip(errors, honest, strict=True), start=1)
        ]
        more = "" if np.isfinite(honest).all() else " One more pair would tell the true error."
        return "\n".join([*lines, f"Apply, or click on {where}.{more}"])

    def apply(self) -> None:
        """Hand over the transform of the pairs."""
        moving, reference = self.pairs()
        if self._pictures is None or not len(moving):
            return
        try:
            matrix = fit_points(moving, reference, self._model.currentText())
        except ValueError as error:
            self._says.setText(f"{str(error).capitalize()}.")
            return
        z = transform_of(self._pictures[1], self._pictures[0]).z
        self.found.emit(Transform(matrix=matrix, z=z, verdict="by hand"))
        if self._layers is not None:  # the points go with their map
            self._layers[1].affine = place_of(self._pictures[1])["affine"]
            self._says.setText(f"Moved by {len(moving)} pairs.\n" + self._says.text())
