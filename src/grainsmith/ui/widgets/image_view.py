"""A label that shows an image as wide as the panel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy

if TYPE_CHECKING:
    import numpy.typing as npt
    from qtpy.QtGui import QResizeEvent

_MIN_TILE_PX, _MAX_TILE_PX = 84, 180
_GAP_PX = 6


class ImageView(QLabel):
    """An image that is as wide as the panel.

    Attributes
    ----------
    resized : Qt signal
        Sent when the width has changed.
    """

    resized = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setWordWrap(True)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Keep the dock from growing with the image."""
        return QSize(0, self.pixmap().height() if not self.pixmap().isNull() else 40)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's name)
        """Send `resized` for a new width."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.resized.emit()

    def show_image(self, image: npt.NDArray[np.uint8]) -> None:
        """Show a (Y, X, 3) image."""
        self.setPixmap(QPixmap.fromImage(to_qimage(image)))

    def tile_layout(self, n_tiles: int) -> tuple[int, int]:
        """Return the number of tiles per row and their side in pixels that fit into the width."""
        width = max(self.width() - _GAP_PX, 2 * _MIN_TILE_PX)
        columns = max(2, min(n_tiles, width // (_MIN_TILE_PX + _GAP_PX)))
        side = width // columns - _GAP_PX
        return columns, int(np.clip(side, _MIN_TILE_PX - 20, _MAX_TILE_PX))


def to_qimage(image: npt.NDArray[np.uint8]) -> QImage:
    """Copy a (Y, X, 3) image into a QImage."""
    pixels = np.ascontiguousarray(image)
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
