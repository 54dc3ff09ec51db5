"""Page of the panel Clean: clean up all grains at once, with a preview."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QVBoxLayout, QWidget

from grainsmith.clean import CleanSettings, clean_labels, count_reasons
from grainsmith.ui.editing.overlays import PREVIEW
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.metadata import ImageMetadata
from grainsmith.ui.panels.messages import error_text
from grainsmith.ui.widgets.background import USER_ERRORS, run_in_background
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.clean import CleanResult
    from grainsmith.ui.editing.editor import Editor
    from grainsmith.ui.editing.history import History
    from grainsmith.ui.session.active_layers import ActiveLayers
    from grainsmith.ui.widgets.progress_bar import ProgressBar

    ThenStep = Callable[[History, int, CleanResult], None]

_EDITED_MEANWHILE = "The grains were edited meanwhile, so nothing was changed. Try again."
_FOLDED = ("max_area_um2", "max_area_px", "min_confidence", "min_solidity")


class BulkCleanup(QWidget):
    """Remove and repair grains by rules, as one step of the history."""

    def __init__(self, editor: Editor, active: ActiveLayers, progress: ProgressBar) -> None:
        super().__init__()
        self._editor, self._active, self._progress = editor, active, progress
        self.form = Form(CleanSettings, folded=_FOLDED)
        self._result = label("")
        self._preview = button(
            "Preview",
            self.preview,
            tip="Count and colour what would be removed or filled; nothing is changed",
        )
        self._apply = button(
            "Clean up all grains",
            self.apply,
            tip="Remove and repair grains as chosen above, as one step that Ctrl+Z undoes",
            main=True,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        for widget in (self.form, self._preview, self._apply, self._result):
            layout.addWidget(widget)
        layout.addStretch(1)
        self.form.changed.connect(self._on_form)

    @property
    def result(self) -> str:
        """What the preview or the clean-up found."""
        return str(self._result.text())

    def preview(self) -> None:
        """Count and colour what would be removed or filled."""
        self._run(self._preview, self._show_preview, "Checking the grains")

    def apply(self) -> None:
        """Clean up all grains as one step of the history."""
        self._run(self._apply, self._take_result, "Cleaning up")

    def _run(self, busy: QWidget, then: ThenStep, title: str) -> None:
        try:
            history, settings = self._editor.history, self.form.settings()
        except USER_ERRORS as error:
            self._result.setText(error_text(error))
            return
        layer, image = self._editor.layer, self._active.image
        table = layer.features
        run_in_background(
            clean_labels,
            layer.data.copy(),  # editing goes on meanwhile
            settings,
            busy=busy,
            then=partial(then, history, history.revision),
            progress=self._progress,
            title=title,
            failed=lambda error: self._result.setText(error_text(error)),
            pixel_size_um=pixel_size_um_of(layer),
            data_bar_rows=ImageMetadata.of(image).data_bar_rows if image is not None else 0,
            confidence=table.set_index("index")["confidence"] if "confidence" in table else None,
            locked=history.locked,
        )

    def _show_preview(self, history: History, revision: int, cleaned: CleanResult) -> None:
        if history.revision != revision:
            self._result.setText(_EDITED_MEANWHILE)
            return
        self._editor.overlays.preview_cleanup(history.layer, cleaned.labels)
        removed = f"{len(cleaned.removed)} of {len(history.index)} grains would be removed"
        removed += f": {_reasons(cleaned.removed)}" if cleaned.removed else ""
        self._result.setText(". ".join([removed, *_repairs(cleaned)]) + ".")

    def _take_result(self, history: History, revision: int, cleaned: CleanResult) -> None:
        if history.revision != revision:
            self._result.setText(_EDITED_MEANWHILE)
            return
        self._editor.overlays.hide(PREVIEW)
        changed = history.apply_cleanup("Clean up", cleaned)
        removed = f"{len(cleaned.removed)} removed"
        text = ". ".join([removed, *_repairs(cleaned), "Ctrl+Z undoes it."])
        self._result.setText(text if changed else "Nothing needed cleaning up.")

    def _on_form(self) -> None:
        self._result.setText("")
        self._editor.overlays.hide(PREVIEW)


def _reasons(removed: dict[int, str]) -> str:
    """Return why grains are removed: each of a few, the kinds of many."""
    if len(removed) > 3:
        return count_reasons(removed)
    return "; ".join(f"{grain} ({reason})" for grain, reason in removed.items())


def _repairs(cleaned: CleanResult) -> list[str]:
    """Return what is done to the grains that stay, one phrase each."""
    counts = {
        "holes filled in": len(cleaned.filled),
        "fragments removed from": len(cleaned.trimmed),
        "new numbers for": len(cleaned.renumbered),
    }
    return [f"{what[:1].upper()}{what[1:]} {count}" for what, count in counts.items() if count]
