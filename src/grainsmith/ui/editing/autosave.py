"""Work is kept safe while it is done: saved in the background, told of when the window closes."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from napari.utils.notifications import show_warning
from qtpy.QtCore import QEvent, QObject, Qt, QThread, QTimer, Signal
from qtpy.QtWidgets import QMainWindow, QMessageBox, QWidget

from grainsmith.errors import GrainsmithError
from grainsmith.io.labels.autosave import TILE_PX, AutosaveFolder, snapshot, tiles_at
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.session.active_layers import active_layers_of
from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    import pandas as pd
    from napari.layers import Labels

    from grainsmith.clean import Change
    from grainsmith.io.labels.autosave import Recovery, Snapshot, Tile
    from grainsmith.ui.editing.history import History

_QUIET_MS = 1500
"""After the last edit; a stroke of the brush is not interrupted."""

_LONGEST_S = 3.0
"""After the first edit that is not saved, whether it is quiet or not."""

_RETRY_MS = 30_000
"""After a save that failed: the disk may have room again."""

_PATIENCE_S = 20.0
"""How long a closing window waits for a save under way."""

_POOL = ThreadPoolExecutor(1, thread_name_prefix="autosave")
"""A thread of its own: the shared ones may all be at work for minutes."""

_LONG_TABLE = 20_000
"""Rows; writing more of them as text would be felt while drawing."""

_OF_VIEWER: WeakKeyDictionary[Any, AutosaveManager] = WeakKeyDictionary()


def autosave_of(viewer: napari.viewer.Viewer) -> AutosaveManager:
    """Return the keeper of a viewer; from the first call on its grains are kept safe."""
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _OF_VIEWER:
        _OF_VIEWER[real] = AutosaveManager(viewer)
    return _OF_VIEWER[real]


class AutosaveManager(QObject):
    """Follows the grains of a viewer and saves them to a folder of their own.

    Attributes
    ----------
    offers_recovery : bool
        Whether a panel of the viewer offers the work of earlier sessions.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.offers_recovery = False
        self._roles = active_layers_of(viewer)
        self._kept: WeakKeyDictionary[Labels, LayerAutosave] = WeakKeyDictionary()
        # The keepers are kept by viewer: a strong reference to its window would keep both for ever.
        self._window: Callable[[], QMainWindow | None] = lambda: None
        self._roles.grains_changed.connect(self._follow)
        self._follow(self._roles.grains)

    def watch_window(self, widget: QWidget) -> None:
        """Ask before the window that holds a widget is closed over unsaved work."""
        window: QWidget | None = widget
        while window is not None and not isinstance(window, QMainWindow):
            window = window.parentWidget()
        if window is not None and window is not self._window():
            self._window = ref(window)
            window.installEventFilter(self)

    def kept(self, layer: Labels) -> LayerAutosave | None:
        """Return what keeps a layer safe; None for one that cannot be edited."""
        self._follow(layer)
        return self._kept.get(layer)

    def unsaved(self) -> list[tuple[str, int]]:
        """Return name and number of unsaved edits of the layers that have any."""
        layers = self._roles.all_grains
        return [
            (layer.name, self._kept[layer].history.unsaved)
            for layer in layers
            if layer in self._kept and self._kept[layer].history.unsaved
        ]

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  (Qt's name)
        """Ask before the window closes; True keeps it open."""
        if event.type() != QEvent.Type.Close or watched is not self._window():
            return False
        # A script that closes its viewer has no user to ask: only what runs in the event loop has.
        if not (event.spontaneous() or QThread.currentThread().loopLevel() > 0):
            return False
        unsaved = self.unsaved()
        if unsaved and not self.may_close(unsaved, self._flush()):
            event.ignore()
            return True
        return False

    def may_close(self, unsaved: list[tuple[str, int]], trouble: str) -> bool:
        """Ask the user; `trouble` says why the work cannot be recovered, "" where it can."""
        names = ", ".join(f"'{name}' ({count} edits)" for name, count in unsaved)
        after = (
            f"first: they are lost when this is closed, as nothing could be kept.\n\n{trouble}"
            if trouble
            else "or close all the same: they will be offered when Grainsmith is opened again."
        )
        answer = QMessageBox.warning(
            self._window(),
            "Unsaved grains",
            f"Not saved yet: {names}.\n\nSave them with File > Save {after}",
            QMessageBox.StandardButton.Close | QMessageBox.StandardButton.Cancel,
            QMessageBox.StandardButton.Cancel,
        )
        return bool(answer == QMessageBox.StandardButton.Close)

    def _flush(self) -> str:
        """Save all work for recovery at once; return why some could not be, "" where all was."""
        kept = [self._kept[layer] for layer in self._roles.all_grains if layer in self._kept]
        return next(filter(None, [one.flush() for one in kept]), "")

    def _follow(self, layer: Labels | None) -> None:
        if layer is None or layer in self._kept:
            return
        try:
            history = history_of(layer)
        except GrainsmithError:
            return  # it cannot be edited, so there is nothing to lose
        self._kept[layer] = LayerAutosave(history)


class LayerAutosave(QObject):
    """One layer that is kept safe.

    Attributes
    ----------
    history : History
    folder : AutosaveFolder or None
        Where it is saved; None as long as nothing was edited.
    replaces : list of Recovery or AutosaveFolder
        Earlier saves of the same work, discarded once it is saved here.
    """

    _ended = Signal(object)  # from the thread that writes to that of the window

    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history
        self.folder: AutosaveFolder | None = None
        self.replaces: list[Recovery | AutosaveFolder] = []
        self._dirty: set[Tile] | None = None  # None: all of it
        self._states: dict[int, str] = {}
        self._first_s = 0.0
        self._writing: Future[tuple[str, Snapshot]] | None = None
        self._told = ""
        self._timer = QTimer(self, singleShot=True, interval=_QUIET_MS)
        self._timer.timeout.connect(self.save)
        self._ended.connect(self._on_ended, Qt.ConnectionType.QueuedConnection)
        history.edited.connect(self._on_edited)
        history.changed.connect(self._on_changed)

    def save(self) -> None:
        """Save what changed, in the background."""
        self._timer.stop()
        if self._writing is not None:
            self._timer.start()
            return
        self._first_s = 0.0
        if self.history.unsaved == 0:
            self._remove()
            return
        self._writing = _POOL.submit(_write, *self._to_write())
        self._writing.add_done_callback(self._ended.emit)

    def flush(self) -> str:
        """Save at once what is not saved yet; return what went wrong, "" where all is well."""
        if self._writing is not None:
            wait([self._writing], _PATIENCE_S)
            if not self._writing.done():
                return f"The autosave has not ended within {_PATIENCE_S:g} s."
            self._on_ended(self._writing)
        if self.history.unsaved and (self._timer.isActive() or self._told):
            self._timer.stop()
            self._on_written(_write(*self._to_write()))
        return self._told

    def _to_write(self) -> tuple[AutosaveFolder, Snapshot]:
        """Return where to write, and a copy of what changed since the last time."""
        layer = self.history.layer
        if self.folder is not None and not self.folder.fits(layer.data):
            self.replaces.append(self.folder)
            self.folder, self._dirty = None, None
        if self.folder is None:
            self.folder = AutosaveFolder(layer.data.shape, layer.data.dtype, _about(layer))
        taken = snapshot(
            layer.data,
            self._dirty,
            states=self.history.states,
            table=_worth_keeping(layer.features),
            edits=self.history.position,
        )
        self._dirty = set()
        return self.folder, taken

    def _on_edited(self, change: Change) -> None:
        if self._dirty is not None:
            ends = change.start + change.length - 1
            for pixels in (change.start, ends):
                self._dirty |= tiles_at(*divmod(pixels, change.shape[1]))
            # A run longer than a tile leaves tiles between its ends.
            if len(change.length) and int(change.length.max()) > TILE_PX:
                self._dirty = None
        self._on_changed()

    def _on_changed(self) -> None:
        if self.history.unsaved == 0:
            self._dirty = None  # the labels may have been exchanged for others
        now = time.monotonic()
        self._first_s = self._first_s or now
        left_ms = 1000 * (self._first_s + _LONGEST_S - now)
        # Once it is due edits must not put it off again, however fast they come.
        if left_ms > 0 or not self._timer.isActive():
            self._timer.start(int(min(_QUIET_MS, max(0.0, left_ms))))

    def _on_ended(self, ended: Future[tuple[str, Snapshot]]) -> None:
        if ended is self._writing:  # else a closing window waited for it
            self._writing = None
            self._on_written(ended.result())

    def _on_written(self, outcome: tuple[str, Snapshot]) -> None:
        message, taken = outcome
        tiles = set(taken.tiles)
        if not message:
            self._told = ""
            self._discard_replaced()
            return
        if self._dirty is not None:
            self._dirty |= tiles
        self._timer.start(_RETRY_MS)
        if not self._told:  # once is enough
            show_warning(f"Autosave: {message} Your work is still in memory: save it elsewhere.")
        self._told = message

    def _remove(self) -> None:
        if self.folder is not None:
            self.replaces.append(self.folder)
            self.folder, self._dirty = None, None
        self._discard_replaced()

    def _discard_replaced(self) -> None:
        for old in self.replaces:
            old.discard()
        self.replaces = []


def _write(folder: AutosaveFolder, taken: Snapshot) -> tuple[str, Snapshot]:
    """Save; return what went wrong ("" where all is well) and what was to be saved."""
    try:
        folder.write(taken)
    except (GrainsmithError, OSError, MemoryError) as error:
        return message_of(error) or type(error).__name__, taken
    return "", taken


def _worth_keeping(features: pd.DataFrame) -> pd.DataFrame | None:
    """Return the table, of a very long one only what cannot be measured again."""
    if "index" not in features:
        return None
    if len(features) <= _LONG_TABLE:
        return features.copy()
    words = features.select_dtypes(exclude=["number", "bool"]).columns
    return features[["index", *words]].copy()


def _about(layer: Labels) -> dict[str, Any]:
    metadata = GrainsMetadata.of(layer)
    return {
        "name": layer.name,
        "image": metadata.image,
        "source": metadata.source or "",
        "pixel_size_um": pixel_size_um_of(layer),
    }
