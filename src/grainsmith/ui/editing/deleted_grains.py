"""Deleted layers of grains that can be brought back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from psygnal import Signal
from qtpy.QtCore import QTimer

from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.editing.history import has_history, history_of
from grainsmith.ui.layers.metadata import MineralMapMetadata, Role, role_of

if TYPE_CHECKING:
    from napari.layers import Layer

    from grainsmith.ui.session import Session

_MAX_DELETED = 3
"""Layers that are kept; each takes the memory of its labels and its history."""


@dataclass(eq=False, slots=True)
class DeletedLayer:
    """A layer that was removed from the list.

    Attributes
    ----------
    layer : Labels layer
    position : int
        In the layer list.
    mineral_maps : list of layers
        That showed its minerals and are removed with it.
    """

    layer: Labels
    position: int
    mineral_maps: list[Layer]


class DeletedGrains:
    """Unsaved grains whose layers were deleted; a part of the session.

    A layer that was saved, written back or never edited after opening can be opened again from its
    file and is not kept.

    Attributes
    ----------
    changed : psygnal signal
        Sent without arguments when a layer was deleted, brought back or given up.
    """

    changed = Signal()

    def __init__(self, session: Session) -> None:
        self._layers = session.layers
        self._active = session.active
        self._autosave = session.part(AutosaveManager)
        self._deleted: list[DeletedLayer] = []
        session.layers.events.removed.connect(self._on_removed)

    @property
    def names(self) -> list[str]:
        """Names of the deleted layers, the oldest first."""
        return [deleted.layer.name for deleted in self._deleted]

    def bring_back(self) -> Labels | None:
        """Put the layer that was deleted last back, with its history, states and minerals."""
        if not self._deleted:
            return None
        deleted = self._deleted.pop()
        position = min(deleted.position, len(self._layers))
        self._layers.insert(position, deleted.layer)
        for mineral_map in deleted.mineral_maps:
            self._layers.append(mineral_map)
        self._active.grains = deleted.layer
        self._layers.selection.active = deleted.layer
        self.changed.emit()
        return deleted.layer

    def give_up(self) -> None:
        """Forget all deleted layers, and discard their autosaves."""
        for deleted in self._deleted:
            self._autosave.discard(deleted.layer)
        self._deleted = []
        self.changed.emit()

    def forget(self, layer: Labels) -> None:
        """Forget a layer whose labels live on in another layer."""
        self._deleted = [deleted for deleted in self._deleted if deleted.layer is not layer]
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        if not isinstance(layer, Labels) or role_of(layer) not in (Role.NONE, Role.GRAINS):
            return
        deleted = DeletedLayer(layer, int(event.index), [])
        # napari must finish the removal before other layers may be removed.
        QTimer.singleShot(0, lambda: self._remove_mineral_maps(deleted))
        if has_history(layer) and not history_of(layer).is_saved:
            self._deleted = [*self._deleted, deleted][-_MAX_DELETED:]
            self.changed.emit()

    def _remove_mineral_maps(self, deleted: DeletedLayer) -> None:
        for layer in list(self._layers):
            is_map = role_of(layer) == Role.MINERALS
            if is_map and MineralMapMetadata.of(layer).grains == deleted.layer.name:
                deleted.mineral_maps.append(layer)
                self._layers.remove(layer)
