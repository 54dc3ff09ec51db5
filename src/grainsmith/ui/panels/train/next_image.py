"""Choose the image to label next, and segment it with the model that was kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.errors import MismatchError
from grainsmith.io.dataset import Dataset, read_dataset, unlabelled_images
from grainsmith.io.images.reader import read_image
from grainsmith.pipeline import segment_field

if TYPE_CHECKING:
    from grainsmith.data import OnProgress, SemImage
    from grainsmith.pipeline import SegmentedField
    from grainsmith.segment import SegmentSettings


def segment_next_image(
    source: str, training_set: str, settings: SegmentSettings, *, on_progress: OnProgress
) -> tuple[SemImage, SegmentedField]:
    """Segment the image that differs most from the training set.

    Parameters
    ----------
    source : str
        An image of the folder in which the next one is chosen; "" = none is open.
    training_set : str
        Folder; may be "" or missing.
    settings : SegmentSettings
    on_progress : OnProgress

    Raises
    ------
    GrainsmithError
        No image is open, or all images of its folder have labels.
    """
    from grainsmith.train.novelty import most_novel

    if not source:
        raise MismatchError("No image is open: open one of the folder to label first.")
    has_set = bool(training_set) and Path(training_set).is_dir()
    dataset = read_dataset(training_set) if has_set else Dataset(folder=Path())
    candidates = unlabelled_images(source, [field.source for field in dataset.fields])
    path = most_novel(candidates, dataset, settings.model, on_progress=on_progress)
    if path is None:
        raise MismatchError(f"All images in {Path(source).parent} have labels.")
    image = read_image(path)
    return image, segment_field(image, settings, on_progress=on_progress)
