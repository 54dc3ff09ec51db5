"""Compute element values and ratios in the units of rules, with their errors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.errors import MismatchError
from grainsmith.minerals import atomic_weight, is_visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.classify.naming_table import Floats

UNITS = ("counts", "wt%", "at%", "relative", "picture")
"""Counts, wt% and "picture" (grey values) are used as mapped. "at%" is atomic per cent of the
mapped elements from sodium up, "relative" the percentage of an element in the sum of all mapped
ones; both
add up to 100."""

_SYMBOL = re.compile(r"[A-Z][a-z]?")


@dataclass(frozen=True, slots=True)
class Quantity:
    """An element, or a ratio of two sums of elements.

    Attributes
    ----------
    above, below : tuple of str
        Elements of the numerator and denominator; an empty denominator means a plain value.
    """

    above: tuple[str, ...]
    below: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Quantity:
        """Parse "Si" or "K/(K+Na+Ca)"; raises ValueError."""
        sides = text.replace(" ", "").split("/")
        if len(sides) > 2:
            raise ValueError(f"{text!r} has more than one '/': write e.g. K/(K+Na+Ca)")
        return cls(*(_symbols(side, text) for side in sides))

    @property
    def elements(self) -> frozenset[str]:
        """All elements of the quantity."""
        return frozenset(self.above + self.below)

    @property
    def is_share(self) -> bool:
        """Whether the values are limited to 0..1."""
        return bool(self.below) and set(self.above) <= set(self.below)

    def measure(
        self, elements: Sequence[str], means: Floats, errors: Floats
    ) -> tuple[Floats, Floats]:
        """Compute the quantity and its standard error.

        Parameters
        ----------
        elements : sequence of str
            Names of the columns.
        means, errors : (grains, elements) float arrays
            Values in the units of the rules.

        Returns
        -------
        value, error : (grains,) float arrays
            NaN if an element is NaN or the denominator is 0.
        """
        needed = sorted(self.elements)
        columns = [elements.index(element) for element in needed]
        values, spread = means[:, columns], errors[:, columns]
        above = np.array([self.above.count(element) for element in needed], dtype=float)
        if not self.below:
            return values @ above, np.hypot.reduce(spread * above, axis=1)
        below = np.array([self.below.count(element) for element in needed], dtype=float)
        total = np.where(values @ below > 0, values @ below, np.nan)
        ratio = values @ above / total
        # First-order propagation: d(A/B)/dx = (a - ratio * b) / B.
        slopes = (above - ratio[:, np.newaxis] * below) / total[:, np.newaxis]
        return ratio, np.hypot.reduce(spread * slopes, axis=1)


def convert(
    means: Floats, errors: Floats, elements: Sequence[str], *, kind: str, units: str
) -> tuple[Floats, Floats]:
    """Convert map values to the units of the rules.

    Parameters
    ----------
    means, errors : (grains, elements) float arrays
        As measured.
    elements : sequence of str
        Names of the columns.
    kind : str
        Unit of the maps: "counts", "wt%", "at%" or "picture".
    units : str
        One of `UNITS`.

    Returns
    -------
    means, errors : (grains, elements) float arrays
        Elements lighter than sodium are NaN in "at%".

    Raises
    ------
    MismatchError
        The units cannot be converted.
    """
    if units == kind and units != "at%":
        return means, errors
    if kind == "picture" or units not in ("at%", "relative"):
        raise MismatchError(_conversion_error(kind, units))
    if units == "relative":
        return _normalize(means, errors)
    if kind == "counts":
        raise MismatchError(_conversion_error(kind, units))
    weights = [atomic_weight(element) if kind == "wt%" else 1.0 for element in elements]
    factor = np.where([is_visible(element) for element in elements], 1 / np.array(weights), np.nan)
    return _normalize(means * factor, errors * factor)


def _normalize(means: Floats, errors: Floats) -> tuple[Floats, Floats]:
    # Background-corrected maps may be negative; negative shares have no meaning.
    amounts = np.clip(means, 0.0, None)
    total = np.nansum(amounts, axis=1, keepdims=True)
    total[total <= 0] = np.nan
    share = amounts / total
    own = (1 - share) * errors / total
    others = np.nansum(errors**2, axis=1, keepdims=True) - errors**2
    return 100 * share, 100 * np.sqrt(own**2 + share**2 * np.clip(others, 0, None) / total**2)


def _symbols(side: str, text: str) -> tuple[str, ...]:
    symbols = tuple(side.removeprefix("(").removesuffix(")").split("+"))
    wrong = [symbol for symbol in symbols if not _SYMBOL.fullmatch(symbol)]
    if wrong:
        raise ValueError(f"cannot read {wrong[0]!r} in {text!r}: write e.g. Si or K/(K+Na+Ca)")
    return symbols


def _conversion_error(kind: str, units: str) -> str:
    why = {
        "picture": "images are stretched one by one, so their grey values are no amounts",
        "counts": "counts become amounts only with standards",
    }.get(kind, "the missing oxygen is not known")
    return (
        f"the maps hold {kind} and the rules are in {units}: {why}. "
        f"Write rules in {kind}, or give a few grains of known minerals as examples: they name the "
        "others, and are the standards where the maps hold counts"
    )
