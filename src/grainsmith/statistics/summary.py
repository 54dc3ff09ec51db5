"""The statistics of a sample, every number with its 95 % interval."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from grainsmith.data import no_progress
from grainsmith.statistics.classes import (
    class_shares,
    kurtosis_word,
    size_class,
    skewness_word,
    sorting_word,
)
from grainsmith.statistics.counting import ExcludedCounts, FieldGrains, Population, select_grains
from grainsmith.statistics.measures import cumulative_curve, size_measures
from grainsmith.statistics.settings import StatisticsSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.data import OnProgress

CURVE_POINTS = 120
"""Sizes at which the cumulative curve and its band are given."""

WANTED_PRECISION = 0.05
"""Half width of the interval of D50, relative, that `more_grains` aims at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeStatistics:
    """Statistics of the grain sizes of a sample.

    Attributes
    ----------
    n, n_fields : int
        Grains that count, and the fields that they come from.
    unit : "um" or "px"
    settings : StatisticsSettings
    values : DataFrame
        Index `quantity` such as "d50_um_number" (the basis ends the name); columns `value`, `low`
        and `high` (the 95 % interval; NaN where there is none).
    words : dict
        "sorting_number" and the like: Folk & Ward's words; empty in pixels.
    classes : DataFrame
        Index `class` of GRADISTAT, columns `lower_um`, `pct_<basis>`; empty in pixels.
    curve : DataFrame
        Column `size_<unit>`; for each basis `finer_pct_<basis>`, `low_pct_<basis>` and
        `high_pct_<basis>`.
    more_grains : dict of basis to int
        How many more grains would narrow the interval of D50 to +-5 %, if they are like these;
        -1 where that cannot be said.
    left_out : ExcludedCounts
    """

    n: int
    n_fields: int
    unit: str
    settings: StatisticsSettings
    values: pd.DataFrame
    words: dict[str, str]
    classes: pd.DataFrame
    curve: pd.DataFrame
    more_grains: dict[str, int]
    left_out: ExcludedCounts

    @property
    def bases(self) -> tuple[str, ...]:
        """What was counted: "number", "area" and perhaps "grid"."""
        return tuple(self.more_grains)

    def as_dict(self) -> dict[str, Any]:
        """Return everything in plain dicts, lists and numbers."""
        plain: dict[str, Any] = {
            "n": self.n,
            "n_fields": self.n_fields,
            "unit": self.unit,
            "settings": asdict(self.settings),
            "values": self.values.to_dict(orient="index"),
            "words": self.words,
            "classes": self.classes.to_dict(orient="index"),
            "curve": self.curve.to_dict(orient="list"),
            "more_grains_for_5_pct_on_d50": self.more_grains,
            "left_out": asdict(self.left_out),
        }
        return plain


def summarise(
    fields: FieldGrains | Sequence[FieldGrains],
    settings: StatisticsSettings | None = None,
    *,
    on_progress: OnProgress = no_progress,
) -> SizeStatistics:
    """Return the grain-size statistics of one field, or of several fields of one sample.

    By number each grain counts once: what a crystallographer wants. By area each counts with its
    area: what a point count, a sieve or a balance would find. Both are given, and a grid of points
    (`grid_hits`) as a third where every field has one.

    The intervals hold the middle 95 % of resampled results: where there are several fields, fields
    are drawn first and then the grains within them, so that differences between fields count; a
    scale error shifts all sizes of a resampling together.

    Raises
    ------
    MismatchError
        The fields do not belong together; see `select_grains`.
    """
    settings = settings or StatisticsSettings()
    fields = [fields] if isinstance(fields, FieldGrains) else list(fields)
    population = select_grains(fields, settings)
    order = np.argsort(population.sizes, kind="stable")
    sizes, origin = population.sizes[order], population.fields[order]
    weights = {basis: weight[order] for basis, weight in population.weights.items()}
    grid = curve_sizes(sizes)
    rng = np.random.default_rng(settings.seed)
    rounds = settings.n_bootstrap if len(sizes) > 1 else 0
    found = {
        basis: _Resampled(sizes, weight, grid, population.unit) for basis, weight in weights.items()
    }
    for done in range(rounds):
        times = resample_grains(rng, origin, len(fields))
        scale = max(0.1, 1 + settings.scale_error_pct / 100 * rng.standard_normal())
        for resampled in found.values():
            resampled.add(times, scale)
        on_progress(done + 1, rounds)
    return _assemble(population, settings, len(fields), sizes, weights, found)


