"""Part of the panel Clean: look at the most suspicious grains one after the other."""

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
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.panels.base import button, label
from grainsmith.ui.widgets.background import run

if TYPE_CHECKING:
    import napari
    from napari.layers import Labels

    from grainsmith.ui.editing.editor import Editor
    from grainsmith.ui.editing.history import History
    from grainsmith.ui.editing.review_queue import Entry
    from grainsmith.ui.widgets.background import Progress

_SHOW_MS = 120
_LISTED = 2000  # rows; a list of more is no help


class Review(QWidget):
    """The queue, the present grain and why it is in doubt, and what can be said of it."""

    def __init__(self, viewer: napari.viewer.Viewer, editor: Editor, progress: Progress) -> None:
        super().__init__()
        self._viewer, self._editor, self._progress = viewer, editor, progress
        self.queue = ReviewQueue([])
        self._history: History | None = None
        self._bar = QProgressBar()
        self._what = label("Find the most suspicious grains first, then N walks through them.")
        self.rows = QListWidget()
        self.rows.setToolTip("Most suspicious first; click to look at it")
        self.rows.setMinimumHeight(260)
        self.rows.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.coverage = QCheckBox("Show what no grain covers   G")
        self.coverage.setToolTip("Colours the background red: missed grains stand out")
        self._find = button(
            "Find suspicious grains",
            self.find,
            tip="Rank by confidence, shape, size, chemistry; and look for bare places",
            main=True,
        )
        self._lay_out()
        self.rows.itemClicked.connect(lambda item: self._go_to(self.rows.row(item)))
        self.coverage.toggled.connect(lambda _on: self._show_coverage())
        self._timer = QTimer(self, singleShot=True, interval=_SHOW_MS)
        self._timer.timeout.connect(self._show)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(6)
        grid = QGridLayout()
        grid.setSpacing(4)
        for number, (text, slot, tip) in enumerate(
            (
                ("Previous   Shift+N", self.previous, "Back to the one before"),
                ("Next   N", self.next, "On to the next that asks for a look"),
                ("Reject   K", self.reject, "No grain: delete it, note it, and go on"),
                (
                    "Accept   A",
                    self.accept,
                    "Right: lock it and go on; a bare place: add the grain",
                ),
            )
        ):
            grid.addWidget(button(text, slot, tip=tip), number // 2, number % 2)
        layout.addWidget(self._find)
        layout.addWidget(self._bar)
        layout.addWidget(self._what)
        layout.addLayout(grid)
        layout.addWidget(self.coverage)
        layout.addWidget(self.rows, 1)

    # --- the queue

    def find(self) -> None:
        """Rank the grains in the background."""
        try:
            history = self._editor.history
        except GrainsmithError as error:
            self._what.setText(str(error))
            return
        layer = self._editor.layer
        run(
            _queue_of,
            layer.data.copy(),
            table_of(layer) if "index" in layer.features else None,
            *self._evidence(layer),
            busy=self._find,
            then=partial(self._show_queue, history),
            progress=self._progress,
            title="Looking at the grains",
        )

    def next(self) -> None:
        """Go to the next entry that asks for a look."""
        self._step(1)

    def previous(self) -> None:
        """Go back to the one before."""
        self._step(-1)

    def accept(self) -> None:
        """Accept the chosen grains (at a bare place: add the grain there) and go on."""
        entry = self.queue.present
        if entry is not None and entry.grain == 0 and not self._editor.chosen:
            self._editor.insert(entry.point)
            self.queue.settle()
            return
        self._editor.accept()
        if entry is not None and (entry.grain in self._editor.chosen or entry.grain == 0):
            self.next()

    def reject(self) -> None:
        """Reject the chosen grains and go on; at a bare place just go on."""
        entry = self.queue.present
        if entry is not None and entry.grain == 0 and not self._editor.chosen:
            self.queue.settle()
        else:
            self._editor.reject()
        if entry is not None:
            self.next()

    def toggle_coverage(self) -> None:
        """Show or hide what no grain covers."""
        self.coverage.setChecked(not self.coverage.isChecked())

    def _evidence(self, layer: Labels) -> tuple[Any, Any]:
        """Return the prediction that the grains came from, and the image they lie on."""
        return GrainsMetadata.of(layer).prediction, self._editor.picture

    def _show_queue(self, history: History, entries: list[Entry]) -> None:
        self.queue = ReviewQueue(entries)
        self.rows.clear()
        self.rows.addItems([entry.text for entry in entries[:_LISTED]])
        self.follow(history)
        odd = sum(1 for entry in entries if entry.suspicion >= 0.5)
        self._what.setText(f"{odd} of {len(entries)} are suspicious. N goes to the first.")

    def _step(self, by: int) -> None:
        try:
            history = self._editor.history
        except GrainsmithError as error:
            self._what.setText(str(error))
            return
        entry = self.queue.step(by, history.index, history.states)
        if entry is None:
            end = "Find the suspicious grains first." if not self.queue.entries else "That was all."
            self._what.setText(end)
            return
        self._look_at(entry)

    def _go_to(self, row: int) -> None:
        self.queue.at = row
        self._look_at(self.queue.entries[row])

    def _look_at(self, entry: Entry) -> None:
        history = self._editor.history
        box = history.index.boxes.get(entry.grain, entry.box)
        zoom_to(self._viewer, self._editor.layer, box)
        self._editor.choose([entry.grain] if entry.grain else ())
        self._what.setText(entry.text if entry.grain else f"{entry.text}. A adds it, K goes on.")
        self.rows.setCurrentRow(self.queue.at)
        self._timer.start()

    # --- what is shown

    def follow(self, history: History | None) -> None:
        """Show the progress of this history's grains."""
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
            self._editor.shown.hide(UNCOVERED)
            return
        layer = self._editor.layer
        self._editor.shown.show(UNCOVERED, 2 * (layer.data == 0).astype(np.uint8), (0, 0), layer)


def _queue_of(
    labels: Any, table: Any, prediction: Any, picture: Any, *, on_progress: Any
) -> list[Entry]:
    """Make the queue, by the best evidence that there is."""
    likeness = None
    if prediction is not None:
        likeness = likeness_from_logit(prediction.probability, prediction.shape, prediction.scale)
    elif picture is not None and picture.shape[:2] == labels.shape:
        likeness = likeness_from_grey(labels, picture)
    return make_review_queue(labels, table, likeness, on_progress=on_progress)
