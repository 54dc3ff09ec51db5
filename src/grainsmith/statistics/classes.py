"""Classify grain sizes and distributions in words, with the limits of GRADISTAT.

Blott & Pye 2001 (doi 10.1002/esp.261), tables 1 and 2. Their clay is finer than 9 phi (2 µm), one
phi finer than Wentworth's (3.9 µm).
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    import numpy.typing as npt

_NAMES = (
    *(f"{grade} silt" for grade in ("very fine", "fine", "medium", "coarse", "very coarse")),
    *(f"{grade} sand" for grade in ("very fine", "fine", "medium", "coarse", "very coarse")),
    *(f"{grade} gravel" for grade in ("very fine", "fine", "medium", "coarse", "very coarse")),
    *(f"{grade} boulder" for grade in ("very small", "small", "medium", "large", "very large")),
)

SIZE_CLASSES: tuple[tuple[str, float], ...] = (
    ("clay", 0.0),
    *((name, 1000 * 2.0 ** (i - 9)) for i, name in enumerate(_NAMES)),
)
"""Name and lower limit in µm of each class, in steps of one phi from 2 µm."""

_SORTING_PHI = (
    (0.35, 0.50, 0.70, 1.00, 2.00, 4.00),
    (
        "very well sorted",
        "well sorted",
        "moderately well sorted",
        "moderately sorted",
        "poorly sorted",
        "very poorly sorted",
        "extremely poorly sorted",
    ),
)
_SKEWNESS_PHI = (
    (-0.3, -0.1, 0.1, 0.3),
    ("very coarse skewed", "coarse skewed", "symmetrical", "fine skewed", "very fine skewed"),
)
_KURTOSIS = (
    (0.67, 0.90, 1.11, 1.50, 3.00),
    (
        "very platykurtic",
        "platykurtic",
        "mesokurtic",
        "leptokurtic",
        "very leptokurtic",
        "extremely leptokurtic",
    ),
)


def size_class(size_um: float) -> str:
    """Return the class of a size in µm, such as "fine sand" from 125 up to 250 µm."""
    limits = [lower for _, lower in SIZE_CLASSES]
    return SIZE_CLASSES[bisect.bisect_right(limits, size_um) - 1][0] if size_um >= 0 else ""


def sorting_word(sorting_phi: float) -> str:
    """Describe a Folk & Ward sorting in phi, such as "well sorted" from 0.35 to 0.50."""
    return _word(sorting_phi, *_SORTING_PHI)


def skewness_word(skewness_phi: float) -> str:
    """Describe a Folk & Ward skewness in phi; positive values are a tail of fine grains."""
    return _word(skewness_phi, *_SKEWNESS_PHI)


def kurtosis_word(kurtosis: float) -> str:
    """Describe a Folk & Ward kurtosis; a normal distribution has 1."""
    return _word(kurtosis, *_KURTOSIS)


def class_shares(
    sizes_um: npt.NDArray[np.float64], weights: dict[str, npt.NDArray[np.float64]]
) -> pd.DataFrame:
    """Compute the percentage of every size class that occurs.

    Parameters
    ----------
    sizes_um : (N,) array
    weights : dict of basis to (N,) array

    Returns
    -------
    DataFrame with index `class`, from coarse to fine
        `lower_um`, and one column `pct_<basis>` per basis.
    """
    limits = np.array([lower for _, lower in SIZE_CLASSES])
    class_index = np.searchsorted(limits, sizes_um, side="right") - 1
    table = pd.DataFrame(
        {"lower_um": limits}, index=pd.Index([name for name, _ in SIZE_CLASSES], name="class")
    )
    for basis, weight in weights.items():
        total = max(weight.sum(), np.finfo(float).tiny)
        table[f"pct_{basis}"] = (
            100 * np.bincount(class_index, weight, minlength=len(limits)) / total
        )
    return table[np.bincount(class_index, minlength=len(limits)) > 0][::-1]


def _word(value: float, limits: tuple[float, ...], words: tuple[str, ...]) -> str:
    return words[bisect.bisect_right(limits, value)] if np.isfinite(value) else ""
