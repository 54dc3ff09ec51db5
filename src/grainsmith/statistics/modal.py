"""Compute the modal composition of a sample: amount and grain size of every mineral."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.errors import MismatchError
from grainsmith.minerals import BY_HAND, LIBRARY
from grainsmith.statistics.counting import FieldGrains, median_sizes
from grainsmith.statistics.settings import StatisticsSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_CHUNK = 64

Floats = npt.NDArray[np.float64]


def modal_percentages(
    table: pd.DataFrame,
    naming: pd.DataFrame,
    *,
    settings: StatisticsSettings | None = None,
    densities: Mapping[str, float] | None = None,
    fields: npt.ArrayLike = (),
    field_shapes: Sequence[tuple[int, int]] = (),
    confidence_pct: float = 95.0,
    rounds: int = 1000,
) -> pd.DataFrame:
    """Compute the modal composition by area, count and weight with bootstrap intervals.

    The intervals cover the sampling of grains, not errors of segmentation or classification.

    Parameters
    ----------
    table : DataFrame
        Grain table with `area_um2` or `area_px`, index `label`.
    naming : DataFrame
        Minerals from one of the classifiers, with the same index.
    settings : StatisticsSettings, optional
        Size measure and edge rule of D50, which equals that of `summarize` for the same grains.
        Percentages count the visible area of all grains.
    densities : mapping of str to float, optional
        Mineral -> g/cm³; by default from the library. Minerals without a density are left out of
        the weight percentages.
    fields : (N,) int array, optional
        Field of each grain: fields are drawn first and then the grains within them, which includes
        the variation between fields.
    field_shapes : sequence of (int, int), optional
        Height and width in px of each field without its data bar, by the numbers in `fields`; by
        default the extent of the grains.
    confidence_pct : float
        Width of the intervals.
    rounds : int
        Number of bootstrap samples.

    Returns
    -------
    DataFrame
        Index `mineral`, largest area first: `n_grains`, `n_by_hand`, `area_<unit>`,
        `unsure_pct` (percentage of that area with an unsure name), then
        `area_pct`, `count_pct` and `weight_pct`, each followed by `_low` and `_high`, and
        `d50_<unit>_number` and `d50_<unit>_area`.

    Raises
    ------
    MismatchError
        The table has no area, or table and naming have different grains.
    """
    if not table.index.equals(naming.index):
        raise MismatchError("table and naming have different grains: classify the grains again")
    area_name = next((name for name in ("area_um2", "area_px") if name in table), "")
    if not area_name:
        raise MismatchError("the table has no column area_um2 or area_px: measure the grains first")
    minerals, code = np.unique(naming["mineral"].to_numpy(dtype=str), return_inverse=True)
    area = table[area_name].to_numpy(dtype=float)
    member = code[:, np.newaxis] == np.arange(len(minerals))
    origin = np.asarray(fields, np.intp)
    modal = pd.DataFrame(index=pd.Index(minerals, name="mineral"))
    modal["n_grains"] = member.sum(axis=0)
    modal["n_by_hand"] = member[(naming["verdict"] == BY_HAND).to_numpy()].sum(axis=0)
    modal[area_name] = (member * area[:, np.newaxis]).sum(axis=0)
    unsure = (naming["verdict"] == "unsure").to_numpy()
    unsure_area = (member * area[:, np.newaxis])[unsure].sum(axis=0)
    modal["unsure_pct"] = 100 * unsure_area / np.maximum(modal[area_name], np.finfo(float).tiny)
    density = _densities(minerals, densities or {})
    for name, amount in (
        ("area", member * area[:, np.newaxis]),
        ("count", member.astype(float)),
        ("weight", member * area[:, np.newaxis] * density),
    ):
        share, low, high = _shares(amount, origin, confidence_pct, rounds)
        blank = (density == 0) & (name == "weight")
        for suffix, values in (("", share), ("_low", low), ("_high", high)):
            modal[f"{name}_pct{suffix}"] = np.where(blank, np.nan, values)
    unit = area_name.removeprefix("area_").removesuffix("2")
    medians = _medians(table, member, origin, field_shapes, settings or StatisticsSettings(), unit)
    for basis in ("number", "area"):
        modal[f"d50_{unit}_{basis}"] = [median[basis] for median in medians]
    return modal.sort_values(area_name, ascending=False, kind="stable")


def _medians(
    table: pd.DataFrame,
    member: npt.NDArray[np.bool_],
    origin: npt.NDArray[np.intp],
    shapes: Sequence[tuple[int, int]],
    settings: StatisticsSettings,
    unit: str,
) -> list[dict[str, float]]:
    """Compute D50 by basis for each class of `member`, (grains, classes)."""
    if f"{settings.size}_{unit}" not in table:  # a table of areas alone
        area = table[f"area_{unit}2" if unit == "um" else "area_px"]
        table = table.assign(**{f"{settings.size}_{unit}": 2 * np.sqrt(area / np.pi)})
    if "touches_edge" not in table:
        table = table.assign(touches_edge=False, below_resolution=False, height_px=0, width_px=0)
        table["area_px"] = table.get("area_px", np.nan)
        settings = replace(settings, edge_rule="count all")
    rows = origin if len(origin) else np.zeros(len(table), np.intp)
    fields = {
        number: FieldGrains.from_table(
            table[rows == number], shapes[number] if len(shapes) else (0, 0)
        )
        for number in np.unique(rows)
    }
    return [
        median_sizes(
            [
                replace(field, table=field.table[own[rows == number]])
                for number, field in fields.items()
            ],
            settings,
            unit,
        )
        for own in member.T
    ]


def _densities(minerals: npt.NDArray[np.str_], chosen: Mapping[str, float]) -> Floats:
    by_group: dict[str, list[float]] = {}
    for mineral in LIBRARY.values():
        by_group.setdefault(mineral.group, []).append(mineral.density_g_cm3)
    handbook = {group: sum(values) / len(values) for group, values in by_group.items()}
    handbook |= {mineral.name: mineral.density_g_cm3 for mineral in LIBRARY.values()}
    return np.array([chosen.get(name) or handbook.get(name, 0.0) for name in minerals])


def _shares(
    amount: Floats, fields: npt.NDArray[np.intp], confidence_pct: float, rounds: int
) -> tuple[Floats, Floats, Floats]:
    """Compute the percentage of each class and the bounds of its bootstrap interval."""
    random = np.random.default_rng(0)
    drawn = [
        _as_pct(_counts(random, fields, len(amount), min(_CHUNK, rounds - start)) @ amount)
        for start in range(0, rounds, _CHUNK)
    ]
    tail = (100 - confidence_pct) / 2
    low, high = np.percentile(np.concatenate(drawn), [tail, 100 - tail], axis=0)
    return _as_pct(amount.sum(axis=0)), low, high


def _counts(
    random: np.random.Generator, fields: npt.NDArray[np.intp], grains: int, rounds: int
) -> npt.NDArray[np.int64]:
    """Draw bootstrap samples and return how often each grain is drawn, (rounds, grains)."""
    if not len(fields):
        return random.multinomial(grains, np.full(grains, 1 / grains), size=rounds)
    names, code, sizes = np.unique(fields, return_inverse=True, return_counts=True)
    drawn = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=rounds)
    counts = np.zeros((rounds, grains), np.int64)
    for number, size in enumerate(sizes):
        share = np.full(size, 1 / size)
        counts[:, code == number] = random.multinomial(drawn[:, number] * size, share)
    return counts


def _as_pct(amount: Floats) -> Floats:
    total = amount.sum(axis=-1, keepdims=True)
    pct: Floats = 100 * amount / np.where(total > 0, total, 1)
    return pct
