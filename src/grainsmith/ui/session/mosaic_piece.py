"""The piece of a mosaic that is open for editing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from psygnal import Signal

if TYPE_CHECKING:
    from napari.components import LayerList
    from napari.layers import Image, Labels

    from grainsmith.pipeline.mosaic.region import Region


@dataclass(eq=False)
class MosaicPiece:
    """A region of a mosaic at full resolution.

    Attributes
    ----------
    region : Region
        Where it lies in the mosaic, with its pixels.
    image, grains : layers
        That show the region.
    mosaic : Labels layer
        The grains of the whole mosaic.
    """

    region: Region
    image: Image
    grains: Labels
    mosaic: Labels


class OpenPiece:
    """The open piece of one viewer.

    Attributes
    ----------
    changed : psygnal signal
        Sent without arguments when a piece was opened or closed.
    """

    changed = Signal()

    def __init__(self, layers: LayerList) -> None:
        self._piece: MosaicPiece | None = None
        layers.events.removed.connect(self._on_removed)

    @property
    def piece(self) -> MosaicPiece | None:
        """The open piece; None while none is open."""
        return self._piece

    @piece.setter
    def piece(self, piece: MosaicPiece | None) -> None:
        self._piece = piece
        self.changed.emit()

    def _on_removed(self, event: Any) -> None:
        piece = self._piece
        if piece is not None and event.value is piece.grains:
            piece.mosaic.visible = True
            self.piece = None
