"""Compute the grain-size statistics of a sample with bootstrap intervals."""

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
"""Number of sizes at which the cumulative curve is evaluated."""

WANTED_PRECISION = 0.05
"""Relative half-width of the D50 interval that `more_grains` aims at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeStatistics:
    """Statistics of the grain sizes of a sample.

    Attributes
    ----------
    n, n_fields : int
        Number of counted grains and of fields.
    unit : "um" or "px"
    settings : StatisticsSettings
    values : DataFrame
        Index `quantity` such as "d50_um_number" (ending in the basis); columns `value`, `low` and
        `high` (95 % interval, NaN without bootstrap).
    words : dict
        Verbal description by "sorting_number" etc.; empty in pixels.
    classes : DataFrame
        Index `class` of GRADISTAT, columns `lower_um`, `pct_<basis>`; empty in pixels.
    curve : DataFrame
        Column `size_<unit>`; for each basis `finer_pct_<basis>`, `low_pct_<basis>` and
        `high_pct_<basis>`.
    more_grains : dict of basis to int
        Number of further grains that would narrow the interval of D50 to ±5 % if they follow the
        same distribution; -1 if unknown.
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
        """Frequency bases: "number", "area" and, with point grids, "grid"."""
        return tuple(self.more_grains)

    def d50_text(self, basis: str, digits: int = 4) -> str:
        """Return D50 of a basis with its interval, such as "83.3 µm (95 %: 80.1 to 86.2)"."""
        unit = {"um": "µm", "px": "px"}[self.unit]
        value, low, high = map(float, self.values.loc[f"d50_{self.unit}_{basis}"])
        if not math.isfinite(value):
            return "unknown"
        text = f"{value:.{digits}g} {unit}"
        return (
            f"{text} (95 %: {low:.{digits}g} to {high:.{digits}g})" if math.isfinite(low) else text
        )

    def as_dict(self) -> dict[str, Any]:
        """Return all results as plain dicts, lists and numbers."""
        return {
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


def summarize(
    fields: FieldGrains | Sequence[FieldGrains],
    settings: StatisticsSettings | None = None,
    *,
    on_progress: OnProgress = no_progress,
) -> SizeStatistics:
    """Compute the grain-size statistics of one field, or of several fields of one sample.

    By number, each grain counts once. By area, each grain counts with its area, comparable to point
    counting or sieving. Grid-by-number is added if every field has grid hits (`grid_hits`).

    The 95 % intervals are bootstrap percentiles. With several fields, fields are drawn first and
    then the grains within them, which includes the variation between fields. A scale error scales
    all sizes of a bootstrap sample by the same factor.

    Raises
    ------
    MismatchError
        The fields do not fit together; see `select_grains`.
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
    by_basis = {
        basis: _Bootstrap(sizes, weight, grid, population.unit) for basis, weight in weights.items()
    }
    for done in range(rounds):
        counts = resample_grains(rng, origin, len(fields))
        scale = random_scale(rng, settings)
        for bootstrap in by_basis.values():
            bootstrap.add(counts, scale)
        on_progress(done + 1, rounds)
    return _assemble(population, settings, len(fields), sizes, weights, by_basis)


class _Bootstrap:
    """Measures and curves of one basis, for the sample and all its bootstrap samples."""

    def __init__(
        self,
        sizes: npt.NDArray[np.float64],
        weights: npt.NDArray[np.float64],
        grid: npt.NDArray[np.float64],
        unit: str,
    ) -> None:
        self._sizes, self._weights, self._grid, self._unit = sizes, weights, grid, unit
        self.observed = size_measures(sizes, weights, unit=unit) if len(sizes) else {}
        self.observed_curve = cumulative_curve(sizes, weights, grid)
        self._measures: list[list[float]] = []
        self._curves: list[npt.NDArray[np.float64]] = []
        self._medians: list[float] = []

    def add(self, counts: npt.NDArray[np.float64], scale: float) -> None:
        drawn = counts * self._weights > 0
        if not drawn.any():
            return
        sizes, weights = self._sizes[drawn] * scale, (counts * self._weights)[drawn]
        measures = size_measures(sizes, weights, unit=self._unit)
        self._measures.append(list(measures.values()))
        self._medians.append(measures[f"d50_{self._unit}"] / scale)
        self._curves.append(cumulative_curve(sizes, weights, self._grid))

    def values(self, basis: str) -> pd.DataFrame:
        table = pd.DataFrame({"value": self.observed}, dtype=float)
        table["low"], table["high"] = _interval(self._measures, len(table), len(self._sizes))
        table.index = pd.Index([f"{name}_{basis}" for name in table.index], name="quantity")
        return table

    def curve(self, basis: str) -> dict[str, npt.NDArray[np.float64]]:
        low, high = _interval(self._curves, len(self._grid), len(self._sizes))
        return {
            f"finer_pct_{basis}": self.observed_curve,
            f"low_pct_{basis}": low,
            f"high_pct_{basis}": high,
        }

    def more_grains(self) -> int:
        low, high = _interval([[median] for median in self._medians], 1, len(self._sizes))
        half = (high[0] - low[0]) / 2 / self.observed.get(f"d50_{self._unit}", math.nan)
        n = len(self._sizes)
        if not math.isfinite(half):
            return -1
        return max(0, math.ceil(n * (half / WANTED_PRECISION) ** 2) - n)


def _interval(
    drawn: Sequence[Sequence[float] | npt.NDArray[np.float64]], width: int, n: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    # Percentile interval, widened for small samples like Student's t (Hesterberg 2015, doi
    # 10.1080/00031305.2015.1089789); otherwise the interval of ten grains is too narrow.
    if not len(drawn):
        return np.full(width, np.nan), np.full(width, np.nan)
    half_width = stats.t.ppf(0.975, n - 1) * math.sqrt(n / (n - 1))
    tail = 100 * stats.norm.cdf(-half_width)
    low, high = np.percentile(np.array(drawn), [tail, 100 - tail], axis=0)
    return low, high


def random_scale(rng: np.random.Generator, settings: StatisticsSettings) -> float:
    """Draw the factor by which a scale error changes all sizes of a bootstrap sample."""
    return max(0.1, 1 + settings.scale_error_pct / 100 * float(rng.standard_normal()))


def resample_grains(
    rng: np.random.Generator, origin: npt.NDArray[np.intp], n_fields: int
) -> npt.NDArray[np.float64]:
    """Draw one bootstrap sample, fields first, and count how often each grain is drawn.

    Parameters
    ----------
    rng : Generator
    origin : (N,) int array
        Index of the field of each grain.
    n_fields : int
        Number of fields, including those without grains.
    """
    if n_fields == 1:
        drawn = rng.integers(0, len(origin), len(origin))
        return np.bincount(drawn, minlength=len(origin)).astype(float)
    counts = np.zeros(len(origin))
    for field in rng.integers(0, n_fields, n_fields):
        members = np.flatnonzero(origin == field)
        if len(members):
            drawn = members[rng.integers(0, len(members), len(members))]
            counts += np.bincount(drawn, minlength=len(origin))
    return counts


def curve_sizes(sizes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the sizes at which curves are evaluated, in equal ratios, slightly beyond the data."""
    if not len(sizes):
        return np.empty(0)
    return np.geomspace(sizes[0] / 1.02, sizes[-1] * 1.02, CURVE_POINTS)


def _assemble(
    population: Population,
    settings: StatisticsSettings,
    n_fields: int,
    sizes: npt.NDArray[np.float64],
    weights: dict[str, npt.NDArray[np.float64]],
    by_basis: dict[str, _Bootstrap],
) -> SizeStatistics:
    unit = population.unit
    values = pd.concat([bootstrap.values(basis) for basis, bootstrap in by_basis.items()])
    curve: dict[str, Any] = {f"size_{unit}": curve_sizes(sizes)}
    for basis, bootstrap in by_basis.items():
        curve |= bootstrap.curve(basis)
    scaled = unit == "um" and len(sizes) > 0
    words = {k: v for basis in by_basis for k, v in _words(values.value, basis).items()}
    return SizeStatistics(
        n=len(sizes),
        n_fields=n_fields,
        unit=unit,
        settings=settings,
        values=values,
        words=words if scaled else {},
        classes=class_shares(sizes, weights) if scaled else pd.DataFrame(),
        curve=pd.DataFrame(curve),
        more_grains={basis: bootstrap.more_grains() for basis, bootstrap in by_basis.items()},
        left_out=population.left_out,
    )


def _words(value: pd.Series[float], basis: str) -> dict[str, str]:
    def measure(name: str) -> float:
        return float(value.get(f"{name}_{basis}", math.nan))

    return {
        f"mean_{basis}": size_class(measure("folk_ward_mean_um")),
        f"sorting_{basis}": sorting_word(measure("folk_ward_sorting_phi")),
        f"skewness_{basis}": skewness_word(measure("folk_ward_skewness_phi")),
        f"kurtosis_{basis}": kurtosis_word(measure("folk_ward_kurtosis_phi")),
    }
