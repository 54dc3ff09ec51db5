"""Compare grain sizes between the fields of a sample and between samples."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from grainsmith.errors import MismatchError
from grainsmith.statistics.counting import select_grains
from grainsmith.statistics.measures import cumulative_curve, weighted_percentiles
from grainsmith.statistics.settings import StatisticsSettings
from grainsmith.statistics.summary import curve_sizes, random_scale, resample_grains

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.statistics.counting import FieldGrains, Population

COMPARED = (10, 16, 50, 84, 90)
"""Percentiles that are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpread:
    """Variation of grain size between the fields of a sample.

    Attributes
    ----------
    fields : DataFrame
        Index `field` (0, 1, ...), columns `n` and `d50_<unit>_<basis>`.
    between_sd_log2, within_sd_log2 : float
        Standard deviations of log2(size) between fields and within them; NaN for fewer than two
        fields with grains. 1 is a factor of 2.
    between_share : float
        Fraction of the variance between fields, 0..1 (intraclass correlation).
    d50_sd : dict of str to float
        Standard deviation of D50 between the fields, by `d50_<unit>_<basis>`.
    curves : DataFrame
        Column `size_<unit>` and one column per field with its number: per cent finer by number.
    """

    fields: pd.DataFrame
    between_sd_log2: float
    within_sd_log2: float
    between_share: float
    d50_sd: dict[str, float]
    curves: pd.DataFrame


