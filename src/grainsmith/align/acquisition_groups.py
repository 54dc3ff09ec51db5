"""Which maps were taken together: found from the maps themselves, by all pairs of them.

In the spirit of de Jong et al. (2020), "Quantitative analysis of spectroscopic low energy electron
microscopy data", arXiv:1907.13510: every pair is measured, and the places of all images follow by
weighted least squares.
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

_REACH_BLOCKS = 22  # passes of one session differ by less
_MOST_WEIGHT_Z = 50.0
_AGREES_WITHIN_PX = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PairOffset:
    """What one pair of maps says.

    Attributes
    ----------
    first, second : int
        Numbers of the maps.
    dy_px, dx_px : float
        Shift to apply to the second to match the first, in pixels of the reference.
    z : float
        Confidence.
    holds : bool
        The evidence is good enough to count.
    """

    first: int
    second: int
    dy_px: float
    dx_px: float
    z: float
    holds: bool


def measure_pair_offsets(
    pyramids: Sequence[Pyramid], settings: AlignSettings, on_link: Callable[[], None]
) -> list[PairOffset]:
    """Return what every pair of maps says of their offset.

    Parameters
    ----------
    pyramids : sequence of Pyramid
        Maps on the grid of the reference.
    settings : AlignSettings
        What evidence counts.
    on_link : callable
        Called after each pair; what it raises stops the work.
    """
    prepared = map_threads(_Prepared.of, pyramids)

    def one(pair: tuple[int, int]) -> PairOffset:
        link = _link(prepared, *pair, settings)
        on_link()
        return link

    return map_threads(one, list(combinations(range(len(pyramids)), 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Prepared:
    """A map that is compared with all others."""

    pyramid: Pyramid
    near: LevelSpectra  # of the coarse step, for the shifts between passes
    anywhere: LevelSpectra  # of the step before, for all shifts
    is_flat: bool

    @classmethod
    def of(cls, pyramid: Pyramid) -> _Prepared:
        (_, rough), (_, coarse) = pyramid.steps[:2]
        return cls(
            pyramid=pyramid,
            near=level_spectra(coarse, largest_shift(coarse.shape, _REACH_BLOCKS)),
            anywhere=level_spectra(rough, largest_shift(rough.shape)),
            is_flat=pyramid.is_flat,
        )


def _link(
    maps: Sequence[_Prepared], first: int, second: int, settings: AlignSettings
) -> PairOffset:
    ours, theirs = maps[first], maps[second]
    pairs = [(ours.pyramid, theirs.pyramid)]
    factor = ours.pyramid.steps[1][0]
    if ours.is_flat or theirs.is_flat:
        return PairOffset(first=first, second=second, dy_px=0, dx_px=0, z=0, holds=False)
    peak = combined_peak([correlate_spectra(ours.near, theirs.near)])[0]
    matrix = shift_matrix(peak.dy_px * factor, peak.dx_px * factor)
    holds = is_convincing(peak, settings) and _is_best_of_all(ours, theirs, matrix, settings)
    for step in range(2, len(ours.pyramid.steps) if holds else 0):
        matrix = refine_shift(pairs, matrix, step, enough=200_000)
    dy, dx = (float(n) for n in matrix[:2, 2])
    return PairOffset(first=first, second=second, dy_px=dy, dx_px=dx, z=peak.z, holds=holds)


def _is_best_of_all(
    ours: _Prepared, theirs: _Prepared, matrix: Matrix, settings: AlignSettings
) -> bool:
    """Return whether no shift over half the field rivals the one found near by.

    Two sparse maps match by chance somewhere; then they match as well elsewhere.
    """
    factor = ours.pyramid.steps[0][0]
    peak = combined_peak([correlate_spectra(ours.anywhere, theirs.anywhere)])[0]
    gap = np.array([peak.dy_px, peak.dx_px]) * factor - matrix[:2, 2]
    return peak.z >= settings.accept_ratio * peak.runner_up and np.hypot(*gap) < 3 * factor


def find_passes(links: Sequence[PairOffset], count: int, same_px: float) -> npt.NDArray[np.int64]:
    """Return the number of the pass of each map; -1 for a map that no pair says anything of.

    Parameters
    ----------
    links : sequence of PairOffset
        From `measure_pair_offsets`.
    count : int
        How many maps there are.
    same_px : float
        Maps whose places differ by less, on average, are one pass.

    Returns
    -------
    (count,) int array
        0 and more, in no special order.
    """
    holding = [link for link in links if link.holds]
    passes = np.full(count, -1)
    joined = np.zeros((count, count), bool)
    for link in holding:
        joined[link.first, link.second] = True
    _, component = connected_components(joined, directed=False)
    places = _places(holding, count)
    for number in np.unique(component):
        members = np.flatnonzero(component == number)
        if len(members) > 1:
            tree = linkage(places[members], method="average")
            parts = fcluster(tree, same_px, criterion="distance")
            passes[members] = passes.max() + parts
    return passes


def _places(links: Sequence[PairOffset], count: int) -> npt.NDArray[np.float64]:
    """Return where each map lies: (count, 2), by least squares over all pairs, each with its z.

    Pairs that contradict the others lose their weight, round by round.
    """
    rows = np.zeros((len(links), count))
    shifts = np.array([(link.dy_px, link.dx_px) for link in links]).reshape(-1, 2)
    for number, link in enumerate(links):
        rows[number, [link.first, link.second]] = -1, 1
    trust = np.array([min(link.z, _MOST_WEIGHT_Z) for link in links])
    weights = trust
    places = np.zeros((count, 2))
    for _ in range(10):
        # Only differences are known: the shortest solution puts each component's middle at 0.
        places = np.linalg.lstsq(rows * weights[:, None], shifts * weights[:, None], rcond=None)[0]
        gaps = rows @ places - shifts
        weights = trust / (1 + (np.hypot(gaps[:, 0], gaps[:, 1]) / _AGREES_WITHIN_PX) ** 2)
    return np.asarray(places, dtype=np.float64)
