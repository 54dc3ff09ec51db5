"""A grain that is inserted by a click: its candidate, its size and its step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import grainsmith.clean as clean
from grainsmith.errors import MismatchError
from grainsmith.ui.layers.metadata import GrainsMetadata

if TYPE_CHECKING:
    import numpy.typing as npt
    from napari.layers import Image, Labels

    from grainsmith.clean import Candidate, GrainIndex, Patch
    from grainsmith.ui.editing.step import Step

_WHEEL_FACTOR = 0.88
"""Factor of the threshold per notch of the wheel."""

_REACH = 1.6
"""Half the window that is searched, in diameters of a typical grain."""


class Insertion:
    """A candidate and the threshold that makes a grain of it.

    Attributes
    ----------
    candidate : Candidate
    threshold : float
        0..1; lower makes the grain larger.
    grain : int
        Number of the grain; 0 before it is inserted.
    step : Step or None
        The step of the history that inserted it; None before.
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
        """Find the candidate at (y, x) from the prediction of the labels, else from the gray level.

        Raises
        ------
        MismatchError
            There is no grain at the point, or neither prediction nor image of the field.
        """
        seed = round(point[0]), round(point[1])
        prediction = GrainsMetadata.of(layer).prediction
        if prediction is not None and seed[0] < prediction.shape[0]:
            return cls(
                clean.candidate_from_flows(
                    layer.data[: prediction.shape[0]],  # without the data bar
                    seed,
                    prediction.probability,
                    prediction.flows,
                    reach_px=_REACH * float(prediction.diameter_px),
                    scale=prediction.scale,
                )
            )
        pixels = _image_pixels(image, layer)
        reach_px = _REACH * _typical_diameter_px(index, layer.data.shape)
        return cls(clean.candidate_from_grey(layer.data, seed, pixels, reach_px=reach_px))

    def resize(self, steps: float) -> None:
        """Make the grain larger (steps above 0) or smaller."""
        self.threshold = float(np.clip(self.threshold * _WHEEL_FACTOR**steps, 0.02, 0.99))

    def patches(self, labels: npt.NDArray[Any], index: GrainIndex) -> tuple[Patch, ...]:
        """Return the edit that inserts the grain, or reshapes it to the present threshold."""
        if self.grain == 0:
            return clean.add_candidate(labels, index, self.candidate, self.threshold)
        mask = self.candidate.mask(self.threshold)
        return clean.reshape(labels, index, self.grain, self.candidate.box, mask)


def _image_pixels(image: Image | None, layer: Labels) -> npt.NDArray[Any]:
    if image is None:
        raise MismatchError("Inserting a grain needs an image or a prediction. Open the image.")
    pixels = np.asarray(image.data)
    if pixels.shape[:2] != layer.data.shape:
        raise MismatchError(
            f"The image is {pixels.shape[:2]}, the labels are {layer.data.shape} (rows, columns). "
            "Choose the image of these grains."
        )
    return pixels


def _typical_diameter_px(index: GrainIndex, shape: tuple[int, ...]) -> float:
    areas_px = list(index.areas_px.values())
    if not areas_px:
        return min(shape) / 10
    # Three times the median: a missed grain may be larger than the others.
    return float(3 * np.sqrt(np.median(areas_px) * 4 / np.pi))
