"""Tiles -> weights: what a network is shown, and the steps by which it learns."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numba as nb
import numpy as np
import numpy.typing as npt
import torch
from scipy import ndimage
from torch.nn import functional

from grainsmith.data import OnProgress, no_progress
from grainsmith.models.flows import flows_from_labels
from grainsmith.models.grainnet import FLOW_SCALE, GrainNet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grainsmith.data import LabelImage


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How a network is trained.

    Attributes
    ----------
    steps : int
        Batches to learn from.
    learning_rate, final_learning_rate : float
        AdamW's rate after the warm-up and, falling along a cosine, at the end.
    warm_up_steps : int
        The rate rises over so many steps.
    weight_decay : float
        AdamW's.
    average_steps : int
        The weights that are kept are a running mean over about this many steps.
    threads : int
        Processor threads; 0 = all.
    """

    steps: int = 1000
    learning_rate: float = 2e-3
    final_learning_rate: float = 1e-5
    warm_up_steps: int = 100
    weight_decay: float = 1e-4
    average_steps: int = 300
    threads: int = 0


@dataclass(frozen=True, slots=True)
class Tile:
    """A piece of a field to learn from.

    Attributes
    ----------
    image : (H, W) float32 array
        Normalised grey.
    labels : (H, W) int32 array
        True grains.
    weight : (H, W) float32 array
        1 where the labels are trusted, 0 where nothing may be learnt.
    """

    image: npt.NDArray[np.float32]
    labels: LabelImage
    weight: npt.NDArray[np.float32]


def cut_tile(rng: np.random.Generator, field: Tile, *, size_px: int, scale: float) -> Tile:
    """Cut a scaled, turned, flipped tile at a random place of a field.

    Parameters
    ----------
    rng : numpy Generator
        Chooses place and turn.
    field : Tile
        The whole field, at least one pixel; what lies beyond its edges gets weight 0.
    size_px : int
        Side of the tile.
    scale : float
        Tile pixels per field pixel.
    """
    height, width = field.labels.shape
    span = size_px / scale
    y0 = rng.uniform(min(0.0, height - span), max(0.0, height - span))
    x0 = rng.uniform(min(0.0, width - span), max(0.0, width - span))
    # Shrinking without smoothing first would turn texture into noise.
    image = field.image if scale >= 0.8 else ndimage.gaussian_filter(field.image, 0.4 / scale)
    turn, flip = int(rng.integers(4)), bool(rng.integers(2))
    planes = _resample(image, field.labels, field.weight, y0, x0, 1 / scale, size_px)
    turned = [np.rot90(plane[:, ::-1] if flip else plane, turn).copy() for plane in planes]
    return Tile(*turned)


