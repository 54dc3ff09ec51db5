"""Which grains are selected, and which one is current."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psygnal import Signal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from napari.layers import Labels

    from grainsmith.ui.session.active_layers import ActiveLayers


class Selection:
    """Grains selected together in table, plots and image.

    Attributes
    ----------
    changed : psygnal signal
        Sent with the tuple of selected labels.
    current_changed : psygnal signal
        Sent with the current grain when another one, or the same one again, is looked at.

    Notes
    -----
    The current grain is napari's selected label of the active grains. Selecting a single grain
    makes it the current one.
    """

    changed = Signal(tuple)
    current_changed = Signal(int)

    def __init__(self, active: ActiveLayers) -> None:
        self._active = active
        self._labels: tuple[int, ...] = ()
        self._grains: Labels | None = None
        active.grains_changed.connect(self._on_grains)
        self._on_grains(active.grains)

    @property
    def labels(self) -> tuple[int, ...]:
        """The selected grains, in the order of their selection."""
        return self._labels

    @property
    def current(self) -> int:
        """The current grain; 0 without grains."""
        return int(self._grains.selected_label) if self._grains is not None else 0

    def select(self, labels: Iterable[int]) -> None:
        """Select these grains only."""
        selected = tuple(dict.fromkeys(int(label) for label in labels))
        if selected == self._labels:
            return
        self._labels = selected
        if self._grains is not None and len(selected) == 1:
            self._grains.selected_label = selected[0]
        self.changed.emit(selected)

    def set_current(self, label: int) -> None:
        """Make a grain the current one."""
        if self._grains is None:
            return
        if label == self.current:
            self.current_changed.emit(label)
        self._grains.selected_label = label

    def _on_grains(self, grains: Labels | None) -> None:
        if self._grains is not None:
            self._grains.events.selected_label.disconnect(self._on_selected_label)
        self._grains = grains
        if grains is not None:
            grains.events.selected_label.connect(self._on_selected_label)
        self.select(())

    def _on_selected_label(self, _event: object) -> None:
        self.current_changed.emit(self.current)
