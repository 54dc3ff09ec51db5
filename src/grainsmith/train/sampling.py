"""Batches of tiles that depend on seed and step only, so that a run can be resumed anywhere."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from grainsmith.segment.prediction import COARSE_RATIO, MAX_SCALE
from grainsmith.train.rehearsal import POOL, rehearsal_field
from grainsmith.train.tiles import Tile, augment, cut_tile, training_targets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.train.dataset import FieldCache, TrainingData
    from grainsmith.train.settings import TuneSettings

Batch = tuple[torch.Tensor, torch.Tensor]
"""(N, C, H, W) images and (N, 4, H, W) targets."""

_MAX_TRIES = 6
_MIN_TRUSTED_SHARE = 0.25
_SCALE_JITTER = 0.25
"""Standard deviation of the logarithm of the scale, as the estimated grain size is uncertain."""
_FINE_SHARE = 0.67


class BatchSampler:
    """Sampler of tiles of the training set and, to a set share, of synthetic fields.

    Parameters
    ----------
    data : TrainingData
    fields : FieldCache
        Fields of `data`.
    settings : TuneSettings
    diameter_px : float
        Grain diameter of the network; 0 = it takes images at their own scale.
    channels : int
        Input channels of the network.
    grey_in_all : bool
        Whether all channels hold the grey image; else all but the first are 0.

    Attributes
    ----------
    n_real : int
        Tiles of the training set per batch.
    """

    def __init__(
        self,
        data: TrainingData,
        fields: FieldCache,
        settings: TuneSettings,
        *,
        diameter_px: float,
        channels: int = 1,
        grey_in_all: bool = False,
    ) -> None:
        self._data, self._fields, self._settings = data, fields, settings
        self._channels, self._grey_in_all = channels, grey_in_all
        self._scales = {
            name: min(MAX_SCALE, diameter_px / grain_px) if diameter_px else 1.0
            for name, grain_px in data.diameters_px.items()
            if grain_px > 0
        }
        n_synthetic = round(settings.batch * settings.rehearsal_pct / 100)
        self.n_real = max(1, settings.batch - n_synthetic)

    def steps_per_epoch(self) -> int:
        """Return the steps whose tiles cover the trusted parts of all fields once."""
        tile_area = self._settings.tile_px**2
        n_tiles = sum(
            self._data.trusted_px[field.name] * self._scales[field.name] ** 2 / tile_area
            for field in self._data.train
        )
        return max(1, round(n_tiles / self.n_real))

    def batch(self, step: int) -> Batch:
        """Return images and targets of a step."""
        rng = np.random.default_rng((self._settings.seed, step))
        real = [self._real_tile(rng) for _ in range(self.n_real)]
        n_synthetic = self._settings.batch - self.n_real
        synthetic = [self._synthetic_tile(rng) for _ in range(n_synthetic)]
        # Future images come from the same instrument, so dark stays dark.
        tiles = [replace(tile, image=augment(rng, tile.image, inverted=0.0)) for tile in real]
        tiles += [replace(tile, image=augment(rng, tile.image)) for tile in synthetic]
        return self._stack(tiles)

    def batches_from(self, step: int) -> Iterator[Batch]:
        """Yield the batches from a step on; the next one is prepared in a thread."""
        with ThreadPoolExecutor(1) as pool:
            pending = pool.submit(self.batch, step)
            while True:
                batch = pending.result()
                step += 1
                pending = pool.submit(self.batch, step)
                yield batch

    def validation_batches(self, max_tiles: int = 24) -> list[Batch]:
        """Return fixed tiles of the validation fields, not augmented."""
        rng = np.random.default_rng((self._settings.seed, 2**31))
        members = [field for field in self._data.validation if field.name in self._scales]
        members = members[:max_tiles]
        per_field = max(1, max_tiles // max(1, len(members)))
        tiles = [self._tile(rng, field.name) for field in members for _ in range(per_field)]
        size = self._settings.batch
        return [self._stack(tiles[k : k + size]) for k in range(0, len(tiles), size)]

    def _real_tile(self, rng: np.random.Generator) -> Tile:
        return self._tile(rng, self._data.train[rng.integers(len(self._data.train))].name)

    def _tile(self, rng: np.random.Generator, name: str) -> Tile:
        """Cut a tile near the fine or the coarse scale of the segmentation."""
        scale = self._scales[name] * float(np.exp(rng.normal(0, _SCALE_JITTER)))
        if rng.random() > _FINE_SHARE:
            scale *= COARSE_RATIO
        best: Tile | None = None
        for _ in range(_MAX_TRIES):
            tile = cut_tile(rng, self._fields[name], size_px=self._settings.tile_px, scale=scale)
            if best is None or tile.trusted_share > best.trusted_share:
                best = tile
            if best.trusted_share > _MIN_TRUSTED_SHARE:
                break
        assert best is not None  # noqa: S101 - the loop runs at least once
        return best

    def _synthetic_tile(self, rng: np.random.Generator) -> Tile:
        field = rehearsal_field(self._settings.seed, int(rng.integers(POOL)))
        scale = float(np.exp(rng.uniform(-0.22, 0.35)))
        return cut_tile(rng, field, size_px=self._settings.tile_px, scale=scale)

    def _stack(self, tiles: list[Tile]) -> Batch:
        side = self._settings.tile_px
        images = torch.zeros((len(tiles), self._channels, side, side))
        grey = torch.from_numpy(np.stack([tile.image for tile in tiles]))
        if self._grey_in_all:
            images[:] = grey[:, None]
        else:
            images[:, 0] = grey
        return images, torch.from_numpy(np.stack([training_targets(tile) for tile in tiles]))
