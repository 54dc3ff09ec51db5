"""What the public functions accept: paths, arrays, and the results of one another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from grainsmith.data import ElementMap, SemImage
from grainsmith.errors import MismatchError
from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_metadata import LabelMetadata
from grainsmith.results import GrainLabels

if TYPE_CHECKING:
    from grainsmith.data import LabelImage, Transform

ImageSource: TypeAlias = "str | Path | SemImage | npt.ArrayLike"
"""A path, a `SemImage`, or a (Y, X) or (Y, X, 3) array."""

LabelSource: TypeAlias = "str | Path | GrainLabels | npt.ArrayLike"
"""A path, the result of `segment` or `clean`, or a (Y, X) array of whole numbers."""


def read_labels(path: str | Path) -> GrainLabels:
    """Read the labels of a file, with the pixel size that it states.

    Parameters
    ----------
    path : str or Path
        A label image as Grainsmith, Cellpose, ImageJ or QuPath write it.

    Raises
    ------
    ReadError
        The file is missing, broken, or holds no labels.
    """
    from grainsmith.io.labels.label_image import read_label_file

    opened = read_label_file(path)
    notes = (*opened.notes, *opened.metadata.notes)
    return GrainLabels(labels=opened.labels, metadata=replace(opened.metadata, notes=notes))


def open_image(image: ImageSource, pixel_size_um: float = 0.0) -> SemImage:
    """Return any kind of image source as a `SemImage`; a given pixel size replaces its own."""
    if isinstance(image, SemImage):
        opened = image
    elif isinstance(image, str | Path):
        opened = read_image(image)
    else:
        opened = SemImage(
            image=np.asarray(image),
            pixel_size_um=_pixel_size_of_coordinates(image),
            pixel_size_source="coordinates of the array",
            source="array",
        )
    if pixel_size_um:
        return replace(opened, pixel_size_um=pixel_size_um, pixel_size_source="given by hand")
    return opened


def _pixel_size_of_coordinates(array: Any) -> float:
    """Return the spacing, in µm, of the y and x coordinates of an xarray.DataArray; 0 = unknown."""
    spacings = []
    for axis in ("y", "x"):
        coordinate = getattr(array, "coords", {}).get(axis)
        if coordinate is None or coordinate.attrs.get("units") not in ("µm", "um", "micrometer"):
            return 0.0
        steps = np.diff(np.asarray(coordinate, float))
        if not len(steps) or not np.allclose(steps, steps[0]):
            return 0.0
        spacings.append(abs(float(steps[0])))
    return spacings[0] if np.isclose(spacings[0], spacings[1]) else 0.0


def open_grains(grains: LabelSource, pixel_size_um: float = 0.0) -> GrainLabels:
    """Return any kind of label source as `GrainLabels`; a given pixel size replaces its own.

    Raises
    ------
    MismatchError
        An array is not two-dimensional or holds fractions.
    """
    if isinstance(grains, GrainLabels):
        opened = grains
    elif isinstance(grains, str | Path):
        opened = read_labels(grains)
    else:
        values = np.asarray(grains)
        if values.ndim != 2 or not np.array_equal(values, values.astype(np.int32)):
            raise MismatchError(
                f"labels must be a (rows, columns) array of whole numbers, got {values.dtype} "
                f"of shape {values.shape}"
            )
        opened = GrainLabels(
            labels=values.astype(np.int32),
            metadata=LabelMetadata(pixel_size_um=_pixel_size_of_coordinates(grains)),
        )
    if pixel_size_um:
        image = opened.image and replace(opened.image, pixel_size_um=pixel_size_um)
        metadata = replace(
            opened.metadata, pixel_size_um=pixel_size_um, pixel_size_source="given by hand"
        )
        return replace(opened, metadata=metadata, image=image)
    return opened


def list_maps(maps: Any) -> list[ElementMap | SemImage]:
    """Return the maps of a `MapFolder` or of a sequence."""
    return list(getattr(maps, "maps", maps))


def list_transforms(
    transforms: Any, maps: Sequence[ElementMap], image: SemImage | None, labels: LabelImage
) -> list[Transform]:
    """Return a transform per map: as given, or where the files say that the maps lie."""
    from grainsmith.align import RegistrationResult, initial_transform

    if isinstance(transforms, RegistrationResult):
        return [row.transform for row in transforms.rows]
    if isinstance(transforms, Mapping):
        missing = [one.name for one in maps if not {one.name, one.element} & set(transforms)]
        if missing:
            raise MismatchError(f"no transform for {', '.join(missing)}")
        return [transforms[one.name if one.name in transforms else one.element] for one in maps]
    if transforms is not None:
        return list(transforms)
    reference = image or SemImage(image=labels)
    return [initial_transform(one, reference) for one in maps]
