"""The image, grains and element maps that the panels of a viewer work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.layers import Image, Labels
from psygnal import Signal, SignalInstance

from grainsmith.ui.layers.element_maps import element_map_of
from grainsmith.ui.layers.geometry import transform_of
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
    from napari.components import LayerList
    from napari.layers import Layer

    from grainsmith.data import ElementMap, Transform


class ActiveLayers:
    """The active image, grains and maps of one viewer, following its layer list.

    Attributes
    ----------
    training_set : str
        Folder of the open training set; "" without one.
    image_changed, grains_changed, maps_changed : psygnal signals
        Sent with the new active layer or layers.
    changed : psygnal signal
        Sent without arguments after any of them, and when layers are added, removed or renamed.
    grains_edited : psygnal signal
        Sent without arguments when labels or table of the active grains changed: by the brush, an
        operation, undo or redo.
    """

    image_changed = Signal(object)
    grains_changed = Signal(object)
    maps_changed = Signal(object)
    changed = Signal()
    grains_edited = Signal()

    def __init__(self, layers: LayerList) -> None:
        self._layers = layers
        self._image: Image | None = None
        self._grains: Labels | None = None
        self._maps: tuple[Image, ...] = ()
        self._names: dict[Layer, str] = {}
        self.training_set = ""
        layers.events.inserted.connect(self._on_inserted)
        layers.events.removed.connect(self._on_removed)
        layers.events.reordered.connect(self._on_reordered)
        for layer in layers:
            self._add(layer)

    # --- the active layers

    @property
    def image(self) -> Image | None:
        """The active image; None without one."""
        return self._image

    @image.setter
    def image(self, layer: Image | None) -> None:
        if layer is not None:
            set_role(layer, Role.IMAGE)
        self._set("_image", layer, self.image_changed)
        self._update_maps()
        if layer is not None and self._grains is not None:
            own_grains = [grains for grains in self.all_grains if self.belongs(grains, layer)]
            if own_grains and self._grains not in own_grains:
                self.grains = own_grains[-1]

    @property
    def grains(self) -> Labels | None:
        """The active grains; None without any."""
        return self._grains

    @grains.setter
    def grains(self, layer: Labels | None) -> None:
        if layer is not None and not role_of(layer):
            set_role(layer, Role.GRAINS)
        # Undo sends `set_data` only, a new table `features` only.
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
        for layer in self.images:
            if layer in layers:
                set_role(layer, Role.MAP)
                if not MapMetadata.of(layer).element:
                    MapMetadata.update(layer, element=layer.name)
            elif role_of(layer) == Role.MAP:
                set_role(layer, Role.OTHER_IMAGE)
        if self._image in layers:
            self.image = next((layer for layer in self.images if layer not in layers), None)
        self._update_maps()

    # --- the candidates

    @property
    def images(self) -> tuple[Image, ...]:
        """All image layers except mosaics, whose pieces are edited instead."""
        return tuple(
            layer
            for layer in self._layers
            if isinstance(layer, Image) and role_of(layer) != Role.MOSAIC
        )

    @property
    def all_grains(self) -> tuple[Labels, ...]:
        """All labels layers except truth, overlays and comparisons."""
        return tuple(
            layer
            for layer in self._layers
            if isinstance(layer, Labels) and role_of(layer) in (Role.NONE, Role.GRAINS)
        )

    @staticmethod
    def belongs(grains: Labels, image: Image) -> bool:
        """Return whether grains were found in, or fit, an image."""
        name = GrainsMetadata.of(grains).image
        return bool(name == image.name if name else grains.data.shape == image.data.shape[:2])

    def element_maps(self) -> tuple[list[ElementMap], dict[str, Transform]]:
        """Return the element maps and their transforms to the image, by element.

        Of two maps of one element the first counts: a column of the table holds one only.
        """
        maps: list[ElementMap] = []
        transforms: dict[str, Transform] = {}
        for layer in self.maps if self.image is not None else ():
            element_map = element_map_of(layer)
            if element_map.element not in transforms:
                maps.append(element_map)
                transforms[element_map.element] = transform_of(layer, self.image)
        return maps, transforms

    @property
    def viewer_layers(self) -> tuple[Layer, ...]:
        """All layers of the viewer."""
        return tuple(self._layers)

    # --- changes

    def _set(self, name: str, layer: Layer | None, signal: SignalInstance) -> None:
        if getattr(self, name) is not layer:
            setattr(self, name, layer)
            signal.emit(layer)
            self.changed.emit()

    def _update_maps(self) -> None:
        maps = tuple(layer for layer in self.images if role_of(layer) == Role.MAP)
        if maps != self._maps:
            self._maps = maps
            self.maps_changed.emit(maps)
            self.changed.emit()

    def _add(self, layer: Layer) -> None:
        self._names[layer] = layer.name
        layer.events.name.connect(self._on_renamed)
        role = role_of(layer)
        if isinstance(layer, Image):
            if role == Role.IMAGE or (role == Role.NONE and self._image is None):
                for grains in self.all_grains:
                    attach_to_image(grains, layer)
                self.image = layer
            self._update_maps()
        elif layer in self.all_grains and (role == Role.GRAINS or self._grains is None):
            if self._image is not None:
                attach_to_image(layer, self._image)
            self.grains = layer

    # --- events of the layer list

    def _on_inserted(self, event: Any) -> None:
        self._add(event.value)
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        self._names.pop(layer, None)
        layer.events.name.disconnect(self._on_renamed)
        if layer is self._image:
            others = [image for image in self.images if role_of(image) != Role.MAP]
            self.image = others[-1] if others else None
        if layer is self._grains:
            self.grains = self.all_grains[-1] if self.all_grains else None
        self._update_maps()
        self.changed.emit()

    def _on_reordered(self, _event: Any) -> None:
        self._update_maps()
        self.changed.emit()

    def _on_edited(self, _event: Any) -> None:
        self.grains_edited.emit()

    def _on_renamed(self, event: Any) -> None:
        layer = event.source
        old, self._names[layer] = self._names.get(layer, ""), layer.name
        follow_rename(self._layers, old, layer.name)
        self.changed.emit()
