"""Compute percentiles, moments and Folk & Ward measures of weighted sizes without binning."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

PERCENTILES = (5, 10, 16, 25, 50, 75, 84, 90, 95)
"""Per cent finer."""


def weighted_percentiles(
    sizes: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    percentiles: npt.ArrayLike = PERCENTILES,
) -> npt.NDArray[np.float64]:
    """Compute weighted percentiles (per cent finer) by linear interpolation.

    Half of the weight of a grain counts as finer than itself. With equal weights this is Hazen's
    rule (`numpy.percentile(method="hazen")`).

    Parameters
    ----------
    sizes : (N,) array
        Ascending.
    weights : (N,) array
        0 or more; sizes of weight 0 are ignored.
    percentiles : (K,) array
        0 to 100.
    """
    finer = _finer(weights)
    present = weights > 0
    if not present.any():
        return np.full(np.shape(percentiles), np.nan)
    values = np.interp(np.asarray(percentiles) / 100, finer[present], sizes[present])
    return np.asarray(values, dtype=np.float64)


def cumulative_curve(
    sizes: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    grid: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """Compute the percentage of the weight that is finer than each size of `grid`."""
    present = weights > 0
    if not present.any():
        return np.full(len(grid), np.nan)
    curve: npt.NDArray[np.float64] = 100 * np.interp(
        grid, sizes[present], _finer(weights)[present], left=0, right=1
    )
    return curve


def size_measures(
    sizes: npt.NDArray[np.float64], weights: npt.NDArray[np.float64], *, unit: str
) -> dict[str, float]:
    """Compute all size measures of one weighted list of sizes.

    Parameters
    ----------
    sizes : (N,) array
        Ascending, above 0.
    weights : (N,) array
    unit : "um" or "px"
        Measures in phi need µm.

    Returns
    -------
    dict
        d5_<unit> ... d95_<unit>; span = (d90 - d10) / d50; mean_<unit>, sd_<unit>; geometric_
        mean_<unit> and geometric_sd (a factor); folk_ward_mean_<unit>, folk_ward_sorting_geometric
        (a factor). In µm, also the moments and the Folk & Ward measures in phi.

    Notes
    -----
    Skewness and kurtosis are population moments (divided by the third and fourth power of the
    standard deviation); a normal distribution has a kurtosis of 3.
    """
    percentiles = weighted_percentiles(sizes, weights)
    d = dict(zip(PERCENTILES, percentiles, strict=True))
    out = {f"d{p}_{unit}": float(value) for p, value in d.items()}
    out["span"] = float((d[90] - d[10]) / d[50])
    share = weights / weights.sum() if weights.sum() > 0 else weights * np.nan
    mean = float(share @ sizes)
    out[f"mean_{unit}"] = mean
    out[f"sd_{unit}"] = math.sqrt(float(share @ (sizes - mean) ** 2))
    logs = np.log2(sizes)
    log_mean, log_sd, log_skewness, log_kurtosis = _moments(logs, share)
    out[f"geometric_mean_{unit}"], out["geometric_sd"] = 2.0**log_mean, 2.0**log_sd
    log_d = {p: math.log2(value) if value > 0 else math.nan for p, value in d.items()}
    graphic_mean, sorting, skewness, kurtosis = folk_ward({p: -v for p, v in log_d.items()})
    out[f"folk_ward_mean_{unit}"] = 2.0**-graphic_mean
    out["folk_ward_sorting_geometric"] = 2.0**sorting
    if unit == "um":
        to_phi = math.log2(1000)
        out |= {
            "mean_phi": to_phi - log_mean,
            "sd_phi": log_sd,
            "skewness_phi": -log_skewness,
            "kurtosis_phi": log_kurtosis,
            "folk_ward_mean_phi": to_phi + graphic_mean,
            "folk_ward_sorting_phi": sorting,
            "folk_ward_skewness_phi": skewness,
            "folk_ward_kurtosis_phi": kurtosis,
        }
    return out


def folk_ward(phi_of_d: dict[int, float]) -> tuple[float, float, float, float]:
    """Compute the graphic mean, sorting, skewness and kurtosis of Folk & Ward.

    Folk & Ward 1957 (doi 10.1306/74D70646-2B21-11D7-8648000102C1865D). In their notation p per cent
    are *coarser* than phi_p, so phi_16 corresponds to D84.

    Parameters
    ----------
    phi_of_d : dict
        Phi of D5, D16, D25, D50, D75, D84 and D95 (per cent finer).
    """
    phi = {100 - p: value for p, value in phi_of_d.items()}
    mean = (phi[16] + phi[50] + phi[84]) / 3
    sorting = (phi[84] - phi[16]) / 4 + (phi[95] - phi[5]) / 6.6
    skewness = _ratio(phi[16] + phi[84] - 2 * phi[50], 2 * (phi[84] - phi[16])) + _ratio(
        phi[5] + phi[95] - 2 * phi[50], 2 * (phi[95] - phi[5])
    )
    return mean, sorting, skewness, _ratio(phi[95] - phi[5], 2.44 * (phi[75] - phi[25]))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan


def _finer(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    total = np.cumsum(weights)
    share: npt.NDArray[np.float64] = (total - weights / 2) / max(total[-1], np.finfo(float).tiny)
    return share


def _moments(
    values: npt.NDArray[np.float64], share: npt.NDArray[np.float64]
) -> tuple[float, float, float, float]:
    mean = float(share @ values)
    deviation = values - mean
    sd = math.sqrt(float(share @ deviation**2))
    return (
        mean,
        sd,
        _ratio(float(share @ deviation**3), sd**3),
        _ratio(float(share @ deviation**4), sd**4),
    )
