"""Where the paths end: found out once per pixel, however often the grains are drawn again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.models.flows import follow

if TYPE_CHECKING:
    import numpy.typing as npt


class Paths:
    """The ends of the paths of one prediction.

    Following them is four fifths of drawing, and thresholds do not change them: they only say which
    pixels count. Eight bytes a pixel are kept once the first grains were drawn.
    """

    def __init__(self) -> None:
        self._ends: npt.NDArray[np.float32] | None = None

    def ends(
        self,
        flows: npt.NDArray[np.float32],
        inside: npt.NDArray[np.bool_],
        scale: float,
        offset: tuple[float, float] = (0.0, 0.0),
    ) -> npt.NDArray[np.float32]:
        """Return what `follow` returns, following only pixels that were never followed before."""
        if self._ends is None:
            self._ends = np.full((*inside.shape, 2), np.nan, np.float32)
        new = inside & np.isnan(self._ends[..., 0])
        if new.any():
            self._ends[new] = follow(flows, new, scale=scale, offset=offset)
        found: npt.NDArray[np.float32] = self._ends[inside]
        return found
