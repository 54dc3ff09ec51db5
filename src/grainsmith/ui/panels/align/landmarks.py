"""Pairs of landmarks, clicked on the reference and on the map in turn, with their residuals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QComboBox, QVBoxLayout, QWidget

from grainsmith.align import MODELS, POINTS_NEEDED, fit_points, leave_one_out_px, residuals_px
from grainsmith.data import Transform
from grainsmith.ui.layers.geometry import place_of, transform_of
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.hints import message_of
from grainsmith.ui.widgets.layouts import row_of

if TYPE_CHECKING:
    import napari
    from napari.layers import Image, Points

_STYLES = ({"symbol": "cross", "face_color": "cyan"}, {"symbol": "x", "face_color": "red"})


class LandmarkPairs(QWidget):
    """Click the same feature on the reference, then on the map; three pairs fit any transform."""

    fitted = Signal(object)
    """Sent with the Transform when Apply is pressed."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._images: tuple[Image, Image] | None = None
        self._layers: tuple[Points, Points] | None = None
        self._model = QComboBox()
        self._model.addItems(MODELS)
        self._model.setCurrentText("similarity")
        self._model.setToolTip("shift: 1 pair; similarity (rotation, scale): 2; affine: 3 or more")
        self._note = label("")
        self._start = button(
            "Set points",
            self._toggle,
            tip="Click the same feature on the reference, then on the map",
        )
        self._undo = button("Undo point", self.undo, tip="Remove the last point")
        self._apply = button("Apply", self.apply, tip="Move the map so that the pairs coincide")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(row_of(self._start, self._model))
        self._row = row_of(self._undo, self._apply)
        layout.addWidget(self._row)
        layout.addWidget(self._note)
        self._row.hide()
        self._model.currentTextChanged.connect(lambda _: self._refresh())

    @property
    def note(self) -> str:
        """What to click next, or the residuals."""
        return str(self._note.text())

    @property
    def layers(self) -> tuple[Points, Points] | None:
        """The points on the reference and on the map; None unless running."""
        return self._layers

    @property
    def running(self) -> bool:
        """Whether points are being set."""
        return self._layers is not None

    def choose(self, reference: Image | None, moving: Image | None) -> None:
        """Choose the two images; another choice ends the present pairs."""
        images = None if reference is None or moving is None else (reference, moving)
        if images != self._images:
            self.stop()
            self._images = images

    def _toggle(self) -> None:
        if self.running:
            self.stop()
        else:
            self.begin()

    def begin(self) -> None:
        """Add two points layers and take clicks on the first."""
        if self._images is None:
            self._note.setText("Select a map in the table first.")
            return
        names = [f"points on {image.name}" for image in self._images]
        first, second = (
            self._viewer.add_points(
                np.empty((0, 2)),
                name=name,
                size=max(4, min(image.data.shape[:2]) // 60),
                **style,
                **place_of(image),
            )
            for name, image, style in zip(names, self._images, _STYLES, strict=True)
        )
        self._layers = (first, second)
        for layer in self._layers:
            layer.events.data.connect(self._on_points)
        self._start.setText("End points")
        self._row.show()
        self._refresh()

    def stop(self) -> None:
        """Remove the points."""
        layers, self._layers = self._layers, None
        for layer in layers or ():
            layer.events.data.disconnect(self._on_points)
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._start.setText("Set points")
        self._row.hide()
        self._note.setText("")

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
        """Remove the last point."""
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
        layer = first if len(first.data) <= len(second.data) else second
        if self._viewer.layers.selection.active != layer:
            self._viewer.layers.selection.active = layer
        layer.mode = "add"
        self._note.setText(self._text(on_reference=layer is first))

    def _text(self, *, on_reference: bool) -> str:
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
            return f"Click on {where}. {message_of(error).capitalize()}."
        residuals = residuals_px(moving, reference, matrix)
        left_out = leave_one_out_px(moving, reference, model)
        lines = [
            f"{number}: residual {residual:.2f} px"
            + (f"; when left out, off by {other:.2f} px" if np.isfinite(other) else "")
            for number, (residual, other) in enumerate(
                zip(residuals, left_out, strict=True), start=1
            )
        ]
        more = "" if np.isfinite(left_out).all() else " One more pair shows the true error."
        return "\n".join([*lines, f"Apply, or click on {where}.{more}"])

    def apply(self) -> None:
        """Fit the transform to the pairs and send it."""
        moving, reference = self.pairs()
        if self._images is None or not len(moving):
            return
        try:
            matrix = fit_points(moving, reference, self._model.currentText())
        except ValueError as error:
            self._note.setText(f"{message_of(error).capitalize()}.")
            return
        z = transform_of(self._images[1], self._images[0]).z
        self.fitted.emit(Transform(matrix=matrix, z=z, verdict="by hand"))
        if self._layers is not None:  # the points move with their map
            self._layers[1].affine = place_of(self._images[1])["affine"]
            self._note.setText(f"Moved by {len(moving)} pairs.\n" + self._note.text())
