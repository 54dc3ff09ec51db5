"""Weights of the Cellpose 1-3 form, GrainNet's own among them, as a Model."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from grainsmith.errors import ModelError
from grainsmith.io.files.atomic_write import fingerprint
from grainsmith.models.grainnet import FLOW_SCALE, GrainNet, load_grainnet

if TYPE_CHECKING:
    from pathlib import Path


class GrainNetModel:
    """A GrainNet on a device; attributes as `Model` says."""

    def __init__(self, name: str, net: GrainNet, *, fingerprint: str, device: str) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.device = choose_device(device)
        self.diameter_px = float(net.diam_mean.detach())
        self.stride = net.stride
        self.tile_px = 0
        self._inputs = net.channels[0]
        self._net = net.to(self.device).to(memory_format=torch.channels_last)
        # Twice as fast where the processor has instructions for it, far slower where it has not.
        self._short = self.device.type == "cpu" and has_bfloat16_matmul()

    def predict(self, tile: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (3, H, W): flow y, flow x in steps, logit of the grain probability."""
        said = self._look(tile)[0][0].float().cpu().numpy()
        said[:2] /= FLOW_SCALE
        return np.ascontiguousarray(said)

    def style(self, picture: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return what kind of image the network takes a normalised (H, W) one for: (S,)."""
        height, width = (-n % self.stride for n in picture.shape)
        padded = np.pad(picture, ((0, height), (0, width)), mode="symmetric")
        vector: npt.NDArray[np.float32] = self._look(padded)[1][0].float().cpu().numpy()
        return vector

    def _look(self, tile: npt.NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
        limit_torch_threads()
        batch = torch.zeros((1, self._inputs, *tile.shape), device=self.device)
        batch[0, 0] = torch.from_numpy(tile)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._short):
            output, style = self._net(batch.contiguous(memory_format=torch.channels_last))
        return output, style


def load(name: str, path: Path, *, device: str = "auto") -> GrainNetModel:
    """Load weights from a file; errors as `load_grainnet`."""
    return GrainNetModel(name, load_grainnet(path), fingerprint=fingerprint(path), device=device)


def choose_device(device: str) -> torch.device:
    """Return the device to compute on: "auto" takes CUDA, else MPS, else the CPU.

    Raises
    ------
    ModelError
        The device that was asked for is not there.
    """
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if device == "auto":
        return torch.device(next(name for name, usable in there.items() if usable))
    if not there.get(device, False):
        usable = ", ".join(name for name, usable in there.items() if usable)
        raise ModelError(f"device {device!r} cannot be used here; this machine has: {usable}")
    return torch.device(device)


def has_bfloat16_matmul() -> bool:
    """Say whether this processor has matrix instructions for 16-bit (bfloat16) numbers."""
    tell = getattr(torch.cpu, "get_capabilities", None)  # torch 2.4 does not tell
    capabilities = tell() if tell else {}
    return any(capabilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def limit_torch_threads() -> None:
    """Let torch use all cores; with more than two, all but one, for the window's sake."""
    cores = os.cpu_count() or 1
    wanted = cores - 1 if cores > 2 else cores
    if torch.get_num_threads() > wanted:
        torch.set_num_threads(wanted)
