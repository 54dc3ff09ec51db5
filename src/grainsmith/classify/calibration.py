"""Convert counts to weight per cent with grains of known minerals as standards.

To first order the counts of an element are proportional to its weight per cent. The factor is its
*sensitivity* in counts per wt%, which grains of known formula provide for their elements.
Absorption and fluorescence are neglected: sufficient to distinguish minerals, but no quantitative
analysis.
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

_MIN_WEIGHT_PCT = 2.0
"""Standards with less of an element are not used for it."""

_MIN_ASSUMED_ERROR = 0.5
"""Minimum relative error of a sensitivity that no standard provides."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standards:
    """Sensitivity of the maps, from grains of known minerals.

    Attributes
    ----------
    sensitivity : dict of str to float
        Element -> counts per map pixel and wt%.
    relative_error : dict of str to float
        Element -> relative standard error of the sensitivity.
    assumed : tuple of str
        Elements without a standard: their sensitivity is the median of the others, with the spread
        of the others, but at least 50 %, as its error.
    ignored : tuple of str
        Minerals of the examples that are not in the library and have no known formula.
    """

    sensitivity: dict[str, float]
    relative_error: dict[str, float]
    assumed: tuple[str, ...]
    ignored: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """Description of the standards for the user."""
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
    """Compute the sensitivity of the maps from grains of known minerals.

    Grains are weighted by their number of map pixels if the table has counts, else equally. A
    standard that contains an element but has no counts of it is used, too.

    Parameters
    ----------
    table : DataFrame
        Columns of `measure.measure_maps` in counts, index `label`.
    examples : mapping of int to str
        Label -> mineral; minerals that are not in the library are ignored and reported.

    Raises
    ------
    MismatchError
        No example is a grain of the table with a mineral of the library, or no example shows any of
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
    used = (weights >= _MIN_WEIGHT_PCT) & np.isfinite(means)
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
    relative = np.full(len(elements), max(unlike, _MIN_ASSUMED_ERROR))
    np.divide(spread, counted, out=relative, where=seen)
    return Standards(
        sensitivity=dict(zip(elements, per_pct.tolist(), strict=True)),
        relative_error=dict(zip(elements, relative.tolist(), strict=True)),
        assumed=tuple(e for e, is_seen in zip(elements, seen, strict=True) if not is_seen),
        ignored=tuple(sorted({name for name in examples.values() if name not in LIBRARY})),
    )


def _pixels(table: pd.DataFrame, elements: list[str], means: Floats, errors: Floats) -> Floats:
    """Compute the (grains, elements) number of map pixels; 1 for tables without counts."""
    pixels = np.ones_like(means)
    for column, element in enumerate(elements):
        if f"{element}_counts" in table:
            counts = table[f"{element}_counts"].to_numpy(dtype=float)
            mean, error = means[:, column], errors[:, column]
            # Zero counts have the error of one count.
            total, per_pixel = np.where(mean > 0, counts, 1.0), np.where(mean > 0, mean, error)
            np.divide(total, per_pixel, out=pixels[:, column], where=(total > 0) & (per_pixel > 0))
    return pixels


def to_weight_pct(table: pd.DataFrame, standards: Standards) -> pd.DataFrame:
    """Convert a table of counts to wt%, including the errors of counts and standards.

    Parameters
    ----------
    table : DataFrame
        Columns of `measure.measure_maps` in counts.
    standards : Standards
        From `learn_standards` of the same maps.
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
