"""Write titles, captions and bar charts for the images of a grain."""

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
    """One element of the bar chart, relative to the richest grain of the sample."""

    element: str
    grain: float
    group: float
    group_spread: float


def title_of(field_of_view: GalleryField, label: int) -> str:
    """Return a title such as "Grain 66 · quartz 0.98, then albite 0.01"."""
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
    """Return size, purity and width of the crop."""
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
    """Describe in which elements a grain is significantly richer than its surroundings.

    Returns
    -------
    str
        "Richer than around: K 1.02 against 0.11 cts (23σ), Al ...", the most significant first,
        with elements of unsure alignment at the end; "" without maps.
    """
    if not readings:
        return ""
    if all(math.isnan(reading.mean) for reading in readings):
        return "Outside all maps"
    richer = sorted(
        (reading for reading in readings if reading.stands_out), key=lambda reading: -reading.sigmas
    )
    if not richer:
        return "Richer than around in no element"
    parts = [
        f"{reading.element} {reading.mean:.3g} against {reading.around:.3g} {reading.unit} "
        f"({min(reading.sigmas, 999):.0f}σ)"
        for reading in richer
    ]
    doubtful = [reading.element for reading in richer if not reading.aligned]
    doubt = f"; alignment not sure: {', '.join(doubtful)}" if doubtful else ""
    return f"Richer than around: {', '.join(parts)}{doubt}"


def bars_of(
    field_of_view: GalleryField, label: int, readings: tuple[GrainReading, ...]
) -> tuple[tuple[Bar, ...], str]:
    """Compare a grain with all grains of its mineral, or with all grains if it has none.

    Returns
    -------
    bars : tuple of Bar
        One bar per element that any grain contains; empty without a grain table.
    title : str
        Description of the comparison.
    """
    table = field_of_view.table
    columns = [f"{reading.element}_mean" for reading in readings]
    if label not in table.index or not columns or any(c not in table for c in columns):
        return (), ""
    means = table[columns].astype(float)
    group, title = _group(means, field_of_view.naming, label)
    bars = []
    for reading, column in zip(readings, columns, strict=True):
        richest = means[column].max()
        if richest > 0 and group[column].notna().any():
            value = means.loc[[label], column].iloc[0]
            spread = group[column].std(ddof=0)
            bars.append(
                Bar(
                    element=reading.element,
                    grain=value / richest,
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
