"""Page of the panel Clean: go through the most suspicious grains."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QGridLayout, QListWidget, QProgressBar, QVBoxLayout, QWidget

from grainsmith.clean import likeness_from_grey, likeness_from_logit
from grainsmith.errors import GrainsmithError
from grainsmith.ui.editing.overlays import UNCOVERED
from grainsmith.ui.editing.review_queue import ReviewQueue, make_review_queue
from grainsmith.ui.layers.camera import zoom_to
from grainsmith.ui.layers.labels import table_of
from grainsmith.ui.layers.metadata import GrainsMetadata, ImageMetadata
from grainsmith.ui.panels.messages import NO_GRAINS, error_text
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, label

if TYPE_CHECKING:
    import napari
    import numpy.typing as npt
    import pandas as pd

    from grainsmith.data import OnProgress
    from grainsmith.segment import Prediction
    from grainsmith.ui.editing.editor import Editor
    from grainsmith.ui.editing.history import History
    from grainsmith.ui.editing.review_queue import Entry
    from grainsmith.ui.session.active_layers import ActiveLayers
    from grainsmith.ui.widgets.progress_bar import ProgressBar

_DELAY_MS = 120
_MAX_ROWS = 2000
_SUSPICIOUS = 0.5


class GrainReview(QWidget):
    """The review queue, its present grain with the reasons, and the buttons that decide on it."""

    def __init__(
        self,
        viewer: napari.viewer.Viewer,
        editor: Editor,
        active: ActiveLayers,
        progress: ProgressBar,
    ) -> None:
        super().__init__()
        self._viewer, self._editor, self._active = viewer, editor, active
        self._progress = progress
        self.queue = ReviewQueue([])
        self._history: History | None = None
        self._bar = QProgressBar()
        self._note = label(
            "Find the most suspicious grains, then press N to go through them.", lines=2
        )
        self.rows = QListWidget()
        self.rows.setToolTip("Most suspicious grains first; click one to go to it")
        self.rows.setMinimumHeight(260)
        self.rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.coverage = QCheckBox("Show what no grain covers   G")
        self.coverage.setToolTip("Colours the background red, so that missed grains stand out")
        self._find = button(
            "Find suspicious grains",
            self.find,
            tip="Rank the grains by confidence, shape, size and elements, and look for missed ones",
            main=True,
        )
        self._lay_out()
        self.rows.itemClicked.connect(lambda item: self._go_to(self.rows.row(item)))
        self.coverage.toggled.connect(lambda _on: self._show_coverage())
        self._timer = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._timer.timeout.connect(self._show)

    def _lay_out(self) -> None:
        grid = QGridLayout()
        grid.setSpacing(4)
        for position, (text, slot, tip) in enumerate(
            (
                ("Previous   Shift+N", self.previous, "Back to the previous grain"),
                ("Next   N", self.next, "Go to the next grain that is not reviewed"),
                ("Reject   K", self.reject, "Not a grain: delete it, and go on"),
                ("Accept   A", self.accept, "Correct: lock it, and go on; or insert a missed one"),
            )
        ):
            grid.addWidget(button(text, slot, tip=tip), position // 2, position % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        layout.addWidget(self._find)
        layout.addWidget(self._bar)
        layout.addWidget(self._note)
        layout.addLayout(grid)
        layout.addWidget(self.coverage)
        layout.addWidget(self.rows, 1)

    @property
    def note(self) -> str:
        """The line about the queue or its present grain."""
        return str(self._note.text())

    @property
    def progress_text(self) -> str:
        """How many grains are reviewed, such as "3 of 9 reviewed"."""
        return str(self._bar.format())

    # --- the queue

    def find(self) -> None:
        """Rank the grains in the background."""
        history = self._current_history()
        if history is None:
            return
        layer = self._editor.layer
        run_in_background(
            _make_queue,
            layer.data.copy(),
            table_of(layer) if "index" in layer.features else None,
            GrainsMetadata.of(layer).prediction,
            self._editor.image_pixels,
            busy=self._find,
            then=partial(self._show_queue, history),
            progress=self._progress,
            title="Ranking the grains",
            failed=lambda error: self._note.setText(error_text(error)),
        )

    def next(self) -> None:
        """Go to the next grain that is not reviewed."""
        self._step(1)

    def previous(self) -> None:
        """Go back to the previous grain."""
        self._step(-1)

    def accept(self) -> None:
        """Accept the selected grains, or insert the missed grain, and go on."""
        entry = self.queue.present
        if entry is not None and entry.grain == 0 and not self._editor.selected:
            self._editor.insert(entry.point)
            self.queue.dismiss()
            return
        self._editor.accept()
        if entry is not None and (entry.grain in self._editor.selected or entry.grain == 0):
            self.next()

    def reject(self) -> None:
        """Reject the selected grains, or the suggestion of a missed one, and go on."""
        entry = self.queue.present
        if entry is not None and entry.grain == 0 and not self._editor.selected:
            self.queue.dismiss()
        else:
            self._editor.reject()
        if entry is not None:
            self.next()

    def toggle_coverage(self) -> None:
        """Show or hide what no grain covers."""
        self.coverage.setChecked(not self.coverage.isChecked())

    def _current_history(self) -> History | None:
        try:
            return self._editor.history
        except GrainsmithError:
            self._note.setText(NO_GRAINS)
            return None

    def _show_queue(self, history: History, entries: list[Entry]) -> None:
        self.queue = ReviewQueue(entries)
        self.rows.clear()
        self.rows.addItems([entry.text for entry in entries[:_MAX_ROWS]])
        self.follow(history)
        grains = [entry for entry in entries if entry.grain]
        suspicious = sum(entry.suspicion >= _SUSPICIOUS for entry in grains)
        missed = len(entries) - len(grains)
        places = f", {missed} may be missing" if missed else ""
        self._note.setText(
            f"{suspicious} of {len(grains)} grains are suspicious{places}. N goes to the first."
        )

    def _step(self, steps: int) -> None:
        history = self._current_history()
        if history is None:
            return
        entry = self.queue.step(steps, history.index, history.states)
        if entry is not None:
            self._show_entry(entry)
        elif self.queue.entries:
            self._note.setText("All suspicious grains are reviewed.")
        else:
            self._note.setText("Find the suspicious grains first.")

    def _go_to(self, row: int) -> None:
        self.queue.position = row
        self._show_entry(self.queue.entries[row])

    def _show_entry(self, entry: Entry) -> None:
        history = self._editor.history
        box = history.index.boxes.get(entry.grain, entry.box)
        zoom_to(self._viewer, self._editor.layer, box)
        self._editor.select([entry.grain] if entry.grain else ())
        hint = "" if entry.grain else ". A inserts it, K goes on."
        self._note.setText(f"{entry.text}{hint}")
        self.rows.setCurrentRow(self.queue.position)
        self._timer.start()

    # --- progress and coverage

    def follow(self, history: History | None) -> None:
        """Show the progress of the grains of a history."""
        if history is not self._history:
            if self._history is not None:
                self._history.changed.disconnect(self._on_history)
            if history is not None:
                history.changed.connect(self._on_history)
            self._history = history
            self.coverage.setChecked(False)
        self._timer.start()

    def _on_history(self) -> None:
        self._timer.start()

    def _show(self) -> None:
        if self._history is None:
            return
        done, total = self.queue.progress(self._history.index, self._history.states)
        self._bar.setRange(0, max(1, total))
        self._bar.setValue(done)
        self._bar.setFormat(f"{done} of {total} reviewed")
        if self.coverage.isChecked():
            self._show_coverage()

    def _show_coverage(self) -> None:
        if self._history is None or not self.coverage.isChecked():
            self._editor.overlays.hide(UNCOVERED)
            return
        layer, image = self._editor.layer, self._active.image
        rows = layer.data.shape[0]
        if image is not None and image.data.shape[0] == rows:
            rows -= ImageMetadata.of(image).data_bar_rows
        background = 2 * (layer.data[:rows] == 0).astype(np.uint8)
        self._editor.overlays.show(UNCOVERED, background, (0, 0), layer)


def _make_queue(
    labels: npt.NDArray[np.int32],
    table: pd.DataFrame | None,
    prediction: Prediction | None,
    image: npt.NDArray[Any] | None,
    *,
    on_progress: OnProgress,
) -> list[Entry]:
    """Return the review queue, with missed grains by the prediction or else by the grey values."""
    likeness = None
    if prediction is not None:
        likeness = likeness_from_logit(prediction.probability, prediction.shape, prediction.scale)
    elif image is not None and image.shape[:2] == labels.shape:
        likeness = likeness_from_grey(labels, image)
    return make_review_queue(labels, table, likeness, on_progress=on_progress)
