"""What is written and drawn beside a grain's images: name, size, and the grains it is like."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from grainsmith.minerals import NO_MINERAL

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from grainsmith.gallery.field import GalleryField
    from grainsmith.gallery.map_readout import Crop, GrainReading


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One element of the bar chart, as a share of the richest grain of the sample."""

    element: str
    grain: float
    group: float
    group_spread: float


def title_of(field_of_view: GalleryField, label: int) -> str:
    """Return "Grain 66 · quartz 0.98, then albite 0.01"."""
    if label not in field_of_view.naming.index:
        return f"Grain {label}"
    row = field_of_view.naming.loc[label].to_dict()
    text = f"Grain {label} · {row['mineral']}"
    if row["verdict"] in ("by hand", "unmapped"):
        return f"{text} (by hand)" if row["verdict"] == "by hand" else text
    if row["verdict"] == "unknown":
        return f"{text}, nearest {row['runner_up']}" if row["runner_up"] else text
    second = row["runner_up_score"] >= 0.005
    runner = f", then {row['runner_up']} {row['runner_up_score']:.2f}" if second else ""
    return f"{text} {row['score']:.2f}{runner}"


def subtitle_of(field_of_view: GalleryField, label: int, crop: Crop) -> str:
    """Return size, purity and the width of the crop."""
    known = label in field_of_view.table.index
    row = field_of_view.table.loc[label].to_dict() if known else {}
    parts = []
    unit = "um" if "ecd_um" in row else "px"
    if f"ecd_{unit}" in row:
        parts.append(f"diameter {row[f'ecd_{unit}']:.3g} {unit.replace('um', 'µm')}")
    if row.get("purity", 1) < 1:
        parts.append(f"mixed, {100 * row['purity']:.0f} % of one mineral")
    scale = field_of_view.pixel_size_um
    parts.append(f"crop {crop.side * scale:.3g} µm" if scale else f"crop {crop.side:.0f} px")
    return " · ".join(parts)


def richer_of(readings: Sequence[GrainReading]) -> str:
    """Say in which elements a grain is significantly richer than its surroundings, and by how much.

    Returns
    -------
    str
        "Richer than around: K 1.02 against 0.11 cts (23σ), Al ...", the surest first, and of
        which of them the alignment is not sure. Says so where there is none or no map reaches the
        grain, and is empty without maps.
    """
    if not readings:
        return ""
    if all(math.isnan(one.mean) for one in readings):
        return "Outside all maps"
    richer = sorted((one for one in readings if one.stands_out), key=lambda one: -one.sigmas)
    if not richer:
        return "Richer than around in no element"
    parts = [
        f"{one.element} {one.mean:.3g} against {one.around:.3g} {one.unit} "
        f"({min(one.sigmas, 999):.0f}σ)"
        for one in richer
    ]
    doubtful = [one.element for one in richer if not one.aligned]
    doubt = f"; alignment not sure: {', '.join(doubtful)}" if doubtful else ""
    return f"Richer than around: {', '.join(parts)}{doubt}"


def bars_of(
    field_of_view: GalleryField, label: int, readings: tuple[GrainReading, ...]
) -> tuple[tuple[Bar, ...], str]:
    """Compare a grain with the other grains of its mineral, or with all where it has no name.

    Returns
    -------
    bars : tuple of Bar
        One for each element that any grain shows; empty without a grain table.
    title : str
        What it is compared with.
    """
    table = field_of_view.table
    columns = [f"{one.element}_mean" for one in readings]
    if label not in table.index or not columns or any(c not in table for c in columns):
        return (), ""
    means = table[columns].astype(float)
    group, title = _group(means, field_of_view.naming, label)
    bars = []
    for reading, column in zip(readings, columns, strict=True):
        richest = means[column].max()
        if richest > 0 and group[column].notna().any():
            own = means.loc[[label], column].iloc[0]
            spread = group[column].std(ddof=0)
            bars.append(
                Bar(
                    element=reading.element,
                    grain=own / richest,
                    group=group[column].mean() / richest,
                    group_spread=spread / richest,
                )
            )
    return tuple(bars), title


def _group(means: pd.DataFrame, naming: pd.DataFrame, label: int) -> tuple[pd.DataFrame, str]:
    if label in naming.index:
        names = naming["mineral"].astype(str)
        mineral = names.loc[[label]].iloc[0]
        same = names.index[names == mineral].intersection(means.index)
        if len(same) > 1 and mineral not in NO_MINERAL:
            return means.loc[same], f"against {len(same)} {mineral}"
    return means, f"against all {len(means)} grains"
