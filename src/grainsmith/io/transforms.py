"""Save and load transforms: our JSON, and the plain text of affinder and elastix."""

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

if TYPE_CHECKING:
    from collections.abc import Mapping

_FORMAT = "grainsmith-transforms"


def write_transforms(
    path: str | Path,
    transforms: Mapping[str, Transform],
    *,
    reference: str,
    rows: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write where maps lie on their reference.

    Parameters
    ----------
    path : str or Path
        Ends in .json (all of them), or in .txt or .csv: affinder's bare matrix, of one map only.
    transforms : mapping of str to Transform
        By the maps' names.
    reference : str
        File or name of the reference.
    rows : mapping of str to mapping
        What else is to be kept for each map (group, z, residual, ...).

    Raises
    ------
    WriteError
        The file could not be written; one that was there before is untouched.
    ValueError
        Several transforms for a file that holds one.
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
            "matrix": one.matrix.tolist(),
            "z": one.z,
            "verdict": one.verdict,
        }
        for name, one in transforms.items()
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
    """Read transforms of ours, of affinder (.txt, .csv) or of elastix (TransformParameters).

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    dict of str to Transform
        By the maps' names; "" for a file of one matrix without a name.

    Raises
    ------
    ReadError
        The file is missing or holds no transform that is understood.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read: {error}") from error
    try:
        if text.lstrip().startswith("{"):
            return _from_json(text)
        if "(Transform " in text:
            return {"": _from_elastix(text)}
        return {"": _from_matrix(text)}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(
            f"{path.name} holds no transform that is understood ({error}). Wanted: transforms "
            "saved by Grainsmith (.json), a 3 x 3 matrix as affinder writes it, or the affine, "
            "Euler or translation TransformParameters of elastix."
        ) from error


def _from_json(text: str) -> dict[str, Transform]:
    content = json.loads(text)
    if content.get("format") != _FORMAT:
        raise ValueError(f"its format is {content.get('format')!r}, not {_FORMAT!r}")
    return {
        str(one["name"]): Transform(
            matrix=_checked(one["matrix"]),
            z=float(one.get("z") or 0.0),
            verdict=str(one.get("verdict", "by hand")),
        )
        for one in content["maps"]
    }


def read_bends(path: str | Path) -> dict[str, dict[str, Any]]:
    """Return what a file of ours records as bent beside its matrices, by the maps' names.

    Parameters
    ----------
    path : str or Path
        A file that `read_transforms` has read; other kinds than ours hold none.
    """
    if Path(path).suffix.lower() != ".json":
        return {}
    maps = json.loads(Path(path).read_text(encoding="utf-8"))["maps"]
    return {str(one["name"]): one["bend"] for one in maps if isinstance(one.get("bend"), dict)}


def _checked(values: Any) -> npt.NDArray[np.float64]:
    matrix = np.array(values, dtype=np.float64)
    if matrix.shape != (3, 3) or not np.isfinite(matrix).all():
        raise ValueError(f"a matrix of shape {matrix.shape}")
    if not np.allclose(matrix[2], (0, 0, 1)) or abs(np.linalg.det(matrix)) < 1e-6:
        raise ValueError("its matrix is no affine transform")
    return matrix


def _from_matrix(text: str) -> Transform:
    numbers = [float(one) for one in re.split(r"[,;\s]+", text.strip())]
    if len(numbers) != 9:
        raise ValueError(f"{len(numbers)} numbers where a 3 x 3 matrix has 9")
    return Transform(matrix=_checked(np.reshape(numbers, (3, 3))), verdict="by hand")


def _from_elastix(text: str) -> Transform:
    """Return the transform of an elastix parameter file, moving -> fixed.

    elastix writes x before y, and the way from the fixed to the moving image in physical points:
    p -> A (p - c) + c + t. Plain means: the same unit spacing and origin 0 for both images.
    """
    kind = _elastix(text, "Transform")[0]
    numbers = [float(one) for one in _elastix(text, "TransformParameters")]
    for name, wanted in (("Spacing", {"1", "1.0"}), ("Origin", {"0", "0.0", "-0"})):
        found = {f"{float(one):g}" for one in _elastix(text, name)}
        if not found <= {f"{float(one):g}" for one in wanted}:
            raise ValueError(f"its {name} is {sorted(found)}, only plain pixels are understood")
    centre = np.array([float(one) for one in _elastix(text, "CenterOfRotationPoint")] or [0.0, 0.0])
    linear, shift = _elastix_parts(kind, numbers)
    forward = np.eye(3)
    forward[:2, :2] = linear
    forward[:2, 2] = shift + centre - linear @ centre
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
    found = re.search(rf"^\({name} ([^)]*)\)", text, re.MULTILINE)
    return [one.strip('"') for one in found.group(1).split()] if found else []
