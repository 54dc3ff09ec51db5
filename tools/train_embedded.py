"""Train the embedded model on synthetic fields and on labelled images.

    python tools/train_embedded.py --data ../shared/data --out build/embedded --hours 8
    python tools/train_embedded.py --data ../shared/data --out build/embedded --finish 600
    python tools/train_embedded.py --out build/embedded --publish

The first command trains the trunk, at a learning rate that stays high, until the hours are over or
it is stopped (Ctrl-C or SIGTERM); the same command continues it. On another machine it continues
from the small state in `tools/embedded_training`, which the third command writes. The second lets
the rate fall to nothing within so many steps from the state of the trunk and leaves `finished.pt`;
`tools/pack_weights.py` makes the embedded weights of it.

The output folder holds `trunk.state.pt` (everything), `average.pt` (running mean of the weights),
`losses.csv`, `validation.csv` (mean scores of each set) and `sessions.json` (steps, hours and
processor of each session).
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import shutil
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from embedded_sets import (
    LabeledImage,
    RealField,
    grain_textures,
    labeled_images,
    read_field,
    sampling_shares,
)
from embedded_validation import Validation
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.models.grainnet import GrainNet, load_grainnet
from grainsmith.models.registry import find_weights
from grainsmith.samples import textured_field, training_field
from grainsmith.segment.normalize import to_grey
from grainsmith.segment.prediction import MAX_SCALE
from grainsmith.train import Tile, Trainer, TrainSettings, augment, cut_tile, training_targets

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

TILE_PX = 192
CHANNELS = (1, 16, 32, 64, 128, 128)
DIAMETER_PX = 30.0
PUBLISHED = Path(__file__).parent / "embedded_training"

_REAL_SHARE = 0.6
_USUAL_SHARE = 0.7
"""Share of the real tiles at the scales of the segmentation; the others show any grain at 30 px."""
_SMALL_GRAINS_SHARE = 0.3
"""Share of the tiles in which a pixel of a small grain counts more (docs/decisions/0021)."""
_STRONG_NOISE = 0.2
_TEXTURED_SHARE = 0.1
"""Share of the synthetic fields that are thin sections of photographed grains."""
_POOL = 256
_FIELD_PX = 288
_HARDEST = 2.5
"""An image is drawn at most so many times as often as its share, and at least its reciprocal."""
_LOSS_MEMORY = 0.9
_TRUNK_STEPS = 10**9
_LOG_EVERY = 10


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Learning rates of a training.

    Attributes
    ----------
    trunk : float
        Constant rate of the trunk.
    final : float
        Rate at the end of the finish.
    average_steps : int
        Length of the running mean of the weights.
    """

    trunk: float = 4e-4
    final: float = 4e-6
    average_steps: int = 150

    def settings(self, finish: int, threads: int, *, from_weights: bool) -> TrainSettings:
        """Return the settings of the trunk (`finish` 0) or of its end."""
        return TrainSettings(
            steps=finish or _TRUNK_STEPS,
            learning_rate=self.trunk,
            final_learning_rate=self.final if finish else self.trunk,
            warm_up_steps=20 if from_weights else 200,
            average_steps=min(self.average_steps, max(1, finish // 4)) if finish else 150,
            freeze_statistics=from_weights,
            threads=threads,
        )


class Tiles(IterableDataset):
    """Endless tiles of real and synthetic fields.

    Parameters
    ----------
    members : list of LabeledImage
        The images to learn from.
    seed : int
    losses : (N,) shared tensor
        Mean loss of each image so far, relative to its set; 1 where unknown.
    data : Path
        Folder of the sets, which holds the photographs of single grains.
    """

    def __init__(
        self, members: list[LabeledImage], seed: int, losses: torch.Tensor, data: Path
    ) -> None:
        self._members, self._seed, self._losses, self._data = members, seed, losses, data

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor, int]]:
        """Yield (image, targets, number of the image; -1 for synthetic fields)."""
        info = get_worker_info()
        rng = np.random.default_rng((20261128, info.id if info else 0, self._seed))
        shares = sampling_shares(self._members)
        fields: dict[int, RealField] = {}
        pool: list[Tile] = []
        textures = [lights for lights in grain_textures(self._data).values() if lights]
        while True:
            number = -1
            if rng.random() < _REAL_SHARE:
                number = self._draw(rng, shares)
                if number not in fields:
                    fields[number] = read_field(self._members[number])
                tile = real_tile(rng, fields[number])
            else:
                tile = synthetic_tile(rng, pool, textures)
            wanted = training_targets(tile)
            if rng.random() >= _SMALL_GRAINS_SHARE:
                wanted[3] = np.where((tile.labels > 0) & (tile.weight > 0), 1, tile.weight)
            image = augment(rng, tile.image, strong_noise=_STRONG_NOISE)
            yield torch.from_numpy(image[None]), torch.from_numpy(wanted), number

    def _draw(self, rng: np.random.Generator, shares: np.ndarray) -> int:
        hardness = np.clip(self._losses.numpy(), 1 / _HARDEST, _HARDEST)
        chances = shares * hardness
        return int(rng.choice(len(shares), p=chances / chances.sum()))


