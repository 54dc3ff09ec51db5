"""Before and after, field by field: keep the tuned model or roll back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QVBoxLayout, QWidget

from grainsmith.train.runs import judged_field, keep_model
from grainsmith.ui.layers.model_comparison import COLORS, ModelComparisonLayers
from grainsmith.ui.panels.base import button, label
from grainsmith.ui.widgets.background import run
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


class ModelEvaluation(QWidget):
    """The comparison of a run, and the two buttons that end it."""

    kept = Signal(str)
    rolled_back = Signal()

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._layers = ModelComparisonLayers(viewer)
        self._run: RunFolder | None = None
        self._fields: list[FieldComparison] = []
        self._means = label("")
        self.field = QComboBox()
        self.field.setToolTip("Field that was held out of the training")
        self.field.setSizePolicy(
            QComboBox().sizePolicy().Policy.Ignored, QComboBox().sizePolicy().Policy.Fixed
        )
        self._scores = label("")
        self.shown = QCheckBox("Show its grains in the window")
        self.shown.setToolTip("Green: found now only; red: found before only; yellow: changed")
        self._keep = button(
            "Keep", self.keep, tip="Put the new model into the lists of models", main=True
        )
        self._back = button("Roll back", self.roll_back, tip="Go on with the model from before")
        self._lay_out()
        self.field.currentIndexChanged.connect(lambda _: self._on_field())
        self.shown.toggled.connect(lambda _: self._on_field())
        self.destroyed.connect(self._layers.hide)
        self.hide()

    def _lay_out(self) -> None:
        both = row_of(self._keep, self._back, stretch=None)
        lines = QVBoxLayout(self)
        lines.setContentsMargins(0, 0, 0, 0)
        for widget in (self._means, self.field, self._scores, self.shown, both):
            lines.addWidget(widget)

    def show_comparison(self, tuned: RunFolder, found: ModelComparison) -> None:
        """Show what was found; fields that are made show what was forgotten, as a mean only."""
        self._run = tuned
        self._fields = [one for one in found.fields if one.role != "made"]
        self._means.setText("<br>".join(_mean_lines(found)))
        was = self.field.blockSignals(True)
        self.field.clear()
        self.field.addItems([one.name for one in self._fields])
        self.field.blockSignals(was)
        self.show()
        self._on_field()

    def keep(self) -> None:
        """Put the model among the user's own."""
        if self._run is not None:
            run(keep_model, self._run, busy=self._keep, then=self._on_kept)

    def roll_back(self) -> None:
        """Leave the model out of the lists; its files stay with the run."""
        self.end()
        self.rolled_back.emit()

    def end(self) -> None:
        """Put the comparison away."""
        self.shown.setChecked(False)
        self._layers.hide()
        self._run = None
        self.hide()

    def _on_kept(self, entry: ModelEntry) -> None:
        self.end()
        self.kept.emit(entry.name)

    def _on_field(self) -> None:
        index = self.field.currentIndex()
        if self._run is None or not 0 <= index < len(self._fields):
            return
        one = self._fields[index]
        self._scores.setText(_table(one))
        if not self.shown.isChecked():
            self._layers.hide()
            return
        run(
            judged_field,
            self._run,
            one.name,
            busy=self.field,
            then=lambda loaded: self._on_loaded(one, loaded),
        )

    def _on_loaded(self, one: FieldComparison, loaded: LoadedField) -> None:
        if self._run is not None and self.shown.isChecked():
            self._layers.show(one, loaded)


def _mean_lines(found: ModelComparison) -> list[str]:
    names = {"validation": "Held-out fields", "made": "Made fields (anything forgotten?)"}
    lines = [f"<b>{found.before} → {found.after}</b>"]
    for role, mean in found.summary()["ap50"].items():
        name = names.get(role, f"Fields for {role}")
        lines.append(f"{name}: AP@0.5 {mean['before']:.3f} → <b>{mean['after']:.3f}</b>")
    return lines


def _table(one: FieldComparison) -> str:
    cell = "<td align='right' style='padding-left: 16px'>{}</td>"
    lines = ["<tr><td></td>" + cell.format("before") + cell.format("after") + "</tr>"]
    for title, key, form in _ROWS:
        values = [getattr(side, key) for side in (one.before, one.after)]
        cells = [form.format(value) if value == value else "none found" for value in values]
        lines.append(f"<tr><td>{title}</td>{''.join(map(cell.format, cells))}</tr>")
    counts = [
        f"<span style='color: {colour}'>■</span> {len(getattr(one, name))} {name}"
        for name, colour in COLORS.items()
    ]
    return f"<table>{''.join(lines)}</table>{' &nbsp; '.join(counts)}"
