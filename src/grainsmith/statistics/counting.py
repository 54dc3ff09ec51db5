"""Which grains count, and how much: the edge of the field, and what a frequency is counted in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.data import LabelImage
    from grainsmith.statistics.settings import StatisticsSettings


def _no_hits() -> pd.Series[int]:
    return pd.Series(dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldGrains:
    """The grains of one field of view.

    Attributes
    ----------
    table : DataFrame
        As `measure.measure_grains` makes it, index `label`.
    height_px, width_px : int
        Of the field without its data bar.
    grid_hits : Series
        How often a grid of points hits each grain (`grid_hits`); empty = not counted.
    """

    table: pd.DataFrame
    height_px: int
    width_px: int
    grid_hits: pd.Series[int] = field(default_factory=_no_hits)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedCounts:
    """What does not count, said in every report.

    Attributes
    ----------
    n_edge : int
        Grains cut off by the edge, or outside the guard frame.
    n_small : int
        Grains below the resolution, where these are left out.
    area_pct : float
        Share of all grains' area that both make up.
    """

    n_edge: int
    n_small: int
    area_pct: float


@dataclass(frozen=True, slots=True)
class Population:
    """The grains that count.

    Attributes
    ----------
    sizes : (N,) float array
        In `unit`.
    weights : dict of basis to (N,) float array
        "number", "area" and, where grids were laid, "grid".
    fields : (N,) int array
        Number of the field that each comes from.
    unit : "um" or "px"
    left_out : ExcludedCounts
    """

    sizes: npt.NDArray[np.float64]
    weights: dict[str, npt.NDArray[np.float64]]
    fields: npt.NDArray[np.intp]
    unit: str
    left_out: ExcludedCounts


def grid_hits(labels: LabelImage, spacing_px: float) -> pd.Series[int]:
    """Lay a square grid of points over a field and count the hits on each grain.

    Wolman's pebble count (1954, doi 10.1029/TR035i006p00951) on an image: a grain that is hit
    twice counts twice. The grid is centred on the image.

    Parameters
    ----------
    labels : (Y, X) int array
        Without the data bar.
    spacing_px : float
        Distance of the points; 1 or more.

    Returns
    -------
    Series with index `label`
    """
    if spacing_px < 1:
        raise ValueError(f"spacing_px must be 1 or more, got {spacing_px}")
    rows, columns = (
        ((side - 1) % spacing_px / 2 + spacing_px * np.arange(int((side - 1) // spacing_px) + 1))
        .round()
        .astype(int)
        for side in labels.shape
    )
    hit = labels[np.ix_(rows, columns)]
    found, counts = np.unique(hit[hit > 0], return_counts=True)
    return pd.Series(counts, index=pd.Index(found, name="label"))


def select_grains(fields: Sequence[FieldGrains], settings: StatisticsSettings) -> Population:
    """Apply the edge rule and the resolution limit of the settings to one or several fields.

    Raises
    ------
    MismatchError
        Some fields have a pixel size and others have none, or a table lacks the wanted size.
    """
    unit = _common_unit(fields, settings.size)
    parts = [_choose_in_field(one, settings) for one in fields]
    chosen = [one.table[weight > 0] for one, (weight, _) in zip(fields, parts, strict=True)]
    weight = np.concatenate([weight[weight > 0] for weight, _ in parts])
    area = np.concatenate([table[_area_column(unit)] for table in chosen])
    weights = {"number": weight, "area": weight * area}
    if all(len(one.grid_hits) for one in fields):
        hits = [
            one.grid_hits.reindex(table.index, fill_value=0)
            for one, table in zip(fields, chosen, strict=True)
        ]
        weights["grid"] = weight * np.concatenate(hits)
    all_area = sum(float(one.table.area_px.sum()) for one in fields)
    kept_area = sum(float(table.area_px.sum()) for table in chosen)
    sizes = np.concatenate([table[f"{settings.size}_{unit}"] for table in chosen])
    return Population(
        sizes=sizes.astype(np.float64),
        weights=weights,
        fields=np.repeat(np.arange(len(fields)), [len(table) for table in chosen]),
        unit=unit,
        left_out=ExcludedCounts(
            n_edge=sum(left.n_edge for _, left in parts),
            n_small=sum(left.n_small for _, left in parts),
            area_pct=100 * (1 - kept_area / all_area) if all_area else 0.0,
        ),
    )


def _area_column(unit: str) -> str:
    return "area_um2" if unit == "um" else "area_px"


def _common_unit(fields: Sequence[FieldGrains], size: str) -> str:
    known = ["area_um2" in one.table for one in fields]
    if any(known) and not all(known):
        raise MismatchError(
            f"{known.count(False)} of {len(known)} fields have no pixel size: give it for all, "
            "or measure all in pixels"
        )
    unit = "um" if all(known) else "px"
    for one in fields:
        if f"{size}_{unit}" not in one.table:
            raise MismatchError(f"the table has no column {size}_{unit}: measure the grains first")
    return unit


def _choose_in_field(
    one: FieldGrains, settings: StatisticsSettings
) -> tuple[npt.NDArray[np.float64], ExcludedCounts]:
    # The weight of every grain, 0 where it does not count.
    table = one.table
    height, width = table.height_px.to_numpy(), table.width_px.to_numpy()
    cut = table.touches_edge.to_numpy(dtype=bool)
    weight = np.ones(len(table))
    if settings.edge_rule == "weights":
        # So many places of its box keep a grain clear of the edge, out of all its places.
        free = (one.height_px - height - 1) * (one.width_px - width - 1)
        weight = one.height_px * one.width_px / np.maximum(free, 1)
    elif settings.edge_rule == "guard":
        cut = cut | ~_in_guard_frame(one, settings.guard_px)
    elif settings.edge_rule == "count all":
        cut = np.zeros(len(table), dtype=bool)
    small = table.below_resolution.to_numpy(dtype=bool) & settings.drop_below_resolution & ~cut
    weight = np.where(cut | small, 0.0, weight)
    return weight, ExcludedCounts(n_edge=int(cut.sum()), n_small=int(small.sum()), area_pct=0.0)


def _in_guard_frame(one: FieldGrains, guard_px: float) -> npt.NDArray[np.bool_]:
    # A grain counts by the centre of its box. With a guard of half the largest box no grain whose
    # centre is inside can be cut, so none is left out for its size.
    top, left = one.table.top_px.to_numpy(), one.table.left_px.to_numpy()
    height, width = one.table.height_px.to_numpy(), one.table.width_px.to_numpy()
    guard_y = guard_px or height.max(initial=0) / 2 + 1
    guard_x = guard_px or width.max(initial=0) / 2 + 1
    y, x = top + height / 2, left + width / 2
    inside: npt.NDArray[np.bool_] = (y >= guard_y) & (y < one.height_px - guard_y)
    return inside & (x >= guard_x) & (x < one.width_px - guard_x)
