"""Start without names: sort the grains into clusters, which the user then names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.classify.naming_table import (
    BY_HAND,
    UNMAPPED,
    mapped_elements,
    means_and_errors,
    naming_from_scores,
)
from grainsmith.errors import MismatchError
from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grainsmith.classify.naming_table import Floats

_LEAST_GRAINS = 4
_LEAST_SPREAD = 0.02


def classify_by_clusters(table: pd.DataFrame, *, most_clusters: int = 12) -> pd.DataFrame:
    """Sort grains into clusters of like composition.

    A Gaussian mixture on the square roots of the element means (which makes counting noise alike
    everywhere); the number of clusters is the one with the least Bayesian information criterion.

    Parameters
    ----------
    table : DataFrame
        One row a grain with the columns of `measure.measure_maps`, index `label`.
    most_clusters : int
        Upper limit.

    Returns
    -------
    DataFrame
        A naming with "cluster 1" (the one of most grains), "cluster 2", ... as minerals.

    Raises
    ------
    MismatchError
        No map, or fewer than four grains on the maps.
    """
    elements = mapped_elements(table)
    means, _ = means_and_errors(table, elements)
    mapped = np.asarray(np.isfinite(means).all(axis=1) & bool(elements))
    if mapped.sum() < _LEAST_GRAINS:
        raise MismatchError(
            f"clusters need at least {_LEAST_GRAINS} grains on the maps, got {mapped.sum()}"
        )
    root = np.sqrt(np.clip(means[mapped], 0, None))
    probability = _mixture(root / max(root.max(), np.finfo(float).tiny), most_clusters)
    scores = np.zeros((len(table), probability.shape[1]))
    scores[mapped] = probability
    return naming_from_scores(
        table.index,
        [f"cluster {k + 1}" for k in range(probability.shape[1])],
        scores,
        known=np.ones(len(table), bool),
        mapped=mapped,
        groups={},
    )


def name_clusters(naming: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """Return the naming with clusters called by minerals; two may get one name."""
    changed = naming.copy()
    automatic = naming["verdict"] != BY_HAND
    for column in ("mineral", "runner_up"):
        changed.loc[automatic, column] = naming.loc[automatic, column].replace(dict(names))
    return changed


def suggest_names(table: pd.DataFrame, naming: pd.DataFrame) -> pd.Series:
    """Guess for each cluster the mineral of the library that looks most like it.

    A hint to start from, no more: counts are taken as they are, without standards. Minerals with
    elements that were not mapped stand back.

    Returns
    -------
    Series
        Cluster -> mineral, by the least angle between the compositions.
    """
    elements = mapped_elements(table)
    means = means_and_errors(table.loc[naming.index], elements)[0]
    seen = {
        mineral.name: np.array([mineral.atomic_pct.get(element, 0.0) for element in elements])
        for mineral in LIBRARY.values()
    }
    guesses = {}
    for cluster in naming.loc[naming["mineral"] != UNMAPPED, "mineral"].unique():
        own = np.nan_to_num(means[(naming["mineral"] == cluster).to_numpy()]).mean(axis=0)
        guesses[str(cluster)] = max(seen, key=lambda name: _alike(own, seen[name]))
    return pd.Series(guesses, name="mineral")


def _alike(measured: Floats, atomic_pct: Floats) -> float:
    lengths = np.linalg.norm(measured) * np.linalg.norm(atomic_pct)
    mapped_share = atomic_pct.sum() / 100
    return float(mapped_share * (measured @ atomic_pct) / lengths) if lengths else 0.0


def _mixture(features: Floats, most: int) -> npt.NDArray[np.float64]:
    """Return (grains, clusters) probabilities, the cluster of most grains first."""
    from sklearn.mixture import GaussianMixture

    fits = [
        GaussianMixture(
            n, covariance_type="diag", reg_covar=_LEAST_SPREAD**2, n_init=3, random_state=0
        ).fit(features)
        for n in range(1, min(most, len(features) // 2) + 1)
    ]
    best = min(fits, key=lambda fit: fit.bic(features))
    probability: npt.NDArray[np.float64] = best.predict_proba(features)
    sizes = np.bincount(probability.argmax(axis=1), minlength=probability.shape[1])
    return probability[:, np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]]
