"""What every model looks like from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Model(Protocol):
    """Takes normalised tiles, gives flows and grain probability.

    Attributes
    ----------
    name : str
        As the user chose it.
    fingerprint : str
        SHA-256 of the weights.
    diameter_px : float
        Grain diameter that it was made for; 0 = it takes images as they are, at any size.
    stride : int
        Height and width of a tile must be multiples of this.
    tile_px : int
        Side of the tiles that suit it; 0 = any multiple of the stride.
    """

    name: str
    fingerprint: str
    diameter_px: float
    stride: int
    tile_px: int

    def predict(self, tile: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (3, H, W): flow y, flow x in steps, logit of the grain probability.

        Parameters
        ----------
        tile : (H, W) float32 array
            Normalised to 1st..99th percentile = 0..1.
        """
        ...
