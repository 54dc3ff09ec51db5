"""What a training set is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.errors import MismatchError
from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_labels

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.data import Image, LabelImage

ROLES = ("train", "validation", "test")
"""What a field is for; always the whole field."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedField:
    """The planes of a field, all of one size, as a trainer needs them.

    Attributes
    ----------
    image : (Y, X) or (Y, X, 3) array
        As it was stored, not normalised.
    labels : (Y, X) int32 array
        True grains.
    weight : (Y, X) float32 array
        1 where labels and background are trusted, 0 where nothing may be learnt.
    """

    image: Image
    labels: LabelImage
    weight: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingField:
    """A field of a training set: what is known of it. Its pixels stay on disk until `load`.

    Attributes
    ----------
    folder : Path
        Of the set; the files are named relative to it.
    name : str
        Unique in the set.
    image, labels : str
        Files of the image and of its true grains.
    weight : str
        File of what is trusted; "" = everything.
    role : str
        One of `ROLES`.
    group : str
        Fields of one group (a specimen, a mosaic) get one role; "" = on its own.
    n_grains : int
    diameter_px : float
        Median equivalent circular diameter; 0 without grains.
    trusted_pct : float
        Share of the pixels that may be learnt from.
    pixel_size_um : float
        0 where unknown.
    pixel_size_source, source, license, added : str
        Where the pixel size and the image came from, under which terms, when.
    origins : dict of int to str
        Who made a grain: "edited", "drawn" or "accepted"; those left out are the model's.
    minerals : dict of int to str
    model, settings : dict
        That found the grains first.
    sha256 : dict of str to str
        Fingerprints: of the files, and of the image's pixels (`pixels`).
    """

    folder: Path
    name: str
    image: str
    labels: str
    weight: str = ""
    role: str = "train"
    group: str = ""
    n_grains: int = 0
    diameter_px: float = 0.0
    trusted_pct: float = 100.0
    pixel_size_um: float = 0.0
    pixel_size_source: str = ""
    source: str = ""
    license: str = ""
    added: str = ""
    origins: dict[int, str] = field(default_factory=dict)
    minerals: dict[int, str] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, got {self.role!r}")

    @property
    def thumbnail(self) -> Path:
        """A small PNG of the image; it need not be there."""
        return self.folder / "thumbnails" / f"{self.name}.png"

    def load(self) -> LoadedField:
        """Read the planes from disk.

        Raises
        ------
        ReadError
            A file is missing or broken.
        MismatchError
            The planes differ in size.
        """
        image = read_image(self.folder / self.image, crop_databar="no").image
        labels = read_labels(self.folder / self.labels)
        weight = np.ones(labels.shape, np.float32)
        if self.weight:
            weight = (read_labels(self.folder / self.weight) > 0).astype(np.float32)
        sizes = {image.shape[:2], labels.shape, weight.shape}
        if len(sizes) > 1:
            raise MismatchError(
                f"{self.name}: the image is {image.shape[:2]}, its labels are {labels.shape} and "
                f"its weights {weight.shape} (rows, columns): export them again at one size"
            )
        return LoadedField(image, labels, weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A training set.

    Attributes
    ----------
    folder : Path
    fields : tuple of TrainingField
        In the order in which they were added.
    """

    folder: Path
    fields: tuple[TrainingField, ...] = ()

    def of_role(self, role: str) -> tuple[TrainingField, ...]:
        """Return the fields of one role."""
        return tuple(one for one in self.fields if one.role == role)

    def __getitem__(self, name: str) -> TrainingField:
        """Return the field of a name."""
        for one in self.fields:
            if one.name == name:
                return one
        raise KeyError(name)
