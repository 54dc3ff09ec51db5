"""Read Oxford Instruments .h5oina: electron images, element maps, pixel sizes, map positions.

Follows the public specification (github.com/oinanoanalysis/h5oina, H5OINAFile.md, version 8.0).
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
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import check_shape
from grainsmith.io.images.sem_metadata import SemMetadata, square_pixel_size
from grainsmith.io.maps.filenames import parse_map_name

if TYPE_CHECKING:
    from collections.abc import Iterator

_KINDS = {"Window Integral": "counts", "Peak Area": "counts", "Composition": "wt%"}
"""Groups of maps and the kind of their values; the first group present is used."""

_DETECTORS = ("BSE", "SE", "FSE")


@dataclass(frozen=True, slots=True, kw_only=True)
class OinaFile:
    """Content of a file.

    Attributes
    ----------
    images : tuple of SemImage
        BSE first; `source` names file and data set.
    maps : tuple of ElementMap
        With their position in the image if the file states it.
    problems : tuple of GrainsmithError
        One for each data set that could not be read.
    notes : tuple of str
        What was assumed, in the user's words.
    """

    images: tuple[SemImage, ...] = ()
    maps: tuple[ElementMap, ...] = ()
    problems: tuple[GrainsmithError, ...] = ()
    notes: tuple[str, ...] = ()


def read_h5oina(path: str | Path) -> OinaFile:
    """Read all images and element maps of a file.

    Parameters
    ----------
    path : str or Path
        The .h5oina file.

    Returns
    -------
    OinaFile
        Maps as counts if the file has them (window integrals, else peak areas), as wt% if it has
        the composition only.

    Raises
    ------
    ReadError
        It is missing, empty, damaged, or not a .h5oina.
    """
    path = Path(path)
    with reading(path, "an .h5oina"), h5py.File(path, "r") as file:
        slices = [file[key] for key in file if key.isdigit()]
        if not slices:
            raise ReadError(
                f"{path.name} is HDF5 but not .h5oina: it has no group '1'. It holds: "
                f"{', '.join(list(file)[:5]) or 'nothing'}."
            )
        return _read_slice(slices[0], path)


def _read_slice(part: Any, path: Path) -> OinaFile:
    problems: list[GrainsmithError] = []
    techniques = [name for name in part if re.fullmatch(r"EDS\d*", name)]
    images = list(_images(part, path, problems))
    maps = [
        element_map
        for technique in techniques
        for element_map in _maps(part[technique], f"{path.name}:{technique}", problems)
    ]
    notes = [
        note
        for name in ("Electron Image", *techniques)
        if name in part and "Header" in part[name]
        for note in _pixel_size(part[name]["Header"]).notes
    ]
    return OinaFile(
        images=tuple(images),
        maps=tuple(maps),
        problems=tuple(problems),
        notes=tuple(dict.fromkeys(notes)),
    )


def _images(part: Any, path: Path, problems: list[GrainsmithError]) -> Iterator[SemImage]:
    if "Electron Image" not in part:
        return
    group = part["Electron Image"]
    shape, size = _grid(group["Header"], path), _pixel_size(group["Header"])
    for detector in _DETECTORS:
        for name, data in group["Data"].get(detector, {}).items():
            source = f"{path.name}:{detector} {name}"
            values = _values(data, shape, source, problems)
            if values is not None:
                yield SemImage(
                    image=values,
                    pixel_size_um=size.pixel_size_um,
                    pixel_size_source=size.source,
                    source=source,
                    notes=size.notes,
                )


def _maps(group: Any, source: str, problems: list[GrainsmithError]) -> Iterator[ElementMap]:
    header = group["Header"]
    shape, size = _grid(header, Path(source)), _pixel_size(header)
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
                pixel_size_um=size.pixel_size_um,
                source=f"{source}/{kinds[0]}/{name}",
                window=window,
            )


def _grid(header: Any, path: Path) -> tuple[int, int]:
    """Return rows and columns."""
    rows, columns = (_number(header[f"{axis} Cells"]) for axis in ("Y", "X"))
    shape = check_shape((rows, columns), f"the header of {path.name}")
    return shape[0], shape[1]


def _pixel_size(header: Any) -> SemMetadata:
    x_um, y_um = (
        _number(header[f"{axis} Step"]) if f"{axis} Step" in header else 0.0 for axis in ("X", "Y")
    )
    return square_pixel_size(x_um, y_um, "h5oina step")


def _number(data: Any) -> float:
    if data.size != 1:  # a claim of billions of values is never read
        raise ReadError(f"{data.name} holds {data.size:,} values where one is needed")
    return float(np.asarray(data[()]).ravel()[0])


def _window(header: Any) -> tuple[float, ...]:
    if "Relative Offset" not in header or "Relative Size" not in header:
        return ()
    left, top = (float(share) for share in header["Relative Offset"][:2])
    width, height = (float(share) for share in header["Relative Size"][:2])
    is_valid = np.isfinite([left, top, width, height]).all() and width > 0 and height > 0
    return (top, left, height, width) if is_valid else ()


def _values(
    data: Any, shape: tuple[int, int], source: str, problems: list[GrainsmithError]
) -> npt.NDArray[Any] | None:
    if data.size != shape[0] * shape[1]:
        problems.append(
            MismatchError(
                f"{source} holds {data.size} values where its header states {shape[1]} x "
                f"{shape[0]}."
            )
        )
        return None
    try:
        values: npt.NDArray[Any] = data[()].reshape(shape)
    except Exception as error:  # noqa: BLE001  (h5py raises anything on damaged data)
        problems.append(ReadError(f"{source} cannot be read ({error}): the file may be cut off."))
        return None
    return values
