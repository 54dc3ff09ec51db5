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

from grainsmith.classify.naming_table import mapped_elements, means_and_errors
from grainsmith.errors import Hint, MismatchError
from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from grainsmith.classify.naming_table import Floats

_LEAST_WEIGHT_PCT = 2.0
"""A standard with less of an element says nothing reliable of it."""

_LEAST_GUESS_ERROR = 0.5
"""Relative error of a sensitivity that no standard gives: a guess, however alike the others."""


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
        Elements that no standard holds: taken as sensitive as the middle one of the others, give
        or take as much as those differ, and half of it at least.
    ignored : tuple of str
        Minerals of the examples that are not in the library, so that their formula is not known.
    """

    sensitivity: dict[str, float]
    relative_error: dict[str, float]
    assumed: tuple[str, ...]
    ignored: tuple[str, ...] = ()

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
                "add an example that holds them to be sure."
            )
        if self.ignored:
            text += f" Not in the library, so no standards: {', '.join(self.ignored)}."
        return text


def learn_standards(table: pd.DataFrame, examples: Mapping[int, str]) -> Standards:
    """Learn what the maps count for a per cent by weight, from grains of known minerals.

    Each grain weighs as much as the map pixels that it was counted on, where the table has the
    counts (else all weigh the same). A standard that holds an element and counts nothing for it
    counts: the map is blind to the element, or the name is wrong.

    Parameters
    ----------
    table : DataFrame
        One row a grain with the columns of `measure.measure_maps` in counts, index `label`.
    examples : mapping of int to str
        Label -> mineral; those that are not in the library are left aside, and named.

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
    used = (weights >= _LEAST_WEIGHT_PCT) & np.isfinite(means)
    pixels = np.where(used, _pixels(table.loc[rows], elements, means, errors), 0.0)
    amount = (pixels * weights).sum(axis=0)
    counted = (pixels * np.nan_to_num(means)).sum(axis=0)
    spread = np.sqrt(((pixels * np.nan_to_num(errors)) ** 2).sum(axis=0))
    seen = np.asarray(counted > 0)
    if not seen.any():
        raise MismatchError(
            f"none of the examples shows any of the mapped elements ({', '.join(elements)})",
            hint=Hint.CHOOSE_OTHER_EXAMPLE,
        )
    per_pct = np.divide(counted, amount, out=np.zeros(len(elements)), where=seen)
    guess = float(np.median(per_pct[seen]))
    per_pct[~seen] = guess
    unlike = float(np.std(per_pct[seen])) / guess
    relative = np.full(len(elements), max(unlike, _LEAST_GUESS_ERROR))
    np.divide(spread, counted, out=relative, where=seen)
    return Standards(
        sensitivity=dict(zip(elements, per_pct.tolist(), strict=True)),
        relative_error=dict(zip(elements, relative.tolist(), strict=True)),
        assumed=tuple(e for e, is_seen in zip(elements, seen, strict=True) if not is_seen),
        ignored=tuple(sorted({name for name in examples.values() if name not in LIBRARY})),
    )


def _pixels(table: pd.DataFrame, elements: list[str], means: Floats, errors: Floats) -> Floats:
    """Return the (grains, elements) map pixels behind the means; 1 where no counts are told."""
    pixels = np.ones_like(means)
    for column, element in enumerate(elements):
        if f"{element}_counts" in table:
            counts = table[f"{element}_counts"].to_numpy(dtype=float)
            mean, error = means[:, column], errors[:, column]
            # Nothing counted has the error of one count.
            one, over = np.where(mean > 0, counts, 1.0), np.where(mean > 0, mean, error)
            np.divide(one, over, out=pixels[:, column], where=(one > 0) & (over > 0))
    return pixels


def to_weight_pct(table: pd.DataFrame, standards: Standards) -> pd.DataFrame:
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
