"""Compute the quartz, feldspar and other shares of a ternary QFL diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.minerals import LIBRARY, NO_MINERAL

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

_QUARTZ = frozenset(
    {"sio2", "quartz", "chert", "chalcedony", "silica", "tridymite", "cristobalite"}
)
_FELDSPARS = frozenset(
    {
        "feldspar", "alkali feldspar", "k-feldspar", "kfeldspar", "potassium feldspar", "kfs",
        "orthoclase", "microcline", "sanidine", "anorthoclase", "adularia", "perthite",
        "plagioclase", "albite", "oligoclase", "andesine", "labradorite", "bytownite", "anorthite",
        "pl", "plg",
    }
)  # fmt: skip
"""Groups of the library and further names in use, in lower case."""


def qfl_shares(
    table: pd.DataFrame, groups: Mapping[str, str] | None = None
) -> dict[str, dict[str, float]]:
    """Sum up quartz, feldspar and other grains by number and by area.

    Parameters
    ----------
    table : DataFrame
        With the columns `mineral` and `area_px`. Grains without a mineral ("", "unknown" and
        "unmapped") are left out.
    groups : mapping of str to str, optional
        Mineral -> group, as in a rules file; by default the groups of the library.

    Returns
    -------
    dict of basis ("number", "area") to dict of corner to amount
        Number of grains, and pixels. *Other* is every other named grain: which of them are lithic
        fragments, as the L of a QFL diagram wants, only a petrographer can say.
    """
    names = table["mineral"].fillna("").astype(str).str.strip()
    corner = names.map({name: qfl_corner(name, groups) for name in names.unique()})
    shares = {}
    for basis, weight in (("number", np.ones(len(table))), ("area", table["area_px"].to_numpy())):
        shares[basis] = {
            name: float(weight[(corner == name).to_numpy()].sum())
            for name in ("quartz", "feldspar", "other")
        }
    return shares


def qfl_corner(mineral: str, groups: Mapping[str, str] | None = None) -> str:
    """Return the corner of a mineral: "quartz", "feldspar" or "other"; "" for no mineral.

    Upper and lower case and spaces around the name do not matter. A mineral belongs to a corner by
    its group, or by its name; "K-feldspar or plagioclase" is feldspar.
    """
    name = " ".join(mineral.split()).casefold()
    if name in NO_MINERAL:
        return ""
    by_name = {known.casefold(): known_mineral.group for known, known_mineral in LIBRARY.items()}
    by_name |= {key.strip().casefold(): group for key, group in (groups or {}).items() if group}
    parts = [by_name.get(part.strip(), part).casefold() for part in name.split(" or ")]
    for corner, members in (("quartz", _QUARTZ), ("feldspar", _FELDSPARS)):
        if all(part in members for part in parts):
            return corner
    return "other"
