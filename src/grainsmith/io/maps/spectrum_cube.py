"""Spectrum cubes (.rpl with .raw, .hspy): opened lazily, read in bands of rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import numpy.typing as npt

from grainsmith.errors import ReadError
from grainsmith.io.files.integrity import AGAIN, reading
from grainsmith.io.files.limits import check_expansion
from grainsmith.io.files.text import decode_text
from grainsmith.io.files.vendor_formats import vendor_advice
from grainsmith.io.images.sem_metadata import square_pixel_size, um_per_unit

if TYPE_CHECKING:
    from collections.abc import Iterator

_TYPES = {"signed": "i", "unsigned": "u", "float": "f"}
_ORDERS = {"little-endian": "<", "big-endian": ">", "dont-care": "="}
_KEV_PER_UNIT = {"ev": 1e-3, "kev": 1.0}
_BAND_BYTES = 64 << 20
_MAX_HEADER_BYTES = 1 << 20
_SAME_SCALE = 0.2
_DEFAULT_EV_PER_CHANNEL = 10.0
_MIN_EV = 0.5
"""A scale without a unit is in keV if it is smaller than this."""


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
        Energy of the first channel, and energy per channel.
    pixel_size_um : float
        0 = unknown.
    notes : tuple of str
        What was assumed, in the user's words.
    """

    path: str
    shape: tuple[int, int, int]
    first_kev: float
    step_kev: float
    pixel_size_um: float
    notes: tuple[str, ...] = ()
    _raw: npt.NDArray[Any] | None = None
    _dataset: str = ""
    _channels_first: bool = False

    def bands(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield the first row and the (rows, X, channels) spectra of bands of about 64 MB."""
        row_bytes = self.shape[1] * self.shape[2] * 8
        rows = max(1, _BAND_BYTES // row_bytes)
        for start in range(0, self.shape[0], rows):
            yield start, self._band(start, min(start + rows, self.shape[0]))

    def _band(self, start: int, stop: int) -> npt.NDArray[Any]:
        with reading(self.path, "a cube of spectra"):
            if self._raw is not None:
                return self._rows(self._raw, start, stop)
            with h5py.File(self.path, "r") as file:
                return self._rows(file[self._dataset], start, stop)

    def _rows(self, source: Any, start: int, stop: int) -> npt.NDArray[Any]:
        if self._channels_first:
            return np.moveaxis(np.asarray(source[:, start:stop]), 0, -1)
        return np.asarray(source[start:stop])


def open_cube(path: str | Path) -> Cube:
    """Open a cube without reading its spectra.

    Parameters
    ----------
    path : str or Path
        A Ripple header (.rpl, with its .raw beside it) or a .hspy file.

    Raises
    ------
    ReadError
        It is missing, damaged, of another type, or claims more than it holds.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    with reading(path, "a cube of spectra"):
        if suffix == ".rpl":
            return _open_ripple(path)
        if suffix in (".hspy", ".h5", ".hdf5"):
            return _open_hspy(path)
    advice = vendor_advice(path) or ".rpl and .hspy are"
    raise ReadError(f"{path.name} is not a supported cube of spectra: {advice}.")


# --- Ripple


def _open_ripple(path: Path) -> Cube:
    header = _ripple_header(path)
    missing = [name for name in ("width", "height", "depth", "data-length") if name not in header]
    if missing:
        raise ReadError(f"{path.name} does not say its {', '.join(missing)}.")
    shape = (int(header["height"]), int(header["width"]), int(header["depth"]))
    order = _ORDERS.get(header.get("byte-order", "dont-care"), "=")
    letter = _TYPES[header.get("data-type", "unsigned")]
    dtype = np.dtype(f"{order}{letter}{int(header['data-length'])}")
    raw, offset = _raw_file(path), int(header.get("offset", 0))
    held = raw.stat().st_size - offset
    claimed = dtype.itemsize * math.prod(shape)
    if min(shape) < 1 or offset < 0 or held < claimed:
        raise ReadError(
            f"{path.name} claims {shape[1]} x {shape[0]} spectra of {shape[2]} channels "
            f"({claimed:,} bytes); {raw.name} holds {held:,} and is cut off. {AGAIN}"
        )
    by_image = header.get("record-by") == "image"
    layout = (shape[2], shape[0], shape[1]) if by_image else shape
    first, step, notes = _ripple_energies(header)
    side_um = [
        _number(header, f"{axis}-scale") * um_per_unit(header.get(f"{axis}-units", ""))
        for axis in ("width", "height")
    ]
    size = square_pixel_size(side_um[0], side_um[1], "Ripple header")
    return Cube(
        path=str(path),
        shape=shape,
        first_kev=first,
        step_kev=_checked_step(step, path),
        pixel_size_um=size.pixel_size_um,
        notes=(*notes, *size.notes),
        _raw=np.memmap(raw, dtype, mode="r", offset=offset, shape=layout),
        _channels_first=by_image,
    )


def _ripple_header(path: Path) -> dict[str, str]:
    if path.stat().st_size > _MAX_HEADER_BYTES:
        raise ReadError(f"{path.name} is too large for a Ripple header.")
    lines = decode_text(path.read_bytes()).splitlines()
    pairs = [line.split(maxsplit=1) for line in lines if not line.startswith(";")]
    return {pair[0].lower(): pair[1].strip().lower() for pair in pairs if len(pair) == 2}


def _raw_file(path: Path) -> Path:
    upper = path.with_suffix(".RAW")
    return upper if upper.is_file() else path.with_suffix(".raw")


def _ripple_energies(header: dict[str, str]) -> tuple[float, float, tuple[str, ...]]:
    """Return the energy of the first channel, the energy per channel (both in keV), and notes.

    `depth-scale` with `depth-units` is exact; `ev-per-chan` is often rounded, or 0.
    """
    scale, origin = _number(header, "depth-scale"), _number(header, "depth-origin")
    ev_per_channel = _number(header, "ev-per-chan")
    kev = _KEV_PER_UNIT.get(header.get("depth-units", ""), 0.0)
    if scale > 0 and kev > 0:
        return origin * kev, scale * kev, ()
    if scale > 0 and ev_per_channel > 0:
        units = [unit for unit in (1e-3, 1.0) if _is_near(scale * unit, ev_per_channel / 1000)]
        if units:
            return origin * units[0], scale * units[0], ()
    if ev_per_channel > 0:
        return origin / 1000, ev_per_channel / 1000, ()
    if scale > 0:
        kev, unit = (1e-3, "eV") if scale >= _MIN_EV else (1.0, "keV")
        return origin * kev, scale * kev, (f"the energy scale has no unit: {unit} assumed",)
    note = f"no energy per channel is stated: {_DEFAULT_EV_PER_CHANNEL:g} eV assumed"
    return origin / 1000, _DEFAULT_EV_PER_CHANNEL / 1000, (note,)


def _number(header: dict[str, str], key: str) -> float:
    return float(header.get(key, "0").replace(",", "."))


def _is_near(value: float, other: float) -> bool:
    return abs(value / other - 1) < _SAME_SCALE


def _checked_step(step_kev: float, path: Path) -> float:
    if not 0 < step_kev < 1e3:
        raise ReadError(f"{path.name} states {step_kev:g} keV per channel: that is no X-ray scale.")
    return step_kev


# --- HyperSpy


def _open_hspy(path: Path) -> Cube:
    with h5py.File(path, "r") as file:
        names = list(file["Experiments"]) if "Experiments" in file else []
        if not names:
            raise ReadError(f"{path.name} is HDF5 without a signal of HyperSpy.")
        group = file["Experiments"][names[0]]
        data = group["data"]
        _check_axes(group, data, path)
        check_expansion(data.nbytes, data.id.get_storage_size(), path.name)
        energy = group["axis-2"].attrs
        kev = _KEV_PER_UNIT.get(_text(energy, "units", "keV").lower(), 0.0)
        if kev == 0:
            raise ReadError(
                f"{path.name}: its spectra are in {_text(energy, 'units', '')!r}, not in eV or keV."
            )
        sides = [
            float(group[f"axis-{number}"].attrs["scale"])
            * um_per_unit(_text(group[f"axis-{number}"].attrs, "units", ""))
            for number in (1, 0)
        ]
        size = square_pixel_size(sides[0], sides[1], "HyperSpy axes")
        return Cube(
            path=str(path),
            shape=tuple(data.shape),
            first_kev=float(energy["offset"]) * kev,
            step_kev=_checked_step(float(energy["scale"]) * kev, path),
            pixel_size_um=size.pixel_size_um,
            notes=size.notes,
            _dataset=data.name,
        )


def _check_axes(group: Any, data: Any, path: Path) -> None:
    """Refuse a signal that is not a map of spectra: a stack of images, a single spectrum."""
    if data.ndim != 3:
        raise ReadError(f"{path.name} holds an array of {data.ndim} axes, a cube has 3.")
    # Reading all attributes at once never returns in some damaged files (HDF5 1.14).
    signal = [not group[f"axis-{number}"].attrs.get("navigate", number < 2) for number in range(3)]
    if signal != [False, False, True]:
        what = f"a stack of {data.shape[0]} images" if signal[1:] == [True, True] else "no spectra"
        raise ReadError(f"{path.name} holds {what}, not a cube of spectra.")


def _text(attributes: Any, name: str, default: str) -> str:
    value = attributes.get(name, default)
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
