"""Write and read transforms: JSON, and the text files of affinder and elastix."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import grainsmith
from grainsmith.data import Transform
from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.limits import read_text

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = "grainsmith-transforms"
_MAX_BYTES = 1 << 26


def write_transforms(
    path: str | Path,
    transforms: Mapping[str, Transform],
    *,
    reference: str,
    rows: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write the transforms of maps to their reference.

    Parameters
    ----------
    path : str or Path
        Ends in .json (all transforms), or in .txt or .csv (the matrix of one map, for affinder).
    transforms : mapping of str to Transform
        Transform by name of the map.
    reference : str
        File or name of the reference image.
    rows : mapping of str to mapping
        Further values of each map (group, z, residual, ...).

    Raises
    ------
    WriteError
        The file could not be written; an existing one is unchanged.
    ValueError
        Several transforms for a file of one.
    """
    if Path(path).suffix.lower() in (".txt", ".csv"):
        if len(transforms) != 1:
            raise ValueError(f"a .txt holds one matrix, got {len(transforms)}: save as .json")
        with atomic_write(path) as temporary:
            np.savetxt(temporary, next(iter(transforms.values())).matrix, delimiter=",")
        return
    maps = [
        {
            **(rows or {}).get(name, {}),
            "name": name,
            "matrix": transform.matrix.tolist(),
            "z": transform.z,
            "verdict": transform.verdict,
        }
        for name, transform in transforms.items()
    ]
    content = {
        "format": _FORMAT,
        "version": 1,
        "written_by": f"grainsmith {grainsmith.__version__}",
        "reference": reference,
        "matrix_is": "(y, x, 1) of the map's pixels -> pixels of the reference; centres at whole "
        "numbers",
        "maps": maps,
    }
    with atomic_write(path) as temporary:
        text = json.dumps(content, indent=1, ensure_ascii=False, default=_plain)
        temporary.write_text(text, encoding="utf-8")


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else str(value)


def read_transforms(path: str | Path) -> dict[str, Transform]:
    """Read transforms of Grainsmith, affinder (.txt, .csv) or elastix (TransformParameters).

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    dict of str to Transform
        By name of the map; "" for a file of one unnamed matrix.

    Raises
    ------
    ReadError
        It is missing, or holds no supported transform.
    """
    path = Path(path)
    text = read_text(path, max_bytes=_MAX_BYTES)
    try:
        if text.lstrip().startswith("{"):
            return _from_json(text)
        if "(Transform " in text:
            return {"": _from_elastix(text)}
        return {"": _from_matrix(text)}
    except Exception as error:
        raise ReadError(
            f"{path.name} holds no transform that is understood ({error}). Supported are "
            "transforms of Grainsmith (.json), a 3 x 3 matrix of affinder, and affine, Euler or "
            "translation TransformParameters of elastix."
        ) from error


def _from_json(text: str) -> dict[str, Transform]:
    content = json.loads(text)
    if content.get("format") != _FORMAT:
        raise ValueError(f"its format is {content.get('format')!r}, not {_FORMAT!r}")
    return {
        str(item["name"]): Transform(
            matrix=_checked(item["matrix"]),
            z=float(item.get("z") or 0.0),
            verdict=str(item.get("verdict", "by hand")),
        )
        for item in content["maps"]
    }


def read_bends(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return the records of bent maps in a file of Grainsmith, by name of the map.

    Parameters
    ----------
    path : str or Path
        A file that `read_transforms` can read; only .json holds such records.
    """
    if Path(path).suffix.lower() != ".json":
        return {}
    maps = json.loads(Path(path).read_text(encoding="utf-8"))["maps"]
    return {str(item["name"]): item["bend"] for item in maps if isinstance(item.get("bend"), dict)}


def _checked(values: Any) -> npt.NDArray[np.float64]:
    matrix = np.array(values, dtype=np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise ValueError(f"a matrix of shape {matrix.shape}")
    if not np.allclose(matrix[2], (0, 0, 1)) or abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError("its matrix is not an affine transform")
    return matrix


def _from_matrix(text: str) -> Transform:
    numbers = [float(word) for word in re.split(r"[,;\s]+", text.strip())]
    if len(numbers) != 9:
        raise ValueError(f"{len(numbers)} numbers instead of the 9 of a 3 x 3 matrix")
    return Transform(matrix=_checked(np.reshape(numbers, (3, 3))), verdict="by hand")


def _from_elastix(text: str) -> Transform:
    """Return the transform of an elastix parameter file, moving -> fixed.

    elastix writes x before y, and maps points of the fixed to points of the moving image:
    p -> A (p - c) + c + t. Only unit spacing and origin 0 are supported.
    """
    kind = _elastix(text, "Transform")[0]
    numbers = [float(word) for word in _elastix(text, "TransformParameters")]
    for name, expected in (("Spacing", 1.0), ("Origin", 0.0)):
        values = [float(word) for word in _elastix(text, name)]
        if any(value != expected for value in values):
            raise ValueError(f"its {name} is {values}, only {expected:g} is supported")
    center = np.array(
        [float(word) for word in _elastix(text, "CenterOfRotationPoint")] or [0.0, 0.0]
    )
    linear, shift = _elastix_parts(kind, numbers)
    forward = np.eye(3)
    forward[:2, :2] = linear
    forward[:2, 2] = shift + center - linear @ center
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=float)
    return Transform(matrix=_checked(swap @ np.linalg.inv(forward) @ swap), verdict="by hand")


def _elastix_parts(
    kind: str, numbers: list[float]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if kind == "TranslationTransform" and len(numbers) == 2:
        return np.eye(2), np.array(numbers)
    if kind in ("EulerTransform", "SimilarityTransform") and len(numbers) in (3, 4):
        zoom, angle, *shift = numbers if len(numbers) == 4 else [1.0, *numbers]
        cos, sin = zoom * np.cos(angle), zoom * np.sin(angle)
        return np.array([[cos, -sin], [sin, cos]]), np.array(shift)
    if kind == "AffineTransform" and len(numbers) == 6:
        return np.reshape(numbers[:4], (2, 2)), np.array(numbers[4:])
    raise ValueError(f"a {kind} of {len(numbers)} numbers")


def _elastix(text: str, name: str) -> list[str]:
    match = re.search(rf"^\({name} ([^)]*)\)", text, re.MULTILINE)
    return [word.strip('"') for word in match.group(1).split()] if match else []
