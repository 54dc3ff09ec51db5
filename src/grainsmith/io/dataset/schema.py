"""Data classes of a training set."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.errors import MismatchError
from grainsmith.io.files.limits import is_component, is_inside
from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_label_file

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.data import Image, LabelImage

ROLES = ("train", "validation", "test")
"""Use of a field; always of the whole field."""


@dataclass(frozen=True, slots=True, eq=False)
class LoadedField:
    """Image, labels and weights of a field, all of one size.

    Attributes
    ----------
    image : (Y, X) or (Y, X, 3) array
        As stored, not normalised.
    labels : (Y, X) int32 array
        Ground truth.
    weight : (Y, X) float32 array
        1 where labels and background are trusted, 0 where pixels are ignored in training.
    """

    image: Image
    labels: LabelImage
    weight: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingField:
    """Metadata of a field of a training set; its pixels stay on disk until `load`.

    Attributes
    ----------
    folder : Path
        Folder of the set; file names are relative to it.
    name : str
        Unique in the set.
    image, labels : str
        Files of the image and its ground truth.
    weight : str
        File of the trusted pixels; "" = all.
    role : str
        One of `ROLES`.
    group : str
        Fields of one group (a specimen, a mosaic) get one role; "" = none.
    n_grains : int
    diameter_px : float
        Median equivalent circular diameter (px); 0 without grains.
    trusted_pct : float
        Share of the trusted pixels in %.
    pixel_size_um : float
        0 if unknown.
    pixel_size_source, source, license, added : str
        Origin of the pixel size, of the image, its licence, and the time of adding.
    origins : dict of int to str
        "edited", "drawn" or "accepted" by grain; the others are from the model.
    minerals : dict of int to str
    model, settings : dict
        Model and settings of the first segmentation.
    sha256 : dict of str to str
        Fingerprints of the files, and of the pixels of the image (`pixels`).
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
    origins: dict[int, str] = dataclasses.field(default_factory=dict)
    minerals: dict[int, str] = dataclasses.field(default_factory=dict)
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    sha256: dict[str, str] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, got {self.role!r}")
        if not is_component(self.name):
            raise ValueError(f"the name {self.name!r} lies outside the folder")
        for file in filter(None, (self.image, self.labels, self.weight)):
            if not is_inside(file):
                raise ValueError(f"{file} lies outside the folder")

    @property
    def thumbnail(self) -> Path:
        """Path of a small PNG of the image, which may be missing."""
        return self.folder / "thumbnails" / f"{self.name}.png"

    def load(self) -> LoadedField:
        """Read image, labels and weights.

        Raises
        ------
        ReadError
            A file is missing or broken.
        MismatchError
            They differ in size.
        """
        image = read_image(self.folder / self.image, crop_databar="no").image
        labels = read_label_file(self.folder / self.labels, split=False).labels
        weight = np.ones(labels.shape, np.float32)
        if self.weight:
            mask = read_label_file(self.folder / self.weight, split=False).labels
            weight = (mask > 0).astype(np.float32)
        sizes = {image.shape[:2], labels.shape, weight.shape}
        if len(sizes) > 1:
            raise MismatchError(
                f"{self.name}: the image is {image.shape[:2]}, its labels are {labels.shape} and "
                f"its weights {weight.shape} (rows, columns). Export them again at one size."
            )
        return LoadedField(image, labels, weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A training set.

    Attributes
    ----------
    folder : Path
    fields : tuple of TrainingField
        In the order of adding.
    """

    folder: Path
    fields: tuple[TrainingField, ...] = ()

    def of_role(self, role: str) -> tuple[TrainingField, ...]:
        """Return the fields of one role."""
        return tuple(field for field in self.fields if field.role == role)

    def __getitem__(self, name: str) -> TrainingField:
        """Return the field of a name."""
        for field in self.fields:
            if field.name == name:
                return field
        raise KeyError(name)