class _Resampled:
    """The measures and curves of one basis: of the sample, then of every resampling."""

    def __init__(
        self,
        sizes: npt.NDArray[np.float64],
        weights: npt.NDArray[np.float64],
        grid: npt.NDArray[np.float64],
        unit: str,
    ) -> None:
        self._sizes, self._weights, self._grid, self._unit = sizes, weights, grid, unit
        self.own = size_measures(sizes, weights, unit=unit) if len(sizes) else {}
        self.own_curve = cumulative_curve(sizes, weights, grid)
        self._measures: list[list[float]] = []
        self._curves: list[npt.NDArray[np.float64]] = []
        self._medians: list[float] = []

    def add(self, times: npt.NDArray[np.float64], scale: float) -> None:
        drawn = times * self._weights > 0
        if not drawn.any():
            return
        sizes, weights = self._sizes[drawn] * scale, (times * self._weights)[drawn]
        measures = size_measures(sizes, weights, unit=self._unit)
        self._measures.append(list(measures.values()))
        self._medians.append(measures[f"d50_{self._unit}"] / scale)
        self._curves.append(cumulative_curve(sizes, weights, self._grid))

    def values(self, basis: str) -> pd.DataFrame:
        table = pd.DataFrame({"value": self.own}, dtype=float)
        table["low"], table["high"] = _middle(self._measures, len(table), len(self._sizes))
        table.index = pd.Index([f"{name}_{basis}" for name in table.index], name="quantity")
        return table

    def curve(self, basis: str) -> dict[str, npt.NDArray[np.float64]]:
        low, high = _middle(self._curves, len(self._grid), len(self._sizes))
        return {
            f"finer_pct_{basis}": self.own_curve,
            f"low_pct_{basis}": low,
            f"high_pct_{basis}": high,
        }

    def more_grains(self) -> int:
        low, high = _middle([[median] for median in self._medians], 1, len(self._sizes))
        half = (high[0] - low[0]) / 2 / self.own.get(f"d50_{self._unit}", math.nan)
        n = len(self._sizes)
        if not math.isfinite(half):
            return -1
        return max(0, math.ceil(n * (half / WANTED_PRECISION) ** 2) - n)


def _middle(
    drawn: Sequence[Sequence[float] | npt.NDArray[np.float64]], width: int, n: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    # The percentile interval, widened for small samples as Student's t is (Hesterberg 2015, doi
    # 10.1080/00031305.2015.1089789): without it ten grains seem surer than they are.
    if not len(drawn):
        return np.full(width, np.nan), np.full(width, np.nan)
    reach = stats.t.ppf(0.975, n - 1) * math.sqrt(n / (n - 1))
    tail = 100 * stats.norm.cdf(-reach)
    low, high = np.percentile(np.array(drawn), [tail, 100 - tail], axis=0)
    return low, high


def resample_grains(
    rng: np.random.Generator, origin: npt.NDArray[np.intp], n_fields: int
) -> npt.NDArray[np.float64]:
    """Return how often each grain is drawn in one resampling: fields first, grains within them.

    Parameters
    ----------
    rng : Generator
    origin : (N,) int array
        Number of the field that each grain comes from.
    n_fields : int
        Fields without grains count too.
    """
    if n_fields == 1:
        chosen = rng.integers(0, len(origin), len(origin))
        return np.bincount(chosen, minlength=len(origin)).astype(float)
    times = np.zeros(len(origin))
    for one in rng.integers(0, n_fields, n_fields):
        members = np.flatnonzero(origin == one)
        if len(members):
            chosen = members[rng.integers(0, len(members), len(members))]
            times += np.bincount(chosen, minlength=len(origin))
    return times


def curve_sizes(sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sizes at which curves are given: a little beyond both ends, in equal ratios."""
    if not len(sizes):
        return np.empty(0)
    return np.geomspace(sizes[0] / 1.02, sizes[-1] * 1.02, CURVE_POINTS)


def _assemble(
    population: Population,
    settings: StatisticsSettings,
    n_fields: int,
    sizes: npt.NDArray[np.float64],
    weights: dict[str, npt.NDArray[np.float64]],
    found: dict[str, _Resampled],
) -> SizeStatistics:
    unit = population.unit
    values = pd.concat([resampled.values(basis) for basis, resampled in found.items()])
    curve: dict[str, Any] = {f"size_{unit}": curve_sizes(sizes)}
    for basis, resampled in found.items():
        curve |= resampled.curve(basis)
    scaled = unit == "um" and len(sizes) > 0
    words = {k: v for basis in found for k, v in _words(values.value, basis).items()}
    return SizeStatistics(
        n=len(sizes),
        n_fields=n_fields,
        unit=unit,
        settings=settings,
        values=values,
        words=words if scaled else {},
        classes=class_shares(sizes, weights) if scaled else pd.DataFrame(),
        curve=pd.DataFrame(curve),
        more_grains={basis: resampled.more_grains() for basis, resampled in found.items()},
        left_out=population.left_out,
    )


def _words(value: pd.Series[float], basis: str) -> dict[str, str]:
    def of(name: str) -> float:
        return float(value.get(f"{name}_{basis}", math.nan))

    return {
        f"mean_{basis}": size_class(of("folk_ward_mean_um")),
        f"sorting_{basis}": sorting_word(of("folk_ward_sorting_phi")),
        f"skewness_{basis}": skewness_word(of("folk_ward_skewness_phi")),
        f"kurtosis_{basis}": kurtosis_word(of("folk_ward_kurtosis_phi")),
    }
