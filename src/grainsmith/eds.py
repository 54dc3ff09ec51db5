"""Compute element maps from spectrum cubes by summing counts around X-ray lines."""

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
"""Energies of commonly mapped lines in keV (X-ray Data Booklet, LBNL/PUB-490)."""

OVERLAPS: dict[str, tuple[str, ...]] = {
    "Zr": ("P", "Sr"), "P": ("Zr",), "S": ("Mo", "Pb"), "Pb": ("S", "Mo"), "Ti": ("Ba",),
    "Ba": ("Ti",), "Na": ("Zn",), "Mn": ("Cr",), "Fe": ("Mn",), "Th": ("Ag",), "V": ("Ti",),
}  # fmt: skip
"""Elements with lines in the window of another element, whose map may show either."""

_MN_KEV = 5.8987
_MN_FWHM_EV = 130.0
_MIN_SIGMA = 8.0  # height of a line over its background, in standard deviations
_MIN_CONTRAST = 0.1  # height relative to the background
_MAX_OFFSET = 0.35  # distance of the maximum from the line, in FWHM
_K_BETA_SHARE = 0.3  # upper limit of K beta relative to K alpha of the preceding element
_K_BETA_OF = {"V": "Ti", "Cr": "V", "Mn": "Cr", "Fe": "Mn", "Co": "Fe"}


class SpectrumCube(Protocol):
    """Spectrum cube that is read in bands of rows, such as `io.maps.spectrum_cube.Cube`."""

    @property
    def path(self) -> str:
        """Path of the file."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Rows, columns, channels."""

    @property
    def first_kev(self) -> float:
        """Energy of the first channel."""

    @property
    def step_kev(self) -> float:
        """Width of a channel."""

    @property
    def pixel_size_um(self) -> float:
        """Pixel size; 0 = unknown."""

    def bands(self) -> Iterator[tuple[int, npt.NDArray[Any]]]:
        """Yield the first row and the (rows, X, channels) spectra of each band."""


def resolution_ev(energy_kev: float, *, at_mn_ev: float = _MN_FWHM_EV) -> float:
    """Compute the full width at half maximum of a line in a silicon detector, in eV.

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
    """Compute element maps by summing a cube within one FWHM on either side of each line.

    The background is not subtracted: fits fail where lines overlap, and grain means can be compared
    without.

    Parameters
    ----------
    cube : SpectrumCube
        Read band by band; may be larger than the memory.
    lines : sequence of str
        Such as "Si Ka"; see `LINES_KEV`.
    resolution_at_mn_ev : float
        Resolution of the detector at Mn Ka.
    on_progress : callable
        Called as on_progress(rows done, total).

    Returns
    -------
    list of ElementMap
        Maps in counts, one per line.

    Raises
    ------
    MismatchError
        A line is unknown, or outside the spectra.
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
    """Detect lines in the sum of all spectra.

    A line is detected if the sum has a maximum at its energy that is clearly higher than the
    background, and higher than K beta of the preceding element. Of overlapping lines (S Ka, Mo La,
    Pb Ma) the K line is returned, which the user may have to correct.

    Parameters
    ----------
    cube : SpectrumCube
        Read once, band by band.
    resolution_at_mn_ev : float
        Resolution of the detector at Mn Ka.
    on_progress : callable
        Called as on_progress(rows done, total).

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
    for line in sorted(LINES_KEV, key=lambda line: line.split()[1][0]):  # K before L before M
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
    """Compute the counts of a line over its background; 0 if it is not significant."""
    try:
        first, last = _window(cube, line, resolution_at_mn_ev)
    except MismatchError:
        return 0.0
    width = last - first
    sides = [
        part.mean() * width
        for part in (total[max(0, first - width // 4) : first], total[last : last + width // 4])
        if part.size
    ]
    inside = total[first:last]
    background = float(np.mean(sides)) if sides else 0.0
    height = float(inside.sum()) - background
    if (
        height < _MIN_SIGMA * np.sqrt(inside.sum() + background + 1)
        or height < _MIN_CONTRAST * background
    ):
        return 0.0
    # The maximum must be near the line: the flank of a neighbouring line is not a line.
    top = first + int(np.convolve(inside, np.ones(3), "same").argmax())
    off_kev = cube.first_kev + cube.step_kev * top - LINES_KEV[line]
    fwhm_kev = resolution_ev(LINES_KEV[line], at_mn_ev=resolution_at_mn_ev) / 1000
    return height if abs(off_kev) <= max(_MAX_OFFSET * fwhm_kev, cube.step_kev) else 0.0


def _window(cube: SpectrumCube, line: str, resolution_at_mn_ev: float) -> tuple[int, int]:
    """Return the first channel of the window of a line, and the one after its last."""
    if line not in LINES_KEV:
        raise MismatchError(f"{line!r} is no known line. Known lines: {', '.join(LINES_KEV)}.")
    energy = LINES_KEV[line]
    half = resolution_ev(energy, at_mn_ev=resolution_at_mn_ev) / 1000
    first, last = (
        round((energy + side * half - cube.first_kev) / cube.step_kev) for side in (-1, 1)
    )
    if first < 0 or last >= cube.shape[2]:
        top = cube.first_kev + cube.step_kev * (cube.shape[2] - 1)
        raise MismatchError(
            f"{line} at {energy} keV is outside the spectra "
            f"({cube.first_kev:.2f} to {top:.2f} keV)."
        )
    return first, last + 1
