"""Counts become per cent by weight with grains of known minerals as standards.

To first order the counts of an element rise with its share of the weight; how steeply is its
*sensitivity*, counts per wt%. A grain of known formula gives the sensitivity of each of its
elements. Absorption and fluorescence are left out, as they are with ranges of counts: good enough
to tell minerals apart, no analysis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.classify.naming import mapped_elements, means_and_errors
from grainsmith.errors import MismatchError
from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_LEAST_WEIGHT_PCT = 2.0
"""A standard with less of an element says nothing reliable of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standards:
    """What the maps count for each per cent by weight.

    Attributes
    ----------
    sensitivity : dict of str to float
        Element -> counts in a map pixel per wt%.
    relative_error : dict of str to float
        Element -> standard error of the sensitivity, as a share of it.
    assumed : tuple of str
        Elements that no standard holds: taken as sensitive as the middle one of the others.
    """

    sensitivity: dict[str, float]
    relative_error: dict[str, float]
    assumed: tuple[str, ...]

    @property
    def note(self) -> str:
        """The standards in the user's words."""
        known = [
            f"{element} {value:.3g}"
            for element, value in self.sensitivity.items()
            if element not in self.assumed
        ]
        text = f"Sensitivity from the examples (counts per wt%): {', '.join(known)}."
        if self.assumed:
            text += (
                f" No example holds {', '.join(self.assumed)}: taken as sensitive as the others; "
                "click a grain that holds them to be sure."
            )
        return text


def learn_standards(table: pd.DataFrame, examples: Mapping[int, str]) -> Standards:
    """Learn what the maps count for a per cent by weight, from grains of known minerals.

    Parameters
    ----------
    table : DataFrame
        One row a grain with the columns of `measure.measure_maps` in counts, index `label`.
    examples : mapping of int to str
        Label -> mineral; those that are not in the library are left aside.

    Raises
    ------
    MismatchError
        No example is a grain of the table and of a mineral of the library, or none shows any of
        the mapped elements.
    """
    elements = mapped_elements(table)
    rows = [label for label, name in examples.items() if label in table.index and name in LIBRARY]
    if not rows:
        raise MismatchError(
            "counts become amounts only with standards: give as examples grains of minerals of the "
            f"library (such as {', '.join(list(LIBRARY)[:3])}), got "
            f"{', '.join(sorted(set(examples.values()))) or 'none'}"
        )
    means, errors = means_and_errors(table.loc[rows], elements)
    weights = np.array(
        [[LIBRARY[examples[row]].weight_pct.get(e, 0.0) for e in elements] for row in rows]
    )
    used = (weights >= _LEAST_WEIGHT_PCT) & np.isfinite(means) & (means > 0)
    amount = np.where(used, weights, 0.0).sum(axis=0)
    counted = np.where(used, means, 0.0).sum(axis=0)
    spread = np.sqrt((np.where(used, errors, 0.0) ** 2).sum(axis=0))
    seen = np.asarray(used.any(axis=0))
    if not seen.any():
        raise MismatchError(
            f"none of the examples shows any of the mapped elements ({', '.join(elements)}): "
            "click other grains as standards"
        )
    per_pct = np.divide(counted, amount, out=np.zeros(len(elements)), where=seen)
    per_pct[~seen] = np.median(per_pct[seen])
    relative = np.divide(spread, counted, out=np.zeros(len(elements)), where=seen)
    return Standards(
        sensitivity=dict(zip(elements, per_pct.tolist(), strict=True)),
        relative_error=dict(zip(elements, relative.tolist(), strict=True)),
        assumed=tuple(e for e, is_seen in zip(elements, seen, strict=True) if not is_seen),
    )


def in_weight_pct(table: pd.DataFrame, standards: Standards) -> pd.DataFrame:
    """Return a table of counts as one of wt%, with the errors of both counts and standards.

    Parameters
    ----------
    table : DataFrame
        With the columns of `measure.measure_maps` in counts.
    standards : Standards
        From `learn_standards`, of the same maps.
    """
    elements = mapped_elements(table)
    missing = [element for element in elements if element not in standards.sensitivity]
    if missing:
        raise MismatchError(
            f"the standards know nothing of {', '.join(missing)}: learn them from the same maps"
        )
    means, errors = means_and_errors(table, elements)
    changed = table.drop(columns=[f"{e}_counts" for e in elements if f"{e}_counts" in table])
    for column, element in enumerate(elements):
        per_pct = standards.sensitivity[element]
        weight = means[:, column] / per_pct
        changed[f"{element}_mean"] = weight
        changed[f"{element}_error"] = np.hypot(
            errors[:, column] / per_pct, weight * standards.relative_error[element]
        )
    return changed