def field_spread(
    fields: Sequence[FieldGrains], settings: StatisticsSettings | None = None
) -> FieldSpread:
    """Estimate the variance components of grain size between and within fields.

    One-way random-effects model of log2(size), estimated from the mean squares of groups of unequal
    size (Searle, Casella & McCulloch 1992, ch. 3.6). Every grain counts once, and a negative
    component is set to 0.

    Raises
    ------
    MismatchError
        See `counting.select_grains`.
    """
    settings = settings or StatisticsSettings()
    population = select_grains(fields, settings)
    order = np.argsort(population.sizes, kind="stable")
    sizes, origin = population.sizes[order], population.fields[order]
    weights = {basis: weight[order] for basis, weight in population.weights.items()}
    grid = curve_sizes(sizes)
    rows, curves = [], {f"size_{population.unit}": grid}
    for number in range(len(fields)):
        in_field = origin == number
        d50 = {
            f"d50_{population.unit}_{basis}": _d50(sizes[in_field], weight[in_field])
            for basis, weight in weights.items()
        }
        rows.append({"n": int(in_field.sum()), **d50})
        curves[str(number)] = cumulative_curve(sizes[in_field], weights["number"][in_field], grid)
    table = pd.DataFrame(rows, index=pd.RangeIndex(len(fields), name="field"))
    between, within = _components(np.log2(sizes), origin)
    total = between + within
    return FieldSpread(
        fields=table,
        between_sd_log2=math.sqrt(between),
        within_sd_log2=math.sqrt(within),
        between_share=between / total if total > 0 else math.nan,
        d50_sd={str(name): float(table[name].std()) for name in table.columns if name != "n"},
        curves=pd.DataFrame(curves),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleComparison:
    """Difference in grain size between two samples.

    Attributes
    ----------
    ks : float
        Kolmogorov-Smirnov distance of the cumulative curves by number, 0..1.
    ks_p : float
        Probability of such a distance if the samples do not differ.
    n_effective : tuple of float
        Effective number of independent grains in each sample.
    differences : DataFrame
        Index `quantity` such as "d50_um_number"; columns `first`, `second`, `difference` (second
        minus first), `low`, `high` (95 % interval of the difference) and `ratio`, `ratio_low`,
        `ratio_high` (second over first).
    """

    ks: float
    ks_p: float
    n_effective: tuple[float, float]
    differences: pd.DataFrame

    def swapped(self) -> SampleComparison:
        """Return the comparison with the samples swapped."""
        table = self.differences
        swapped = table.assign(
            first=table["second"],
            second=table["first"],
            difference=-table["difference"],
            low=-table["high"],
            high=-table["low"],
            ratio=1 / table["ratio"],
            ratio_low=1 / table["ratio_high"],
            ratio_high=1 / table["ratio_low"],
        )
        a, b = self.n_effective
        return replace(self, n_effective=(b, a), differences=swapped)


def compare_samples(
    first: Sequence[FieldGrains],
    second: Sequence[FieldGrains],
    settings: StatisticsSettings | None = None,
) -> SampleComparison:
    """Compare the grain sizes of two samples.

    Intervals come from bootstrapping each sample separately, fields first and then the grains
    within them. The p-value of the Kolmogorov-Smirnov distance is asymptotic for the *effective*
    numbers of grains, which unequal weights (Kish 1965) and the similarity of grains from one field
    (design effect 1 + (m - 1) x between-share) reduce. A scale error is independent in both
    samples.

    Raises
    ------
    MismatchError
        One sample is in µm and the other in pixels, or a sample has no grains left to count.
    """
    settings = settings or StatisticsSettings()
    populations = [select_grains(fields, settings) for fields in (first, second)]
    if populations[0].unit != populations[1].unit:
        raise MismatchError("one sample is in µm and the other in pixels: give both a pixel size")
    if not all(len(population.sizes) for population in populations):
        raise MismatchError(
            "a sample has no grains left to compare: check its edge rule and labels"
        )
    a, b = (
        _Sample(population, len(fields))
        for population, fields in zip(populations, (first, second), strict=True)
    )
    effective = a.n_effective, b.n_effective
    ks = _distance(a, b)
    n = effective[0] * effective[1] / (effective[0] + effective[1])
    return SampleComparison(
        ks=ks,
        ks_p=float(stats.kstwobign.sf(ks * math.sqrt(n))),
        n_effective=effective,
        differences=_differences(a, b, settings),
    )


class _Sample:
    """The grains of a sample sorted by size."""

    def __init__(self, population: Population, n_fields: int) -> None:
        order = np.argsort(population.sizes, kind="stable")
        self.sizes, self.fields = population.sizes[order], population.fields[order]
        self.weights = {basis: weight[order] for basis, weight in population.weights.items()}
        self.unit, self.n_fields = population.unit, n_fields

    @property
    def n_effective(self) -> float:
        weight = self.weights["number"]
        n = float(weight.sum() ** 2 / (weight**2).sum())
        between, within = _components(np.log2(self.sizes), self.fields)
        share = between / (between + within) if between + within > 0 else 0.0
        counts = np.bincount(self.fields)
        typical = float((counts**2).sum() / counts.sum())
        return n / (1 + (typical - 1) * share) if math.isfinite(share) else n

    def percentiles(
        self, rng: np.random.Generator | None = None, scale: float = 1.0
    ) -> npt.NDArray[np.float64]:
        counts = 1.0 if rng is None else resample_grains(rng, self.fields, self.n_fields)
        percentiles = [
            weighted_percentiles(self.sizes, counts * weight, COMPARED)
            for basis, weight in self.weights.items()
            if basis != "grid"
        ]
        return scale * np.concatenate(percentiles)


def _distance(a: _Sample, b: _Sample) -> float:
    sizes = np.union1d(a.sizes, b.sizes)
    finer = []
    for sample in (a, b):
        total = np.concatenate([[0.0], np.cumsum(sample.weights["number"])])
        finer.append(total[np.searchsorted(sample.sizes, sizes, side="right")] / total[-1])
    return float(np.abs(finer[0] - finer[1]).max())


def _differences(a: _Sample, b: _Sample, settings: StatisticsSettings) -> pd.DataFrame:
    rng = np.random.default_rng(settings.seed)
    observed = a.percentiles(), b.percentiles()
    # A stream of its own, so that intervals without a scale error do not change.
    (scale_rng,) = rng.spawn(1)
    drawn = [
        tuple(sample.percentiles(rng, random_scale(scale_rng, settings)) for sample in (a, b))
        for _ in range(settings.n_bootstrap)
    ]
    table = pd.DataFrame(
        {
            "first": observed[0],
            "second": observed[1],
            "difference": observed[1] - observed[0],
            "ratio": observed[1] / observed[0],
        },
        index=pd.Index(
            [f"d{p}_{a.unit}_{basis}" for basis in ("number", "area") for p in COMPARED],
            name="quantity",
        ),
    )
    blank = np.full(len(table), np.nan)
    tails = (2.5, 97.5)
    low, high = (
        np.nanpercentile([y - x for x, y in drawn], tails, axis=0) if drawn else (blank, blank)
    )
    ratios = np.nanpercentile([y / x for x, y in drawn], tails, axis=0) if drawn else (blank, blank)
    table["low"], table["high"] = low, high
    table["ratio_low"], table["ratio_high"] = ratios
    return table[
        ["first", "second", "difference", "low", "high", "ratio", "ratio_low", "ratio_high"]
    ]


def _d50(sizes: npt.NDArray[np.float64], weights: npt.NDArray[np.float64]) -> float:
    return float(weighted_percentiles(sizes, weights, [50])[0]) if len(sizes) else math.nan


def _components(
    values: npt.NDArray[np.float64], groups: npt.NDArray[np.intp]
) -> tuple[float, float]:
    """Estimate the variance between and within groups; NaN for fewer than two groups."""
    counts = np.bincount(groups)
    counts = counts[counts > 0]
    n, k = int(counts.sum()), len(counts)
    if k < 2 or n <= k:
        return math.nan, math.nan
    _, code = np.unique(groups, return_inverse=True)
    means = np.bincount(code, values) / counts
    within = float(((values - means[code]) ** 2).sum()) / (n - k)
    among = float((counts * (means - values.mean()) ** 2).sum()) / (k - 1)
    typical = (n - float((counts**2).sum()) / n) / (k - 1)
    return max(0.0, (among - within) / typical), within
