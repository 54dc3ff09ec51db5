"""Match grains or single pixels against rules."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr
from scipy.stats import chi2

from grainsmith.classify.element_ratios import Quantity, convert
from grainsmith.classify.naming_table import mapped_elements, means_and_errors, naming_from_scores
from grainsmith.classify.rules import Condition, Rule, RuleSet
from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from grainsmith.classify.naming_table import Floats

_PRESENT_PCT = 2.0  # amount from which a required element is present, in % units
_PRESENT_SHARE = 0.1  # the same relative to the richest grain, in counts and grey values
_MAX_GREY = 255
_SIGNIFICANCE = 0.05


def classify_by_rules(table: pd.DataFrame, rules: RuleSet, *, kind: str = "") -> pd.DataFrame:
    """Classify grains by rules.

    The score is based on the probability that the true mean of a grain lies within all bounds of a
    rule, given the counting error; rules with more bounds, and values farther inside them, get a
    larger part of it. A grain outside all rules gets the name of the nearest rule as unsure if
    chi-squared of its distance to the bounds is not significant at 5 %; otherwise it is unknown.
    With `rules.gaps` = "unknown", all grains outside the rules are unknown.

    Parameters
    ----------
    table : DataFrame
        Columns of `measure.measure_maps`, index `label`.
    rules : RuleSet
        Rules without the necessary maps are left out (see `RuleSet.advice`).
    kind : str
        Unit of the maps ("counts", "wt%", "at%", "picture"); "" = the units of the rules.

    Returns
    -------
    DataFrame
        Naming as described in `grainsmith.classify`.

    Raises
    ------
    MismatchError
        No rule can be tested, or the units cannot be converted to those of the rules.
    """
    elements = mapped_elements(table)
    usable = rules.usable(elements)
    means, errors = means_and_errors(table, elements)
    means, errors = convert(
        means, errors, elements, kind=kind or _natural_kind(rules.units), units=rules.units
    )
    first = usable.match == "first"
    conditions = _all_conditions(usable, elements, means)
    used = 0 * errors if first else errors
    inside, depth = _match_all(conditions, usable.units, elements, means, used)
    names = [rule.mineral for rule in usable.rules]
    groups = {rule.mineral: rule.group for rule in usable.rules}
    scores = _first_match(inside) if first else _best_match(inside, depth)
    outside = scores.sum(axis=1) < 0.5
    known = ~outside
    if not first and usable.gaps == "nearest":
        scores[outside] = _nearest(
            conditions, usable.units, elements, means[outside], errors[outside]
        )
        known |= scores.max(axis=1) > 0
    naming = naming_from_scores(
        table.index,
        names,
        scores,
        known=known,
        mapped=np.asarray(np.isfinite(inside).any(axis=1)),
        groups=groups,
    )
    naming.loc[outside & (naming["verdict"] == "named"), "verdict"] = "unsure"
    return naming


def classify_pixels(
    values: Mapping[str, npt.NDArray[np.generic]], rules: RuleSet
) -> npt.NDArray[np.int16]:
    """Classify single pixels by rules, for comparison with other programs.

    Parameters
    ----------
    values : mapping of str to (Y, X) array
        Element -> map, all with the same shape and in the units of the rules.
    rules : RuleSet
        In "best" mode, the rule with the values farthest inside its bounds wins.

    Returns
    -------
    (Y, X) int16 array
        1 + index of the rule in `rules.rules`; 0 = no rule.
    """
    elements = list(values)
    if len({array.shape for array in values.values()}) != 1:
        raise MismatchError("the maps differ in shape: pixels can only be matched on one grid")
    if len(rules.usable(elements).rules) < len(rules.rules):
        raise MismatchError("; ".join(rules.advice(elements)))
    shape = next(iter(values.values())).shape
    means = np.stack([np.asarray(array, dtype=float).ravel() for array in values.values()], axis=1)
    conditions = _all_conditions(rules, elements, means)
    inside, depth = _match_all(conditions, rules.units, elements, means, np.zeros_like(means))
    holds = np.nan_to_num(inside) > 0
    rank = holds if rules.match == "first" else holds * (1 + depth)
    matched = np.where(holds.any(axis=1), 1 + rank.argmax(axis=1), 0)
    return matched.astype(np.int16).reshape(shape)


def _natural_kind(units: str) -> str:
    return "counts" if units == "relative" else units


_Conditions = tuple[Condition, ...]


def _all_conditions(
    rules: RuleSet, elements: Sequence[str], means: Floats
) -> tuple[_Conditions, ...]:
    return tuple(_conditions(rule, rules.units, elements, means) for rule in rules.rules)


def _match_all(
    conditions: Sequence[_Conditions],
    units: str,
    elements: Sequence[str],
    means: Floats,
    errors: Floats,
) -> tuple[Floats, Floats]:
    """Compute (grains, rules) probabilities to lie inside (NaN: not testable) and depths."""
    matches = [_match(rule, units, elements, means, errors) for rule in conditions]
    inside, depth = zip(*matches, strict=True)
    return np.column_stack(inside), np.column_stack(depth)


def _match(
    conditions: _Conditions, units: str, elements: Sequence[str], means: Floats, errors: Floats
) -> tuple[Floats, Floats]:
    inside = np.ones(len(means))
    depth = np.zeros(len(means))
    for condition in conditions:
        value, error = condition.quantity.measure(elements, means, errors)
        low, high = _natural_bounds(condition, units)
        inside = inside * _probability(value, error, low, high)
        depth = depth + _depth(value, low, high)
    return inside, np.nan_to_num(depth)


def _chance_outside(
    conditions: _Conditions, units: str, elements: Sequence[str], means: Floats, errors: Floats
) -> Floats:
    """Compute the probability that a grain of the rule is measured this far outside by chance."""
    square, missed = np.zeros((2, len(means)))
    for condition in conditions:
        value, error = condition.quantity.measure(elements, means, errors)
        missing = _missing(value, error, *_natural_bounds(condition, units))
        square = square + missing**2
        missed = missed + (missing > 0)
    # Only the bounds that are not met are degrees of freedom.
    chance: Floats = chi2.sf(np.nan_to_num(square, nan=np.inf), np.maximum(missed, 1))
    return chance


def _conditions(rule: Rule, units: str, elements: Sequence[str], means: Floats) -> _Conditions:
    def present(element: str) -> float:
        if units in ("counts", "picture"):
            return _PRESENT_SHARE * float(np.nanmax(means[:, elements.index(element)], initial=0))
        return _PRESENT_PCT

    needed = [Condition(quantity=Quantity((e,)), low=present(e)) for e in rule.require]
    refused = [Condition(quantity=Quantity((e,)), high=present(e)) for e in rule.forbid]
    return (*rule.conditions, *needed, *refused)


def _natural_bounds(condition: Condition, units: str) -> tuple[float, float]:
    # Bounds at the end of the scale are open: noise around them must not halve the probability.
    top = math.inf
    if units == "picture":
        top = _MAX_GREY
    elif condition.quantity.is_share:
        top = 1.0
    elif units in ("at%", "relative") and not condition.quantity.below:
        top = 100.0
    return (
        condition.low if condition.low > 0 else -math.inf,
        condition.high if condition.high < top else math.inf,
    )


def _probability(value: Floats, error: Floats, low: float, high: float) -> Floats:
    exact = ((value >= low) & (value <= high)).astype(float)
    noisy = np.where(error > 0, error, 1.0)
    blurred: Floats = ndtr((high - value) / noisy) - ndtr((low - value) / noisy)
    return np.where(np.isnan(value), np.nan, np.where(error > 0, blurred, exact))


def _missing(value: Floats, error: Floats, low: float, high: float) -> Floats:
    """Compute the distance to the bounds in standard errors; 0 inside."""
    gap = np.maximum(np.maximum(low - value, value - high), 0.0)
    missing: Floats = np.divide(
        gap, error, out=np.where(gap > 0, np.inf, gap), where=np.asarray(error > 0)
    )
    return missing


def _depth(value: Floats, low: float, high: float) -> Floats:
    """Compute the depth within the bounds: 1 in the middle, 0 at a bound, 1/2 if one is open."""
    if math.isinf(low) or math.isinf(high):
        return np.full(len(value), 0.5)
    half = max((high - low) / 2, np.finfo(float).tiny)
    return np.clip(1 - np.abs(value - (low + high) / 2) / half, 0, 1)


def _best_match(inside: Floats, depth: Floats) -> Floats:
    probable = np.nan_to_num(inside)
    total = np.minimum(probable.sum(axis=1, keepdims=True), 1.0)
    rank = probable * (1 + depth)
    weight = rank.sum(axis=1, keepdims=True)
    share = np.divide(rank, weight, out=np.zeros_like(rank), where=weight > 0)
    scores: Floats = share * total
    return scores


def _nearest(
    conditions: Sequence[_Conditions],
    units: str,
    elements: Sequence[str],
    means: Floats,
    errors: Floats,
) -> Floats:
    """Score grains outside all rules, 0..0.5; 0 for significant distances."""
    chance = [_chance_outside(rule, units, elements, means, errors) for rule in conditions]
    beyond = np.column_stack(chance)
    scores: Floats = np.where(beyond >= _SIGNIFICANCE, 0.5 * beyond, 0.0)
    return scores


def _first_match(inside: Floats) -> Floats:
    holds = np.nan_to_num(inside) > 0
    scores: Floats = (holds & (holds.cumsum(axis=1) == 1)).astype(float)
    return scores
