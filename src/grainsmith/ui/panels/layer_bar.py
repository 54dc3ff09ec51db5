"""Bar above the panels: which layers are the image, the grains and the maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

from grainsmith.ui.session import session_of
from grainsmith.ui.widgets.controls import combo_box
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    import napari
    from napari.layers import Image


class LayerBar(QWidget):
    """Choose the image, the grains and the maps that all panels work on."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._active = session_of(viewer).active
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
        columns = (("Image", self._image, 3), ("Grains", self._grains, 3), ("Maps", self._maps, 2))
        for column, (title, widget, stretch) in enumerate(columns):
            caption = QLabel(title)
            caption.setStyleSheet("font-size: 10px;")
            grid.addWidget(caption, 0, column)
            grid.addWidget(widget, 1, column)
            grid.setColumnStretch(column, stretch)
        self._image.activated.connect(self._on_image)
        self._grains.activated.connect(self._on_grains)
        connect_while_alive(self, self._active.changed, self._show)
        self._show()

    def _show(self) -> None:
        active = self._active
        _fill(self._image, [one for one in active.images if one not in active.maps], active.image)
        _fill(self._grains, list(active.all_grains), active.grains)
        count = len(active.maps)
        self._maps.setText(str(count) if count else "none")
        menu = self._maps.menu()
        menu.clear()
        for layer in active.images:
            action = QAction(layer.name, menu, checkable=True, checked=layer in active.maps)
            action.toggled.connect(lambda on, layer=layer: self._on_map(layer, on))
            menu.addAction(action)
        self._maps.setEnabled(bool(active.images))

    def _on_image(self, index: int) -> None:
        self._active.image = self._image.itemData(index)

    def _on_grains(self, index: int) -> None:
        self._active.grains = self._grains.itemData(index)

    def _on_map(self, layer: Image, on: bool) -> None:
        others = tuple(one for one in self._active.maps if one is not layer)
        self._active.maps = (*others, layer) if on else others


def _combo(tip: str) -> QComboBox:
    combo = combo_box(tip, minimum_width_px=60)
    combo.setStatusTip(tip)  # the tool tip adds the name, which may not fit into the combo
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
