"""Synthetic fields shown while tuning, and others held out to measure what was forgotten."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from grainsmith.io.dataset import LoadedField
from grainsmith.samples import training_field
from grainsmith.segment.normalize import to_grey
from grainsmith.train.tiles import Tile

POOL = 96
"""Synthetic fields that a run uses repeatedly, each time cut and augmented differently."""
SYNTHETIC_ROLE = "made"
"""Role of synthetic fields in comparisons; this word stands in files."""
_FIELD_PX = 288
_N_HELD_OUT = 6
_HELD_OUT_PX = 256
_HELD_OUT_SEED = 20261124


@dataclass(frozen=True, slots=True)
class SyntheticField:
    """A synthetic field with its true labels, to evaluate on.

    Attributes
    ----------
    name : str
    seed : int
        The same seed gives the same field.
    role : str
    """

    name: str
    seed: int
    role: str = SYNTHETIC_ROLE

    def load(self) -> LoadedField:
        """Generate the field, or return it from the cache."""
        return _held_out_field(self.seed)


def held_out_synthetic_fields() -> tuple[SyntheticField, ...]:
    """Return the synthetic fields that are never trained on."""
    return tuple(SyntheticField(f"made-{k + 1}", k) for k in range(_N_HELD_OUT))


@lru_cache(maxsize=_N_HELD_OUT)
def _held_out_field(seed: int) -> LoadedField:
    image, labels = training_field((_HELD_OUT_SEED, seed), _HELD_OUT_PX)
    return LoadedField(image, labels, np.ones(labels.shape, np.float32))


@lru_cache(maxsize=POOL)
def rehearsal_field(seed: int, index: int) -> Tile:
    """Return a field of the pool, 0 <= `index` < `POOL`."""
    image, labels = training_field((seed, index), _FIELD_PX)
    grey = to_grey(image)[0].astype(np.float32, copy=False)
    return Tile.from_field(grey, labels)
