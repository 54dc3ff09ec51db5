"""Page of the panel Clean: correct grains one by one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QGridLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from grainsmith.errors import GrainsmithError
from grainsmith.ui.editing.shortcuts import KEYS, key_of
from grainsmith.ui.editing.tools import MODES
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.panels.messages import NO_GRAINS
from grainsmith.ui.widgets.controls import label
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from grainsmith.ui.editing.editor import Editor

_GROUPS: tuple[tuple[str, tuple[tuple[str, str], ...]], ...] = (
    (
        "Split and join",
        (
            ("Split by line", "cut"),
            ("Join", "merge"),
            ("Split at necks", "split_by_lobes"),
            ("Split by elements", "split_by_chemistry"),
        ),
    ),
    (
        "Insert and remove",
        (
            ("Insert by click", "insert"),
            ("Copy grain", "copy"),
            ("Delete", "delete"),
            ("Trim pieces", "keep_largest"),
        ),
    ),
    (
        "Outline",
        (
            ("Fill holes", "fill_holes"),
            ("Smooth", "smooth"),
            ("Grow", "grow"),
            ("Shrink", "shrink"),
        ),
    ),
    ("Select", (("By box", "box"), ("By lasso", "lasso"), ("Accept · lock", "accept"))),
)
_MODE_OF_ACTION = {"cut": "cut", "insert": "insert", "copy": "copy", "box": "box", "lasso": "lasso"}
_DELAY_MS = 40
"""A moving brush sends many events; only the last of a moment is shown."""


class ManualCorrection(QWidget):
    """The selected grains, and a button with its key for every correction."""

    def __init__(self, editor: Editor, actions: Mapping[str, Callable[[], None]]) -> None:
        super().__init__()
        self._editor = editor
        self._selected = label("", lines=1)
        self._hint = label("", dim=True, lines=2)
        self.buttons: dict[str, QPushButton] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 6, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self._selected)
        layout.addWidget(self._hint)
        for title, entries in _GROUPS:
            layout.addWidget(label(title, dim=True))
            layout.addLayout(self._grid(entries, actions))
        layout.addStretch(1)
        self._timer = QTimer(self, singleShot=True, interval=_DELAY_MS)
        self._timer.timeout.connect(self._show)
        connect_while_alive(self, editor.selection.changed, lambda _grains: self._timer.start())
        connect_while_alive(self, editor.edited, lambda: self._timer.start())
        connect_while_alive(self, editor.tool.mode_changed, lambda _mode: self._timer.start())
        self._show()

    @property
    def text(self) -> str:
        """The line about the selected grains."""
        return str(self._selected.text())

    def refresh(self) -> None:
        """Show the selected grains and the mode."""
        self._timer.start()

    def _grid(
        self, entries: tuple[tuple[str, str], ...], actions: Mapping[str, Callable[[], None]]
    ) -> QGridLayout:
        grid = QGridLayout()
        grid.setSpacing(4)
        tips = {key.action: key.text for key in KEYS}
        for position, (text, action) in enumerate(entries):
            button = QPushButton(f"{text}   {key_of(action)}")
            button.setToolTip(tips[action])
            button.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            button.setCheckable(action in _MODE_OF_ACTION)
            button.clicked.connect(partial(_call, actions[action]))
            self.buttons[action] = button
            grid.addWidget(button, position // 2, position % 2)
        grid.setColumnStretch(0, 1)
        grid.setColumnStretch(1, 1)
        return grid

    def _show(self) -> None:
        for action, mode in _MODE_OF_ACTION.items():
            self.buttons[action].setChecked(self._editor.tool.mode == mode)
        self._hint.setText(MODES[self._editor.tool.mode])
        try:
            self._selected.setText(self._selection_text())
        except GrainsmithError:
            self._selected.setText(NO_GRAINS)

    def _selection_text(self) -> str:
        history, grains = self._editor.history, self._editor.selected
        if not grains:
            count = len(history.index)
            return f"{count:,} grain{'s' if count != 1 else ''}, none selected"
        area = sum(history.index.areas_px[grain] for grain in grains)
        size = pixel_size_um_of(self._editor.layer)
        area_um2 = f" = {area * size**2:.4g} µm²" if size > 0 else ""
        if len(grains) == 1:
            state = history.states.get(grains[0], "auto")
            return f"Grain {grains[0]} · {state} · {area:,} px{area_um2}"
        return f"{len(grains)} grains selected · {area:,} px{area_um2}"


def _call(action: Callable[[], None], _checked: bool = False) -> None:
    action()