def real_tile(rng: np.random.Generator, field: RealField) -> Tile:
    """Cut a tile of a labelled image; the best of three for how much of it is trusted."""
    if rng.random() < _USUAL_SHARE:
        scale = float(np.exp(rng.normal(np.log(36), 0.25))) / field.typical_px
    else:
        scale = float(np.exp(rng.uniform(np.log(14), np.log(50)))) / rng.choice(field.diameters_px)
    scale = min(scale, 1.2 * MAX_SCALE)
    tiles = (cut_tile(rng, field.tile, size_px=TILE_PX, scale=scale) for _ in range(3))
    return max(tiles, key=lambda tile: min(tile.trusted_share, 0.3) + 0.2 * bool(tile.labels.any()))


def synthetic_tile(
    rng: np.random.Generator, pool: list[Tile], textures: list[list[np.ndarray]]
) -> Tile:
    """Cut a tile of a pool of synthetic fields, each of which serves about four times."""
    if len(pool) < _POOL // 4 or rng.random() < 0.25:
        seed = tuple(rng.integers(2**31, size=2))
        if textures and rng.random() < _TEXTURED_SHARE:
            image, labels = textured_field(seed, textures[rng.integers(len(textures))], _FIELD_PX)
        else:
            image, labels = training_field(seed, _FIELD_PX)
        field = Tile.from_field(to_grey(image)[0], labels)
        if len(pool) < _POOL:
            pool.append(field)
        else:
            pool[rng.integers(_POOL)] = field
    else:
        field = pool[rng.integers(len(pool))]
    return cut_tile(rng, field, size_px=TILE_PX, scale=float(np.exp(rng.uniform(-0.22, 0.35))))


