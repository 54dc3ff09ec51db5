"""Score a label image against ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array

from grainsmith._callable_package import make_callable
from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from grainsmith.data import LabelImage


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Agreement of a label image with ground truth.

    Attributes
    ----------
    ap50, ap75, ap90 : float
        Average precision TP / (TP + FP + FN) at IoU 0.5, 0.75 and 0.9, matched one to one, as
        defined by Cellpose (Stringer et al. 2021) and StarDist (Schmidt et al. 2018). NaN if there
        is neither a true nor a predicted grain.
    n_true, n_pred : int
        Number of grains compared.
    mean_iou : float
        Mean IoU of the pairs matched at 0.5; NaN without pairs.
    d50_error_pct, d84_error_pct : float
        Error of the median and of the 84th percentile of the equivalent circle diameter, by number,
        in per cent of the true value; NaN if either image has no grains.
    """

    ap50: float
    ap75: float
    ap90: float
    n_true: int
    n_pred: int
    mean_iou: float
    d50_error_pct: float
    d84_error_pct: float


def score_labels(truth: LabelImage, labels: LabelImage, *, ignore_border: bool = False) -> Score:
    """Score labels against ground truth.

    Parameters
    ----------
    truth, labels : (Y, X) int array
        Label images of one field; 0 is background.
    ignore_border : bool
        Leave out true and predicted grains that touch the edge of the image, and predicted grains
        that overlap excluded true grains by more than half.

    Raises
    ------
    MismatchError
        The images differ in shape.
    """
    if truth.shape != labels.shape:
        raise MismatchError(
            f"truth is {truth.shape} and labels are {labels.shape} (rows, columns): "
            "choose two label images of the same field"
        )
    overlap, area_true, area_pred = _overlaps(truth, labels)
    if ignore_border:
        overlap, area_true, area_pred = _without_border(
            truth, labels, overlap, area_true, area_pred
        )
    rows, columns, shared = overlap
    iou = shared / (area_true[rows] + area_pred[columns] - shared)
    n_true, n_pred = int((area_true > 0).sum()), int((area_pred > 0).sum())
    matched = {limit: _matched_iou(rows, columns, iou, limit) for limit in (0.5, 0.75, 0.9)}
    ap = {limit: _ap(len(pairs), n_true, n_pred) for limit, pairs in matched.items()}
    return Score(
        ap50=ap[0.5],
        ap75=ap[0.75],
        ap90=ap[0.9],
        n_true=n_true,
        n_pred=n_pred,
        mean_iou=float(matched[0.5].mean()) if len(matched[0.5]) else float("nan"),
        d50_error_pct=_diameter_error_pct(area_true, area_pred, 50),
        d84_error_pct=_diameter_error_pct(area_true, area_pred, 84),
    )


def match_labels(truth: LabelImage, labels: LabelImage, *, limit: float = 0.5) -> dict[int, float]:
    """Match true grains to predicted grains.

    Parameters
    ----------
    truth, labels : (Y, X) int array
        Label images of one field; 0 is background.
    limit : float
        IoU above which a pair matches; at least 0.5, so that no grain has two partners.

    Returns
    -------
    dict of int to float
        IoU by true label.
    """
    (rows, columns, shared), area_true, area_pred = _overlaps(truth, labels)
    iou = shared / (area_true[rows] + area_pred[columns] - shared)
    numbers = np.unique(np.append(0, truth))
    return {
        int(numbers[row]): float(value)
        for row, value in zip(rows, iou, strict=True)
        if value > limit
    }


_Overlap = tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.float64]]
_Areas = npt.NDArray[np.float64]


def _overlaps(truth: LabelImage, labels: LabelImage) -> tuple[_Overlap, _Areas, _Areas]:
    # Labels need not be consecutive: count ranks instead.
    _, true_rank = np.unique(np.append(0, truth), return_inverse=True)
    _, pred_rank = np.unique(np.append(0, labels), return_inverse=True)
    true_rank, pred_rank = true_rank[1:], pred_rank[1:]
    area_true = np.bincount(true_rank).astype(float)
    area_pred = np.bincount(pred_rank).astype(float)
    area_true[0] = area_pred[0] = 0
    both = (true_rank > 0) & (pred_rank > 0)
    counts = coo_array(
        (np.ones(both.sum()), (true_rank[both], pred_rank[both])),
        shape=(len(area_true), len(area_pred)),
    ).tocsr()
    pairs = counts.tocoo()
    return (pairs.row, pairs.col, pairs.data), area_true, area_pred


def _edge_ranks(labels: LabelImage) -> npt.NDArray[np.intp]:
    present = np.unique(np.append(0, labels))
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    ranks: npt.NDArray[np.intp] = np.searchsorted(present, np.unique(edge[edge > 0]))
    return ranks


def _without_border(
    truth: LabelImage, labels: LabelImage, overlap: _Overlap, area_true: _Areas, area_pred: _Areas
) -> tuple[_Overlap, _Areas, _Areas]:
    rows, columns, shared = overlap
    excluded_true = np.zeros(len(area_true), bool)
    excluded_true[_edge_ranks(truth)] = True
    on_excluded = np.bincount(
        columns, weights=shared * excluded_true[rows], minlength=len(area_pred)
    )
    excluded_pred = on_excluded > area_pred / 2
    excluded_pred[_edge_ranks(labels)] = True
    kept = ~excluded_true[rows] & ~excluded_pred[columns]
    return (
        (rows[kept], columns[kept], shared[kept]),
        np.where(excluded_true, 0, area_true),
        np.where(excluded_pred, 0, area_pred),
    )


def _matched_iou(
    rows: npt.NDArray[np.intp],
    columns: npt.NDArray[np.intp],
    iou: npt.NDArray[np.float64],
    limit: float,
) -> npt.NDArray[np.float64]:
    # Above 0.5 no grain has two partners; at exactly 0.5 it may, so pairs are assigned optimally.
    candidates = iou >= limit
    rows, columns, iou = rows[candidates], columns[candidates], iou[candidates]
    if len(set(rows)) == len(rows) and len(set(columns)) == len(columns):
        return iou
    row_ids, r = np.unique(rows, return_inverse=True)
    column_ids, c = np.unique(columns, return_inverse=True)
    gain = np.zeros((len(row_ids), len(column_ids)))
    gain[r, c] = iou
    best_r, best_c = linear_sum_assignment(-gain)
    assigned: npt.NDArray[np.float64] = gain[best_r, best_c]
    return assigned[assigned > 0]


def _ap(matched: int, n_true: int, n_pred: int) -> float:
    union = n_true + n_pred - matched
    return matched / union if union else float("nan")


def _diameter_error_pct(area_true: _Areas, area_pred: _Areas, percentile: float) -> float:
    if not (area_true > 0).any() or not (area_pred > 0).any():
        return float("nan")
    # Diameters are proportional to the square root of the area; the factor cancels in the ratio.
    true, pred = (
        np.percentile(np.sqrt(area[area > 0]), percentile) for area in (area_true, area_pred)
    )
    return float(100 * (pred / true - 1))


make_callable(__name__)
