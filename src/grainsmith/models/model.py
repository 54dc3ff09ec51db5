"""Interface of a segmentation model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Model(Protocol):
    """Predict flows and grain probability of normalised tiles.

    Attributes
    ----------
    name : str
        Name in the registry.
    fingerprint : str
        SHA-256 of the weights.
    diameter_px : float
        Grain diameter that it was trained for; 0 = images are not rescaled.
    stride : int
        Height and width of a tile must be multiples of this number of pixels.
    tile_px : int
        Required side of a tile; 0 = any multiple of the stride.
    """

    name: str
    fingerprint: str
    diameter_px: float
    stride: int
    tile_px: int

    def predict(self, tile: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (3, H, W): flow y, flow x as unit steps, logit of the grain probability.

        Parameters
        ----------
        tile : (H, W) float32 array
            Normalised to 1st..99th percentile = 0..1.
        """
        ...
