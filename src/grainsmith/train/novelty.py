"""How like images are to the network: what to label next is what it has seen least of."""

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

MOST_LOOKED_AT = 60
"""Of more images, so many evenly spread ones are looked at: about 0.1 s each."""
_SIDE_PX = 384


def most_novel(
    pictures: Sequence[Path],
    dataset: Dataset,
    model_name: str,
    *,
    on_progress: OnProgress = no_progress,
) -> Path | None:
    """Return the image that is least like any field of a training set.

    Parameters
    ----------
    pictures : sequence of Path
        Those that cannot be read are left out.
    dataset : Dataset
    model_name : str
        Whose style vectors are compared, by the cosine of their angle: the network averages what it
        sees in an image to one such vector (Stringer et al. 2021).
    on_progress : callable
        Told (images looked at, images in all); raising in it stops the work.

    Returns
    -------
    Path or None
        The first one where the set is empty or the model knows no styles; None without a readable
        image.
    """
    if len(pictures) > MOST_LOOKED_AT:
        places = np.linspace(0, len(pictures) - 1, MOST_LOOKED_AT).astype(int)
        pictures = [pictures[place] for place in places]
    model = load_model(model_name)
    if len(pictures) < 2 or not dataset.fields or not isinstance(model, GrainNetModel):
        return pictures[0] if pictures else None
    total = len(dataset.fields) + len(pictures)
    known: list[npt.NDArray[np.float32]] = []
    for done, field in enumerate(dataset.fields):
        on_progress(done, total)
        with suppress(GrainsmithError):
            known.append(style(field.load().image, model))
    found: dict[Path, float] = {}
    for done, path in enumerate(pictures, len(dataset.fields)):
        on_progress(done, total)
        with suppress(GrainsmithError):
            own = style(read_image(path).cropped, model)
            found[path] = max((float(own @ one) for one in known), default=0.0)
    on_progress(total, total)
    return min(found, key=found.__getitem__, default=None)


def style(image: Image, model: GrainNetModel) -> npt.NDArray[np.float32]:
    """Return the style vector of a whole image, looked at from afar: a unit vector."""
    grey, _ = to_grey(image)
    return model.style(resize(grey, min(1.0, _SIDE_PX / max(grey.shape))))
