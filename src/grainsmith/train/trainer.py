"""Training steps of a network."""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from grainsmith.data import OnProgress, no_progress
from grainsmith.models.grainnet import FLOW_SCALE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How a network is trained.

    Attributes
    ----------
    steps : int
        Number of batches.
    learning_rate, final_learning_rate : float
        Learning rate of AdamW after the warm-up and, after a cosine decay, at the end.
    warm_up_steps : int
        Steps over which the rate rises.
    weight_decay : float
        Weight decay of AdamW.
    average_steps : int
        Length of the running mean of the weights (exponential moving average).
    start_share : float
        Share of the initial weights in the result, so that it keeps what the network could do
        (Wortsman et al. 2022, doi 10.1109/CVPR52688.2022.00780).
    freeze_statistics : bool
        Keep means and variances of the batch normalisation: those of a few tiles of one kind would
        replace those of all others.
    threads : int
        Processor threads; 0 = all.
    """

    steps: int = 1000
    learning_rate: float = 2e-3
    final_learning_rate: float = 1e-5
    warm_up_steps: int = 100
    weight_decay: float = 1e-4
    average_steps: int = 300
    start_share: float = 0.0
    freeze_statistics: bool = False
    threads: int = 0


def loss(output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Compute the loss of Cellpose with a weight for every pixel.

    Half the mean squared error of the flows (times 5) plus the binary cross-entropy of the
    probability (Stringer et al. 2021).
    """
    weight = wanted[:, 3]
    return (_pixel_loss(output, wanted) * weight).sum() / weight.sum().clamp(min=1.0)


def tile_losses(output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Compute the loss of every tile of a batch: (N,); 0 where nothing counts."""
    weight = wanted[:, 3]
    total = weight.sum(dim=(1, 2)).clamp(min=1.0)
    return (_pixel_loss(output, wanted) * weight).sum(dim=(1, 2)) / total


def _pixel_loss(output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    flow = ((output[:, :2] - FLOW_SCALE * wanted[:, :2]) ** 2).mean(dim=1)
    inside = functional.binary_cross_entropy_with_logits(
        output[:, 2], wanted[:, 2], reduction="none"
    )
    return 0.5 * flow + inside


class Trainer:
    """Trainer of a network that also keeps the running mean of its weights.

    Parameters
    ----------
    net : torch Module
        Returns (output, style) as `GrainNet` does; trained in place.
    settings : TrainSettings
        Learning rates and number of steps.
    device : torch device
        Device to train on.

    Attributes
    ----------
    step : int
        Number of batches so far.
    skipped : int
        BatchSampler that were left out because their gradient was not finite.
    tile_losses : (N,) tensor
        Losses of the tiles of the last batch.
    """

    def __init__(
        self, net: torch.nn.Module, settings: TrainSettings, *, device: torch.device | str = "cpu"
    ) -> None:
        self.device = torch.device(device)
        self.net = net.to(self.device).to(memory_format=torch.channels_last)
        self.settings = settings
        self.step = 0
        self.skipped = 0
        self.tile_losses = torch.zeros(0)
        self.dtype = _fastest_dtype(self.device)
        self._start = {name: value.clone() for name, value in self.net.state_dict().items()}
        self.average = torch.optim.swa_utils.AveragedModel(
            self.net,
            multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(1 - 1 / settings.average_steps),
            use_buffers=True,
        )
        self._optimizer = torch.optim.AdamW(
            [p for p in net.parameters() if p.requires_grad],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )

    def train_step(self, images: torch.Tensor, wanted: torch.Tensor) -> float:
        """Take one step on (N, C, H, W) images and (N, 4, H, W) targets; return the loss."""
        self._set_training_mode()
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        images = images.to(self.device, memory_format=torch.channels_last)
        wanted = wanted.to(self.device)
        reduced = self.dtype != torch.float32
        with torch.autocast(self.device.type, self.dtype, enabled=reduced):
            output, _ = self.net(images)
        value = loss(output.float(), wanted)
        self.tile_losses = tile_losses(output.detach().float(), wanted).cpu()
        self._optimizer.zero_grad(set_to_none=True)
        value.backward()
        gradient_norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        # A single batch whose gradient overflows must not destroy the weights.
        if torch.isfinite(gradient_norm):
            self._optimizer.step()
            self.average.update_parameters(self.net)
        else:
            self.skipped += 1
        self.step += 1
        return float(value.detach())

    def averaged_network(self) -> torch.nn.Module:
        """Return a copy with the running mean of the weights, mixed with the initial ones."""
        net = copy.deepcopy(self.net)
        average, share = self.average.module.state_dict(), self.settings.start_share
        net.load_state_dict(
            {
                name: value.lerp(self._start[name], share) if value.is_floating_point() else value
                for name, value in average.items()
            }
        )
        return net.eval()

    def state(self) -> dict[str, Any]:
        """Return the state for `resume`, as tensors and numbers."""
        return {
            "step": self.step,
            "float32": self.dtype == torch.float32,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Restore a state."""
        self.step = state["step"]
        self.dtype = torch.float32 if state.get("float32") else torch.bfloat16
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])

    def _set_training_mode(self) -> None:
        self.net.train()
        if self.settings.freeze_statistics:
            for part in self.net.modules():
                if isinstance(part, torch.nn.BatchNorm2d):
                    part.eval()

    def _rate(self) -> float:
        s = self.settings
        warm = min(1.0, (self.step + 1) / max(1, s.warm_up_steps))
        fall = 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / max(1, s.steps))))
        return warm * (s.final_learning_rate + (s.learning_rate - s.final_learning_rate) * fall)


def run_training(
    trainer: Trainer,
    batches: Iterator[tuple[torch.Tensor, torch.Tensor]],
    *,
    on_step: Callable[[Trainer, float], None],
    on_progress: OnProgress = no_progress,
) -> None:
    """Train until the number of steps in the settings is reached.

    Parameters
    ----------
    trainer : Trainer
        Continues from its present step.
    batches : iterator of (images, targets)
        Endless tensors as for `Trainer.train_step`.
    on_step : callable
        Called with the trainer and the loss after every step, to log, validate and save.
    on_progress : callable
        Called with (steps done, number of steps); an exception ends the training after a step.
    """
    torch.set_num_threads(trainer.settings.threads or torch.get_num_threads())
    while trainer.step < trainer.settings.steps:
        value = trainer.train_step(*next(batches))
        on_step(trainer, value)
        on_progress(trainer.step, trainer.settings.steps)


def _fastest_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 if the processor has instructions for it; elsewhere it would be emulated."""
    if device.type == "cuda":
        return torch.bfloat16
    if device.type != "cpu":
        return torch.float32
    return _fastest_on_processor()


@lru_cache(maxsize=1)
def _fastest_on_processor() -> torch.dtype:
    times = {}
    for dtype in (torch.float32, torch.bfloat16):
        layer = torch.nn.Conv2d(64, 64, 3, padding=1).to(dtype)
        tile = torch.zeros((2, 64, 96, 96), dtype=dtype)
        with torch.inference_mode():
            layer(tile)
            start = time.perf_counter()
            for _ in range(3):
                layer(tile)
        times[dtype] = time.perf_counter() - start
    return min(times, key=times.__getitem__)
