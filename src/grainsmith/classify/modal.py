"""How much there is of each mineral, how large its grains are, and what it touches."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from skimage.segmentation import expand_labels

from grainsmith.classify.naming_table import BY_HAND
from grainsmith.errors import MismatchError
from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grainsmith.classify.naming_table import Floats
    from grainsmith.data import LabelImage

_CHUNK = 64


def modal_percentages(
    table: pd.DataFrame,
    naming: pd.DataFrame,
    *,
    densities: Mapping[str, float] | None = None,
    fields: npt.ArrayLike = (),
    confidence_pct: float = 95.0,
    rounds: int = 1000,
) -> pd.DataFrame:
    """Compute the modal composition by area, count and weight, each with its interval.

    The interval is that of a bootstrap over grains: it covers which grains happened to lie in the
    section, not errors of segmentation or naming.

    Parameters
    ----------
    table : DataFrame
        Grain table with `area_um2` or `area_px`, index `label`.
    naming : DataFrame
        From one of the classifiers, same index.
    densities : mapping of str to float, optional
        Mineral -> g/cm³; the library's where missing. Minerals without one take no part in the
        weight per cent.
    fields : (N,) int array, optional
        Field that each grain comes from: then fields are drawn first and grains within them, so
        that differences between fields count.
    confidence_pct : float
        Width of the intervals.
    rounds : int
        Of the bootstrap.

    Returns
    -------
    DataFrame
        Index `mineral`, largest area first: `n_grains`, `n_by_hand`, `area_<unit>`,
        `unsure_pct` (share of that area whose name is unsure), then
        `area_pct`, `count_pct` and `weight_pct`, each followed by `_low` and `_high`, and
        `d50_<unit>_number` and `d50_<unit>_area` (of the equivalent circle diameter).

    Raises
    ------
    MismatchError
        The table has no area, or the two do not have the same grains.
    """
    if not table.index.equals(naming.index):
        raise MismatchError("table and naming are not of the same grains: classify them again")
    area_name = next((name for name in ("area_um2", "area_px") if name in table), "")
    if not area_name:
        raise MismatchError("the table has no column area_um2 or area_px: measure the grains first")
    minerals, code = np.unique(naming["mineral"].to_numpy(dtype=str), return_inverse=True)
    area = table[area_name].to_numpy(dtype=float)
    member = code[:, np.newaxis] == np.arange(len(minerals))
    density = _densities(minerals, densities or {})
    amounts = {
        "area": member * area[:, np.newaxis],
        "count": member.astype(float),
        "weight": member * area[:, np.newaxis] * density,
    }
    modal = pd.DataFrame(index=pd.Index(minerals, name="mineral"))
    modal["n_grains"] = member.sum(axis=0)
    modal["n_by_hand"] = member[(naming["verdict"] == BY_HAND).to_numpy()].sum(axis=0)
    modal[area_name] = amounts["area"].sum(axis=0)
    unsure = amounts["area"][(naming["verdict"] == "unsure").to_numpy()].sum(axis=0)
    modal["unsure_pct"] = 100 * unsure / np.maximum(modal[area_name], np.finfo(float).tiny)
    for name, amount in amounts.items():
        share, low, high = _shares(amount, np.asarray(fields, np.intp), confidence_pct, rounds)
        blank = (density == 0) & (name == "weight")
        for suffix, values in (("", share), ("_low", low), ("_high", high)):
            modal[f"{name}_pct{suffix}"] = np.where(blank, np.nan, values)
    unit = area_name.removeprefix("area_").removesuffix("2")
    diameter = 2 * np.sqrt(area / np.pi)
    modal[f"d50_{unit}_number"] = [np.median(diameter[own]) for own in member.T]
    modal[f"d50_{unit}_area"] = [_weighted_median(diameter[own], area[own]) for own in member.T]
    return modal.sort_values(area_name, ascending=False, kind="stable")


def contact_matrix(
    labels: LabelImage,
    naming: pd.DataFrame,
    *,
    gap_px: float = 2.0,
    pixel_size_um: float = 0.0,
) -> pd.DataFrame:
    """Measure how long each mineral touches each other one.

    Parameters
    ----------
    labels : (Y, X) int32 array
        Grains.
    naming : DataFrame
        From one of the classifiers.
    gap_px : float
        Grains this far apart, twice, still touch: labels often leave a seam between neighbours.
    pixel_size_um : float
        0 = lengths in pixels.

    Returns
    -------
    DataFrame
        Length of the boundary of the row's mineral that lies against the column's, along pixel
        sides (some 4/π too long for slanting ones, all alike), in µm or px. Symmetric; a boundary
        between two grains of one mineral counts from both sides.
    """
    minerals, code = np.unique(naming["mineral"].to_numpy(dtype=str), return_inverse=True)
    lookup = np.full(max(int(labels.max(initial=0)), int(naming.index.max())) + 1, -1)
    lookup[naming.index.to_numpy()] = code
    grown = expand_labels(labels, distance=gap_px) if gap_px else labels
    lengths = np.zeros((len(minerals), len(minerals)))
    for one, other in ((grown[:, 1:], grown[:, :-1]), (grown[1:], grown[:-1])):
        touching = (one != other) & (one > 0) & (other > 0)
        a, b = lookup[one[touching]], lookup[other[touching]]
        named = (a >= 0) & (b >= 0)
        np.add.at(lengths, (a[named], b[named]), 1)
        np.add.at(lengths, (b[named], a[named]), 1)
    return pd.DataFrame(
        lengths * (pixel_size_um or 1.0), index=minerals, columns=minerals
    ).rename_axis("mineral")


def association_pct(contacts: pd.DataFrame) -> pd.DataFrame:
    """Return each mineral's contacts as per cent of all its contacts; rows add up to 100."""
    total = contacts.sum(axis=1).replace(0, np.nan)
    return 100 * contacts.div(total, axis=0)


