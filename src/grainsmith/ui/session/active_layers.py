"""Which layer of a viewer is the image, the grains, the maps: one answer for all panels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari.layers import Image, Labels
from psygnal import Signal, SignalInstance
from qtpy.QtWidgets import (
    QAction,
    QComboBox,
    QGridLayout,
    QLabel,
    QMenu,
    QSizePolicy,
    QToolButton,
    QWidget,
)

from grainsmith.ui.layers.convert import adopt, facts, role_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.layers import Layer

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
            facts(layer)["role"] = "image"
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
        if layer is not None:
            facts(layer).setdefault("role", "grains")
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
                facts(layer).update({"role": "map"})
                # An image that the user calls a map: its greys need not be counts.
                facts(layer).setdefault("element", layer.name)
                facts(layer).setdefault("kind", "picture")
            elif role_of(layer) == "map":
                facts(layer)["role"] = "picture"
        if self._image in layers:
            self.image = next((one for one in self.pictures if one not in layers), None)
        self._sync_maps()

    @property
    def pictures(self) -> tuple[Image, ...]:
        """All image layers that can be worked on (not mosaics, of which pieces are)."""
        return tuple(
            layer
            for layer in self._layers
            if isinstance(layer, Image) and role_of(layer) != "mosaic"
        )

    def missing(self, word: str) -> str:
        """Return the word on a missing image or grains, or what else is true beside a mosaic."""
        mosaics = [one for one in self._layers if role_of(one) == "mosaic"]
        if self._image is not None or not mosaics:
            return word
        if any(isinstance(one, Labels) for one in mosaics):
            return "A mosaic is open and no piece of it: zoom in, then press 'Edit this region'."
        return "A mosaic without grains is open: find them by `grainsmith mosaic` in a shell."

    @property
    def all_grains(self) -> tuple[Labels, ...]:
        """All label layers that can be worked on (not those made to compare with)."""
        return tuple(
            layer
            for layer in self._layers
            if isinstance(layer, Labels) and role_of(layer) in ("", "grains")
        )

    @staticmethod
    def belongs(grains: Labels, image: Image) -> bool:
        """Return whether the grains were found in, or fit, this image."""
        of = facts(grains).get("image", "")
        return bool(of == image.name if of else grains.data.shape[:2] == image.data.shape[:2])

    def _set(self, name: str, layer: Layer | None, signal: SignalInstance) -> None:
        if getattr(self, name) is not layer:
            setattr(self, name, layer)
            signal.emit(layer)
            self.changed.emit()

    def _sync_maps(self) -> None:
        maps = tuple(layer for layer in self.pictures if role_of(layer) == "map")
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
            if role == "image" or (role == "" and self._image is None):
                self._adopt_all(layer)
                self.image = layer
            self._sync_maps()
        elif layer in self.all_grains and (role == "grains" or self._grains is None):
            if self._image is not None:
                adopt(layer, self._image)
            self.grains = layer

    def _adopt_all(self, image: Image) -> None:
        for grains in self.all_grains:
            adopt(grains, image)

    def _on_removed(self, event: Any) -> None:
        layer = event.value
        self._names.pop(layer, None)
        layer.events.name.disconnect(self._on_renamed)
        if layer is self._image:
            rest = [one for one in self.pictures if role_of(one) in ("", "image", "picture")]
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
        for other in self._layers:  # grains and marks name the image that they belong to
            if old and other.metadata.get("grainsmith", {}).get("image") == old:
                facts(other)["image"] = layer.name
        self.changed.emit()


class LayerBar(QWidget):
    """One line: image · grains · maps, shared by all panels."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._roles = active_layers_of(viewer)
        self._image = _combo("The image that grains are found in")
        self._grains = _combo("The grains that all tabs work on")
        self._maps = QToolButton()
        self._maps.setToolTip("Which layers are element maps")
        self._maps.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._maps.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._maps.setMenu(QMenu(self._maps))
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(4)
        grid.setVerticalSpacing(0)
        roles = (("Image", self._image, 3), ("Grains", self._grains, 3), ("Maps", self._maps, 2))
        for column, (title, widget, stretch) in enumerate(roles):
            caption = QLabel(title)
            caption.setStyleSheet("font-size: 10px;")
            grid.addWidget(caption, 0, column)
            grid.addWidget(widget, 1, column)
            grid.setColumnStretch(column, stretch)
        self._image.activated.connect(self._on_image)
        self._grains.activated.connect(self._on_grains)
        connect_while_alive(self, self._roles.changed, self._show)
        self._show()

    def _show(self) -> None:
        roles = self._roles
        _fill(self._image, [one for one in roles.pictures if one not in roles.maps], roles.image)
        _fill(self._grains, list(roles.all_grains), roles.grains)
        count = len(roles.maps)
        self._maps.setText(str(count) if count else "none")
        menu = self._maps.menu()
        menu.clear()
        for layer in roles.pictures:
            action = QAction(layer.name, menu, checkable=True, checked=layer in roles.maps)
            action.toggled.connect(lambda on, layer=layer: self._on_map(layer, on))
            menu.addAction(action)
        self._maps.setEnabled(bool(roles.pictures))

    def _on_image(self, index: int) -> None:
        self._roles.image = self._image.itemData(index)

    def _on_grains(self, index: int) -> None:
        self._roles.grains = self._grains.itemData(index)

    def _on_map(self, layer: Image, on: bool) -> None:
        others = tuple(one for one in self._roles.maps if one is not layer)
        self._roles.maps = (*others, layer) if on else others


def _combo(tip: str) -> QComboBox:
    combo = QComboBox()
    combo.setStatusTip(tip)  # the tool tip adds the name, which may not fit into the combo
    # Layer names are long; the line must still fit in 320 px.
    combo.setMinimumWidth(60)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    return combo


def _fill(combo: QComboBox, layers: list[Any], current: Any) -> None:
    combo.clear()
    for layer in layers:
        combo.addItem(layer.name, layer)
    if not layers:
        combo.addItem("none", None)
    combo.setEnabled(bool(layers))
    combo.setToolTip(f"{combo.statusTip()}: {current.name}" if current else combo.statusTip())
    combo.setCurrentIndex(layers.index(current) if current in layers else 0 if not layers else -1)
