"""What is wrong with a training set, said before anybody trains on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from grainsmith.data import OnProgress, no_progress
from grainsmith.errors import GrainsmithError
from grainsmith.io.dataset.folder import grain_summary, make_thumbnail

if TYPE_CHECKING:
    from grainsmith.io.dataset.schema import Dataset, LoadedField

_LOOK_PX = 24
_SAME_LOOK = 0.98
"""Correlation of two small images above which they show the same place."""

_OTHER_SCALE = 3.0
_MOST_LIKE_GRAINS = 0.4
"""If more of the background is as bright as four fifths of the grains, grey tells nothing."""

_CORE = 0.2
"""Half-width of what is missing, in median diameters: thinner bright seams are no grains."""


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of a training set to correct or to know about.

    Attributes
    ----------
    field : str
        Name; "" = the whole set.
    kind : str
        "unreadable", "no grains", "unlabelled", "partly trusted", "duplicate", "leak", "scale" or
        "split".
    text : str
        In the user's words, with what to do.
    """

    field: str
    kind: str
    text: str


def find_problems(dataset: Dataset, *, on_progress: OnProgress = no_progress) -> list[Problem]:
    """Look at every field of a set and at the fields together.

    Parameters
    ----------
    dataset : Dataset
    on_progress : callable
        Told (fields done, fields in all); raising in it stops after a field.

    Returns
    -------
    list of Problem
        Empty where nothing was found.
    """
    found: list[Problem] = []
    looks: dict[str, npt.NDArray[np.float64]] = {}
    diameters: dict[str, float] = {}
    for done, field in enumerate(dataset.fields):
        on_progress(done, len(dataset.fields))
        try:
            loaded = field.load()
        except GrainsmithError as error:
            found.append(Problem(field.name, "unreadable", str(error)))
            continue
        found += _problems_of(field.name, loaded)
        looks[field.name] = _look(loaded.image)
        diameters[field.name] = float(grain_summary(loaded.labels)["diameter_px"])
    on_progress(len(dataset.fields), len(dataset.fields))
    return [*found, *_duplicates(dataset, looks), *_scales(diameters), *_split(dataset)]


def find_duplicates(dataset: Dataset) -> list[tuple[str, str]]:
    """Return the pairs of fields that show the same place; unreadable ones are passed over."""
    looks = {}
    for field in dataset.fields:
        try:
            looks[field.name] = _look(
                _small(field.thumbnail) if field.thumbnail.is_file() else None
            )
        except (OSError, TypeError):
            try:
                looks[field.name] = _look(field.load().image)
            except GrainsmithError:
                continue
    return _pairs_alike(looks)


def count_unlabelled(loaded: LoadedField) -> int:
    """Return how many patches of trusted background look like forgotten grains.

    Notes
    -----
    Only where grains stand out by their grey: at most 40 % of the background (the forgotten grains
    included) may be brighter (darker) than the dimmest fifth of the grains' pixels. A patch
    brighter than their median counts if a disc of 0.4 median diameters fits into it. Without
    contrast nothing is counted: 0 means "none seen", not "none there".
    """
    grey = loaded.image.mean(axis=2) if loaded.image.ndim == 3 else loaded.image.astype(float)
    smooth = ndimage.gaussian_filter(grey, 1.5)
    trust = loaded.weight > 0
    inside, outside = (loaded.labels > 0) & trust, (loaded.labels == 0) & trust
    diameter = float(grain_summary(loaded.labels)["diameter_px"])
    if not inside.any() or not outside.any():
        return 0
    # Dark grains on a bright ground are the same in the negative.
    if np.median(smooth[inside]) < np.median(smooth[outside]):
        smooth = -smooth
    dimmest, typical = np.percentile(smooth[inside], (20, 50))
    if np.mean(smooth[outside] > dimmest) > _MOST_LIKE_GRAINS:
        return 0
    like_grains = outside & (smooth > typical)
    depth = ndimage.distance_transform_edt(like_grains)
    return int(ndimage.label(depth > max(2.0, _CORE * diameter))[1])


def _problems_of(name: str, loaded: LoadedField) -> list[Problem]:
    found = []
    facts = grain_summary(loaded.labels)
    trusted_pct = 100 * float(loaded.weight.mean())
    if facts["n_grains"] == 0:
        found.append(Problem(name, "no grains", f"{name}: no grain is labelled in it."))
    if trusted_pct < 100:
        text = (
            f"{name}: {trusted_pct:.0f} % of it is trusted. Grainsmith learns from that part only; "
            "Cellpose itself would take the rest for background."
        )
        found.append(Problem(name, "partly trusted", text))
    missing = count_unlabelled(loaded)
    if missing > max(1, 0.03 * facts["n_grains"]):
        text = (
            f"{name}: about {missing} patches look like grains but are not labelled. Label them, "
            "or draw a region round what is finished."
        )
        found.append(Problem(name, "unlabelled", text))
    return found


def _duplicates(dataset: Dataset, looks: dict[str, npt.NDArray[np.float64]]) -> list[Problem]:
    found = []
    for first, other in _pairs_alike(looks):
        roles = {dataset[first].role, dataset[other].role}
        if len(roles) > 1:
            text = (
                f"{first} and {other} show the same place but one is for {dataset[first].role}, "
                f"the other for {dataset[other].role}: scores would be too good. "
                "Give them one role."
            )
            found.append(Problem(other, "leak", text))
        else:
            text = f"{first} and {other} show the same place: remove one of them."
            found.append(Problem(other, "duplicate", text))
    return found


def _scales(diameters: dict[str, float]) -> list[Problem]:
    known = {name: value for name, value in diameters.items() if value > 0}
    if len(known) < 2:
        return []
    found = []
    for name, value in known.items():
        rest = float(np.median([other for key, other in known.items() if key != name]))
        if max(value / rest, rest / value) > _OTHER_SCALE:
            text = (
                f"{name}: its grains are {value:.0f} px wide, those of the other fields "
                f"{rest:.0f} px. Was it taken at another magnification?"
            )
            found.append(Problem(name, "scale", text))
    return found


def _split(dataset: Dataset) -> list[Problem]:
    if not dataset.fields:
        return [Problem("", "split", "The set is empty: add a field.")]
    if not dataset.of_role("train"):
        return [Problem("", "split", "No field is for training.")]
    if not dataset.of_role("validation"):
        text = "No field is for validation: without one nobody can say whether training helped."
        return [Problem("", "split", text)]
    return []


def _pairs_alike(looks: dict[str, npt.NDArray[np.float64]]) -> list[tuple[str, str]]:
    names = [name for name, look in looks.items() if look.any()]
    if len(names) < 2:
        return []
    likeness = np.corrcoef(np.stack([looks[name] for name in names]))
    pairs = np.argwhere(np.triu(likeness > _SAME_LOOK, 1))
    return [(names[i], names[j]) for i, j in pairs]


def _look(image: object) -> npt.NDArray[np.float64]:
    """Return an image as 24 x 24 grey values with mean 0; all 0 where it is plain."""
    small = make_thumbnail(image).convert("L").resize((_LOOK_PX, _LOOK_PX), Image.Resampling.BOX)
    values = np.asarray(small, float).ravel()
    return values - values.mean() if values.std() > 1 else np.zeros_like(values)


def _small(path: object) -> npt.NDArray[np.uint8]:
    with Image.open(str(path)) as image:
        return np.asarray(image)
