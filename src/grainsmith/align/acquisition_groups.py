"""Group maps into acquisition passes by the offsets between all pairs of maps.

Follows de Jong et al. (2020), "Quantitative analysis of spectroscopic low energy electron
microscopy data", arXiv:1907.13510: the offset of every pair is measured, and the positions of all
images follow by weighted least squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.sparse.csgraph import connected_components

from grainsmith.align.coarse_search import (
    combined_peak,
    is_convincing,
    largest_shift,
    shift_matrix,
)
from grainsmith.align.mutual_information import LevelSpectra, correlate_spectra, level_spectra
from grainsmith.align.refine import refine_shift
from grainsmith.parallel import map_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grainsmith.align.landmarks import Matrix
    from grainsmith.align.pyramid import Pyramid
    from grainsmith.align.settings import AlignSettings

_MAX_SHIFT_BLOCKS = 22  # passes of one session differ by less
_MAX_WEIGHT_Z = 50.0
_TOLERANCE_PX = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOffset:
    """Measured offset between two maps.

    Attributes
    ----------
    first, second : int
        Indices of the maps.
    dy_px, dx_px : float
        Shift of the second map that matches the first, in pixels of the reference.
    z : float
        Confidence.
    holds : bool
        Whether the evidence is sufficient.
    """

    first: int
    second: int
    dy_px: float
    dx_px: float
    z: float
    holds: bool


def measure_pair_offsets(
    pyramids: Sequence[Pyramid], settings: AlignSettings, on_pair: Callable[[], None]
) -> list[PairOffset]:
    """Measure the offset between every pair of maps.

    Parameters
    ----------
    pyramids : sequence of Pyramid
        Maps on the grid of the reference.
    settings : AlignSettings
        Required evidence.
    on_pair : callable
        Called after each pair; an exception stops the work.
    """
    prepared = map_threads(_Prepared.of, pyramids)

    def measure(pair: tuple[int, int]) -> PairOffset:
        offset = _measure_pair(prepared, *pair, settings)
        on_pair()
        return offset

    return map_threads(measure, list(combinations(range(len(pyramids)), 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """Spectra of a map, computed once for all pairs."""

    pyramid: Pyramid
    near: LevelSpectra  # coarse step, for shifts between passes
    anywhere: LevelSpectra  # coarsest step, for all shifts
    is_flat: bool

    @classmethod
    def of(cls, pyramid: Pyramid) -> _Prepared:
        (_, rough), (_, coarse) = pyramid.steps[:2]
        return cls(
            pyramid=pyramid,
            near=level_spectra(coarse, largest_shift(coarse.shape, _MAX_SHIFT_BLOCKS)),
            anywhere=level_spectra(rough, largest_shift(rough.shape)),
            is_flat=pyramid.is_flat,
        )


def _measure_pair(
    maps: Sequence[_Prepared], first: int, second: int, settings: AlignSettings
) -> PairOffset:
    reference, moving = maps[first], maps[second]
    pairs = [(reference.pyramid, moving.pyramid)]
    factor = reference.pyramid.steps[1][0]
    if reference.is_flat or moving.is_flat:
        return PairOffset(first=first, second=second, dy_px=0, dx_px=0, z=0, holds=False)
    peak = combined_peak([correlate_spectra(reference.near, moving.near)])[0]
    matrix = shift_matrix(peak.dy_px * factor, peak.dx_px * factor)
    holds = is_convincing(peak, settings) and _is_best_of_all(reference, moving, matrix, settings)
    for step in range(2, len(reference.pyramid.steps) if holds else 0):
        matrix = refine_shift(pairs, matrix, step, enough=200_000)
    dy, dx = (float(n) for n in matrix[:2, 2])
    return PairOffset(first=first, second=second, dy_px=dy, dx_px=dx, z=peak.z, holds=holds)


def _is_best_of_all(
    reference: _Prepared, moving: _Prepared, matrix: Matrix, settings: AlignSettings
) -> bool:
    """Return whether no shift of up to half the field is as good as the one nearby.

    Sparse maps that match by chance match elsewhere as well.
    """
    factor = reference.pyramid.steps[0][0]
    peak = combined_peak([correlate_spectra(reference.anywhere, moving.anywhere)])[0]
    difference = np.array([peak.dy_px, peak.dx_px]) * factor - matrix[:2, 2]
    return peak.z >= settings.accept_ratio * peak.runner_up and np.hypot(*difference) < 3 * factor


def find_passes(links: Sequence[PairOffset], count: int, same_px: float) -> npt.NDArray[np.int64]:
    """Assign an acquisition pass to each map; -1 for maps without a conclusive pair.

    Parameters
    ----------
    links : sequence of PairOffset
        From `measure_pair_offsets`.
    count : int
        Number of maps.
    same_px : float
        Maps whose positions differ by less, on average, are one pass.

    Returns
    -------
    (count,) int array
        Numbers from 0, in arbitrary order.
    """
    conclusive = [link for link in links if link.holds]
    passes = np.full(count, -1)
    joined = np.zeros((count, count), bool)
    for link in conclusive:
        joined[link.first, link.second] = True
    _, component = connected_components(joined, directed=False)
    places = _places(conclusive, count)
    for number in np.unique(component):
        members = np.flatnonzero(component == number)
        if len(members) > 1:
            tree = linkage(places[members], method="average")
            parts = fcluster(tree, same_px, criterion="distance")
            passes[members] = passes.max() + parts
    return passes


def _places(links: Sequence[PairOffset], count: int) -> npt.NDArray[np.float64]:
    """Compute the position of each map, (count, 2), by robust least squares over all pairs.

    Pairs are weighted by z; those that contradict the others lose weight in each iteration.
    """
    rows = np.zeros((len(links), count))
    shifts = np.array([(link.dy_px, link.dx_px) for link in links]).reshape(-1, 2)
    for number, link in enumerate(links):
        rows[number, [link.first, link.second]] = -1, 1
    confidence = np.array([min(link.z, _MAX_WEIGHT_Z) for link in links])
    weights = confidence
    places = np.zeros((count, 2))
    for _ in range(10):
        # Only differences are known: the minimum-norm solution centres each component at 0.
        places = np.linalg.lstsq(rows * weights[:, None], shifts * weights[:, None], rcond=None)[0]
        gaps = rows @ places - shifts
        weights = confidence / (1 + (np.hypot(gaps[:, 0], gaps[:, 1]) / _TOLERANCE_PX) ** 2)
    return np.asarray(places, dtype=np.float64)
