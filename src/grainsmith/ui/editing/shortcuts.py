"""The keys of correcting and reviewing, all free in napari: one table to bind and to tell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.layers import Points, Shapes
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QWidget

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import napari
    from napari.layers import Labels


@dataclass(frozen=True, slots=True)
class Key:
    """A key: `key` as Qt writes it, `action` the name of what it does, `text` for the user."""

    key: str
    action: str
    text: str


KEYS: tuple[Key, ...] = (
    Key("D", "delete", "Delete the chosen grains"),
    Key("Del", "delete", "Delete the chosen grains"),
    Key("J", "merge", "Join the chosen grains; with fewer than two, by a drawn line"),
    Key("S", "cut", "Split by drawn lines, on and off"),
    Key("W", "split_by_lobes", "Split at the necks: propose, then cut"),
    Key("C", "split_by_chemistry", "Split where two compositions meet"),
    Key("I", "insert", "Insert missed grains by clicks, on and off; the wheel sizes them"),
    Key("Shift+I", "copy", "Copy grains from another visible labels layer by clicks, on and off"),
    Key("H", "fill_holes", "Fill the holes of the chosen grains"),
    Key("O", "smooth", "Smooth the outline of the chosen grains"),
    Key("U", "grow", "Grow the chosen grains by 1 px"),
    Key("Shift+U", "shrink", "Shrink the chosen grains by 1 px"),
    Key("T", "keep_largest", "Trim: keep the largest piece of the chosen grains"),
    Key("R", "box", "Choose by a box, on and off"),
    Key("Shift+R", "lasso", "Choose by a lasso, on and off"),
    Key("A", "accept", "Accept and lock the chosen grains; again: unlock them"),
    Key("K", "reject", "Reject: delete, and note that it was no grain"),
    Key("N", "next", "Next grain of the review"),
    Key("Shift+N", "previous", "Previous grain of the review"),
    Key("G", "coverage", "Show what no grain covers, on and off"),
    Key("Q", "stop", "Leave the mode; else choose nothing"),
    Key("?", "help", "This list"),
)
"""None of them is bound by napari 0.9 to a labels layer or to the viewer."""

_OF_THE_WINDOW: tuple[Key, ...] = (
    Key("Ctrl+Z", "undo", "Undo: strokes of the brush and corrections alike"),
    Key("Ctrl+Shift+Z", "redo", "Redo"),
    Key("Esc", "stop", "Leave any mode, also napari's brush; else select nothing"),
)
"""napari gives them to a labels layer that is active; here they work with any active layer."""

_ALSO = (
    ("click", "choose a grain; Shift+click chooses more"),
    ("2 · 3 · 4 · 5", "napari's brush, polygon, bucket and picker"),
)


def key_of(action: str) -> str:
    """Return the (first) key of an action, for its button; "" where it has none."""
    return next((key.key for key in KEYS if key.action == action), "")


def keys_text() -> str:
    """Return the list of keys as a table in HTML."""
    rows = [(key.key, key.text) for key in (*KEYS, *_OF_THE_WINDOW)]
    cells = (f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for key, text in rows)
    also = (f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for key, text in _ALSO)
    return f"<table>{''.join(cells)}<tr><td>&nbsp;</td></tr>{''.join(also)}</table>"


class Shortcuts:
    """The keys at work: in the panel's window whatever has the focus, and on the grains' layer.

    Fields of text keep their letters; a field of numbers has no use for any, so it lets them go.
    Points and shapes layers have keys of their own on the same letters, so ours rest while such a
    layer is active. The layer's own bindings serve when the panel floats in a window of its own.
    """

    def __init__(
        self,
        panel: QWidget,
        viewer: napari.viewer.Viewer,
        actions: Mapping[str, Callable[[], None]],
    ) -> None:
        self._actions = actions
        self._viewer = viewer
        self._layer: Labels | None = None
        self._letters = [_shortcut(key, panel, actions[key.action]) for key in KEYS]
        for key in _OF_THE_WINDOW:
            _shortcut(key, panel, actions[key.action])
        self._fields = _NumberFields(panel)
        viewer.layers.selection.events.active.connect(self._on_active)
        self._on_active()

    def follow(self, layer: Labels | None) -> None:
        """Bind the keys to this layer and to no other; None unbinds them."""
        if self._layer is layer:
            return
        for name in {key.key for key in KEYS}:
            if self._layer is not None:
                self._layer.bind_key(_napari_name(name), None, overwrite=True)
        if layer is not None:
            for key in KEYS:
                # A second panel in the same window takes the keys over: they do the same.
                action = _bound(self._actions[key.action])
                layer.bind_key(_napari_name(key.key), action, overwrite=True)
        self._layer = layer

    def end(self) -> None:
        """Leave layer and viewer as they were."""
        self.follow(None)
        self._viewer.layers.selection.events.active.disconnect(self._on_active)

    def _on_active(self, event: object = None) -> None:
        active = self._viewer.layers.selection.active
        for shortcut in self._letters:
            shortcut.setEnabled(not isinstance(active, Points | Shapes))


class _NumberFields(QObject):
    """Keeps a field of numbers that has the focus from swallowing keys that it has no use for."""

    def __init__(self, panel: QWidget) -> None:
        super().__init__(panel)
        letters = (key.key for key in KEYS if len(key.key.removeprefix("Shift+")) == 1)
        self._letters = {QKeySequence(letter).toString() for letter in letters}
        QApplication.instance().focusChanged.connect(self._on_focus)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Say for the field that it does not want a key, so that the shortcut gets it."""
        if event.type() != QEvent.Type.ShortcutOverride:
            return False
        pressed = QKeySequence(event.keyCombination()).toString()
        typed = watched.findChild(QLineEdit)
        ours = pressed in self._letters
        ours |= pressed == "Ctrl+Z" and not typed.isUndoAvailable()
        ours |= pressed == "Ctrl+Shift+Z" and not typed.isRedoAvailable()
        if ours:
            event.ignore()
        return ours

    def _on_focus(self, old: QWidget | None, new: QWidget | None) -> None:
        if isinstance(old, QAbstractSpinBox):
            old.removeEventFilter(self)
        if isinstance(new, QAbstractSpinBox):
            new.installEventFilter(self)


def _shortcut(key: Key, panel: QWidget, action: Callable[[], None]) -> QShortcut:
    shortcut = QShortcut(QKeySequence(key.key), panel)
    shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
    shortcut.setAutoRepeat(False)
    shortcut.activated.connect(action)
    # With two panels in a window Qt tells one of them in turn that it is not the only one.
    shortcut.activatedAmbiguously.connect(action)
    return shortcut


def _bound(action: Callable[[], None]) -> Callable[[object], None]:
    def on_key(_layer: object) -> None:
        action()

    return on_key


def _napari_name(key: str) -> str:
    return {"Del": "Delete", "?": "Shift-/"}.get(key, key.replace("+", "-"))
