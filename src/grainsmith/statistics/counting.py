"""Select and weight the grains of fields: edge rule, resolution limit and frequency basis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.errors import MismatchError
from grainsmith.statistics.measures import weighted_percentiles

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
        From `measure.measure_grains`, index `label`.
    height_px, width_px : int
        Size of the field without its data bar.
    grid_hits : Series
        Hits of a point grid on each grain (`grid_hits`); empty = no grid.
    """

    table: pd.DataFrame
    height_px: int
    width_px: int
    grid_hits: pd.Series[int] = dataclass_field(default_factory=_no_hits)

    @classmethod
    def from_table(cls, table: pd.DataFrame, shape: tuple[int, int] = (0, 0)) -> FieldGrains:
        """Return the field of a grain table.

        Parameters
        ----------
        table : DataFrame
            From `measure.measure_grains`.
        shape : (int, int)
            Height and width in px without the data bar; 0 = the extent of the grains, which is the
            size of the field if a grain touches each edge.
        """
        height, width = shape
        if not (height and width) and {"top_px", "left_px"} <= set(table.columns):
            height = int((table.top_px + table.height_px).max()) if len(table) else 0
            width = int((table.left_px + table.width_px).max()) if len(table) else 0
        return cls(table=table, height_px=height, width_px=width)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExcludedCounts:
    """Grains excluded from the statistics.

    Attributes
    ----------
    n_edge : int
        Grains cut off by the edge, or outside the guard frame.
    n_small : int
        Grains below the resolution, where these are left out.
    area_pct : float
        Excluded area in per cent of the area of all grains.
    """

    n_edge: int
    n_small: int
    area_pct: float


@dataclass(frozen=True, slots=True)
class Population:
    """The selected grains with their weights.

    Attributes
    ----------
    sizes : (N,) float array
        In `unit`.
    weights : dict of basis to (N,) float array
        "number", "area" and, if every field has grid hits, "grid".
    fields : (N,) int array
        Index of the field of each grain.
    unit : "um" or "px"
    left_out : ExcludedCounts
    """

    sizes: npt.NDArray[np.float64]
    weights: dict[str, npt.NDArray[np.float64]]
    fields: npt.NDArray[np.intp]
    unit: str
    left_out: ExcludedCounts


