"""An image of pixels in a panel, laid out for the room that there is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QLabel, QSizePolicy

if TYPE_CHECKING:
    import numpy.typing as npt
    from qtpy.QtGui import QResizeEvent

_LEAST_TILE_PX, _MOST_TILE_PX = 84, 180
_GAP_PX = 6


class ImageView(QLabel):
    """An image of pixels, as wide as there is room; sends `resized` when that changes."""

    resized = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.setAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignTop)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.setWordWrap(True)

    def minimumSizeHint(self) -> QSize:  # noqa: N802  (Qt's word)
        """Keep the dock from growing with the image."""
        return QSize(0, self.pixmap().height() if not self.pixmap().isNull() else 40)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  (Qt's word)
        """Tell of a new width."""
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self.resized.emit()

    def show_picture(self, picture: npt.NDArray[np.uint8]) -> None:
        """Show a (Y, X, 3) image."""
        self.setPixmap(QPixmap.fromImage(image_of(picture)))

    def layout_of(self, places: int) -> tuple[int, int]:
        """Return tiles in a row and the side of one, for the room that there is."""
        room = max(self.width() - _GAP_PX, 2 * _LEAST_TILE_PX)
        columns = max(2, min(places, room // (_LEAST_TILE_PX + _GAP_PX)))
        side = room // columns - _GAP_PX
        return columns, int(np.clip(side, _LEAST_TILE_PX - 20, _MOST_TILE_PX))


def image_of(picture: npt.NDArray[np.uint8]) -> QImage:
    """Return a (Y, X, 3) image as Qt's own, with its own memory."""
    pixels = np.ascontiguousarray(picture)
    height, width = pixels.shape[:2]
    return QImage(pixels.data, width, height, 3 * width, QImage.Format.Format_RGB888).copy()