class Session:
    """One stretch of a training on one machine.

    Parameters
    ----------
    args : argparse.Namespace
        The command line.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out = args, args.out
        self.name = "finish" if args.finish else "trunk"
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.clock = time.monotonic()
        self.stopped = False
        images = labeled_images(args.data)
        self.members = [image for image in images if not image.validates]
        self.validation = Validation([image for image in images if image.validates])
        self.losses = torch.ones(len(self.members)).share_memory_()
        self.trainer = self._trainer()
        self.first_step = self.trainer.step
        self._means: dict[str, float] = {}

    @property
    def hours(self) -> float:
        """Hours since the session began."""
        return (time.monotonic() - self.clock) / 3600

    def run(self) -> None:
        """Train until the steps or hours are over or the process is told to stop."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        if not (self.out / "validation.csv").exists():
            self._validate()
        last_save = time.monotonic()
        batches = iter(self._loader())
        while not self._over():
            images, wanted, numbers = next(batches)
            self.trainer.train_step(images, wanted)
            self._note_losses(numbers.tolist())
            if self.trainer.step % _LOG_EVERY == 0:
                self._log_losses()
            if self.trainer.step % self.args.validate_every == 0:
                self._validate()
            if time.monotonic() - last_save > 60 * self.args.save_minutes:
                self._save()
                last_save = time.monotonic()
        self._save()
        if self.args.finish and self.trainer.step >= self.args.finish:
            self._validate()
            torch.save(self.trainer.averaged_network().state_dict(), self.out / "finished.pt")

    def _trainer(self) -> Trainer:
        args = self.args
        net, step = start_network(args)
        settings = Rates().settings(
            args.finish, args.threads, from_weights=args.start != "new" or step > 0
        )
        torch.set_num_threads(args.threads or torch.get_num_threads())
        trainer = Trainer(net, settings, device=args.device)
        state_path = self.out / f"{self.name}.state.pt"
        if state_path.exists():
            state = torch.load(state_path, weights_only=True)
            trainer.resume(state["trainer"])
            if len(state["losses"]) == len(self.losses):
                self.losses.copy_(state["losses"])
        elif not args.finish:
            trainer.step = step
        return trainer

    def _loader(self) -> DataLoader:
        # Spawned: a forked process would hang in OpenMP, whose threads do not come along.
        return DataLoader(
            Tiles(self.members, self.trainer.step, self.losses, self.args.data),
            batch_size=self.args.batch,
            num_workers=self.args.workers,
            prefetch_factor=3 if self.args.workers else None,
            multiprocessing_context="spawn" if self.args.workers else None,
        )

    def _over(self) -> bool:
        args = self.args
        done = args.finish and self.trainer.step >= args.finish
        return self.stopped or bool(done) or bool(args.hours and self.hours >= args.hours)

    def _stop(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.stopped = True

    def _note_losses(self, numbers: list[int]) -> None:
        """Keep the mean loss of each set and, relative to it, of each image."""
        for number, value in zip(numbers, self.trainer.tile_losses.tolist(), strict=True):
            name = self.members[number].set_name if number >= 0 else "synthetic"
            mean = self._means.get(name, value)
            self._means[name] = _LOSS_MEMORY * mean + (1 - _LOSS_MEMORY) * value
            if number >= 0:
                relative = value / max(self._means[name], 1e-6)
                self.losses[number] += (1 - _LOSS_MEMORY) * (relative - self.losses[number])

    def _log_losses(self) -> None:
        rows = [[self.name, self.trainer.step, f"{self.hours:.3f}"]]
        append_csv(
            self.out / "losses.csv",
            ["phase", "step", "session_hours", "set", "mean_loss"],
            [[*rows[0], name, f"{value:.4f}"] for name, value in sorted(self._means.items())],
        )

    def _validate(self) -> None:
        scores = self.validation.score(self.trainer.averaged_network(), device=self.args.device)
        header = ["phase", "step", "session_hours", *scores[0]]
        rows = [
            [self.name, self.trainer.step, f"{self.hours:.3f}", *row.values()] for row in scores
        ]
        append_csv(self.out / "validation.csv", header, rows)
        print(f"step {self.trainer.step}, {self.hours:.2f} h", flush=True)
        for row in scores:
            print("  " + "  ".join(f"{key} {value}" for key, value in row.items()), flush=True)

    def _save(self) -> None:
        if self.trainer.step % _LOG_EVERY:
            self._log_losses()
        state = {"trainer": self.trainer.state(), "losses": self.losses.clone()}
        with atomic_write(self.out / f"{self.name}.state.pt") as temporary:
            torch.save(state, temporary)
        with atomic_write(self.out / "average.pt") as temporary:
            torch.save(halved(self.trainer.averaged_network().state_dict()), temporary)
        self._record()

    def _record(self) -> None:
        path = self.out / "sessions.json"
        sessions: list[dict[str, Any]] = json.loads(path.read_text("utf8")) if path.exists() else []
        sessions = [one for one in sessions if one["started"] != self.started]
        sessions.append(
            {
                "started": self.started,
                "phase": self.name,
                "first_step": self.first_step,
                "last_step": self.trainer.step,
                "hours": round(self.hours, 3),
                "batch": self.args.batch,
                "processor": processor(self.args.device),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
            }
        )
        with atomic_write(path) as temporary:
            temporary.write_text(json.dumps(sessions, indent=1) + "\n", "utf8")


def start_network(args: argparse.Namespace) -> tuple[GrainNet, int]:
    """Return the network to go on with and the steps behind it."""
    torch.manual_seed(20261128)
    if args.finish:
        state = torch.load(args.out / "trunk.state.pt", weights_only=True)
        net = GrainNet(CHANNELS, diameter_px=DIAMETER_PX)
        net.load_state_dict(state["trainer"]["net"])
        return net, 0
    if not any(args.out.glob("*.csv")) and (PUBLISHED / "average.pt").exists():
        for path in PUBLISHED.glob("*.[cj]s*"):
            shutil.copy(path, args.out / path.name)
        sessions = json.loads((PUBLISHED / "sessions.json").read_text("utf8"))
        return load_grainnet(PUBLISHED / "average.pt"), sessions[-1]["last_step"]
    if args.start == "new":
        return GrainNet(CHANNELS, diameter_px=DIAMETER_PX), 0
    return load_grainnet(find_weights(args.start).path), 0


def publish(out: Path) -> None:
    """Copy what a training needs to go on elsewhere into the repository."""
    PUBLISHED.mkdir(exist_ok=True)
    for name in ("average.pt", "sessions.json", "validation.csv", "losses.csv"):
        shutil.copy(out / name, PUBLISHED / name)


def halved(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return weights as 16-bit numbers."""
    return {
        name: value.half() if value.is_floating_point() else value for name, value in state.items()
    }


def append_csv(path: Path, header: list[str], rows: list[list[Any]]) -> None:
    """Append rows to a CSV file, with a header where it is new."""
    new = not path.exists()
    with path.open("a", encoding="utf8", newline="") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(header)
        writer.writerows(rows)


def processor(device: str) -> str:
    """Return the name of the processor or GPU."""
    if device == "cuda":
        return torch.cuda.get_device_name()
    info = Path("/proc/cpuinfo")
    for line in info.read_text("utf8").splitlines() if info.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main(arguments: list[str] | None = None) -> None:
    """Train, finish or publish."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with the labelled sets")
    parser.add_argument("--out", type=Path, required=True, help="states, weights and curves")
    parser.add_argument("--start", default="grains", help="a model to start from, or `new`")
    parser.add_argument("--hours", type=float, default=0.0, help="stop after so long; 0 = never")
    parser.add_argument("--finish", type=int, default=0, help="steps in which the rate falls")
    parser.add_argument("--publish", action="store_true", help="copy the small state and the log")
    parser.add_argument("--batch", type=int, default=8, help="tiles per step")
    parser.add_argument("--validate-every", type=int, default=250, help="steps")
    parser.add_argument("--save-minutes", type=float, default=5.0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--threads", type=int, default=0, help="processor threads; 0 = all")
    parser.add_argument("--workers", type=int, default=1, help="processes that cut tiles")
    args = parser.parse_args(arguments)
    if args.publish:
        publish(args.out)
        return
    if args.data is None:
        parser.error("--data is needed to train")
    args.out.mkdir(parents=True, exist_ok=True)
    Session(args).run()


if __name__ == "__main__":
    main()
