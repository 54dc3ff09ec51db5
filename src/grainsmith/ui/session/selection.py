"""The grains that are chosen together in table, scatter and image, with outlines round them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from psygnal import Signal

from grainsmith.ui.editing.history import history_of
from grainsmith.ui.editing.overlays import CHOSEN
from grainsmith.ui.editing.previews import Shown
from grainsmith.ui.layers.camera import zoom_to
from grainsmith.ui.session.active_layers import active_layers_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import napari
    from napari.layers import Labels

    from grainsmith.ui.session.active_layers import ActiveLayers

_OF_VIEWER: WeakKeyDictionary[Any, Selection] = WeakKeyDictionary()


def selection_of(viewer: napari.viewer.Viewer) -> Selection:
    """Return the chosen grains of a viewer: the same object to every panel."""
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _OF_VIEWER:
        _OF_VIEWER[real] = Selection(real.layers, active_layers_of(viewer))
    return _OF_VIEWER[real]


class Selection:
    """Labels that are chosen.

    Attributes
    ----------
    changed : psygnal signal
        Sent with the tuple of labels.
    shown : Shown
        The marks over the grains.
    """

    changed = Signal(tuple)

    def __init__(self, layers: Any, roles: ActiveLayers) -> None:
        self.shown = Shown(layers)
        self._roles = roles
        self._labels: tuple[int, ...] = ()
        roles.grains_changed.connect(lambda _: self.choose(()))

    @property
    def labels(self) -> tuple[int, ...]:
        """The chosen grains."""
        return self._labels

    def choose(self, labels: Iterable[int]) -> None:
        """Choose these grains instead of those before; a single one becomes the selected label."""
        new = tuple(dict.fromkeys(int(label) for label in labels))
        if new == self._labels:
            return
        self._labels = new
        grains = self._roles.grains
        if grains is not None and len(new) == 1:
            grains.selected_label = new[0]
        self.mark()
        self.changed.emit(new)

    def mark(self) -> None:
        """Draw the outlines of the chosen grains where they are now."""
        grains = self._roles.grains
        if grains is None or not self._labels:
            self.shown.hide(CHOSEN)
        else:
            self.shown.chosen(grains, history_of(grains).index, self._labels)


def zoom_to_grains(viewer: napari.viewer.Viewer, grains: Labels, labels: Iterable[int]) -> None:
    """Bring grains into the middle of the view, with their surroundings."""
    index = history_of(grains).index
    present = [label for label in labels if label in index]
    if present:
        zoom_to(viewer, grains, index.union(present))
