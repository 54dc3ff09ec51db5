"""Merge a new segmentation into labels without losing manual edits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from grainsmith.clean.patch import Labels

_MAX_COVERED = 0.5  # a new grain with a larger share under kept grains is the same grain
_ROWS = 512


def resegment_grains(
    labels: Labels, fresh: Labels, keep: Iterable[int]
) -> tuple[Labels, dict[int, int]]:
    """Replace all grains except the kept ones by a new segmentation.

    Parameters
    ----------
    labels : (Y, X) int array
        Current labels.
    fresh : (Y, X) int array
        The new segmentation.
    keep : iterable of int
        Grains of `labels` (edited, drawn, accepted) to keep unchanged.

    Returns
    -------
    labels : (Y, X) int array
        With the dtype of the old labels; new grains fill the background between the kept ones.
    numbers : dict of int to int
        Label in `fresh` to the new label, without grains that kept grains cover by more than half.

    Raises
    ------
    MismatchError
        The shapes differ, or the dtype of the labels has too few values.
    """
    if fresh.shape != labels.shape:
        raise MismatchError(f"the new labels are {fresh.shape}, the old ones {labels.shape}")
    kept = np.isin(labels, [label for label in keep if label != 0])
    names, numbered = _compact_labels(fresh)
    count = len(names)
    areas = np.zeros(count, np.int64)
    for rows in range(
        0, len(fresh), _ROWS
    ):  # bincount works in int64: count in blocks to save memory
        areas += np.bincount(numbered[rows : rows + _ROWS].ravel(), minlength=count)
    covered = np.bincount(numbered[kept], minlength=count)
    new = (areas > 0) & (covered <= _MAX_COVERED * areas)
    new[0] = False
    first = int(labels.max(initial=0)) + 1 if kept.any() else 1
    if first + int(new.sum()) - 1 > np.iinfo(labels.dtype).max:
        raise MismatchError(
            f"{labels.dtype} has too few numbers for {int(new.sum())} new grains; "
            "convert the labels to int32"
        )
    numbers = np.where(new, first - 1 + np.cumsum(new), 0).astype(labels.dtype)
    merged = numbers[numbered]
    np.copyto(merged, labels, where=kept)
    return merged, dict(zip(names[new].tolist(), numbers[new].tolist(), strict=True))


def _compact_labels(labels: Labels) -> tuple[npt.NDArray[Any], Labels]:
    """Return the possible labels, 0 first, and the labels as indices into them.

    Consecutive labels are their own indices; only huge labels need the slower lookup.
    """
    highest = int(labels.max(initial=0))
    if highest <= 2 * labels.size + 1024:
        return np.arange(highest + 1), labels
    names, inverse = np.unique(np.append(0, labels.ravel()), return_inverse=True)
    return names, inverse[1:].reshape(labels.shape)
