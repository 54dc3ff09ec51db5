"""Which fields to keep back: a validation set that stands for the rest."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from grainsmith.io.dataset.checks import find_duplicates

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.io.dataset.schema import Dataset, TrainingField

_MOST_TRIES = 4000
_SHARE_WEIGHT = 4.0
"""How much a validation set of the wrong size weighs against one that looks different."""


def propose_split(
    dataset: Dataset, *, validation_share: float = 0.2, seed: int = 0
) -> dict[str, str]:
    """Propose which fields to train and which to validate on.

    Parameters
    ----------
    dataset : Dataset
        Fields for testing stay what they are.
    validation_share : float
        Wanted share of the grains, 0..1.
    seed : int
        Of the choice among very many fields.

    Returns
    -------
    dict of str to str
        Role of every field by name. Always whole fields; fields of one group, and fields that show
        the same place, stay together. With fewer than two such units all train.

    Notes
    -----
    Of all ways to split (of 4000 random ones where there are more) the one is taken whose two sides
    are most alike in grain size, number, brightness and contrast.
    """
    roles = {
        field.name: field.role if field.role == "test" else "train" for field in dataset.fields
    }
    units = _units(dataset)
    if len(units) < 2:
        return roles
    traits = _standardised(np.array([_mean_traits(unit) for unit in units]))
    grains = np.array([max(1, sum(field.n_grains for field in unit)) for unit in units], float)
    best: tuple[int, ...] = ()
    lowest = np.inf
    for chosen in _candidates(len(units), seed):
        mask = np.zeros(len(units), bool)
        mask[list(chosen)] = True
        share = grains[mask].sum() / grains.sum()
        unlike = np.abs(traits[mask].mean(axis=0) - traits[~mask].mean(axis=0)).mean()
        cost = unlike + _SHARE_WEIGHT * abs(share - validation_share)
        if cost < lowest:
            best, lowest = chosen, cost
    for index in best:
        roles |= {field.name: "validation" for field in units[index]}
    return roles


def _units(dataset: Dataset) -> list[list[TrainingField]]:
    """Return the fields that must stay together."""
    free = [field for field in dataset.fields if field.role != "test"]
    unit_of = {field.name: field.group or f"\0{field.name}" for field in free}
    for first, other in find_duplicates(dataset):
        if first in unit_of and other in unit_of:
            old, new = unit_of[other], unit_of[first]
            unit_of = {name: new if unit == old else unit for name, unit in unit_of.items()}
    units: dict[str, list[TrainingField]] = {}
    for member in free:
        units.setdefault(unit_of[member.name], []).append(member)
    return list(units.values())


def _mean_traits(unit: list[TrainingField]) -> npt.NDArray[np.float64]:
    rows = []
    for field in unit:
        grey = np.zeros(1)
        if field.thumbnail.is_file():
            with Image.open(field.thumbnail) as thumbnail:
                grey = np.asarray(thumbnail.convert("L"), float)
        rows.append(
            [np.log1p(field.diameter_px), np.log1p(field.n_grains), float(grey.mean()), grey.std()]
        )
    mean: npt.NDArray[np.float64] = np.mean(rows, axis=0)
    return mean


def _standardised(traits: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    spread = traits.std(axis=0)
    scaled: npt.NDArray[np.float64] = (traits - traits.mean(axis=0)) / np.where(
        spread > 1e-9, spread, 1.0
    )
    return scaled


def _candidates(count: int, seed: int) -> Iterator[tuple[int, ...]]:
    if 2**count <= _MOST_TRIES:
        for size in range(1, count // 2 + 1):
            yield from combinations(range(count), size)
        return
    rng = np.random.default_rng(seed)
    for _ in range(_MOST_TRIES):
        size = int(rng.integers(1, max(2, count // 2)))
        yield tuple(rng.choice(count, size, replace=False).tolist())
