"""Oxford Instruments' .h5oina: electron images, element maps, pixel sizes and where a map lies.

After the public specification (github.com/oinanoanalysis/h5oina, H5OINAFile.md, version 8.0).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from grainsmith.data import ElementMap, SemImage
from grainsmith.errors import GrainsmithError, MismatchError, ReadError
from grainsmith.io.maps.filenames import parse_map_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {"Window Integral": "counts", "Peak Area": "counts", "Composition": "wt%"}
"""Groups of maps, and what their numbers are; the first that is there is taken."""

_DETECTORS = ("BSE", "SE", "FSE")
_LARGEST_CELLS = 1 << 28
_BROKEN = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class OinaFile:
    """What a file holds.

    Attributes
    ----------
    images : tuple of SemImage
        BSE first; `source` names file and data set.
    maps : tuple of ElementMap
        With their place in the image where the file says it.
    problems : tuple of GrainsmithError
        Of data sets that could not be read; the others are there.
    """

    images: tuple[SemImage, ...] = ()
    maps: tuple[ElementMap, ...] = ()
    problems: tuple[GrainsmithError, ...] = ()


def read_h5oina(path: str | Path) -> OinaFile:
    """Read all images and element maps of a file.

    Parameters
    ----------
    path : str or Path
        The .h5oina file.

    Returns
    -------
    OinaFile
        Maps as counts where the file has them (window integrals, else peak areas), as wt% where
        it has the composition only.

    Raises
    ------
    ReadError
        The file is missing, empty, cut off, or no .h5oina.
    """
    path = Path(path)
    try:
        with h5py.File(path, "r") as file:
            slices = [file[key] for key in file if key.isdigit()]
            if not slices:
                raise ReadError(
                    f"{path.name} is HDF5 but no .h5oina: it has no group '1'. It holds: "
                    f"{', '.join(list(file)[:5]) or 'nothing'}."
                )
            return _read_slice(slices[0], path)
    except ReadError:
        raise
    except _BROKEN as error:
        size = path.stat().st_size if path.exists() else -1
        why = {-1: "it does not exist", 0: "it is empty (0 bytes)"}.get(
            size, f"it is cut off or broken ({error})"
        )
        raise ReadError(f"{path.name} cannot be read: {why}. Copy or export it again.") from error


def _read_slice(part: Any, path: Path) -> OinaFile:
    problems: list[GrainsmithError] = []
    images = list(_images(part, path, problems))
    maps = [
        one
        for technique in part
        if re.fullmatch(r"EDS\d*", technique)
        for one in _maps(part[technique], f"{path.name}:{technique}", problems)
    ]
    return OinaFile(images=tuple(images), maps=tuple(maps), problems=tuple(problems))


def _images(part: Any, path: Path, problems: list[GrainsmithError]) -> Iterator[SemImage]:
    if "Electron Image" not in part:
        return
    group = part["Electron Image"]
    shape, step = _grid(group["Header"])
    for detector in _DETECTORS:
        for name, data in group["Data"].get(detector, {}).items():
            source = f"{path.name}:{detector} {name}"
            values = _values(data, shape, source, problems)
            if values is not None:
                yield SemImage(
                    image=values,
                    pixel_size_um=step,
                    pixel_size_source="h5oina X Step" if step else "",
                    source=source,
                )


def _maps(group: Any, source: str, problems: list[GrainsmithError]) -> Iterator[ElementMap]:
    header = group["Header"]
    shape, step = _grid(header)
    window = _window(header)
    kinds = [kind for kind in _KINDS if kind in group["Data"] and len(group["Data"][kind])]
    for name, data in group["Data"][kinds[0]].items() if kinds else ():
        guess = parse_map_name(name)
        values = _values(data, shape, f"{source}/{kinds[0]}/{name}", problems)
        if guess.what == "element" and values is not None:
            yield ElementMap(
                values=values,
                element=guess.element,
                line=guess.line,
                kind=_KINDS[kinds[0]],
                pixel_size_um=step,
                source=f"{source}/{kinds[0]}/{name}",
                window=window,
            )


def _grid(header: Any) -> tuple[tuple[int, int], float]:
    """Return (rows, columns) and the side of a pixel in µm."""
    shape = (int(_number(header["Y Cells"])), int(_number(header["X Cells"])))
    if min(shape) < 1 or shape[0] * shape[1] > _LARGEST_CELLS:
        raise ReadError(f"the header claims {shape[1]} x {shape[0]} cells: it is broken.")
    return shape, float(_number(header["X Step"])) if "X Step" in header else 0.0


def _number(data: Any) -> float:
    return float(np.asarray(data[()]).ravel()[0])


def _window(header: Any) -> tuple[float, ...]:
    if "Relative Offset" not in header or "Relative Size" not in header:
        return ()
    left, top = (float(one) for one in np.asarray(header["Relative Offset"][()]).ravel()[:2])
    width, height = (float(one) for one in np.asarray(header["Relative Size"][()]).ravel()[:2])
    sound = np.isfinite([left, top, width, height]).all() and width > 0 and height > 0
    return (top, left, height, width) if sound else ()


def _values(
    data: Any, shape: tuple[int, int], source: str, problems: list[GrainsmithError]
) -> npt.NDArray[Any] | None:
    if data.size != shape[0] * shape[1]:
        problems.append(
            MismatchError(
                f"{source} holds {data.size} values where its header says {shape[1]} x {shape[0]}."
            )
        )
        return None
    try:
        values: npt.NDArray[Any] = data[()].reshape(shape)
    except _BROKEN as error:
        problems.append(ReadError(f"{source} cannot be read ({error}): the file may be cut off."))
        return None
    return values
