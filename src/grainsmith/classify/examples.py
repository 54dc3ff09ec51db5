"""Classify grains by a few examples."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import chi2

from grainsmith.classify.naming_table import mapped_elements, means_and_errors, naming_from_scores
from grainsmith.errors import Hint, MismatchError
from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grainsmith.classify.naming_table import Floats

_MIN_SPREAD = 0.03
_TREES = 300
_DRAWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSettings:
    """Settings of the classification by examples.

    Attributes
    ----------
    method : str
        "centroid": nearest mean of the examples, in units of counting error and natural spread;
        works with one example per mineral. "forest": random forest; useful from about ten examples
        per mineral, where minerals overlap.
    stranger_pct : float
        Accepted percentage of grains of the example minerals that are unknown because they are too
        far from all examples. Smaller values give fewer unknown grains.
    least_probability : float
        Grains whose best mineral has a lower probability are unknown.
    spread_pct : float
        Natural spread of an element within a mineral, in per cent of its mean; 0 = estimated from
        the examples, at least 3.
    """

    method: str = field(default="centroid", metadata={"choices": ["centroid", "forest"]})
    stranger_pct: float = field(default=0.1, metadata={"min": 0.01, "max": 50.0, "step": 0.05})
    least_probability: float = field(default=0.5, metadata={"max": 1.0, "step": 0.05})
    spread_pct: float = field(default=0.0, metadata={"max": 100.0, "step": 1.0})

    def __post_init__(self) -> None:
        if self.method not in ("centroid", "forest"):
            raise ValueError(f"method must be centroid or forest, got {self.method!r}")
        if not 0 < self.stranger_pct < 100:
            raise ValueError(f"stranger_pct must lie between 0 and 100, got {self.stranger_pct}")
        if not 0 <= self.least_probability <= 1:
            raise ValueError(f"least_probability must lie in 0..1, got {self.least_probability}")
        if self.spread_pct < 0:
            raise ValueError(f"spread_pct must be 0 or more, got {self.spread_pct}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleClassification:
    """Result of the classification by examples.

    Attributes
    ----------
    naming : DataFrame
        Naming of all grains, as described in `grainsmith.classify`.
    score : float
        Fraction of examples that the others classify correctly: leave-one-out (centroid) or
        out-of-bag (forest). NaN if no mineral has two examples.
    confusion : DataFrame
        Rows: mineral of the example. Columns: mineral by the other examples. Single examples of a
        mineral are not counted.
    importances : Series
        Element -> importance for separating the minerals; sums to 1.
    """

    naming: pd.DataFrame
    score: float
    confusion: pd.DataFrame
    importances: pd.Series


def classify_by_examples(
    table: pd.DataFrame,
    examples: Mapping[int, str],
    settings: ExampleSettings = ExampleSettings(),
) -> ExampleClassification:
    """Classify grains by examples.

    Parameters
    ----------
    table : DataFrame
        Columns of `measure.measure_maps`, index `label`.
    examples : mapping of int to str
        Label -> mineral.
    settings : ExampleSettings
        Method and thresholds.

    Returns
    -------
    ExampleClassification

    Raises
    ------
    MismatchError
        Fewer than two minerals, or an example that does not exist or is not covered by the maps.
    """
    elements = mapped_elements(table)
    if not elements:
        raise MismatchError("no element map was measured: add maps, then measure the grains")
    means, errors = means_and_errors(table, elements)
    rows, minerals = _rows_of(table, examples, means)
    names = sorted(set(minerals), key=minerals.index)
    target = np.array([names.index(word) for word in minerals])
    spread = settings.spread_pct / 100 or _estimated_spread(means[rows], errors[rows], target)
    classes = _Centroids.learn(means[rows], errors[rows], target, len(names), spread)
    distance, freedom = classes.distances(means, errors)
    scores = _probabilities(distance - freedom)
    held_out = _leave_one_out(means[rows], errors[rows], target, len(names), spread)
    importances = _separation_by_element(means[rows], errors[rows], target, spread)
    if settings.method == "forest":
        scores, held_out, importances = _forest(means, errors, rows, target, spread)
    limit = chi2.ppf(1 - settings.stranger_pct / 100, np.maximum(freedom, 1))
    near = (distance <= limit).any(axis=1)
    naming = naming_from_scores(
        table.index,
        names,
        np.where(near[:, np.newaxis], scores, scores * 0.5),
        known=near & (scores.max(axis=1) >= settings.least_probability),
        mapped=np.asarray((freedom > 0).any(axis=1)),
        groups={name: LIBRARY[name].group if name in LIBRARY else "" for name in names},
    )
    return ExampleClassification(
        naming=naming,
        score=_right_share(target, held_out),
        confusion=_confusion(names, target, held_out),
        importances=pd.Series(importances, index=elements, name="importance"),
    )


@dataclass(frozen=True, slots=True)
class _Centroids:
    """Mean and variance (of the mean and natural) of every mineral; (classes, elements) arrays."""

    mean: Floats
    variance: Floats

    @classmethod
    def learn(
        cls, means: Floats, errors: Floats, target: npt.NDArray[np.intp], n: int, spread: float
    ) -> _Centroids:
        centre = np.full((n, means.shape[1]), np.nan)
        variance = np.full_like(centre, np.nan)
        for k in range(n):
            own = means[target == k]
            natural = (spread * _scale(own)) ** 2
            weight = 1 / (errors[target == k] ** 2 + natural)
            weight = np.where(np.isnan(own), 0.0, weight)
            total = weight.sum(axis=0)
            total[total == 0] = np.nan
            centre[k] = np.nansum(weight * own, axis=0) / total
            variance[k] = 1 / total + natural
        return cls(centre, variance)

    def distances(self, means: Floats, errors: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
        """Compute (grains, classes) squared distances and their numbers of elements.

        Distances are in units of the combined error of grain and centroid and the natural spread:
        chi-squared distributed for grains of that mineral.
        """
        each = (means[:, np.newaxis] - self.mean) ** 2
        each /= errors[:, np.newaxis] ** 2 + self.variance
        return np.nansum(each, axis=2), np.isfinite(each).sum(axis=2)


def _scale(own: Floats) -> Floats:
    # For nearly absent elements the spread is relative to a tenth of the brightest element, because
    # stray counts scale with that.
    centre = np.nan_to_num(np.nanmean(own, axis=0)) if len(own) else np.zeros(own.shape[1])
    scale: Floats = np.maximum(centre, 0.1 * centre.max(initial=0.0))
    return scale


def _estimated_spread(means: Floats, errors: Floats, target: npt.NDArray[np.intp]) -> float:
    """Estimate the relative spread of examples of one mineral beyond counting errors."""
    excess, freedom = 0.0, 0.0
    for k in np.unique(target):
        own, error = means[target == k], errors[target == k]
        if len(own) < 2:
            continue
        scale = np.maximum(_scale(own), np.finfo(float).tiny)
        beyond = np.nanvar(own, axis=0, ddof=1) - np.nanmean(error**2, axis=0)
        excess += (len(own) - 1) * float(np.nansum(beyond / scale**2))
        freedom += (len(own) - 1) * own.shape[1]
    return max(_MIN_SPREAD, np.sqrt(max(excess / freedom, 0.0)) if freedom else 0.0)


def _probabilities(distance: Floats) -> Floats:
    relative = np.exp(-0.5 * (distance - distance.min(axis=1, keepdims=True)))
    probabilities: Floats = relative / relative.sum(axis=1, keepdims=True)
    return probabilities


def _leave_one_out(
    means: Floats, errors: Floats, target: npt.NDArray[np.intp], n: int, spread: float
) -> npt.NDArray[np.intp]:
    """Classify each example by the others; -1 for single examples of a mineral."""
    predicted = np.full(len(target), -1)
    for row in range(len(target)):
        others = np.arange(len(target)) != row
        if (target[others] == target[row]).any():
            classes = _Centroids.learn(means[others], errors[others], target[others], n, spread)
            distance, freedom = classes.distances(means[[row]], errors[[row]])
            present = np.isin(np.arange(n), target[others])
            predicted[row] = np.where(present, (distance - freedom)[0], np.inf).argmin()
    return predicted


def _separation_by_element(
    means: Floats, errors: Floats, target: npt.NDArray[np.intp], spread: float
) -> Floats:
    """Compute the share of each element in the distances between centroids."""
    n = int(target.max()) + 1
    classes = _Centroids.learn(means, errors, target, n, spread)
    power = np.zeros(means.shape[1])
    for first in range(n):
        for second in range(first):
            distance = (classes.mean[first] - classes.mean[second]) ** 2
            power += np.nan_to_num(distance / (classes.variance[first] + classes.variance[second]))
    # The square root limits the weight of one very distinct pair.
    power = np.sqrt(power)
    return power / power.sum() if power.sum() else power


def _forest(
    means: Floats,
    errors: Floats,
    rows: Sequence[int],
    target: npt.NDArray[np.intp],
    spread: float,
) -> tuple[Floats, npt.NDArray[np.intp], Floats]:
    """Fit a random forest; return scores, out-of-bag classes (-1: none) and importances.

    A few examples are too few for a forest, but their errors are known: every tree is trained on
    several noisy copies of each grain. The bag contains grains, not copies; scikit-learn's own
    forest would draw copies, and the out-of-bag score would see the same grain again.
    """
    from sklearn.tree import DecisionTreeClassifier

    random = np.random.default_rng(0)
    features = np.nan_to_num(means)
    centres, n = features[rows], int(target.max()) + 1
    sigma = _sigma(centres, errors[rows], target, spread)
    probability = np.zeros((len(means), n))
    votes = np.zeros((len(rows), n))
    importances = np.zeros(means.shape[1])
    for seed in range(_TREES):
        bag = np.concatenate([random.choice(own, len(own)) for own in _members(target)])
        drawn = np.repeat(bag, _DRAWS)
        noisy = centres[drawn] + sigma[drawn] * random.standard_normal((len(drawn), len(sigma.T)))
        tree = DecisionTreeClassifier(
            max_features="sqrt", class_weight="balanced", random_state=seed
        ).fit(noisy, target[drawn])
        probability += tree.predict_proba(features)
        outside = np.setdiff1d(np.arange(len(rows)), bag)
        if len(outside):
            votes[outside] += tree.predict_proba(centres[outside])
        importances += tree.feature_importances_
    predicted = np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
    return probability / _TREES, predicted, importances / _TREES


def _members(target: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    return [np.flatnonzero(target == k) for k in range(int(target.max()) + 1)]


def _sigma(centres: Floats, errors: Floats, target: npt.NDArray[np.intp], spread: float) -> Floats:
    natural = np.empty_like(centres)
    for own in _members(target):
        natural[own] = spread * _scale(centres[own])
    sigma: Floats = np.hypot(errors, natural)
    return sigma


def _rows_of(
    table: pd.DataFrame, examples: Mapping[int, str], means: Floats
) -> tuple[list[int], list[str]]:
    missing = [label for label in examples if label not in table.index]
    if missing:
        raise MismatchError(
            f"the table has no grain {', '.join(map(str, missing))}",
            hint=Hint.CHOOSE_OTHER_EXAMPLE,
        )
    rows = table.index.get_indexer(pd.Index(list(examples))).tolist()
    empty = [str(table.index[row]) for row in rows if np.isnan(means[row]).all()]
    if empty:
        raise MismatchError(
            f"grain {', '.join(empty)} lies outside all maps", hint=Hint.CHOOSE_OTHER_EXAMPLE
        )
    if len(set(examples.values())) < 2:
        raise MismatchError("the examples name fewer than two minerals", hint=Hint.CHOOSE_EXAMPLES)
    return rows, list(examples.values())


def _right_share(target: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp]) -> float:
    tested = predicted >= 0
    return float((target[tested] == predicted[tested]).mean()) if tested.any() else float("nan")


def _confusion(
    names: Sequence[str], target: npt.NDArray[np.intp], predicted: npt.NDArray[np.intp]
) -> pd.DataFrame:
    counts = np.zeros((len(names), len(names)), dtype=int)
    tested = predicted >= 0
    np.add.at(counts, (target[tested], predicted[tested]), 1)
    return pd.DataFrame(counts, index=list(names), columns=list(names))
