"""Bar above the panels: which layers are the image, the grains and the maps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAction,
    QComboBox,
    QGridLayout,
    QLabel,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QStylePainter,
    QWidget,
)

from grainsmith.ui.session import session_of
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    import napari
    from napari.layers import Image
    from qtpy.QtGui import QPaintEvent

_MIN_WIDTH_PX = 60
"""Layer names are long; the bar must still fit into 320 px."""


class LayerBar(QWidget):
    """Choose the image, the grains and the maps that all panels work on."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._active = session_of(viewer).active
        self._image = LayerComboBox("The image that grains are found in")
        self._grains = LayerComboBox("The grains that all tabs work on")
        self._maps = QPushButton()
        self._maps.setToolTip("Which layers are element maps")
        self._maps.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
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
        images = [layer for layer in active.images if layer not in active.maps]
        self._image.show_layers(images, active.image)
        self._grains.show_layers(list(active.all_grains), active.grains)
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

    def _on_map(self, layer: Image, is_map: bool) -> None:
        others = tuple(other for other in self._active.maps if other is not layer)
        self._active.maps = (*others, layer) if is_map else others


class LayerComboBox(QComboBox):
    """A combo box of layers; a name that is too long is elided in the middle."""

    def __init__(self, tip: str) -> None:
        super().__init__()
        self._tip = tip
        self.setToolTip(tip)
        self.setMinimumWidth(_MIN_WIDTH_PX)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)

    def show_layers(self, layers: list[Any], current: Any) -> None:
        """Offer these layers and select one of them."""
        self.clear()
        for layer in layers:
            self.addItem(layer.name, layer)
        if not layers:
            self.addItem("none", None)
        self.setEnabled(bool(layers))
        self.setToolTip(f"{self._tip}: {current.name}" if current else self._tip)
        none = 0 if not layers else -1
        self.setCurrentIndex(layers.index(current) if current in layers else none)

    def elided_text(self) -> str:
        """Return the name as it fits: beginnings and endings of names tell fields apart."""
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        field = self.style().subControlRect(
            QStyle.ComplexControl.CC_ComboBox,
            option,
            QStyle.SubControl.SC_ComboBoxEditField,
            self,
        )
        metrics = self.fontMetrics()
        return str(
            metrics.elidedText(self.currentText(), Qt.TextElideMode.ElideMiddle, field.width() - 4)
        )

    def paintEvent(self, _event: QPaintEvent) -> None:  # noqa: N802  (Qt's name)
        """Draw the box with the elided name."""
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        option.currentText = self.elided_text()
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
