"""Key bindings of the panel Clean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari.layers import Points, Shapes
from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import QAbstractSpinBox, QApplication, QLineEdit, QWidget

from grainsmith.ui.editing.shortcuts import KEYS, WINDOW_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import napari
    from napari.layers import Labels

    from grainsmith.ui.editing.shortcuts import Key


class KeyBindings:
    """Binds the keys in the panel's window, wherever the focus is, and on the grains' layer.

    Text fields keep their letters; number fields, which have no use for letters, pass them on.
    Points and shapes layers bind the same letters, so the keys are disabled while such a layer is
    active. The bindings of the layer serve a panel that floats in its own window.
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
        for key in WINDOW_KEYS:
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
                # A second panel in the same window takes over the keys, with the same actions.
                action = _bound(self._actions[key.action])
                layer.bind_key(_napari_name(key.key), action, overwrite=True)
        self._layer = layer

    def unbind(self) -> None:
        """Unbind all keys."""
        self.follow(None)
        self._viewer.layers.selection.events.active.disconnect(self._on_active)

    def _on_active(self, _event: object = None) -> None:
        active = self._viewer.layers.selection.active
        for shortcut in self._letters:
            shortcut.setEnabled(not isinstance(active, Points | Shapes))


class _NumberFields(QObject):
    """Keeps a focused number field from consuming keys that it has no use for."""

    def __init__(self, panel: QWidget) -> None:
        super().__init__(panel)
        letters = (key.key for key in KEYS if len(key.key.removeprefix("Shift+")) == 1)
        self._letters = {QKeySequence(letter).toString() for letter in letters}
        QApplication.instance().focusChanged.connect(self._on_focus)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Pass a key on from a number field, so that the shortcut receives it."""
        if event.type() != QEvent.Type.ShortcutOverride:
            return False
        pressed = QKeySequence(event.keyCombination()).toString()
        line_edit = watched.findChild(QLineEdit)
        is_shortcut = pressed in self._letters
        is_shortcut |= pressed == "Ctrl+Z" and not line_edit.isUndoAvailable()
        is_shortcut |= pressed == "Ctrl+Shift+Z" and not line_edit.isRedoAvailable()
        if is_shortcut:
            event.ignore()
        return is_shortcut

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
    # With two panels in a window Qt activates one of them in turn, and as ambiguous.
    shortcut.activatedAmbiguously.connect(action)
    return shortcut


def _bound(action: Callable[[], None]) -> Callable[[object], None]:
    def on_key(_layer: object) -> None:
        action()

    return on_key


def _napari_name(key: str) -> str:
    return {"Del": "Delete", "?": "Shift-/"}.get(key, key.replace("+", "-"))
