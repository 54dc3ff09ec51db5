"""Cluster grains by composition; the user names the clusters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.classify.naming_table import mapped_elements, means_and_errors, naming_from_scores
from grainsmith.errors import MismatchError
from grainsmith.minerals import BY_HAND, LIBRARY, UNMAPPED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grainsmith.classify.naming_table import Floats

_MIN_GRAINS = 4
_MIN_SPREAD = 0.02


def classify_by_clusters(table: pd.DataFrame, *, most_clusters: int = 12) -> pd.DataFrame:
    """Cluster grains by composition.

    Gaussian mixture of the square roots of the element means (which stabilizes counting noise); the
    number of clusters minimizes the Bayesian information criterion.

    Parameters
    ----------
    table : DataFrame
        Columns of `measure.measure_maps`, index `label`.
    most_clusters : int
        Maximum number of clusters.

    Returns
    -------
    DataFrame
        Naming with the minerals "cluster 1" (with the most grains), "cluster 2", ...

    Raises
    ------
    MismatchError
        There is no map, or fewer than four grains on the maps.
    """
    elements = mapped_elements(table)
    means, _ = means_and_errors(table, elements)
    mapped = np.asarray(np.isfinite(means).all(axis=1) & bool(elements))
    if mapped.sum() < _MIN_GRAINS:
        raise MismatchError(
            f"clusters need at least {_MIN_GRAINS} grains on the maps, got {mapped.sum()}"
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
    """Rename clusters to minerals; several clusters may get the same name."""
    changed = naming.copy()
    automatic = naming["verdict"] != BY_HAND
    for column in ("mineral", "runner_up"):
        changed.loc[automatic, column] = naming.loc[automatic, column].replace(dict(names))
    return changed


def suggest_names(table: pd.DataFrame, naming: pd.DataFrame) -> pd.Series:
    """Suggest the most similar mineral of the library for each cluster.

    A rough hint: counts are used without standards. Minerals with elements that were not mapped are
    penalized.

    Returns
    -------
    Series
        Cluster -> mineral with the smallest angle between the compositions.
    """
    elements = mapped_elements(table)
    means = means_and_errors(table.loc[naming.index], elements)[0]
    seen = {
        mineral.name: np.array([mineral.atomic_pct.get(element, 0.0) for element in elements])
        for mineral in LIBRARY.values()
    }
    guesses = {}
    for cluster in naming.loc[naming["mineral"] != UNMAPPED, "mineral"].unique():
        composition = np.nan_to_num(means[(naming["mineral"] == cluster).to_numpy()]).mean(axis=0)
        guesses[str(cluster)] = max(seen, key=lambda name: _similarity(composition, seen[name]))
    return pd.Series(guesses, name="mineral")


def _similarity(measured: Floats, atomic_pct: Floats) -> float:
    lengths = np.linalg.norm(measured) * np.linalg.norm(atomic_pct)
    mapped_share = atomic_pct.sum() / 100
    return float(mapped_share * (measured @ atomic_pct) / lengths) if lengths else 0.0


def _mixture(features: Floats, most: int) -> npt.NDArray[np.float64]:
    """Fit the mixture; return (grains, clusters) probabilities, largest cluster first."""
    from sklearn.mixture import GaussianMixture

    fits = [
        GaussianMixture(
            n, covariance_type="diag", reg_covar=_MIN_SPREAD**2, n_init=3, random_state=0
        ).fit(features)
        for n in range(1, min(most, len(features) // 2) + 1)
    ]
    best = min(fits, key=lambda fit: fit.bic(features))
    probability: npt.NDArray[np.float64] = best.predict_proba(features)
    sizes = np.bincount(probability.argmax(axis=1), minlength=probability.shape[1])
    return probability[:, np.argsort(-sizes, kind="stable")[: int((sizes > 0).sum())]]
