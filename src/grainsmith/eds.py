"""From spectra to element maps: counts summed over a window around each X-ray line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from grainsmith.data import ElementMap, no_progress
from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from grainsmith.data import OnProgress

LINES_KEV: dict[str, float] = {
    "C Ka": 0.277, "N Ka": 0.392, "O Ka": 0.525, "F Ka": 0.677, "Na Ka": 1.041, "Mg Ka": 1.254,
    "Al Ka": 1.487, "Si Ka": 1.740, "P Ka": 2.014, "S Ka": 2.307, "Cl Ka": 2.622, "K Ka": 3.313,
    "Ca Ka": 3.691, "Sc Ka": 4.090, "Ti Ka": 4.510, "V Ka": 4.952, "Cr Ka": 5.414, "Mn Ka": 5.898,
    "Fe Ka": 6.403, "Co Ka": 6.930, "Ni Ka": 7.477, "Cu Ka": 8.047, "Zn Ka": 8.638, "As La": 1.282,
    "Sr La": 1.807, "Y La": 1.922, "Zr La": 2.042, "Nb La": 2.166, "Mo La": 2.293, "Ag La": 2.984,
    "Sn La": 3.444, "Sb La": 3.605, "Ba La": 4.466, "La La": 4.651, "Ce La": 4.840, "Nd La": 5.230,
    "Sm La": 5.636, "Gd La": 6.057, "W La": 8.398, "Au Ma": 2.123, "Pb Ma": 2.346, "Bi Ma": 2.423,
    "Th Ma": 2.996, "U Ma": 3.171,
}  # fmt: skip
"""Energies of the lines that geologists map, in keV (X-ray Data Booklet, LBNL/PUB-490)."""

OVERLAPS: dict[str, tuple[str, ...]] = {
    "Zr": ("P", "Sr"), "P": ("Zr",), "S": ("Mo", "Pb"), "Pb": ("S", "Mo"), "Ti": ("Ba",),
    "Ba": ("Ti",), "Na": ("Zn",), "Mn": ("Cr",), "Fe": ("Mn",), "Th": ("Ag",), "V": ("Ti",),
}  # fmt: skip
"""Elements whose lines fall into the window of another one: such a map may show either."""

_MN_KEV = 5.8987
_MN_FWHM_EV = 130.0
_STANDS_OUT = 8.0  # standard deviations over what lies beside a line
_LEAST_SHARE = 0.1  # of what lies beside it
_NEAR_TOP = 0.35  # of the FWHM: where the top of a line must lie
_K_BETA_SHARE = 0.3  # more than the K beta of the element before can give
_K_BETA_OF = {"V": "Ti", "Cr": "V", "Mn": "Cr", "Fe": "Mn", "Co": "Fe"}


class SpectrumCube(Protocol):
    """A cube that is read in bands of rows: `io.cubes.Cube` is one."""

    @property
    def path(self) -> str:
        """The file."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, channels."""

    @property
    def first_kev(self) -> float:
        """Energy of the first channel."""

    @property
    def step_kev(self) -> float:
        """From one channel to the next."""

    @property
    def pixel_size_um(self) -> float:
        """0 = unknown."""

    def bands(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield the first row of a band and its (rows, X, channels) spectra."""


def resolution_ev(energy_kev: float, *, at_mn_ev: float = _MN_FWHM_EV) -> float:
    """Return the full width at half maximum of a line in a silicon detector, in eV.

    FWHM² = FWHM(Mn Ka)² + 2.5 eV (E - E(Mn Ka)), after Fiori and Newbury (1978).
    """
    square = at_mn_ev**2 + 2.5 * 1000 * (energy_kev - _MN_KEV)
    return float(np.sqrt(max(square, 30.0**2)))


def line_maps(
    cube: SpectrumCube,
    lines: Sequence[str],
    *,
    resolution_at_mn_ev: float = _MN_FWHM_EV,
    on_progress: OnProgress = no_progress,
) -> list[ElementMap]:
    """Sum a cube over a window of one FWHM on either side of each line.

    No background is taken off: fitted backgrounds go wrong where lines crowd, and means over
    grains compare grains all the same.

    Parameters
    ----------
    cube : SpectrumCube
        Read band after band; it may be larger than the memory.
    lines : sequence of str
        Such as "Si Ka"; see `LINES_KEV`.
    resolution_at_mn_ev : float
        Of the detector, at manganese Ka.
    on_progress : callable
        Called as on_progress(rows done, rows in all).

    Returns
    -------
    list of ElementMap
        In counts, one for each line.

    Raises
    ------
    MismatchError
        A line is unknown or outside of the spectra.
    """
    windows = [_window(cube, line, resolution_at_mn_ev) for line in lines]
    sums = np.zeros((len(lines), *cube.shape[:2]), np.float64)
    for start, band in cube.bands():
        for number, (first, last) in enumerate(windows):
            sums[number, start : start + len(band)] = band[..., first:last].sum(-1)
        on_progress(start + len(band), cube.shape[0])
    return [
        ElementMap(
            values=counts,
            element=line.split()[0],
            line=line.split()[1],
            pixel_size_um=cube.pixel_size_um,
            source=cube.path,
        )
        for line, counts in zip(lines, sums, strict=True)
    ]


def find_lines(
    cube: SpectrumCube,
    *,
    resolution_at_mn_ev: float = _MN_FWHM_EV,
    on_progress: OnProgress = no_progress,
) -> list[str]:
    """Return the lines that stand out in the sum of all spectra.

    A line counts where the sum has a top at its energy that is clearly higher than what lies
    beside it, and higher than the K beta of the element before it could make. Of lines that
    cannot be told apart (S Ka, Mo La, Pb Ma) the K line is named: a guess, to be corrected.

    Parameters
    ----------
    cube : SpectrumCube
        Read once, band after band.
    resolution_at_mn_ev : float
        Of the detector, at manganese Ka.
    on_progress : callable
        Called as on_progress(rows done, rows in all).

    Returns
    -------
    list of str
        Such as "Si Ka", in the order of `LINES_KEV`.
    """
    total = np.zeros(cube.shape[2])
    for start, band in cube.bands():
        total += band.sum((0, 1), dtype=np.float64)
        on_progress(start + len(band), cube.shape[0])
    heights: dict[str, float] = {}
    for line in sorted(LINES_KEV, key=lambda one: one.split()[1][0]):  # K before L before M
        height = _height(total, cube, line, resolution_at_mn_ev)
        before = f"{_K_BETA_OF.get(line.split()[0], '')} Ka"
        hidden = any(
            abs(LINES_KEV[line] - LINES_KEV[other])
            < resolution_ev(LINES_KEV[line], at_mn_ev=resolution_at_mn_ev) / 2000
            for other in heights
        )
        if not hidden and height > _K_BETA_SHARE * heights.get(before, 0.0):
            heights[line] = height
    return [line for line in LINES_KEV if line in heights]


def _height(
    total: npt.NDArray[np.float64], cube: SpectrumCube, line: str, resolution_at_mn_ev: float
) -> float:
    """Return the counts of a line over what lies beside it; 0 where it does not stand out."""
    try:
        first, last = _window(cube, line, resolution_at_mn_ev)
    except MismatchError:
        return 0.0
    width = last - first
    beside = [
        part.mean() * width
        for part in (total[max(0, first - width // 4) : first], total[last : last + width // 4])
        if part.size
    ]
    inside = total[first:last]
    ground = float(np.mean(beside)) if beside else 0.0
    height = float(inside.sum()) - ground
    if height < _STANDS_OUT * np.sqrt(inside.sum() + ground + 1) or height < _LEAST_SHARE * ground:
        return 0.0
    # Only a top within the inner part counts: the flank of a neighbour is no line.
    top = first + int(np.convolve(inside, np.ones(3), "same").argmax())
    off_kev = cube.first_kev + cube.step_kev * top - LINES_KEV[line]
    fwhm_kev = resolution_ev(LINES_KEV[line], at_mn_ev=resolution_at_mn_ev) / 1000
    return height if abs(off_kev) <= max(_NEAR_TOP * fwhm_kev, cube.step_kev) else 0.0


def _window(cube: SpectrumCube, line: str, resolution_at_mn_ev: float) -> tuple[int, int]:
    """Return the first channel of a line's window and the one after its last."""
    if line not in LINES_KEV:
        raise MismatchError(f"{line!r} is no known line; known are {', '.join(LINES_KEV)}.")
    energy = LINES_KEV[line]
    half = resolution_ev(energy, at_mn_ev=resolution_at_mn_ev) / 1000
    first, last = (
        round((energy + side * half - cube.first_kev) / cube.step_kev) for side in (-1, 1)
    )
    if first < 0 or last >= cube.shape[2]:
        top = cube.first_kev + cube.step_kev * (cube.shape[2] - 1)
        raise MismatchError(
            f"{line} at {energy} keV lies outside of the spectra "
            f"({cube.first_kev:.2f} to {top:.2f} keV)."
        )
    return first, last + 1
