"""Novelty of images by the style vector of the network: which image to label next."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.data import OnProgress, no_progress
from grainsmith.errors import GrainsmithError
from grainsmith.io.images.reader import read_image
from grainsmith.models.grainnet_model import GrainNetModel
from grainsmith.models.registry import load_model
from grainsmith.segment.normalize import resize, to_grey

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from grainsmith.data import Image
    from grainsmith.io.dataset import Dataset

MAX_IMAGES = 60
"""Of more images, this many evenly spread ones are examined, at about 0.1 s each."""
_SIDE_PX = 384


def most_novel(
    paths: Sequence[Path],
    dataset: Dataset,
    model_name: str,
    *,
    on_progress: OnProgress = no_progress,
) -> Path | None:
    """Return the image that differs most from all fields of a training set.

    Parameters
    ----------
    paths : sequence of Path
        Images; those that cannot be read are left out.
    dataset : Dataset
    model_name : str
        Model whose style vectors are compared by cosine similarity; the vector is the mean of the
        deepest feature maps of the network (Stringer et al. 2021).
    on_progress : callable
        Called with (images examined, number of images); an exception raised in it stops the work.

    Returns
    -------
    Path or None
        The first one if the set is empty or the model has no style vectors; None if no image is
        readable.
    """
    if len(paths) > MAX_IMAGES:
        chosen = np.linspace(0, len(paths) - 1, MAX_IMAGES).astype(int)
        paths = [paths[index] for index in chosen]
    model = load_model(model_name)
    if len(paths) < 2 or not dataset.fields or not isinstance(model, GrainNetModel):
        return paths[0] if paths else None
    total = len(dataset.fields) + len(paths)
    known_styles: list[npt.NDArray[np.float32]] = []
    for done, field in enumerate(dataset.fields):
        on_progress(done, total)
        with suppress(GrainsmithError):
            known_styles.append(style(field.load().image, model))
    similarity: dict[Path, float] = {}
    for done, path in enumerate(paths, len(dataset.fields)):
        on_progress(done, total)
        with suppress(GrainsmithError):
            vector = style(read_image(path).cropped, model)
            similarity[path] = max((float(vector @ known) for known in known_styles), default=0.0)
    on_progress(total, total)
    return min(similarity, key=similarity.__getitem__, default=None)


def style(image: Image, model: GrainNetModel) -> npt.NDArray[np.float32]:
    """Return the style vector of a whole image, reduced to a side of 384 px: a unit vector."""
    grey, _ = to_grey(image)
    return model.style(resize(grey, min(1.0, _SIDE_PX / max(grey.shape))))
