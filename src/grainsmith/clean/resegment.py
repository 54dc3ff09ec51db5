"""Segment again without losing what was done by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from grainsmith.clean.patch import Labels

_COVERED = 0.5  # a new grain of which more is covered by kept ones is the same grain found again
_ROWS = 512


def resegment_grains(
    labels: Labels, fresh: Labels, keep: Iterable[int]
) -> tuple[Labels, dict[int, int]]:
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
    names, numbered = _small_numbers(fresh)
    count = len(names)
    areas = np.zeros(count, np.int64)
    for rows in range(0, len(fresh), _ROWS):  # it counts in int64: in bites, to spare memory
        areas += np.bincount(numbered[rows : rows + _ROWS].ravel(), minlength=count)
    covered = np.bincount(numbered[kept], minlength=count)
    new = (areas > 0) & (covered <= _COVERED * areas)
    new[0] = False
    first = int(labels.max(initial=0)) + 1 if kept.any() else 1
    if first + int(new.sum()) - 1 > np.iinfo(labels.dtype).max:
        raise MismatchError(
            f"{labels.dtype} has too few numbers for {int(new.sum())} new grains; "
            "convert the labels to int32"
        )
    numbers = np.where(new, first - 1 + np.cumsum(new), 0).astype(labels.dtype)
    renewed = numbers[numbered]
    np.copyto(renewed, labels, where=kept)
    return renewed, dict(zip(names[new].tolist(), numbers[new].tolist(), strict=True))


def _small_numbers(labels: Labels) -> tuple[npt.NDArray[Any], Labels]:
    """Return the numbers that may occur, 0 first, and labels that count in them.

    Those of a segmentation do so already; only a few huge ones are looked up, which takes long.
    """
    highest = int(labels.max(initial=0))
    if highest <= 2 * labels.size + 1024:
        return np.arange(highest + 1), labels
    names, inverse = np.unique(np.append(0, labels.ravel()), return_inverse=True)
    return names, inverse[1:].reshape(labels.shape)
