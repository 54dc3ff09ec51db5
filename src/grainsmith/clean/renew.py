"""Segment again without losing what was done by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grainsmith.clean.patch import Labels

_COVERED = 0.5  # a new grain of which more is covered by kept ones is the same grain found again


def renew(labels: Labels, fresh: Labels, keep: Iterable[int]) -> tuple[Labels, dict[int, int]]:
    """Replace all grains but the kept ones by those of a new segmentation.

    Parameters
    ----------
    labels : (Y, X) int array
        The grains as they are now.
    fresh : (Y, X) int array
        The new segmentation.
    keep : iterable of int
        Grains of `labels` (edited, drawn, accepted) that stay as they are, with their numbers.

    Returns
    -------
    labels : (Y, X) int array
        Of the dtype of the old ones. New grains lie on the background between the kept ones.
    numbers : dict of int to int
        Number in `fresh` to the number that the grain has now; grains that are covered by kept ones
        by more than half are not in it.

    Raises
    ------
    MismatchError
        The shapes differ, or the dtype of the labels has too few numbers.
    """
    if fresh.shape != labels.shape:
        raise MismatchError(f"the new labels are {fresh.shape}, the old ones {labels.shape}")
    kept = np.isin(labels, [label for label in keep if label != 0])
    found, inverse = np.unique(np.append(0, fresh.ravel()), return_inverse=True)
    inverse = inverse[1:].reshape(fresh.shape)
    areas = np.bincount(inverse.ravel(), minlength=len(found))
    covered = np.bincount(inverse[kept], minlength=len(found))
    new = covered <= _COVERED * areas
    new[0] = False
    first = int(labels.max(initial=0)) + 1 if kept.any() else 1
    if first + int(new.sum()) - 1 > np.iinfo(labels.dtype).max:
        raise MismatchError(
            f"{labels.dtype} has too few numbers for {int(new.sum())} new grains; "
            "convert the layer to int32"
        )
    numbers = np.where(new, first - 1 + np.cumsum(new), 0).astype(labels.dtype)
    names = zip(found[new].tolist(), numbers[new].tolist(), strict=True)
    return np.where(kept, labels, numbers[inverse]).astype(labels.dtype), dict(names)
