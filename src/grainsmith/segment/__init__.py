"""Segmentation: normalise, predict octaves tile by tile, follow the flows, merge the octaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grainsmith._callable_package import make_callable
from grainsmith.data import OnProgress, no_progress
from grainsmith.segment.masks import draw_grains
from grainsmith.segment.prediction import predict
from grainsmith.segment.types import Grains, Prediction, ScalePrediction, SegmentSettings

if TYPE_CHECKING:
    from grainsmith.data import Image
    from grainsmith.models.model import Model

__all__ = [
    "Grains",
    "Prediction",
    "ScalePrediction",
    "SegmentSettings",
    "draw_grains",
    "predict",
    "segment_image",
]


def segment_image(
    image: Image,
    settings: SegmentSettings | None = None,
    *,
    model: Model | None = None,
    on_progress: OnProgress = no_progress,
) -> Grains:
    """Find the grains of an image.

    Parameters
    ----------
    image : (Y, X) or (Y, X, 3) array
        Image without data bar.
    settings : SegmentSettings, optional
        Defaults suit most images.
    model : Model, optional
        Replaces the model named in the settings.
    on_progress : callable
        Called with (tiles done, tiles in total); an exception raised in it cancels the work.

    Examples
    --------
    >>> import numpy as np
    >>> grains = segment_image(np.zeros((32, 32)))
    >>> int(grains.labels.max()), grains.note
    (0, 'the image is constant: there is nothing to find')
    """
    chosen = settings or SegmentSettings()
    return draw_grains(predict(image, chosen, model=model, on_progress=on_progress), chosen)


make_callable(__name__)
