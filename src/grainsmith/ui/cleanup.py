"""Part of the panel Clean: remove and mend all grains at once, with a preview."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from grainsmith.clean import CleanSettings, clean_labels, find_unwanted
from grainsmith.errors import GrainsmithError
from grainsmith.ui.forms import Form
from grainsmith.ui.layers import facts, pixel_size_um_of
from grainsmith.ui.marks import PREVIEW
from grainsmith.ui.panel import button, label
from grainsmith.ui.worker import run

if TYPE_CHECKING:
    from grainsmith.clean import Cleaned
    from grainsmith.ui.editor import Editor
    from grainsmith.ui.history import History
    from grainsmith.ui.roles import Roles
    from grainsmith.ui.worker import Progress

_FOLDED = ("max_area_um2", "max_area_px", "min_confidence", "min_solidity")


class CleanUp(QWidget):
    """A form of what to remove and mend; first the preview, then the deed, as one step."""

    def __init__(self, editor: Editor, roles: Roles, progress: Progress) -> None:
        super().__init__()
        self._editor, self._roles, self._progress = editor, roles, progress
        self.form = Form(CleanSettings, folded=_FOLDED)
        self._said = label("")
        self._preview = button(
            "Preview", self.preview, tip="Count and colour what would be removed; nothing changes"
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
        """Say how many grains would go and why, and colour them."""
        self._run(find_unwanted, self._preview, self._show_preview, "Looking at the grains")

    def apply(self) -> None:
        """Do it."""
        self._run(clean_labels, self._apply, self._show_done, "Cleaning up")

    def _run(self, func: Any, busy: QWidget, then: Any, title: str) -> None:
        try:
            history, settings = self._editor.history, self.form.settings()
        except (GrainsmithError, ValueError) as error:
            self._said.setText(str(error))
            return
        layer, image = self._editor.layer, self._roles.image
        table = layer.features
        rest: dict[str, Any] = {"locked": history.locked} if func is clean_labels else {}
        run(
            func,
            layer.data.copy(),  # the user may go on editing while it is looked at
            settings,
            busy=busy,
            then=partial(then, history, history.position),
            progress=self._progress,
            title=title,
            pixel_size_um=pixel_size_um_of(layer),
            data_bar_rows=int(facts(image).get("data_bar_rows", 0)) if image is not None else 0,
            confidence=table.set_index("index")["confidence"] if "confidence" in table else None,
            **rest,
        )

    def _show_preview(self, history: History, _position: int, reasons: dict[int, str]) -> None:
        reasons = {k: why for k, why in reasons.items() if k not in history.locked}
        self._editor.shown.going(history.layer, reasons)
        count = len(reasons)
        first = "; ".join(f"{label}: {why}" for label, why in list(reasons.items())[:3])
        more = " …" if count > 3 else ""
        self._said.setText(f"{count} of {len(history.index)} grains would go. {first}{more}")

    def _show_done(self, history: History, position: int, done: Cleaned) -> None:
        if history.position != position:
            self._said.setText("The grains were edited meanwhile; nothing was done. Do it again.")
            return
        self._editor.shown.hide(PREVIEW)
        touched = history.clean("Clean up", done)
        parts = [
            f"{len(done.removed)} removed",
            f"holes filled in {len(done.filled)}",
            f"fragments dropped from {len(done.trimmed)}",
        ]
        if done.renumbered:
            parts.append(f"{len(done.renumbered)} renumbered")
        self._said.setText(
            "; ".join(parts) + ". Ctrl+Z takes it back." if touched else "There was nothing to do."
        )

    def _on_form(self) -> None:
        self._said.setText("")
        self._editor.shown.hide(PREVIEW)
