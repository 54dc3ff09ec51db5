"""Format the tables of a report."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.plots import readable
from grainsmith.statistics.measures import PERCENTILES, weighted_percentiles

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from grainsmith.statistics import SizeStatistics

_SHAPE_MEASURES = (
    "aspect_ratio",
    "circularity",
    "circularity_iso",
    "irn",
    "solidity",
    "convexity",
    "roundness_wadell",
)


@dataclass(frozen=True, slots=True)
class Cell:
    """Text of a table cell, with an optional interval and link."""

    text: str
    interval: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a heading; `ends_in_words` left-aligns the last column."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    ends_in_words: bool = False


def significant(value: float, digits: int = 3) -> str:
    """Format a number with the given significant digits, without an exponent.

    >>> [significant(value) for value in (83.3016, 0.001234, 123456.0, float("nan"))]
    ['83.3', '0.00123', '123000', '–']
    """
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    places = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):.{max(places, 0)}f}"


def size_section(statistics: SizeStatistics) -> Section:
    """Tabulate percentiles, moments and Folk & Ward measures, one column per basis."""
    unit = {"um": "µm", "px": "px"}[statistics.unit]
    names = [(f"d{p}_{statistics.unit}", f"D{p} ({unit})") for p in PERCENTILES]
    names += [
        (f"mean_{statistics.unit}", f"arithmetic mean ({unit})"),
        (f"sd_{statistics.unit}", f"standard deviation ({unit})"),
        (f"geometric_mean_{statistics.unit}", f"geometric mean ({unit})"),
        ("geometric_sd", "geometric standard deviation (factor)"),
        ("span", "span (D90 - D10) / D50"),
        (f"folk_ward_mean_{statistics.unit}", f"Folk & Ward mean ({unit})"),
        ("folk_ward_mean_phi", "Folk & Ward mean (φ)"),
        ("folk_ward_sorting_phi", "Folk & Ward sorting (φ)"),
        ("folk_ward_skewness_phi", "Folk & Ward skewness (φ)"),
        ("folk_ward_kurtosis_phi", "Folk & Ward kurtosis (φ)"),
    ]
    rows = [
        [Cell(label), *(_value(statistics, f"{name}_{basis}") for basis in statistics.bases)]
        for name, label in names
        if f"{name}_{statistics.bases[0]}" in statistics.values.index
    ]
    rows += [
        [
            Cell(f"{word}, in words"),
            *(Cell(statistics.words[f"{word}_{basis}"]) for basis in statistics.bases),
        ]
        for word in ("mean", "sorting", "skewness", "kurtosis")
        if statistics.words
    ]
    return Section(
        "Grain size",
        ["", *(f"by {basis}" for basis in statistics.bases)],
        rows,
        note=_intervals_note(statistics),
    )


def class_section(statistics: SizeStatistics) -> Section:
    """Tabulate the shares of the GRADISTAT classes."""
    rows = [
        [Cell(str(name)), Cell(_limit(row.lower_um))]
        + [Cell(f"{row[f'pct_{basis}']:.1f}") for basis in statistics.bases]
        for name, row in statistics.classes.iterrows()
    ]
    heads = ["class", "from", *(f"% by {basis}" for basis in statistics.bases)]
    return Section("Size classes (GRADISTAT)", heads, rows)


def shape_section(table: pd.DataFrame, weights: npt.NDArray[np.float64]) -> Section:
    """Tabulate weighted quartiles of the shape measures over grains above the resolution limit.

    Parameters
    ----------
    table : DataFrame
        Grain table.
    weights : (N,) float array
        Weight of each grain by the edge rule; 0 = left out.
    """
    used = ~table.below_resolution.to_numpy(dtype=bool) & (weights > 0)
    rows = []
    for name in _SHAPE_MEASURES:
        values = table[name].to_numpy(dtype=float)
        known = np.flatnonzero(used & np.isfinite(values))
        known = known[np.argsort(values[known], kind="stable")]
        quartiles = weighted_percentiles(values[known], weights[known], [25, 50, 75])
        rows.append(
            [
                Cell(readable(name)),
                *(Cell(significant(q)) for q in quartiles),
                Cell(str(len(known))),
            ]
        )
    note = (
        f"{used.sum()} of {len(table)} grains, weighted by the edge rule; grains left out by that "
        "rule or below the resolution limit are not included. Circularity is 4πA/P² (ImageJ), "
        "circularity iso its root (ISO 9276-6); irn is circularity corrected for elongation."
    )
    heads = ["", "first quartile", "median", "third quartile", "grains"]
    return Section("Shape", heads, rows, note)


def mineral_section(
    table: pd.DataFrame, by_mineral: Mapping[str, SizeStatistics], unit: str, bases: Sequence[str]
) -> Section:
    """Tabulate count, area share and D50 of every mineral."""
    counts = table.mineral.value_counts()
    areas = table.groupby("mineral", observed=True).area_px.sum() / table.area_px.sum() * 100
    rows = []
    for name in areas.sort_values(ascending=False).index:
        cells = [Cell(str(name)), Cell(str(counts[name])), Cell(f"{areas[name]:.1f}")]
        statistics = by_mineral.get(str(name))
        cells += [
            _value(statistics, f"d50_{unit}_{basis}") if statistics else Cell("–")
            for basis in bases
        ]
        rows.append(cells)
    units = {"um": "µm", "px": "px"}[unit]
    heads = ["", "grains", "% of the grains' area"]
    heads += [f"D50 by {basis} ({units})" for basis in bases]
    return Section("Minerals", heads, rows)


def _value(statistics: SizeStatistics, quantity: str) -> Cell:
    value, low, high = map(float, statistics.values.loc[quantity])
    if not math.isfinite(low):
        return Cell(significant(value))
    return Cell(significant(value), f"{significant(low)} – {significant(high)}")


def _limit(lower_um: float) -> str:
    if lower_um >= 1000:
        return f"{lower_um / 1000:g} mm"
    return f"{lower_um:.3g} µm"


def _intervals_note(statistics: SizeStatistics) -> str:
    if not statistics.settings.n_bootstrap:
        return ""
    targets = [
        f"{count} more grains would bring D50 by {basis} to ±5 %"
        for basis, count in statistics.more_grains.items()
        if count > 0
    ]
    note = "In grey: 95 % intervals."
    return f"{note} With the same distribution, {' and '.join(targets)}." if targets else note
