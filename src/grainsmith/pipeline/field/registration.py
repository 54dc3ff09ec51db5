"""Open, align and record the element maps of one field."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.align import initial_transform, resample_bspline
from grainsmith.data import SemImage
from grainsmith.io.images.reader import write_image
from grainsmith.io.maps.reader import open_maps
from grainsmith.io.transforms import read_transforms, write_transforms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grainsmith.align import RegistrationResult
    from grainsmith.data import ElementMap, LabelImage, Transform


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedMaps:
    """Element maps and their positions on the image.

    Attributes
    ----------
    maps : tuple of ElementMap
    transforms : mapping of str to Transform, or sequence of Transform
        By map name, or in the order of the maps.
    notes : tuple of str
        Maps left out, and assumptions of the readers.
    """

    maps: tuple[ElementMap, ...]
    transforms: Mapping[str, Transform] | Sequence[Transform]
    notes: tuple[str, ...] = ()


def open_placed_maps(
    folder: str | Path, transforms: str | Path | None, labels: LabelImage, image: SemImage | None
) -> PlacedMaps:
    """Open a folder of maps with their positions on the image.

    Parameters
    ----------
    folder : str or Path
    transforms : str, Path or None
        File of transforms; without it maps lie where their own files say.
    labels : (Y, X) int array
        Its size is that of the field if there is no image.
    image : SemImage or None
    """
    opened = open_maps(folder)
    notes = (*map(str, opened.problems), *opened.notes)
    if transforms is not None:
        by_name = read_transforms(transforms)
        # A file of one nameless matrix, as affinder writes it, holds for all maps.
        placed = [by_name[""]] * len(opened.maps) if "" in by_name else by_name
        return PlacedMaps(maps=opened.maps, transforms=placed, notes=notes)
    reference = image or SemImage(image=labels)
    return PlacedMaps(
        maps=opened.maps,
        transforms=[initial_transform(element_map, reference) for element_map in opened.maps],
        notes=(*notes, "The maps are not aligned: they lie where their files say."),
    )


def alignment_records(
    result: RegistrationResult, moving: Sequence[ElementMap | SemImage]
) -> list[dict[str, Any]]:
    """Return one JSON-ready record per aligned map.

    Parameters
    ----------
    result : RegistrationResult
    moving : sequence of ElementMap or SemImage
        In the order in which they were aligned.
    """
    table = result.table().rename(columns={"map": "name"})
    return [
        {
            "file": Path(image.source).name,
            "element": getattr(image, "element", ""),
            **{str(key): value for key, value in row.items()},
            "matrix": placed.transform.matrix,
            **({"bend": placed.bend.to_json()} if placed.bend else {}),
        }
        for image, row, placed in zip(
            moving, table.to_dict(orient="records"), result.rows, strict=True
        )
    ]


def write_alignment(
    path: str | Path,
    result: RegistrationResult,
    records: Sequence[dict[str, Any]],
    *,
    reference: str,
) -> None:
    """Write the transforms of maps with their records from `alignment_records`."""
    write_transforms(
        path,
        {record["name"]: row.transform for record, row in zip(records, result.rows, strict=True)},
        reference=reference,
        rows={record["name"]: record for record in records},
    )


def write_straightened(
    folder: str | Path, result: RegistrationResult, moving: Sequence[ElementMap | SemImage]
) -> list[Path]:
    """Write a resampled copy of every map with a B-spline deformation.

    Parameters
    ----------
    folder : str or Path
        Created if missing.
    result : RegistrationResult
    moving : sequence of ElementMap or SemImage
        In the order in which they were aligned.

    Returns
    -------
    list of Path
        "Si Ka1 straightened.tif", 32-bit, NaN outside the map.
    """
    written = []
    for image, row in zip(moving, result.rows, strict=True):
        if row.bend is None:
            continue
        Path(folder).mkdir(parents=True, exist_ok=True)
        values = np.asarray(getattr(image, "values", getattr(image, "cropped", None)))
        path = Path(folder) / f"{Path(row.name).stem} straightened.tif"
        straight = resample_bspline(values, row.transform, row.bend)
        write_image(path, straight, pixel_size_um=image.pixel_size_um)
        written.append(path)
    return written
