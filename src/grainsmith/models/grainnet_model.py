"""Weights of the Cellpose 1-3 form, GrainNet's own among them, as a Model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from grainsmith.io.files.atomic_write import fingerprint
from grainsmith.models.device import choose_device, has_bfloat16_matmul
from grainsmith.models.grainnet import FLOW_SCALE, GrainNet, load_grainnet

if TYPE_CHECKING:
    from pathlib import Path


class GrainNetModel:
    """A GrainNet on a device; attributes as in `Model`."""

    def __init__(self, name: str, net: GrainNet, *, fingerprint: str, device: str) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.device = choose_device(device)
        self.diameter_px = float(net.diam_mean.detach())
        self.stride = net.stride
        self.tile_px = 0
        self._inputs = net.channels[0]
        self._net = net.to(self.device).to(memory_format=torch.channels_last)
        # Twice as fast on processors with bfloat16 instructions, far slower on others.
        self._bfloat16 = self.device.type == "cpu" and has_bfloat16_matmul()

    def predict(self, tile: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (3, H, W): flow y, flow x as unit steps, logit of the grain probability."""
        output = self._forward(tile)[0][0].float().cpu().numpy()
        output[:2] /= FLOW_SCALE
        return np.ascontiguousarray(output)

    def style(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the style vector (S,) of a normalised (H, W) image."""
        height, width = (-n % self.stride for n in image.shape)
        padded = np.pad(image, ((0, height), (0, width)), mode="symmetric")
        vector: npt.NDArray[np.float32] = self._forward(padded)[1][0].float().cpu().numpy()
        return vector

    def _forward(self, tile: npt.NDArray[np.float32]) -> tuple[torch.Tensor, torch.Tensor]:
        batch = torch.zeros((1, self._inputs, *tile.shape), device=self.device)
        batch[0, 0] = torch.from_numpy(tile)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=self._bfloat16):
            output, style = self._net(batch.contiguous(memory_format=torch.channels_last))
        return output, style


def load(name: str, path: Path, *, device: str = "auto") -> GrainNetModel:
    """Load weights from a file; raises as `load_grainnet`."""
    return GrainNetModel(name, load_grainnet(path), fingerprint=fingerprint(path), device=device)
