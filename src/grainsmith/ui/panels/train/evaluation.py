"""Comparison of a trained model with its start, field by field: keep the new model or not."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QSizePolicy, QVBoxLayout, QWidget

from grainsmith.train.runs import comparison_field, keep_model
from grainsmith.ui.layers.model_comparison import COLORS, ModelComparisonLayers
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.layouts import row_of

if TYPE_CHECKING:
    import napari

    from grainsmith.io.dataset import LoadedField
    from grainsmith.models.registry import ModelEntry
    from grainsmith.train.comparison import FieldComparison, ModelComparison
    from grainsmith.train.run_folder import RunFolder

_ROWS = (
    ("AP@0.5", "ap50", "{:.3f}"),
    ("AP@0.75", "ap75", "{:.3f}"),
    ("D50 error", "d50_error_pct", "{:+.1f} %"),
    ("D84 error", "d84_error_pct", "{:+.1f} %"),
)
"""Title, attribute and format of each score."""

_SYNTHETIC = "made"
_ROLE_TITLES = {
    "validation": "Validation fields",
    _SYNTHETIC: "Synthetic fields (has it forgotten anything?)",
}


class ModelEvaluation(QWidget):
    """Scores before and after a training run, and the buttons Keep and Roll back."""

    kept = Signal(str)
    """Sent with the name of the model."""
    rolled_back = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._layers = ModelComparisonLayers(viewer)
        self._run: RunFolder | None = None
        self.fields: list[FieldComparison] = []
        self._means = label("")
        self._field = QComboBox()
        self._field.setToolTip("Field that was not trained on")
        self._field.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._scores = label("")
        self.show_grains = QCheckBox("Show its grains in the window")
        self.show_grains.setToolTip(
            "Green: found only after; red: found only before; yellow: changed"
        )
        self._keep = button("Keep", self.keep, tip="Add the new model to your models", main=True)
        self._roll_back = button(
            "Roll back", self.roll_back, tip="Keep the old model; the new one is not used"
        )
        self._lay_out()
        self._field.currentIndexChanged.connect(lambda _: self._show_field())
        self.show_grains.toggled.connect(lambda _: self._show_field())
        self.destroyed.connect(self._layers.hide)
        self.hide()

    def _lay_out(self) -> None:
        buttons = row_of(self._keep, self._roll_back)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self._means, self._field, self._scores, self.show_grains, buttons):
            layout.addWidget(widget)

    def show_comparison(self, run_folder: RunFolder, comparison: ModelComparison) -> None:
        """Show the scores of a run; synthetic fields appear only as a mean."""
        self._run = run_folder
        self.fields = [field for field in comparison.fields if field.role != _SYNTHETIC]
        self._means.setText("<br>".join(_mean_lines(comparison)))
        blocked = self._field.blockSignals(True)
        self._field.clear()
        self._field.addItems([field.name for field in self.fields])
        self._field.blockSignals(blocked)
        self.show()
        self._show_field()

    def keep(self) -> None:
        """Add the new model to the user's models."""
        if self._run is not None:
            run_in_background(keep_model, self._run, busy=self._keep, then=self._on_kept)

    def roll_back(self) -> None:
        """Leave the new model out of the list; its files stay with the run."""
        self.end()
        self.rolled_back.emit()

    def end(self) -> None:
        """Hide the comparison and its layers."""
        self.show_grains.setChecked(False)
        self._layers.hide()
        self._run = None
        self.hide()

    def _on_kept(self, entry: ModelEntry) -> None:
        self.end()
        self.kept.emit(entry.name)

    def _show_field(self) -> None:
        index = self._field.currentIndex()
        if self._run is None or not 0 <= index < len(self.fields):
            return
        field = self.fields[index]
        self._scores.setText(_score_table(field))
        if not self.show_grains.isChecked():
            self._layers.hide()
            return
        run_in_background(
            comparison_field,
            self._run,
            field.name,
            busy=self._field,
            then=partial(self._show_layers, field),
        )

    def _show_layers(self, field: FieldComparison, loaded: LoadedField) -> None:
        if self._run is not None and self.show_grains.isChecked():
            self._layers.show(field, loaded)


def _mean_lines(comparison: ModelComparison) -> list[str]:
    lines = [f"<b>{comparison.before} → {comparison.after}</b>"]
    for role, mean in comparison.summary()["ap50"].items():
        title = _ROLE_TITLES.get(role, f"Fields for {role}")
        lines.append(f"{title}: AP@0.5 {mean['before']:.3f} → <b>{mean['after']:.3f}</b>")
    return lines


def _score_table(field: FieldComparison) -> str:
    cell = "<td align='right' style='padding-left: 16px'>{}</td>"
    lines = ["<tr><td></td>" + cell.format("before") + cell.format("after") + "</tr>"]
    for title, name, form in _ROWS:
        values = [getattr(score, name) for score in (field.before, field.after)]
        cells = [form.format(value) if value == value else "none found" for value in values]
        lines.append(f"<tr><td>{title}</td>{''.join(map(cell.format, cells))}</tr>")
    counts = [
        f"<span style='color: {color}'>■</span> {len(getattr(field, name))} {name}"
        for name, color in COLORS.items()
    ]
    return f"<table>{''.join(lines)}</table>{' &nbsp; '.join(counts)}"
