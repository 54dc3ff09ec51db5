"""Learn minerals from a few grains that were clicked."""

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

_LEAST_SPREAD = 0.03
_TREES = 300
_DRAWS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleSettings:
    """How grains are compared with the examples.

    Attributes
    ----------
    method : str
        "centroid": nearest mean of the examples, in units of the counting error and the natural
        spread; good from one example on. "forest": random forest; worth its while from some ten
        examples a mineral on, where minerals overlap.
    stranger_pct : float
        Per cent of grains of the example minerals that may be called unknown for being too far
        from every example. Smaller calls fewer grains unknown.
    least_probability : float
        A grain whose best mineral is less probable than this is unknown.
    spread_pct : float
        Natural spread of an element within a mineral, in per cent of its mean; 0 = estimated from
        the examples, never less than 3.
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
    """Names of all grains, and how far they can be trusted.

    Attributes
    ----------
    naming : DataFrame
        As the package describes it.
    score : float
        Share of the examples that are named right by the others: left out one by one (centroid)
        or out of the bag (forest). NaN where no mineral has two examples.
    confusion : DataFrame
        Rows: what the user said. Columns: what the other examples said. An example that stands
        alone for its mineral cannot be judged and is not counted.
    importances : Series
        Element -> share in telling the minerals apart; adds up to 1.
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
    """Name grains like the examples.

    Parameters
    ----------
    table : DataFrame
        One row a grain with the columns of `measure.measure_maps`, index `label`.
    examples : mapping of int to str
        Label -> mineral, as clicked.
    settings : ExampleSettings
        How grains are compared.

    Returns
    -------
    Learned
        The naming, and the figures that say how good it is.

    Raises
    ------
    MismatchError
        Fewer than two minerals, an example that is no grain or that the maps do not cover.
    """
    elements = mapped_elements(table)
    if not elements:
        raise MismatchError("no element map was measured: add maps, then measure the grains")
    means, errors = means_and_errors(table, elements)
    rows, answers = _rows_of(table, examples, means)
    names = sorted(set(answers), key=answers.index)
    answer = np.array([names.index(word) for word in answers])
    spread = settings.spread_pct / 100 or _estimated_spread(means[rows], errors[rows], answer)
    classes = _Centroids.learn(means[rows], errors[rows], answer, len(names), spread)
    distance, freedom = classes.distances(means, errors)
    scores = _probabilities(distance - freedom)
    held_out = _leave_one_out(means[rows], errors[rows], answer, len(names), spread)
    importances = _parting_power(means[rows], errors[rows], answer, spread)
    if settings.method == "forest":
        scores, held_out, importances = _forest(means, errors, rows, answer, spread)
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
        score=_right_share(answer, held_out),
        confusion=_confusion(names, answer, held_out),
        importances=pd.Series(importances, index=elements, name="importance"),
    )


@dataclass(frozen=True, slots=True)
class _Centroids:
    """Mean, its error, and the natural spread of every mineral; (classes, elements) arrays."""

    mean: Floats
    variance: Floats

    @classmethod
    def learn(
        cls, means: Floats, errors: Floats, answer: npt.NDArray[np.intp], n: int, spread: float
    ) -> _Centroids:
        centre = np.full((n, means.shape[1]), np.nan)
        variance = np.full_like(centre, np.nan)
        for k in range(n):
            own = means[answer == k]
            natural = (spread * _scale(own)) ** 2
            weight = 1 / (errors[answer == k] ** 2 + natural)
            weight = np.where(np.isnan(own), 0.0, weight)
            total = weight.sum(axis=0)
            total[total == 0] = np.nan
            centre[k] = np.nansum(weight * own, axis=0) / total
            variance[k] = 1 / total + natural
        return cls(centre, variance)

    def distances(self, means: Floats, errors: Floats) -> tuple[Floats, npt.NDArray[np.intp]]:
        """Return (grains, classes) squared distances, and from how many elements each comes.

        The distance is in units of the error of the grain, that of the centroid and the natural
        spread together: chi-squared distributed for a grain of that mineral.
        """
        each = (means[:, np.newaxis] - self.mean) ** 2
        each /= errors[:, np.newaxis] ** 2 + self.variance
        return np.nansum(each, axis=2), np.isfinite(each).sum(axis=2)


def _scale(own: Floats) -> Floats:
    # An element of which there is next to none must not be asked for per cents of it: a tenth of
    # the mineral's brightest element stands in, as stray counts scale with that.
    centre = np.nan_to_num(np.nanmean(own, axis=0)) if len(own) else np.zeros(own.shape[1])
    scale: Floats = np.maximum(centre, 0.1 * centre.max(initial=0.0))
    return scale


