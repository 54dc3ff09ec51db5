"""Which layer of a viewer is the image, the grains, the maps: one answer for all panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Image, Labels
from psygnal import Signal, SignalInstance

from grainsmith.ui.layers.labels import attach_to_image
from grainsmith.ui.layers.metadata import (
    GrainsMetadata,
    MapMetadata,
    Role,
    follow_rename,
    role_of,
    set_role,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.layers import Layer
    from qtpy.QtWidgets import QWidget

_OF_VIEWER: WeakKeyDictionary[Any, ActiveLayers] = WeakKeyDictionary()


def active_layers_of(viewer: napari.viewer.Viewer) -> ActiveLayers:
    """Return the roles of a viewer: the same object to every panel."""
    # A dock gets the viewer behind a proxy; the layers' identity counts here.
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _OF_VIEWER:
        _OF_VIEWER[real] = ActiveLayers(real.layers)
    return _OF_VIEWER[real]


def connect_while_alive(widget: QWidget, signal: SignalInstance, slot: Callable[..., Any]) -> None:
    """Connect a slot for as long as the widget lives: a closed dock must hear nothing more."""
    signal.connect(slot)
    widget.destroyed.connect(lambda: signal.disconnect(slot, missing_ok=True))


class ActiveLayers:
    """Image, grains and maps of one viewer, following its layer list.

    Attributes
    ----------
    training_set : str
        Folder of the training set that is open; "" = none.
    image_changed, grains_changed, maps_changed : psygnal signals
        Sent with the new layer or layers when another one takes the role.
    changed : psygnal signal
        Sent without arguments after any of them, and when layers come, go or are renamed.
    grains_edited : psygnal signal
        Sent without arguments when labels or table of the present grains changed: by brush, by an
        operation, by undo or redo.
    """

    image_changed = Signal(object)
    grains_changed = Signal(object)
    maps_changed = Signal(object)
    changed = Signal()
    grains_edited = Signal()

    def __init__(self, layers: Any) -> None:
        self._layers = layers
        self._image: Image | None = None
        self._grains: Labels | None = None
        self._maps: tuple[Image, ...] = ()
        self._names: dict[Layer, str] = {}
        self.training_set = ""
        layers.events.inserted.connect(self._on_inserted)
        layers.events.removed.connect(self._on_removed)
        layers.events.reordered.connect(self._on_list)
        for layer in layers:
            self._take_in(layer)

    @property
    def image(self) -> Image | None:
        """The image that is worked on, or None."""
        return self._image

    @image.setter
    def image(self, layer: Image | None) -> None:
        if layer is not None:
            set_role(layer, Role.IMAGE)
        self._set("_image", layer, self.image_changed)
        self._sync_maps()
        if layer is not None and self._grains is not None:
            mine = [grains for grains in self.all_grains if self.belongs(grains, layer)]
            if mine and self._grains not in mine:
                self.grains = mine[-1]

    @property
    def grains(self) -> Labels | None:
        """The grains that are worked on, or None."""
        return self._grains

    @grains.setter
    def grains(self, layer: Labels | None) -> None:
        if layer is not None and not role_of(layer):
            set_role(layer, Role.GRAINS)
        # Undo sends set_data only, a new table features only.
        for event in ("paint", "set_data", "features"):
            if self._grains is not None:
                self._grains.events[event].disconnect(self._on_edited)
            if layer is not None:
                layer.events[event].connect(self._on_edited)
        self._set("_grains", layer, self.grains_changed)

    @property
    def maps(self) -> tuple[Image, ...]:
        """All element maps, in the order of the layer list."""
        return self._maps

    @maps.setter
    def maps(self, layers: tuple[Image, ...]) -> None:
        for layer in self.pictures:
            if layer in layers:
                set_role(layer, Role.MAP)
                if not MapMetadata.of(layer).element:
                    MapMetadata.update(layer, element=layer.name)
            elif role_of(layer) == Role.MAP:
                set_role(layer, Role.OTHER_IMAGE)
        if self._image in layers:
            self.image = next((one for one in self.pictures if one not in layers), None)
        self._sync_maps()

    @property
    def pictures(self) -> tuple[Image, ...]:
        """All image layers that can be worked on (not mosaics, of which pieces are)."""
        return tuple(
            layer
            for layer in self._layers
            if isinstance(layer, Image) and role_of(layer) != Role.MOSAIC
        )

    @property
    def viewer_layers(self) -> tuple[Layer, ...]:
        """All layers of the viewer."""
        return tuple(self._layers)

    @property
    def all_grains(self) -> tuple[Labels, ...]:
        """All label layers that can be worked on (not those made to compare with)."""
        return tuple(
            layer
            for layer in self._layers
            if isinstance(layer, Labels) and role_of(layer) in (Role.NONE, Role.GRAINS)
        )

    @staticmethod
    def belongs(grains: Labels, image: Image) -> bool:
        """Return whether the grains were found in, or fit, this image."""
        of = GrainsMetadata.of(grains).image
        return bool(of == image.name if of else grains.data.shape[:2] == image.data.shape[:2])

    def _set(self, name: str, layer: Layer | None, signal: SignalInstance) -> None:
        if getattr(self, name) is not layer:
            setattr(self, name, layer)
            signal.emit(layer)
            self.changed.emit()

    def _sync_maps(self) -> None:
        maps = tuple(layer for layer in self.pictures if role_of(layer) == Role.MAP)
        if maps != self._maps:
            self._maps = maps
            self.maps_changed.emit(maps)
            self.changed.emit()

    def _on_inserted(self, event: Any) -> None:
        self._take_in(event.value)
        self.changed.emit()

    def _take_in(self, layer: Layer) -> None:
        self._names[layer] = layer.name
        layer.events.name.connect(self._on_renamed)
        role = role_of(layer)
        if isinstance(layer, Image):
            if role == Role.IMAGE or (role == Role.NONE and self._image is None):
                self._adopt_all(layer)
                self.image = layer
            self._sync_maps()
        elif layer in self.all_grains and (role == Role.GRAINS or self._grains is None):
            if self._image is not None:
                attach_to_image(layer, self._image)
            self.grains = layer

    def _adopt_all(self, image: Image) -> None:
        for grains in self.all_grains:
            attach_to_image(grains, image)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        self._names.pop(layer, None)
        layer.events.name.disconnect(self._on_renamed)
        if layer is self._image:
            rest = [
                one
                for one in self.pictures
                if role_of(one) in (Role.NONE, Role.IMAGE, Role.OTHER_IMAGE)
            ]
            self.image = rest[-1] if rest else None
        if layer is self._grains:
            self.grains = self.all_grains[-1] if self.all_grains else None
        self._sync_maps()
        self.changed.emit()

    def _on_list(self, event: Any = None) -> None:
        self._sync_maps()
        self.changed.emit()

    def _on_edited(self, event: Any = None) -> None:
        self.grains_edited.emit()

    def _on_renamed(self, event: Any) -> None:
        layer = event.source
        old, self._names[layer] = self._names.get(layer, ""), layer.name
        follow_rename(self._layers, old, layer.name)
        self.changed.emit()
