"""Compute the quartz, feldspar and other shares of a ternary QFL diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    import pandas as pd

_FELDSPARS = ("alkali feldspar", "plagioclase")


def qfl_shares(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """Sum up quartz, feldspar and other grains by number and by area.

    Parameters
    ----------
    table : DataFrame
        With the columns `mineral` ("" = not named, left out) and `area_px`.

    Returns
    -------
    dict of basis ("number", "area") to dict of corner to amount
        Grains, and pixels. *Other* is every other named grain: which of them are lithic fragments,
        as the L of a QFL diagram wants, only a petrographer can say.
    """
    names = table.mineral.fillna("").astype(str)
    named = table[names != ""]
    groups = names[names != ""].map(lambda name: LIBRARY[name].group if name in LIBRARY else "")
    quartz = (groups == "SiO2").to_numpy()
    feldspar = groups.isin(_FELDSPARS).to_numpy()
    out = {}
    for basis, weight in (("number", np.ones(len(named))), ("area", named.area_px.to_numpy())):
        out[basis] = {
            "quartz": float(weight[quartz].sum()),
            "feldspar": float(weight[feldspar].sum()),
            "other": float(weight[~quartz & ~feldspar].sum()),
        }
    return out
