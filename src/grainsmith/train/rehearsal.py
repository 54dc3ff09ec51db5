"""Made fields of every look: shown while tuning, and kept back to see what was forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from grainsmith.io.dataset import LoadedField
from grainsmith.samples import training_field
from grainsmith.segment.normalize import to_grey
from grainsmith.train.tiles import Tile

POOL = 96
"""Made fields that a run shows again and again, each cut, turned and varied anew."""
_FIELD_PX = 288
_KEPT_BACK = 6
_KEPT_BACK_PX = 256
_KEPT_BACK_SEED = 20261124


@dataclass(frozen=True, slots=True)
class SyntheticField:
    """A made field with its truth, to judge on.

    Attributes
    ----------
    name : str
    seed : int
        The same seed gives the same field.
    """

    name: str
    seed: int
    role: str = "made"

    def load(self) -> LoadedField:
        """Make it, or return what was made before."""
        return _kept_back(self.seed)


def rehearsed_fields() -> tuple[SyntheticField, ...]:
    """Return the made fields that no training ever sees."""
    return tuple(SyntheticField(f"made-{k + 1}", k) for k in range(_KEPT_BACK))


@lru_cache(maxsize=_KEPT_BACK)
def _kept_back(seed: int) -> LoadedField:
    image, labels = training_field((_KEPT_BACK_SEED, seed), _KEPT_BACK_PX)
    return LoadedField(image, labels, np.ones(labels.shape, np.float32))


@lru_cache(maxsize=POOL)
def rehearsal_field(seed: int, index: int) -> Tile:
    """Return one of the pool's fields."""
    image, labels = training_field((seed, index), _FIELD_PX)
    grey = to_grey(image)[0].astype(np.float32, copy=False)
    return Tile.of(grey, labels)
