"""Rank grains for review by how suspicious they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grainsmith.clean.cleanup import touching_edge
from grainsmith.clean.shape import ellipse_misfit, solidity
from grainsmith.data import no_progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.clean.index import GrainIndex
    from grainsmith.clean.patch import Labels
    from grainsmith.data import OnProgress

_TYPICAL_MISFIT = 0.08  # of a convex, angular grain
_LIMIT_Z = 3.0


def rank_suspicious(
    labels: Labels,
    index: GrainIndex,
    table: pd.DataFrame | None = None,
    *,
    on_progress: OnProgress = no_progress,
) -> pd.DataFrame:
    """Rank all grains by how suspicious they are.

    Parameters
    ----------
    labels : (Y, X) int array
    index : GrainIndex
        Of these labels.
    table : DataFrame, optional
        By label; its optional columns `confidence` (0..1) and `mixed` (bool, or 0..1) are used.
    on_progress : OnProgress
        Called with (grains done, total).

    Returns
    -------
    DataFrame
        Index `label`, most suspicious first, with columns `suspicion` (0..1) and `reasons` (text,
        strongest first; empty for inconspicuous grains).

    Notes
    -----
    Each criterion scores 0..1 and all are combined as if independent: 1 - product of (1 - score).
    Size and solidity are compared with the other grains by the robust z-score (0.6745 times the
    distance from the median over the median absolute deviation, Iglewicz and Hoaglin 1993).
    """
    grains = sorted(index.boxes)
    if not grains:
        return pd.DataFrame(
            {"suspicion": np.zeros(0), "reasons": np.zeros(0, object)},
            index=pd.Index([], name="label", dtype=int),
        )
    signs = _signs(labels, index, grains, on_progress)
    if table is not None:
        signs |= _signs_of_table(table, grains)
    strength = pd.DataFrame(signs, index=pd.Index(grains, name="label")).fillna(0.0)
    strength = strength.clip(0, 1)
    ranked = pd.DataFrame(
        {
            "suspicion": 1 - (1 - strength).prod(axis=1),
            "reasons": [_reasons(row) for _, row in strength.iterrows()],
        }
    )
    return ranked.sort_values("suspicion", ascending=False, kind="stable")


def _signs(
    labels: Labels, index: GrainIndex, grains: list[int], on_progress: OnProgress
) -> dict[str, pd.Series[float]]:
    areas = pd.Series(index.areas_px, dtype=float).loc[grains]
    solid = solidity(labels, index, grains)
    misfit = {}
    for done, grain in enumerate(grains):
        misfit[grain] = ellipse_misfit(labels[index.box(grain).slices] == grain)
        on_progress(done + 1, len(grains))
    edge = touching_edge(labels)
    size_z = _robust_z(areas.map(np.log), least=0.1)
    return {
        "much smaller than the others": _ramp(-size_z, _LIMIT_Z, 2 * _LIMIT_Z),
        "much larger than the others": _ramp(size_z, _LIMIT_Z / 2, 2 * _LIMIT_Z),
        "odd outline": 0.9
        * _ramp(-_robust_z(solid, least=0.01), _LIMIT_Z, 3 * _LIMIT_Z)
        * (solid < 0.92),
        "no ellipse": 0.9 * _ramp(pd.Series(misfit, dtype=float), 2 * _TYPICAL_MISFIT, 0.4),
        "touches the edge": pd.Series(0.15, index=list(edge), dtype=float),
    }


def _signs_of_table(table: pd.DataFrame, grains: list[int]) -> dict[str, pd.Series[float]]:
    known = table.reindex(grains)
    rules: dict[str, tuple[str, Callable[[pd.Series[float]], pd.Series[float]]]] = {
        "confidence": ("low confidence", lambda column: _ramp(1 - column, 0.2, 0.7)),
        "mixed": ("two compositions", lambda column: 0.8 * column),
    }
    return {
        text: sign(pd.to_numeric(known[name], errors="coerce"))
        for name, (text, sign) in rules.items()
        if name in known
    }


def _robust_z(values: pd.Series[float], *, least: float) -> pd.Series[float]:
    """Compute the robust z-score, with a lower limit of the spread for nearly equal grains."""
    deviation = values - values.median()
    return 0.6745 * deviation / max(float(deviation.abs().median()), least)


def _ramp(values: pd.Series[float], low: float, high: float) -> pd.Series[float]:
    return ((values - low) / (high - low)).clip(0, 1)


def _reasons(row: pd.Series[float]) -> str:
    odd = row[row > 0.05].sort_values(ascending=False, kind="stable")
    return ", ".join(str(name) for name in odd.index)
