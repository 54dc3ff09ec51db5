"""Autosave: unsaved grains are written in the background, to be recovered after a crash."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Qt, QTimer, Signal

from grainsmith.errors import GrainsmithError
from grainsmith.io.labels.autosave import TILE_PX, AutosaveFolder, snapshot, tiles_at
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.metadata import GrainsMetadata
from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Labels

    from grainsmith.clean import Change
    from grainsmith.io.labels.autosave import Recovery, Snapshot, Tile
    from grainsmith.ui.editing.history import History
    from grainsmith.ui.session import Session

_QUIET_MS = 1500
"""Delay after the last edit, so that a stroke of the brush is not interrupted."""

_MAX_DELAY_S = 3.0
"""Longest time after the first unsaved edit."""

_RETRY_MS = 30_000
"""Delay after a failed save: the disk may have space again."""

_CLOSE_TIMEOUT_S = 20.0
"""How long a closing window waits for a save under way."""

_POOL = ThreadPoolExecutor(1, thread_name_prefix="autosave")
"""A thread of its own: the threads of the global pool may all be busy for minutes."""

_WRITING: set[LayerAutosave] = set()
"""Autosaves with a write under way: Qt crashes if an object is deleted while it sends a signal."""

_MAX_ROWS = 20_000
"""Longer tables are saved without their measures, as writing them would interrupt drawing."""


class AutosaveManager:
    """Saves the grains of one viewer, each layer to its own folder; a part of the session.

    Attributes
    ----------
    offers_recovery : bool
        Whether a panel of the viewer offers the work of earlier sessions.
    """

    def __init__(self, session: Session) -> None:
        self.offers_recovery = False
        self._active = session.active
        self._saves: WeakKeyDictionary[Labels, LayerAutosave] = WeakKeyDictionary()
        self._active.grains_changed.connect(self._follow)
        self._follow(self._active.grains)

    def of_layer(self, layer: Labels) -> LayerAutosave | None:
        """Return the autosave of a layer; None for a layer that cannot be edited."""
        self._follow(layer)
        return self._saves.get(layer)

    def unsaved(self) -> list[tuple[str, int]]:
        """Return the name and the number of edits of every unsaved layer."""
        return [
            (layer.name, self._saves[layer].history.unsaved_edits)
            for layer in self._active.all_grains
            if layer in self._saves and not self._saves[layer].history.is_saved
        ]

    def flush(self) -> str:
        """Save all layers at once; return why one could not be saved, "" on success."""
        layers = [layer for layer in self._active.all_grains if layer in self._saves]
        problems = [self._saves[layer].flush() for layer in layers]
        return next(filter(None, problems), "")

    def discard(self, layer: Labels) -> None:
        """Delete the autosave of a layer that was given up."""
        autosave = self._saves.pop(layer, None)
        if autosave is not None:
            autosave.discard()

    def _follow(self, layer: Labels | None) -> None:
        if layer is None or layer in self._saves:
            return
        try:
            history = history_of(layer)
        except GrainsmithError:
            return  # a layer that cannot be edited has nothing to lose
        self._saves[layer] = LayerAutosave(history)


class LayerAutosave(QObject):
    """Saves one layer.

    Attributes
    ----------
    history : History
    folder : AutosaveFolder or None
        Where it is saved; None while there is nothing to save.
    replaces : list of Recovery or AutosaveFolder
        Earlier saves of the same work, discarded after the next save.
    """

    _finished = Signal(object)  # from the writing thread to that of the window

    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history
        self.folder: AutosaveFolder | None = None
        self.replaces: list[Recovery | AutosaveFolder] = []
        self._dirty: set[Tile] | None = None  # None: all tiles
        self._first_edit_s = 0.0
        self._writing: Future[tuple[str, Snapshot]] | None = None
        self._problem = ""
        self._timer = QTimer(self, singleShot=True, interval=_QUIET_MS)
        self._timer.timeout.connect(self.save)
        self._finished.connect(self._on_signal, Qt.ConnectionType.QueuedConnection)
        history.edited.connect(self._on_edited)
        history.changed.connect(self._on_changed)
        if not history.is_saved:  # a result that existed before its autosave
            self._on_changed()

    def save(self) -> None:
        """Save what changed in the background; discard the save of saved labels."""
        self._timer.stop()
        if self._writing is not None:
            self._timer.start()
            return
        self._first_edit_s = 0.0
        if self.history.is_saved:
            self._remove()
            return
        self._writing = _POOL.submit(_write, *self._to_write())
        _WRITING.add(self)
        self._writing.add_done_callback(self._finished.emit)

    def discard(self) -> None:
        """Delete what was saved, and save nothing more."""
        self.history.edited.disconnect(self._on_edited)
        self.history.changed.disconnect(self._on_changed)
        self._timer.stop()
        if self._writing is not None:
            wait([self._writing], _CLOSE_TIMEOUT_S)
        self._remove()

    def flush(self) -> str:
        """Save at once what is not saved yet; return the problem, "" on success."""
        if self._writing is not None:
            wait([self._writing], _CLOSE_TIMEOUT_S)
            if not self._writing.done():
                return f"The autosave has not finished within {_CLOSE_TIMEOUT_S:g} s."
            self._on_finished(self._writing)
        if not self.history.is_saved and (self._timer.isActive() or self._problem):
            self._timer.stop()
            self._on_written(_write(*self._to_write()))
        return self._problem

    def _to_write(self) -> tuple[AutosaveFolder, Snapshot]:
        """Return the folder, and a copy of what changed since the last save."""
        layer = self.history.layer
        if self.folder is not None and not self.folder.fits(layer.data):
            self.replaces.append(self.folder)
            self.folder, self._dirty = None, None
        if self.folder is None:
            self.folder = AutosaveFolder(layer.data.shape, layer.data.dtype, _about(layer))
        changes = snapshot(
            layer.data,
            self._dirty,
            states=self.history.states,
            table=_table_to_save(layer.features),
            edits=self.history.unsaved_edits,
            notes=_notes(layer),
        )
        self._dirty = set()
        return self.folder, changes

    def _on_edited(self, change: Change) -> None:
        if self._dirty is not None:
            ends = change.start + change.length - 1
            for pixels in (change.start, ends):
                self._dirty |= tiles_at(*divmod(pixels, change.shape[1]))
            # A run longer than a tile may cover tiles between its ends.
            if len(change.length) and int(change.length.max()) > TILE_PX:
                self._dirty = None
        self._on_changed()

    def _on_changed(self) -> None:
        if self.history.is_saved:
            self._dirty = None  # the labels may have been replaced
        now = time.monotonic()
        self._first_edit_s = self._first_edit_s or now
        left_ms = 1000 * (self._first_edit_s + _MAX_DELAY_S - now)
        # A save that is due must not be put off again, however fast the edits come.
        if left_ms > 0 or not self._timer.isActive():
            self._timer.start(int(min(_QUIET_MS, max(0.0, left_ms))))

    def _on_signal(self, future: Future[tuple[str, Snapshot]]) -> None:
        _WRITING.discard(self)
        self._on_finished(future)

    def _on_finished(self, future: Future[tuple[str, Snapshot]]) -> None:
        if future is self._writing:  # else `flush` has handled it
            self._writing = None
            self._on_written(future.result())

    def _on_written(self, outcome: tuple[str, Snapshot]) -> None:
        problem, changes = outcome
        if not problem:
            self._problem = ""
            self._discard_replaced()
            return
        if self._dirty is not None:
            self._dirty |= set(changes.tiles)
        self._timer.start(_RETRY_MS)
        if not self._problem:  # one warning is enough
            show_warning(f"Autosave: {problem} Your work is still in memory: save it elsewhere.")
        self._problem = problem

    def _remove(self) -> None:
        if self.folder is not None:
            self.replaces.append(self.folder)
            self.folder, self._dirty = None, None
        self._discard_replaced()

    def _discard_replaced(self) -> None:
        for save in self.replaces:
            save.discard()
        self.replaces = []


def _write(folder: AutosaveFolder, changes: Snapshot) -> tuple[str, Snapshot]:
    """Save; return the problem ("" on success) and what was to be saved."""
    try:
        folder.write(changes)
    except (GrainsmithError, OSError, MemoryError) as error:
        return message_of(error) or type(error).__name__, changes
    return "", changes


def _table_to_save(features: pd.DataFrame) -> pd.DataFrame | None:
    """Return the table; of a very long one only what cannot be measured again."""
    if "index" not in features:
        return None
    if len(features) <= _MAX_ROWS:
        return features.copy()
    texts = features.select_dtypes(exclude=["number", "bool"]).columns
    return features[["index", *texts]].copy()


def _notes(layer: Labels) -> dict[str, Any]:
    """Return the metadata that a recovered layer gets back."""
    metadata = GrainsMetadata.of(layer)
    return {
        "examples": {str(label): mineral for label, mineral in metadata.examples.items()},
        "model": metadata.model,
        "settings": metadata.settings,
        "seal": metadata.seal,
    }


def _about(layer: Labels) -> dict[str, Any]:
    metadata = GrainsMetadata.of(layer)
    return {
        "name": layer.name,
        "image": metadata.image,
        "source": metadata.source or "",
        "pixel_size_um": pixel_size_um_of(layer),
    }
