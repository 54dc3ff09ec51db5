"""Batches: every step's tiles follow from seed and step alone, so a run can go on anywhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from grainsmith.segment.prediction import COARSE_RATIO, MAX_SCALE
from grainsmith.train.rehearsal import POOL, rehearsal_field
from grainsmith.train.tiles import Tile, cut_tile, targets, vary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.train.dataset import Fields, TrainingData
    from grainsmith.train.settings import TuneSettings

Batch = tuple[torch.Tensor, torch.Tensor]

_TRIES = 6
_ENOUGH_TRUSTED = 0.25
_JITTER = 0.25
"""Standard deviation of the logarithm of the scale: how far the estimate of the size may be off."""
_FINE_SHARE = 0.67


class Batches:
    """Tiles of the set and, by the settings' share, of made fields.

    Parameters
    ----------
    study : TrainingData
    fields : Fields
        Of the study.
    settings : TuneSettings
    diameter_px : float
        Grain diameter of the network; 0 = it takes images as they are.
    channels : int
        Inputs of the network.
    grey_in_all : bool
        Whether all of them hold the grey image; else all but the first stay 0.
    """

    def __init__(
        self,
        study: TrainingData,
        fields: Fields,
        settings: TuneSettings,
        *,
        diameter_px: float,
        channels: int = 1,
        grey_in_all: bool = False,
    ) -> None:
        self._study, self._fields, self._settings = study, fields, settings
        self._channels, self._grey_in_all = channels, grey_in_all
        self._scale = {
            name: min(MAX_SCALE, diameter_px / found) if diameter_px else 1.0
            for name, found in study.diameters_px.items()
            if found > 0
        }
        made = round(settings.batch * settings.rehearsal_pct / 100)
        self.own = max(1, settings.batch - made)

    def steps_per_epoch(self) -> int:
        """Return the steps in which the tiles cover the trusted parts of all fields once."""
        tile = self._settings.tile_px**2
        tiles = sum(
            self._study.areas_px[one.name] * self._scale[one.name] ** 2 / tile
            for one in self._study.train
        )
        return max(1, round(tiles / self.own))

    def at(self, step: int) -> Batch:
        """Return the images and targets of one step."""
        rng = np.random.default_rng((self._settings.seed, step))
        own = [self._own_tile(rng) for _ in range(self.own)]
        made = [self._made_tile(rng) for _ in range(self._settings.batch - self.own)]
        # Images to come are from the same instrument, so dark stays dark.
        varied = [replace(one, image=vary(rng, one.image, inverted=0.0)) for one in own]
        varied += [replace(one, image=vary(rng, one.image)) for one in made]
        return self._stack(varied)

    def from_step(self, step: int) -> Iterator[Batch]:
        """Yield the batches from a step on; the next one is made while the last is learnt."""
        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(self.at, step)
            while True:
                batch = coming.result()
                step += 1
                coming = pool.submit(self.at, step)
                yield batch

    def for_validation(self, most: int = 24) -> list[Batch]:
        """Return fixed tiles of the validation fields, not varied, in batches."""
        rng = np.random.default_rng((self._settings.seed, 2**31))
        members = [one for one in self._study.validation if one.name in self._scale][:most]
        each = max(1, most // max(1, len(members)))
        tiles = [self._tile(rng, one.name) for one in members for _ in range(each)]
        size = self._settings.batch
        return [self._stack(tiles[k : k + size]) for k in range(0, len(tiles), size)]

    def _own_tile(self, rng: np.random.Generator) -> Tile:
        return self._tile(rng, self._study.train[rng.integers(len(self._study.train))].name)

    def _tile(self, rng: np.random.Generator, name: str) -> Tile:
        """Cut at a scale that the network will meet: about the fine one, or the coarse."""
        scale = self._scale[name] * float(np.exp(rng.normal(0, _JITTER)))
        if rng.random() > _FINE_SHARE:
            scale *= COARSE_RATIO
        best: Tile | None = None
        for _ in range(_TRIES):
            tile = cut_tile(rng, self._fields[name], size_px=self._settings.tile_px, scale=scale)
            if best is None or tile.trusted > best.trusted:
                best = tile
            if best.trusted > _ENOUGH_TRUSTED:
                break
        assert best is not None  # noqa: S101 - the loop runs at least once
        return best

    def _made_tile(self, rng: np.random.Generator) -> Tile:
        field = rehearsal_field(self._settings.seed, int(rng.integers(POOL)))
        scale = float(np.exp(rng.uniform(-0.22, 0.35)))
        return cut_tile(rng, field, size_px=self._settings.tile_px, scale=scale)

    def _stack(self, tiles: list[Tile]) -> Batch:
        side = self._settings.tile_px
        images = torch.zeros((len(tiles), self._channels, side, side))
        grey = torch.from_numpy(np.stack([one.image for one in tiles]))
        if self._grey_in_all:
            images[:] = grey[:, None]
        else:
            images[:, 0] = grey
        return images, torch.from_numpy(np.stack([targets(one) for one in tiles]))
