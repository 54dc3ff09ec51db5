"""The image, grains and element maps that the panels of a viewer work on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image, Labels
from psygnal import Signal

from grainsmith.ui.layers.element_maps import element_map_of
from grainsmith.ui.layers.geometry import pixel_size_um_of, transform_of
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

    The active grains always belong to the active image: setting one of them sets the other. Grains
    whose image is not open are active without an image.

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
        self._activate(layer, self._grains_on(layer))
        self._update_maps()

    @property
    def grains(self) -> Labels | None:
        """The active grains; None without any."""
        return self._grains

    @grains.setter
    def grains(self, layer: Labels | None) -> None:
        if layer is None:
            self._activate(self._image, None)
            return
        if not role_of(layer):
            set_role(layer, Role.GRAINS)
        self._activate(self.image_of(layer), layer)

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
        """Return whether grains were found in, or fit, an image.

        Grains that name no image fit one of their shape, except if both have a pixel size and these
        differ.
        """
        name = GrainsMetadata.of(grains).image
        if name:
            return bool(name == image.name)
        sizes_um = pixel_size_um_of(grains), pixel_size_um_of(image)
        same_size = min(sizes_um) == 0 or np.isclose(*sizes_um)
        return bool(same_size and grains.data.shape == image.data.shape[:2])

    def image_of(self, grains: Labels) -> Image | None:
        """Return the image that grains belong to, the active one first; None if it is not open."""
        for image in self._images_without_maps():
            if self.belongs(grains, image):
                return image
        return None

    @property
    def unmatched_grains(self) -> tuple[Labels, ...]:
        """Grains that belong to no open image."""
        return tuple(grains for grains in self.all_grains if self.image_of(grains) is None)

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

    def _activate(self, image: Image | None, grains: Labels | None) -> None:
        """Make an image and its grains active together, so that two fields are never mixed."""
        old_image, old_grains = self._image, self._grains
        self._image, self._grains = image, grains
        if grains is not old_grains:
            # Undo sends `set_data` only, a new table `features` only.
            for event in ("paint", "set_data", "features"):
                if old_grains is not None:
                    old_grains.events[event].disconnect(self._on_edited)
                if grains is not None:
                    grains.events[event].connect(self._on_edited)
        if image is not old_image:
            self.image_changed.emit(image)
        if grains is not old_grains and grains is self._grains:  # else a slot has set others
            self.grains_changed.emit(grains)
        if image is not old_image or grains is not old_grains:
            self.changed.emit()

    def _images_without_maps(self) -> list[Image]:
        """Return the images that can be active, the active one first."""
        images = [image for image in self.images if role_of(image) != Role.MAP]
        return sorted(images, key=lambda image: image is not self._image)

    def _grains_on(self, image: Image | None) -> Labels | None:
        """Return the grains that become active with an image: the active ones if they fit."""
        if image is None:
            return self._grains
        own_grains = [grains for grains in self.all_grains if self.belongs(grains, image)]
        if self._grains in own_grains:
            return self._grains
        return own_grains[-1] if own_grains else None

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
        elif layer in self.all_grains:
            self._add_grains(layer, is_declared=role == Role.GRAINS)

    def _add_grains(self, layer: Labels, *, is_declared: bool) -> None:
        """Activate new grains if their metadata says so, or if they fit and there are none yet."""
        for image in self._images_without_maps():
            attach_to_image(layer, image)
        image = self.image_of(layer)
        if image is None and self._image is not None:
            self.changed.emit()  # they fit no image: a panel can say so
        elif is_declared or (self._grains is None and image is self._image):
            self.grains = layer

    # --- events of the layer list

    def _on_inserted(self, event: Any) -> None:
        self._add(event.value)
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        self._names.pop(layer, None)
        layer.events.name.disconnect(self._on_renamed)
        if layer is self._grains:
            self._grains_removed()
        if layer is self._image:
            others = self._images_without_maps()
            image = others[-1] if others else None
            self._activate(image, self._grains_on(image))
        self._update_maps()
        self.changed.emit()

    def _grains_removed(self) -> None:
        others = [
            grains
            for grains in self.all_grains
            if self._image is None or self.belongs(grains, self._image)
        ]
        self._activate(self._image, others[-1] if others else None)

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
