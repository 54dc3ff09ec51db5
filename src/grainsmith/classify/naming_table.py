"""Build and edit the naming, the table that every classifier returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.errors import MismatchError
from grainsmith.minerals import BY_HAND, UNKNOWN, UNMAPPED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Floats = npt.NDArray[np.float64]

MIN_COVERAGE = 0.5
"""Grains of which a map covers less have no value in that map."""

_MIN_SCORE = 0.005
"""Smaller scores round to 0.00: no mineral scores at all."""

_MEAN = "_mean"


def mapped_elements(table: pd.DataFrame) -> list[str]:
    """List the mapped elements of a grain table, those with a column `<Element>_mean`."""
    return [str(column).removesuffix(_MEAN) for column in table.columns if _is_element(str(column))]


def means_and_errors(table: pd.DataFrame, elements: Sequence[str]) -> tuple[Floats, Floats]:
    """Extract the element means of grains and their standard errors from a table.

    Parameters
    ----------
    table : DataFrame
        Columns `<Element>_mean` and, where known, `<Element>_error`, `<Element>_counts` and
        `<Element>_coverage`.
    elements : sequence of str
        Elements to extract, in this order.

    Returns
    -------
    means, errors : (grains, elements) float arrays
        Means are NaN for grains that the map covers by less than half. Errors are at least that of
        one count in the grain, because zero counts do not prove zero content. NaN errors (single
        pixels of maps that are not in counts) become the range of the element in the table.

    Raises
    ------
    MismatchError
        An element has no column.
    """
    missing = [element for element in elements if f"{element}{_MEAN}" not in table]
    if missing:
        raise MismatchError(
            f"the table has no column {', '.join(f'{e}{_MEAN}' for e in missing)}; "
            "measure the grains on these maps first"
        )
    means = _columns(table, elements, _MEAN, np.nan)
    errors = _columns(table, elements, "_error", 0.0)
    widest = np.nanmax(np.abs(means), axis=0, initial=0.0)
    errors = np.where(np.isnan(errors), widest, errors)
    counts = np.nan_to_num(_columns(table, elements, "_counts", 0.0))
    coverage = np.nan_to_num(_columns(table, elements, "_coverage", 1.0), nan=1.0)
    means[coverage < MIN_COVERAGE] = np.nan
    with np.errstate(divide="ignore", invalid="ignore"):
        pixels = np.where((counts > 0) & (means > 0), counts / means, 0.0)
    most = pixels.max(axis=1, initial=0.0)[:, np.newaxis]
    one_count = np.divide(1.0, most, out=np.zeros_like(most), where=most > 0)
    return means, np.maximum(errors, one_count)


def naming_from_scores(
    index: pd.Index,
    names: Sequence[str],
    scores: Floats,
    *,
    known: npt.NDArray[np.bool_],
    mapped: npt.NDArray[np.bool_],
    groups: Mapping[str, str],
    sure_share: float = 0.75,
) -> pd.DataFrame:
    """Convert scores to a naming.

    Parameters
    ----------
    index : Index
        Labels.
    names : sequence of str
        Classes.
    scores : (grains, classes) float array
        Scores, 0..1; the highest wins.
    known : (grains,) bool array
        False = unknown, whatever the score.
    mapped : (grains,) bool array
        False = unmapped.
    groups : mapping of str to str
        Class -> group, or "". Grains between two classes of the same group get the name of the
        group.
    sure_share : float
        Minimum share of the best score in the sum of the best two for a sure name.

    Returns
    -------
    DataFrame
        Naming as described in `grainsmith.classify`.
    """
    padded = np.column_stack([np.nan_to_num(scores), np.zeros((len(scores), 2))])
    order = np.argsort(-padded, axis=1, kind="stable")[:, :2]
    best, second = np.take_along_axis(padded, order, axis=1).T
    labels = np.array([*names, "", ""], dtype=object)
    naming = pd.DataFrame(
        {
            "mineral": labels[order[:, 0]],
            "score": best,
            "runner_up": np.where(second > 0, labels[order[:, 1]], ""),
            "runner_up_score": second,
            "verdict": np.where(best >= sure_share * (best + second), "named", "unsure"),
        },
        index=index,
    )
    _use_common_group(naming, groups)
    # The runner-up of an unknown grain is its nearest mineral, if any scores.
    near = best >= _MIN_SCORE
    naming.loc[~known, "runner_up"] = naming["mineral"].where(near, "")[~known]
    naming.loc[~known, "runner_up_score"] = naming["score"].where(near, 0.0)[~known]
    naming.loc[~mapped, "runner_up"] = ""
    naming.loc[~mapped, "runner_up_score"] = 0.0
    naming.loc[~known | ~mapped, "score"] = 0.0
    for rows, word in ((~known, UNKNOWN), (~mapped, UNMAPPED)):
        naming.loc[rows, ["mineral", "verdict"]] = word
    return naming


def name_manually(naming: pd.DataFrame, label: int, mineral: str) -> pd.DataFrame:
    """Return the naming with one grain named manually.

    Raises
    ------
    MismatchError
        The grain does not exist, or the name is empty.
    """
    if label not in naming.index:
        raise MismatchError(f"there is no grain {label} in the table")
    if not mineral.strip():
        raise MismatchError(f"grain {label} needs the name of a mineral")
    changed = naming.copy()
    row: dict[str, Any] = {
        "mineral": mineral.strip(),
        "score": 1.0,
        "runner_up": "",
        "runner_up_score": 0.0,
        "verdict": BY_HAND,
    }
    for column, value in row.items():
        changed.loc[label, column] = value
    return changed


def keep_manual_names(naming: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """Return the new naming with the manual names of an earlier one."""
    if "verdict" not in before:
        return naming
    kept = before.index[before["verdict"] == BY_HAND].intersection(naming.index)
    merged = naming.copy()
    shared = [column for column in naming.columns if column in before]
    merged.loc[kept, shared] = before.loc[kept, shared]
    return merged


def _is_element(column: str) -> bool:
    symbol = column.removesuffix(_MEAN)
    return (
        column.endswith(_MEAN)
        and 1 <= len(symbol) <= 2
        and symbol.isalpha()
        and symbol == symbol.capitalize()
    )


def _columns(table: pd.DataFrame, elements: Sequence[str], suffix: str, fallback: float) -> Floats:
    stacked = np.full((len(table), len(elements)), fallback)
    for column, element in enumerate(elements):
        if f"{element}{suffix}" in table:
            stacked[:, column] = table[f"{element}{suffix}"].to_numpy(dtype=float)
    return stacked


def _use_common_group(naming: pd.DataFrame, groups: Mapping[str, str]) -> None:
    group = naming["mineral"].map(lambda name: groups.get(name, ""))
    other = naming["runner_up"].map(lambda name: groups.get(name, ""))
    tied = (naming["verdict"] == "unsure") & (group != "") & (group == other)
    naming.loc[tied, "mineral"] = group[tied]
    naming.loc[tied, "score"] += naming.loc[tied, "runner_up_score"]
    naming.loc[tied, "verdict"] = "named"