def vary(rng: np.random.Generator, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Vary contrast, gamma, sign, sharpness and noise of a normalised (H, W) image."""
    varied = np.clip(image, -0.5, 2.0)
    if rng.random() < 0.5:
        varied = np.sign(varied) * np.abs(varied) ** np.exp(rng.normal(0, 0.3))
    if rng.random() < 0.15:
        varied = 1 - varied
    if rng.random() < 0.2:
        varied = ndimage.gaussian_filter(varied, rng.uniform(0.3, 1.2))
    if rng.random() < 0.3:
        varied = varied + rng.uniform(0, 0.12) * rng.standard_normal(image.shape, dtype=np.float32)
    varied = varied * np.exp(rng.normal(0, 0.15)) + rng.normal(0, 0.08)
    return varied.astype(np.float32)


def targets(tile: Tile) -> npt.NDArray[np.float32]:
    """Return what the network should say of a tile: (4, H, W) flow y, flow x, inside, weight."""
    flows = flows_from_labels(tile.labels)
    return np.stack([*flows, (tile.labels > 0).astype(np.float32), tile.weight])


def loss(output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Cellpose's loss, with a weight for every pixel.

    Half the mean squared error of the flows (times 5) plus the binary cross-entropy of the
    probability (Stringer et al. 2021).
    """
    weight = wanted[:, 3]
    total = weight.sum().clamp(min=1.0)
    flow = ((output[:, :2] - FLOW_SCALE * wanted[:, :2]) ** 2).mean(dim=1)
    inside = functional.binary_cross_entropy_with_logits(
        output[:, 2], wanted[:, 2], reduction="none"
    )
    return ((0.5 * flow + inside) * weight).sum() / total


class Trainer:
    """A network that learns batch by batch, and the running mean of its weights.

    Parameters
    ----------
    net : GrainNet
        Trained in place.
    settings : TrainSettings
        Learning rates and length.
    """

    def __init__(self, net: GrainNet, settings: TrainSettings) -> None:
        self.net = net.to(memory_format=torch.channels_last)
        self.settings = settings
        self.step = 0
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

    def learn(self, images: torch.Tensor, wanted: torch.Tensor) -> float:
        """Learn from (N, C, H, W) images and (N, 4, H, W) targets; return the loss."""
        self.net.train()
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate()
        images = images.to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            output, _ = self.net(images)
        value = loss(output.float(), wanted)
        self._optimizer.zero_grad(set_to_none=True)
        value.backward()
        size = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        # One batch on which the gradient overflows must not spoil all that was learnt.
        if torch.isfinite(size):
            self._optimizer.step()
            self.average.update_parameters(self.net)
        self.step += 1
        return float(value.detach())

    def best_guess(self) -> GrainNet:
        """Return the network with the running mean of its weights, ready to be used."""
        net = GrainNet(self.net.channels, diameter_px=float(self.net.diam_mean.detach()))
        net.load_state_dict(self.average.module.state_dict())
        return net.eval()

    def state(self) -> dict[str, Any]:
        """Return everything that `resume` needs, as tensors and numbers."""
        return {
            "step": self.step,
            "net": self.net.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }

    def resume(self, state: dict[str, Any]) -> None:
        """Go on from where `state` was taken."""
        self.step = state["step"]
        self.net.load_state_dict(state["net"])
        self.average.load_state_dict(state["average"])
        self._optimizer.load_state_dict(state["optimizer"])

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
    """Learn from batches until the settings' steps are done.

    Parameters
    ----------
    trainer : Trainer
        Goes on from its own step.
    batches : iterator of (images, targets)
        Tensors as `Trainer.learn` takes them, without end.
    on_step : callable
        Called with the trainer and the loss after every step: to log, validate and keep.
    on_progress : callable
        Told (steps done, steps in all); raising in it stops the training after a whole step.
    """
    torch.set_num_threads(trainer.settings.threads or torch.get_num_threads())
    while trainer.step < trainer.settings.steps:
        value = trainer.learn(*next(batches))
        on_step(trainer, value)
        on_progress(trainer.step, trainer.settings.steps)


@nb.njit(cache=True, nogil=True)
def _resample(image, labels, weight, y0, x0, pitch, size):  # type: ignore[no-untyped-def]
    """Image bilinear, labels and weight nearest; beyond the edge mirrored, with weight 0."""
    height, width = labels.shape
    out_image = np.zeros((size, size), np.float32)
    out_labels = np.zeros((size, size), np.int32)
    out_weight = np.zeros((size, size), np.float32)
    for v in range(size):
        y = y0 + (v + 0.5) * pitch - 0.5
        for u in range(size):
            x = x0 + (u + 0.5) * pitch - 0.5
            i, j = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
            beyond = i < 0 or j < 0 or i >= height or j >= width
            if not beyond:
                out_labels[v, u] = labels[i, j]
                out_weight[v, u] = weight[i, j]
            yy, xx = _mirror(y, height), _mirror(x, width)
            a, b = int(yy), int(xx)
            c, d = min(a + 1, height - 1), min(b + 1, width - 1)
            fy, fx = yy - a, xx - b
            top = image[a, b] * (1 - fx) + image[a, d] * fx
            bottom = image[c, b] * (1 - fx) + image[c, d] * fx
            out_image[v, u] = top * (1 - fy) + bottom * fy
    return out_image, out_labels, out_weight


@nb.njit(cache=True, nogil=True)
def _mirror(position, length):  # type: ignore[no-untyped-def]
    if length == 1:
        return 0.0
    period = 2.0 * (length - 1)
    position = abs(position) % period
    return period - position if position > length - 1 else position
