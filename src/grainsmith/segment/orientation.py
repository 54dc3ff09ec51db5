"""Canonical orientation of an image.

A network does not respond to an image and to its mirror image in quite the same way. Every image is
therefore flipped and transposed into an orientation that depends on its content only, so that
flipped and rotated copies of an image give the same grains.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.segment.types import ScalePrediction

if TYPE_CHECKING:
    from typing import Self

_Plane = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Orientation:
    """Flips of rows and of columns, followed by a transposition.

    Attributes
    ----------
    upside_down : bool
        Whether the rows are reversed.
    left_right : bool
        Whether the columns are reversed.
    exchanged : bool
        Whether rows and columns are exchanged afterwards.
    """

    upside_down: bool
    left_right: bool
    exchanged: bool

    @classmethod
    def canonical(cls, grey: _Plane) -> Self:
        """Find the orientation in which a (Y, X) image is wide, and bright at its top and left.

        Square images are oriented so that the stronger gradients run along the rows.
        """
        height, width = grey.shape
        if height == width:
            down, along = (float(np.abs(np.diff(grey, axis=axis)).sum()) for axis in (0, 1))
            exchanged = down > along
        else:
            exchanged = height > width
        rows, columns = height // 2, width // 2
        return cls(
            upside_down=bool(grey[-rows:].sum() > grey[:rows].sum()),
            left_right=bool(grey[:, -columns:].sum() > grey[:, :columns].sum()),
            exchanged=bool(exchanged),
        )

    def apply(self, plane: _Plane) -> _Plane:
        """Orient the last two axes of an image."""
        flipped = self._flip(plane)
        return np.ascontiguousarray(flipped.swapaxes(-1, -2) if self.exchanged else flipped)

    def revert(self, prediction: ScalePrediction) -> ScalePrediction:
        """Return the prediction of an oriented image in the orientation of the original image."""
        flows, probability = prediction.flows, prediction.probability
        if self.exchanged:
            flows, probability = flows[::-1].swapaxes(-1, -2), probability.T
        signs = np.array([-1 if self.upside_down else 1, -1 if self.left_right else 1], np.float32)
        return ScalePrediction(
            flows=np.ascontiguousarray(self._flip(flows) * signs[:, None, None]),
            probability=np.ascontiguousarray(self._flip(probability)),
            scale=prediction.scale,
            offset=prediction.offset,
        )

    def _flip(self, plane: _Plane) -> _Plane:
        rows = slice(None, None, -1 if self.upside_down else 1)
        columns = slice(None, None, -1 if self.left_right else 1)
        return plane[..., rows, columns]
