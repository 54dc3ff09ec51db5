"""Part of the panel Clean: remove and mend all grains at once, with a preview."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from grainsmith.clean import CleanSettings, clean_labels, count_reasons
from grainsmith.errors import GrainsmithError
from grainsmith.ui.editing.overlays import PREVIEW
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.metadata import ImageMetadata
from grainsmith.ui.panels.base import button, label
from grainsmith.ui.widgets.background import run
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from grainsmith.clean import CleanResult
    from grainsmith.ui.editing.editor import Editor
    from grainsmith.ui.editing.history import History
    from grainsmith.ui.session.active_layers import ActiveLayers
    from grainsmith.ui.widgets.background import Progress

_MEANWHILE = "The grains were edited meanwhile; nothing was done. Do it again."
_FOLDED = ("max_area_um2", "max_area_px", "min_confidence", "min_solidity")


class BulkCleanup(QWidget):
    """A form of what to remove and mend; first the preview, then the deed, as one step."""

    def __init__(self, editor: Editor, roles: ActiveLayers, progress: Progress) -> None:
        super().__init__()
        self._editor, self._roles, self._progress = editor, roles, progress
        self.form = Form(CleanSettings, folded=_FOLDED)
        self._said = label("")
        self._preview = button(
            "Preview",
            self.preview,
            tip="Count and colour what would go and what would be filled; nothing changes",
        )
        self._apply = button(
            "Clean up all grains",
            self.apply,
            tip="Remove and mend as chosen above, as one step that Ctrl+Z takes back",
            main=True,
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        for widget in (self.form, self._preview, self._said, self._apply):
            layout.addWidget(widget)
        layout.addStretch(1)
        self.form.changed.connect(self._on_form)

    def preview(self) -> None:
        """Say how many grains would go and why, what would be mended, and colour it."""
        self._run(self._preview, self._show_preview, "Looking at the grains")

    def apply(self) -> None:
        """Do it."""
        self._run(self._apply, self._show_done, "Cleaning up")

    def _run(self, busy: QWidget, then: Any, title: str) -> None:
        try:
            history, settings = self._editor.history, self.form.settings()
        except (GrainsmithError, ValueError) as error:
            self._said.setText(str(error))
            return
        moves = history.moves
        layer, image = self._editor.layer, self._roles.image
        table = layer.features
        run(
            clean_labels,
            layer.data.copy(),  # the user may go on editing while it is looked at
            settings,
            busy=busy,
            then=partial(then, history, moves),
            progress=self._progress,
            title=title,
            pixel_size_um=pixel_size_um_of(layer),
            data_bar_rows=ImageMetadata.of(image).data_bar_rows if image is not None else 0,
            confidence=table.set_index("index")["confidence"] if "confidence" in table else None,
            locked=history.locked,
        )

    def _show_preview(self, history: History, moves: int, found: CleanResult) -> None:
        if history.moves != moves:
            self._said.setText(_MEANWHILE)
            return
        self._editor.shown.cleaned(history.layer, found.labels)
        would = f"{len(found.removed)} of {len(history.index)} grains would go"
        would += f": {_why(found.removed)}" if found.removed else ""
        self._said.setText(". ".join([would, *_mended(found)]) + ".")

    def _show_done(self, history: History, moves: int, done: CleanResult) -> None:
        if history.moves != moves:
            self._said.setText(_MEANWHILE)
            return
        self._editor.shown.hide(PREVIEW)
        touched = history.clean("Clean up", done)
        said = ". ".join([f"{len(done.removed)} removed", *_mended(done), "Ctrl+Z takes it back."])
        self._said.setText(said if touched else "There was nothing to do.")

    def _on_form(self) -> None:
        self._said.setText("")
        self._editor.shown.hide(PREVIEW)


def _why(removed: dict[int, str]) -> str:
    """Return why grains go: each of a few, the kinds of many."""
    if len(removed) > 3:
        return count_reasons(removed)
    return "; ".join(f"{label} ({reason})" for label, reason in removed.items())


def _mended(cleaned: CleanResult) -> list[str]:
    """Return what a clean-up does to the grains that stay, a sentence each."""
    counts = {
        "holes filled in": len(cleaned.filled),
        "fragments dropped from": len(cleaned.trimmed),
        "new numbers for": len(cleaned.renumbered),
    }
    return [f"{what[:1].upper()}{what[1:]} {count}" for what, count in counts.items() if count]
