"""A grain that is being added by a click: where it comes from and how large it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith import clean
from grainsmith.errors import MismatchError
from grainsmith.ui.layers.metadata import GrainsMetadata

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Image, Labels

    from grainsmith.clean import Candidate, GrainIndex, Patch
    from grainsmith.ui.editing.step import Step

_STEP = 0.88  # factor of the threshold for one notch of the wheel
_WINDOW = 1.6  # half the window that is looked at, in diameters of a typical grain


class Insertion:
    """A candidate, the threshold that makes a grain of it, and the grain once it is made.

    Attributes
    ----------
    candidate : Candidate
    threshold : float
        0..1; lower makes the grain larger.
    grain : int
        Its number; 0 before it was added.
    step : Step or None
        That of the history which added it; None before.
    """

    def __init__(self, candidate: Candidate) -> None:
        self.candidate = candidate
        self.threshold = candidate.start
        self.grain = 0
        self.step: Step | None = None

    @classmethod
    def at(
        cls, layer: Labels, image: Image | None, index: GrainIndex, point: tuple[float, float]
    ) -> Insertion:
        """Look what is at (y, x): by the prediction that the labels came from, or by the grey."""
        spot = round(point[0]), round(point[1])
        prediction = GrainsMetadata.of(layer).prediction
        if prediction is not None and spot[0] < prediction.shape[0]:
            return cls(
                clean.candidate_from_flows(
                    layer.data[: prediction.shape[0]],  # without the data bar
                    spot,
                    prediction.probability,
                    prediction.flows,
                    reach_px=_WINDOW * float(prediction.diameter_px),
                    scale=prediction.scale,
                )
            )
        pixels = _pixels_of(image, layer)
        reach = _WINDOW * _typical_diameter_px(index, layer.data.shape)
        return cls(clean.candidate_from_grey(layer.data, spot, pixels, reach_px=reach))

    def turn(self, steps: float) -> None:
        """Make the grain larger (steps above 0) or smaller."""
        self.threshold = float(np.clip(self.threshold * _STEP**steps, 0.02, 0.99))

    def patches(self, labels: npt.NDArray[Any], index: GrainIndex) -> tuple[Patch, ...]:
        """Return the edit that adds the grain, or gives it the shape of the present threshold."""
        if self.grain == 0:
            return clean.add_candidate(labels, index, self.candidate, self.threshold)
        mask = self.candidate.mask(self.threshold)
        return clean.reshape(labels, index, self.grain, self.candidate.box, mask)


def _pixels_of(image: Image | None, layer: Labels) -> npt.NDArray[Any]:
    if image is None:
        raise MismatchError("adding a grain by a click needs an image or a prediction")
    pixels = np.asarray(image.data)
    if pixels.shape[:2] != layer.data.shape:
        raise MismatchError(
            f"the image is {pixels.shape[:2]}, the labels {layer.data.shape}: not the same field"
        )
    return pixels


def _typical_diameter_px(index: GrainIndex, shape: tuple[int, ...]) -> float:
    areas = list(index.areas_px.values())
    if not areas:
        return min(shape) / 10
    # Three times the median: a missed grain may be larger than the others.
    return float(3 * np.sqrt(np.median(areas) * 4 / np.pi))