def _densities(minerals: npt.NDArray[np.str_], own: Mapping[str, float]) -> Floats:
    by_group: dict[str, list[float]] = {}
    for mineral in LIBRARY.values():
        by_group.setdefault(mineral.group, []).append(mineral.density_g_cm3)
    handbook = {group: sum(values) / len(values) for group, values in by_group.items()}
    handbook |= {mineral.name: mineral.density_g_cm3 for mineral in LIBRARY.values()}
    return np.array([own.get(name) or handbook.get(name, 0.0) for name in minerals])


def _shares(
    amount: Floats, fields: npt.NDArray[np.intp], confidence_pct: float, rounds: int
) -> tuple[Floats, Floats, Floats]:
    """Return the (classes,) per cent and the bounds of its bootstrap interval."""
    random = np.random.default_rng(0)
    drawn = [
        _as_pct(_times(random, fields, len(amount), min(_CHUNK, rounds - start)) @ amount)
        for start in range(0, rounds, _CHUNK)
    ]
    tail = (100 - confidence_pct) / 2
    low, high = np.percentile(np.concatenate(drawn), [tail, 100 - tail], axis=0)
    return _as_pct(amount.sum(axis=0)), low, high


def _times(
    random: np.random.Generator, fields: npt.NDArray[np.intp], grains: int, rounds: int
) -> npt.NDArray[np.int64]:
    """Return (rounds, grains): drawing with replacement is drawing how often each one occurs."""
    if not len(fields):
        return random.multinomial(grains, np.full(grains, 1 / grains), size=rounds)
    names, code, counts = np.unique(fields, return_inverse=True, return_counts=True)
    chosen = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=rounds)
    times = np.zeros((rounds, grains), np.int64)
    for one, count in enumerate(counts):
        share = np.full(count, 1 / count)
        times[:, code == one] = random.multinomial(chosen[:, one] * count, share)
    return times


def _as_pct(amount: Floats) -> Floats:
    total = amount.sum(axis=-1, keepdims=True)
    pct: Floats = 100 * amount / np.where(total > 0, total, 1)
    return pct


def _weighted_median(values: Floats, weights: Floats) -> float:
    order = values.argsort()
    share = weights[order].cumsum() / weights.sum()
    return float(values[order][np.searchsorted(share, 0.5)])
