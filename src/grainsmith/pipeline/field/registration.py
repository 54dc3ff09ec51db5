"""Maps of a field: opened, placed on its image, and that written down."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.align import resample_bspline
from grainsmith.io.images.reader import write_image
from grainsmith.io.transforms import write_transforms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.align import RegistrationResult
    from grainsmith.data import ElementMap, SemImage


def alignment_records(
    found: RegistrationResult, moving: Sequence[ElementMap | SemImage]
) -> list[dict[str, Any]]:
    """Return what is to be said of each aligned map, ready for JSON.

    Parameters
    ----------
    found : RegistrationResult
    moving : sequence of ElementMap or SemImage
        In the order in which they were aligned.
    """
    table = found.table().rename(columns={"map": "name"})
    return [
        {
            "file": Path(one.source).name,
            "element": getattr(one, "element", ""),
            **{str(key): value for key, value in row.items()},
            "matrix": placed.transform.matrix,
            **({"bend": placed.bend.to_json()} if placed.bend else {}),
        }
        for one, row, placed in zip(
            moving, table.to_dict(orient="records"), found.rows, strict=True
        )
    ]


def write_alignment(
    path: str | Path,
    found: RegistrationResult,
    records: Sequence[dict[str, Any]],
    *,
    reference: str,
) -> None:
    """Write where maps lie, with what `alignment_records` says of each."""
    write_transforms(
        path,
        {row["name"]: one.transform for row, one in zip(records, found.rows, strict=True)},
        reference=reference,
        rows={row["name"]: row for row in records},
    )


def write_straightened(
    folder: str | Path, found: RegistrationResult, moving: Sequence[ElementMap | SemImage]
) -> list[Path]:
    """Write a straightened copy of every map that is bent; the maps themselves stay.

    Parameters
    ----------
    folder : str or Path
        Made where it is missing.
    found : RegistrationResult
    moving : sequence of ElementMap or SemImage
        In the order in which they were aligned.

    Returns
    -------
    list of Path
        "Si Ka1 straightened.tif", 32-bit, NaN where the map does not reach.
    """
    written = []
    for one, row in zip(moving, found.rows, strict=True):
        if row.bend is None:
            continue
        Path(folder).mkdir(parents=True, exist_ok=True)
        values = np.asarray(getattr(one, "values", getattr(one, "field", None)))
        path = Path(folder) / f"{Path(row.name).stem} straightened.tif"
        straight = resample_bspline(values, row.transform, row.bend)
        write_image(path, straight, pixel_size_um=one.pixel_size_um)
        written.append(path)
    return written
