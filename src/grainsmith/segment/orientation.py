"""The way round in which the network sees an image: chosen by its content, not by who took it.

A network does not see quite the same in an image and in its mirror image. So every image is
first turned into a position that its own content decides; turned or mirrored copies of an image
then come to the same position, and give the same grains.
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
    """First mirrored upside down, then left to right, then rows and columns exchanged; or not."""

    upside_down: bool
    left_right: bool
    exchanged: bool

    @classmethod
    def upright(cls, grey: _Plane) -> Self:
        """Return the turn after which a (Y, X) image is wide and bright at its top and left.

        A square image has no long side: there the stronger gradients run along its rows.
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

    def do(self, plane: _Plane) -> _Plane:
        """Turn the last two axes of an image."""
        turned = self._mirrored(plane)
        return np.ascontiguousarray(turned.swapaxes(-1, -2) if self.exchanged else turned)

    def undo(self, said: ScalePrediction) -> ScalePrediction:
        """Turn back what was said of the turned image; flows change their direction with it."""
        flows, probability = said.flows, said.probability
        if self.exchanged:
            flows, probability = flows[::-1].swapaxes(-1, -2), probability.T
        signs = np.array([-1 if self.upside_down else 1, -1 if self.left_right else 1], np.float32)
        return ScalePrediction(
            flows=np.ascontiguousarray(self._mirrored(flows) * signs[:, None, None]),
            probability=np.ascontiguousarray(self._mirrored(probability)),
            scale=said.scale,
            offset=said.offset,
        )

    def _mirrored(self, plane: _Plane) -> _Plane:
        down = slice(None, None, -1 if self.upside_down else 1)
        along = slice(None, None, -1 if self.left_right else 1)
        return plane[..., down, along]