def grid_hits(labels: LabelImage, spacing_px: float) -> pd.Series[int]:
    """Count the hits of a square point grid on each grain.

    The digital form of Wolman's pebble count (1954, doi 10.1029/TR035i006p00951): a grain that is
    hit twice counts twice. The grid is centred on the image.

    Parameters
    ----------
    labels : (Y, X) int array
        Without the data bar.
    spacing_px : float
        Spacing of the points, at least 1.

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
    hits = labels[np.ix_(rows, columns)]
    hit_labels, counts = np.unique(hits[hits > 0], return_counts=True)
    return pd.Series(counts, index=pd.Index(hit_labels, name="label"))


def select_grains(
    fields: Sequence[FieldGrains], settings: StatisticsSettings, unit: str = ""
) -> Population:
    """Apply the edge rule and the resolution limit of the settings to one or several fields.

    Sizes are in `unit`, by default in µm if all fields have a pixel size.

    Raises
    ------
    MismatchError
        Only some fields have a pixel size, or a table lacks the size column.
    """
    unit = unit or _common_unit(fields)
    _check_sizes(fields, f"{settings.size}_{unit}")
    parts = [_weigh_field(field, settings) for field in fields]
    selected = [field.table[weight > 0] for field, (weight, _) in zip(fields, parts, strict=True)]
    weight = np.concatenate([weight[weight > 0] for weight, _ in parts])
    area = np.concatenate([table[_area_column(unit)] for table in selected])
    weights = {"number": weight, "area": weight * area}
    if all(len(field.grid_hits) for field in fields):
        hits = [
            field.grid_hits.reindex(table.index, fill_value=0)
            for field, table in zip(fields, selected, strict=True)
        ]
        weights["grid"] = weight * np.concatenate(hits)
    all_area = sum(float(field.table.area_px.sum()) for field in fields)
    kept_area = sum(float(table.area_px.sum()) for table in selected)
    sizes = np.concatenate([table[f"{settings.size}_{unit}"] for table in selected])
    return Population(
        sizes=sizes.astype(np.float64),
        weights=weights,
        fields=np.repeat(np.arange(len(fields)), [len(table) for table in selected]),
        unit=unit,
        left_out=ExcludedCounts(
            n_edge=sum(excluded.n_edge for _, excluded in parts),
            n_small=sum(excluded.n_small for _, excluded in parts),
            area_pct=100 * (1 - kept_area / all_area) if all_area else 0.0,
        ),
    )


def grain_weights(field: FieldGrains, settings: StatisticsSettings) -> npt.NDArray[np.float64]:
    """Weigh every grain by the edge rule and the resolution limit; 0 for excluded grains.

    Sizes, shape measures, orientations and their plots all use these weights.

    Returns
    -------
    (N,) float array
        In the order of the table.
    """
    return _weigh_field(field, settings)[0]


def median_sizes(
    fields: Sequence[FieldGrains], settings: StatisticsSettings, unit: str = ""
) -> dict[str, float]:
    """Compute D50 by number and by area, equal to that of `summarize`.

    Parameters
    ----------
    fields : sequence of FieldGrains
    settings : StatisticsSettings
    unit : "um" or "px"
        Unit of the sizes; by default µm if all fields have a pixel size.

    Returns
    -------
    dict of basis ("number", "area") to float
        NaN without counted grains.
    """
    population = select_grains(fields, settings, unit)
    order = np.argsort(population.sizes, kind="stable")
    return {
        basis: float(weighted_percentiles(population.sizes[order], weight[order], [50])[0])
        if len(order)
        else math.nan
        for basis, weight in population.weights.items()
    }


def _area_column(unit: str) -> str:
    return "area_um2" if unit == "um" else "area_px"


def _common_unit(fields: Sequence[FieldGrains]) -> str:
    scaled = ["area_um2" in field.table for field in fields]
    if any(scaled) and not all(scaled):
        raise MismatchError(
            f"{scaled.count(False)} of {len(scaled)} fields have no pixel size: give it for all, "
            "or measure all in pixels"
        )
    return "um" if all(scaled) else "px"


def _check_sizes(fields: Sequence[FieldGrains], column: str) -> None:
    for field in fields:
        if column not in field.table:
            raise MismatchError(f"the table has no column {column}: measure the grains first")


def _weigh_field(
    field: FieldGrains, settings: StatisticsSettings
) -> tuple[npt.NDArray[np.float64], ExcludedCounts]:
    # Weight of every grain, 0 for excluded grains.
    table = field.table
    height, width = table.height_px.to_numpy(), table.width_px.to_numpy()
    cut = table.touches_edge.to_numpy(dtype=bool)
    weight = np.ones(len(table))
    if settings.edge_rule == "weights":
        # Inverse of the fraction of positions at which the bounding box does not touch the edge.
        positions = (field.height_px - height - 1) * (field.width_px - width - 1)
        weight = field.height_px * field.width_px / np.maximum(positions, 1)
    elif settings.edge_rule == "guard":
        cut = cut | ~_in_guard_frame(field, settings.guard_px)
    elif settings.edge_rule == "count all":
        cut = np.zeros(len(table), dtype=bool)
    small = table.below_resolution.to_numpy(dtype=bool) & settings.drop_below_resolution & ~cut
    weight = np.where(cut | small, 0.0, weight)
    return weight, ExcludedCounts(n_edge=int(cut.sum()), n_small=int(small.sum()), area_pct=0.0)


def _in_guard_frame(field: FieldGrains, guard_px: float) -> npt.NDArray[np.bool_]:
    # A grain counts if the centre of its bounding box lies inside the frame. With a guard of half
    # the largest box, no such grain can be cut off, so the selection is independent of size.
    top, left = field.table.top_px.to_numpy(), field.table.left_px.to_numpy()
    height, width = field.table.height_px.to_numpy(), field.table.width_px.to_numpy()
    guard_y = guard_px or height.max(initial=0) / 2 + 1
    guard_x = guard_px or width.max(initial=0) / 2 + 1
    y, x = top + height / 2, left + width / 2
    inside: npt.NDArray[np.bool_] = (y >= guard_y) & (y < field.height_px - guard_y)
    return inside & (x >= guard_x) & (x < field.width_px - guard_x)
