"""Cubes of spectra (.rpl with .raw, .hspy): opened lazily, read in bands of rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from grainsmith.errors import ReadError
from grainsmith.io.files.integrity import AGAIN, damaged_file_error

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES = {"signed": "i", "unsigned": "u", "float": "f"}
_ORDERS = {"little-endian": "<", "big-endian": ">", "dont-care": "="}
_BROKEN = (OSError, KeyError, ValueError, TypeError, RuntimeError, IndexError, AttributeError)
_BAND_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Cube:
    """Spectra of a field, left on disk.

    Attributes
    ----------
    path : str
        The file.
    shape : (int, int, int)
        Rows, columns, channels.
    first_kev, step_kev : float
        Energy of the first channel and from one to the next.
    pixel_size_um : float
        0 = unknown.
    """

    path: str
    shape: tuple[int, int, int]
    first_kev: float
    step_kev: float
    pixel_size_um: float
    _raw: npt.NDArray[Any] | None = None
    _dataset: str = ""
    _channels_first: bool = False

    def bands(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield the first row of a band and its (rows, X, channels) spectra, about 64 MB each."""
        row_bytes = self.shape[1] * self.shape[2] * 8
        rows = max(1, _BAND_BYTES // row_bytes)
        if self._raw is not None:
            yield from self._slices(self._raw, rows)
            return
        try:
            with h5py.File(self.path, "r") as file:
                yield from self._slices(file[self._dataset], rows)
        except _BROKEN as error:
            raise ReadError(f"{self.path} cannot be read ({error}): is it cut off?") from error

    def _slices(self, source: Any, rows: int) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        for start in range(0, self.shape[0], rows):
            stop = min(start + rows, self.shape[0])
            if self._channels_first:
                yield start, np.moveaxis(np.asarray(source[:, start:stop]), 0, -1)
            else:
                yield start, np.asarray(source[start:stop])


def open_cube(path: str | Path) -> Cube:
    """Open a cube without reading it.

    Parameters
    ----------
    path : str or Path
        A Ripple header (.rpl, with its .raw beside it) or a .hspy file.

    Raises
    ------
    ReadError
        The file is missing, broken, of another kind, or claims more than it holds.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".rpl":
            return _open_ripple(path)
        if path.suffix.lower() in (".hspy", ".h5", ".hdf5"):
            return _open_hspy(path)
    except ReadError:
        raise
    except _BROKEN as error:
        raise damaged_file_error(path, "a cube of spectra", error) from error
    raise ReadError(f"{path.name} is no cube of spectra: wanted .rpl or .hspy.")


def _open_ripple(path: Path) -> Cube:
    pairs = [line.split(maxsplit=1) for line in path.read_text("utf-8", "replace").splitlines()]
    header = {pair[0].lower(): pair[1].strip().lower() for pair in pairs if len(pair) == 2}
    missing = [name for name in ("width", "height", "depth", "data-length") if name not in header]
    if missing:
        raise ReadError(f"{path.name} does not say its {', '.join(missing)}.")
    shape = (int(header["height"]), int(header["width"]), int(header["depth"]))
    order = _ORDERS.get(header.get("byte-order", "dont-care"), "=")
    letter = _TYPES[header.get("data-type", "unsigned")]
    dtype = np.dtype(f"{order}{letter}{int(header['data-length'])}")
    raw, offset = path.with_suffix(".raw"), int(header.get("offset", 0))
    held = raw.stat().st_size - offset
    claimed = dtype.itemsize * shape[0] * shape[1] * shape[2]
    if min(shape) < 1 or held < claimed:
        raise ReadError(
            f"{path.name} claims {shape[1]} x {shape[0]} spectra of {shape[2]} channels "
            f"({claimed:,} bytes); {raw.name} holds {held:,} and is cut off. {AGAIN}"
        )
    by_image = header.get("record-by") == "image"
    layout = (shape[2], shape[0], shape[1]) if by_image else shape
    step_ev = float(header.get("ev-per-chan", header.get("depth-scale", 10.0)))
    return Cube(
        path=str(path),
        shape=shape,
        first_kev=float(header.get("depth-origin", 0.0)) / 1000,
        step_kev=step_ev / 1000,
        pixel_size_um=0.0,
        _raw=np.memmap(raw, dtype, mode="r", offset=offset, shape=layout),
        _channels_first=by_image,
    )


def _open_hspy(path: Path) -> Cube:
    with h5py.File(path, "r") as file:
        names = list(file["Experiments"]) if "Experiments" in file else []
        if not names:
            raise ReadError(f"{path.name} is HDF5 without a signal of HyperSpy.")
        group = file["Experiments"][names[0]]
        data = group["data"]
        if data.ndim != 3:
            raise ReadError(f"{path.name} holds an array of {data.ndim} axes, a cube has 3.")
        if data.nbytes > 5000 * max(1, data.id.get_storage_size()):
            raise ReadError(f"{path.name} claims {data.nbytes:,} bytes and holds hardly any.")
        across, energy = (dict(group[f"axis-{number}"].attrs) for number in (1, 2))
        return Cube(
            path=str(path),
            shape=tuple(data.shape),
            first_kev=float(energy["offset"]) * _kev(energy),
            step_kev=float(energy["scale"]) * _kev(energy),
            pixel_size_um=float(across["scale"]) * _um(across),
            _dataset=data.name,
        )


def _kev(axis: dict[str, Any]) -> float:
    return 1e-3 if str(axis.get("units", "keV")) == "eV" else 1.0


def _um(axis: dict[str, Any]) -> float:
    """Return the µm of an axis' unit; 0 where it has none."""
    sizes = {"m": 1e6, "mm": 1e3, "µm": 1.0, "um": 1.0, "μm": 1.0, "nm": 1e-3}
    return sizes.get(str(axis.get("units", "")), 0.0)
