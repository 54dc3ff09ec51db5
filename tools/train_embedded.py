"""Make the embedded model again: synthetic fields without end, then real tiles mixed in.

    python tools/train_embedded.py --data ../shared/data --out build/embedded

The first phase sees synthetic fields only and leaves `synthetic.pt`; the others mix in tiles of the
training images below: `trunk.pt`, then two ends of it, `even_more.pt` with a loss in which small
grains count more and `plain.pt` with one in which they do not. `tools/pack_weights.py` makes the
embedded weights of both. A snapshot is kept every 500 steps. All can be resumed: run the command
again. Losses go to `losses.csv`. Seeds are fixed; with one data worker the order of the batches is
fixed too. Meant for a GPU and a dozen data workers: there it took 13 minutes.
"""

from __future__ import annotations

import argparse
import csv
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_labels
from grainsmith.models.grainnet import GrainNet
from grainsmith.samples import training_field
from grainsmith.segment.normalize import to_grey
from grainsmith.train import (
    Tile,
    Trainer,
    TrainSettings,
    cut_tile,
    run_training,
    targets,
    vary,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

TILE_PX = 192
CHANNELS = (1, 16, 32, 64, 128, 128)
DIAMETER_PX = 30.0

# Whole images; the others of these sets are for validation and never trained on.
TRAINING_IMAGES = {
    "sem_ampis_powder": ("powder_Sc1_001_001", "powder_Sc1_001_002"),
    "sem_ampis_spheroidite": ("sph_800C-85H-Q-5", "sph_800C-24H-Q-2", "sph_800C-24H-Q-6"),
    "gravel_imagegrains_fh": (
        "1_P1060330_1",
        "2_P1060338_0",
        "5_P1060351_2",
        "6_P1060355_0",
    ),
}
# Particles cut by the edge are not labelled in this set.
UNLABELLED_EDGE_PX = {"sem_ampis_spheroidite": 14}


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of the training.

    Attributes
    ----------
    settings : TrainSettings
    real_share : float
        Share of the tiles that come from real images.
    set_shares : tuple of float
        How often each set of `TRAINING_IMAGES` is drawn among them.
    usual_share : float
        Share of the real tiles at the scales at which `segment` looks; the others at all scales.
    batch : int
        Tiles per step.
    small_count_more : bool
        Whether a pixel of a small grain counts more in the loss.
    start : str
        The phase from whose weights it goes on; from nothing where empty.
    """

    settings: TrainSettings
    real_share: float = 0.5
    set_shares: tuple[float, ...] = (0.2, 0.3, 0.5)
    usual_share: float = 0.7
    batch: int = 8
    small_count_more: bool = True
    start: str = ""


PHASES = {
    "synthetic": Phase(
        settings=TrainSettings(steps=1200, learning_rate=2e-3, final_learning_rate=1e-4),
        real_share=0.0,
    ),
    "trunk": Phase(
        settings=TrainSettings(
            steps=2499, learning_rate=2e-3, final_learning_rate=5e-4, average_steps=400
        ),
        batch=64,
        usual_share=0.6,
        start="synthetic",
    ),
    "even": Phase(
        settings=TrainSettings(
            steps=590, learning_rate=6e-4, final_learning_rate=1e-5, average_steps=200
        ),
        batch=64,
        real_share=0.6,
        start="trunk",
    ),
    "even_more": Phase(
        settings=TrainSettings(
            steps=973, learning_rate=1e-3, final_learning_rate=1e-5, average_steps=200
        ),
        batch=64,
        real_share=0.6,
        start="even",
    ),
    "plain": Phase(
        settings=TrainSettings(
            steps=677, learning_rate=6e-4, final_learning_rate=1e-5, average_steps=200
        ),
        batch=64,
        real_share=0.6,
        small_count_more=False,
        start="trunk",
    ),
}


def real_fields(data: Path) -> list[list[tuple[Tile, float]]]:
    """Read the training images, set by set, with the median diameter of their grains."""
    sets = []
    for folder, stems in TRAINING_IMAGES.items():
        fields = []
        for stem in stems:
            path = next((data / folder).glob(f"{stem}_image.*"))
            image = to_grey(read_image(path).image)[0]
            labels = read_labels(data / folder / f"{stem}_masks.tif")
            weight = np.ones(labels.shape, np.float32)
            edge = UNLABELLED_EDGE_PX.get(folder, 0)
            if edge:
                weight[:edge] = weight[-edge:] = weight[:, :edge] = weight[:, -edge:] = 0
            areas = np.bincount(labels.ravel())[1:]
            diameter = float(np.median(np.sqrt(areas[areas > 0] * 4 / np.pi)))
            fields.append((Tile.of(image, labels, weight), diameter))
        sets.append(fields)
    return sets


class Tiles(IterableDataset):
    """Tiles without end, from a pool of synthetic fields that is renewed all the time."""

    def __init__(self, phase: str, data: Path, first_step: int) -> None:
        self.phase, self.data, self.first_step = phase, data, first_step

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (image, targets)."""
        info = get_worker_info()
        worker = info.id if info else 0
        rng = np.random.default_rng((list(PHASES).index(self.phase), worker, self.first_step))
        real = real_fields(self.data) if PHASES[self.phase].real_share else []
        pool: list[Tile] = []
        while True:
            if real and rng.random() < PHASES[self.phase].real_share:
                tile = self._real_tile(rng, real)
            else:
                tile = self._synthetic_tile(rng, pool)
            image = vary(rng, tile.image)
            if not np.isfinite(image).all():
                raise ValueError("a made or read tile holds values that are no numbers")
            wanted = targets(tile)
            if not PHASES[self.phase].small_count_more:
                wanted[3] = wanted[3] > 0
            yield torch.from_numpy(image[None]), torch.from_numpy(wanted)

    def _synthetic_tile(self, rng: np.random.Generator, pool: list[Tile]) -> Tile:
        # A field costs more than a training step can wait for; each serves about four times.
        if len(pool) < 64 or rng.random() < 0.25:
            image, labels = training_field(tuple(rng.integers(2**31, size=2)), 288)
            field = Tile.of(to_grey(image)[0], labels)
            if len(pool) < 256:
                pool.append(field)
            else:
                pool[rng.integers(len(pool))] = field
        else:
            field = pool[rng.integers(len(pool))]
        return cut_tile(rng, field, size_px=TILE_PX, scale=float(np.exp(rng.uniform(-0.22, 0.35))))

    def _real_tile(self, rng: np.random.Generator, sets: list[list[tuple[Tile, float]]]) -> Tile:
        fields = sets[rng.choice(len(sets), p=PHASES[self.phase].set_shares)]
        field, diameter = fields[rng.integers(len(fields))]
        if rng.random() < PHASES[self.phase].usual_share:
            wanted = float(np.exp(rng.normal(np.log(36), 0.25)))
        else:
            wanted = float(np.exp(rng.uniform(np.log(12), np.log(58))))
        return cut_tile(rng, field, size_px=TILE_PX, scale=wanted / diameter)


def run_phase(phase: str, args: argparse.Namespace) -> Path:
    """Train one phase from its start; return the weights."""
    out: Path = args.out
    finished, running = out / f"{phase}.pt", out / f"{phase}.running.pt"
    if finished.exists():
        return finished
    torch.manual_seed(20261123)
    net = GrainNet(CHANNELS, diameter_px=DIAMETER_PX)
    if start := PHASES[phase].start:
        net.load_state_dict(torch.load(out / f"{start}.pt", weights_only=True))
    trainer = Trainer(net, PHASES[phase].settings, device=args.device)
    if running.exists():
        trainer.resume(torch.load(running, weights_only=True))
    tiles = Tiles(phase, args.data, trainer.step)
    # Spawned: a forked process would hang in OpenMP, whose threads do not come along.
    loader = DataLoader(
        tiles,
        batch_size=PHASES[phase].batch,
        num_workers=args.workers,
        prefetch_factor=3,
        multiprocessing_context="spawn",
    )
    clock = time.monotonic()
    with (out / "losses.csv").open("a", newline="") as file:
        log = csv.writer(file)

        def on_step(trainer: Trainer, value: float) -> None:
            log.writerow([phase, trainer.step, f"{value:.4f}", f"{time.monotonic() - clock:.1f}"])
            if trainer.step % 50 == 0:
                file.flush()
            if trainer.step % 250 == 0:
                torch.save(trainer.state(), running.with_suffix(".new"))
                running.with_suffix(".new").replace(running)
            if trainer.step % 500 == 0:
                state = trainer.best_guess().state_dict()
                torch.save(state, out / f"{phase}-{trainer.step:05d}.pt")

        run_training(trainer, iter(loader), on_step=on_step)
    torch.save(trainer.best_guess().state_dict(), finished)
    return finished


def main() -> None:
    """Run the phases."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the labelled sets")
    parser.add_argument("--out", type=Path, required=True, help="weights and losses go here")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--workers", type=int, default=1, help="processes that make tiles")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    for phase in PHASES:
        print(f"{phase}: {run_phase(phase, args)}", flush=True)


if __name__ == "__main__":
    main()