def _estimated_spread(means: Floats, errors: Floats, answer: npt.NDArray[np.intp]) -> float:
    """Return the relative spread of examples of one mineral beyond their counting errors."""
    excess, freedom = 0.0, 0.0
    for k in np.unique(answer):
        own, error = means[answer == k], errors[answer == k]
        if len(own) < 2:
            continue
        scale = np.maximum(_scale(own), np.finfo(float).tiny)
        beyond = np.nanvar(own, axis=0, ddof=1) - np.nanmean(error**2, axis=0)
        excess += (len(own) - 1) * float(np.nansum(beyond / scale**2))
        freedom += (len(own) - 1) * own.shape[1]
    return max(_LEAST_SPREAD, np.sqrt(max(excess / freedom, 0.0)) if freedom else 0.0)


def _probabilities(distance: Floats) -> Floats:
    relative = np.exp(-0.5 * (distance - distance.min(axis=1, keepdims=True)))
    probabilities: Floats = relative / relative.sum(axis=1, keepdims=True)
    return probabilities


def _leave_one_out(
    means: Floats, errors: Floats, answer: npt.NDArray[np.intp], n: int, spread: float
) -> npt.NDArray[np.intp]:
    """Return what the other examples say of each; -1 where it stands alone for its mineral."""
    said = np.full(len(answer), -1)
    for row in range(len(answer)):
        others = np.arange(len(answer)) != row
        if (answer[others] == answer[row]).any():
            classes = _Centroids.learn(means[others], errors[others], answer[others], n, spread)
            distance, freedom = classes.distances(means[[row]], errors[[row]])
            present = np.isin(np.arange(n), answer[others])
            said[row] = np.where(present, (distance - freedom)[0], np.inf).argmin()
    return said


def _parting_power(
    means: Floats, errors: Floats, answer: npt.NDArray[np.intp], spread: float
) -> Floats:
    """Return each element's share in the distances between the centroids."""
    n = int(answer.max()) + 1
    classes = _Centroids.learn(means, errors, answer, n, spread)
    power = np.zeros(means.shape[1])
    for one in range(n):
        for other in range(one):
            apart = (classes.mean[one] - classes.mean[other]) ** 2
            power += np.nan_to_num(apart / (classes.variance[one] + classes.variance[other]))
    # The root keeps one well-parted pair from drowning all the others.
    power = np.sqrt(power)
    return power / power.sum() if power.sum() else power


def _forest(
    means: Floats,
    errors: Floats,
    rows: Sequence[int],
    answer: npt.NDArray[np.intp],
    spread: float,
) -> tuple[Floats, npt.NDArray[np.intp], Floats]:
    """Grow a random forest; return scores, out-of-bag answers (-1: none) and importances.

    A few examples are too few for a forest, but their errors are known: every tree learns from
    several draws of each of its grains. The bag holds grains, not draws: drawing single rows, as
    scikit-learn's own forest does, would let the out-of-bag score see the same grain again.
    """
    from sklearn.tree import DecisionTreeClassifier

    random = np.random.default_rng(0)
    features = np.nan_to_num(means)
    centres, n = features[rows], int(answer.max()) + 1
    sigma = _sigma(centres, errors[rows], answer, spread)
    probability = np.zeros((len(means), n))
    votes = np.zeros((len(rows), n))
    importances = np.zeros(means.shape[1])
    for seed in range(_TREES):
        bag = np.concatenate([random.choice(own, len(own)) for own in _members(answer)])
        drawn = np.repeat(bag, _DRAWS)
        noisy = centres[drawn] + sigma[drawn] * random.standard_normal((len(drawn), len(sigma.T)))
        tree = DecisionTreeClassifier(
            max_features="sqrt", class_weight="balanced", random_state=seed
        ).fit(noisy, answer[drawn])
        probability += tree.predict_proba(features)
        outside = np.setdiff1d(np.arange(len(rows)), bag)
        if len(outside):
            votes[outside] += tree.predict_proba(centres[outside])
        importances += tree.feature_importances_
    said = np.where(votes.any(axis=1), votes.argmax(axis=1), -1)
    return probability / _TREES, said, importances / _TREES


def _members(answer: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    return [np.flatnonzero(answer == k) for k in range(int(answer.max()) + 1)]


def _sigma(centres: Floats, errors: Floats, answer: npt.NDArray[np.intp], spread: float) -> Floats:
    natural = np.empty_like(centres)
    for own in _members(answer):
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


def _right_share(answer: npt.NDArray[np.intp], said: npt.NDArray[np.intp]) -> float:
    judged = said >= 0
    return float((answer[judged] == said[judged]).mean()) if judged.any() else float("nan")


def _confusion(
    names: Sequence[str], answer: npt.NDArray[np.intp], said: npt.NDArray[np.intp]
) -> pd.DataFrame:
    counts = np.zeros((len(names), len(names)), dtype=int)
    judged = said >= 0
    np.add.at(counts, (answer[judged], said[judged]), 1)
    return pd.DataFrame(counts, index=list(names), columns=list(names))
