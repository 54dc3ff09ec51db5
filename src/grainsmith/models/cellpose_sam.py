"""Cellpose 4 files (Cellpose-SAM and what users fine-tuned from it) as a Model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from grainsmith.errors import ModelError
from grainsmith.io.files.atomic_write import fingerprint
from grainsmith.models.grainnet import FLOW_SCALE, read_state
from grainsmith.models.grainnet_model import choose_device, limit_torch_threads

if TYPE_CHECKING:
    from pathlib import Path

TILE_PX = 256


class CellposeSamModel:
    """A Cellpose-SAM network on a device; attributes as `Model` says."""

    stride = TILE_PX
    tile_px = TILE_PX
    diameter_px = 0.0  # trained on grains of any size: images go in as they are

    def __init__(self, name: str, net: Any, *, fingerprint: str, device: torch.device) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.device = device
        self._net = net

    def predict(self, tile: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (3, H, W): flow y, flow x in steps, logit of the grain probability."""
        limit_torch_threads()
        grey = torch.from_numpy(np.ascontiguousarray(tile)).to(self.device)
        batch = grey.expand(1, 3, *tile.shape).to(self._net.dtype)
        with torch.inference_mode():
            output, _ = self._net(batch)
        said = output[0].float().cpu().numpy()
        said[:2] /= FLOW_SCALE
        return np.ascontiguousarray(said)


def is_cellpose4(path: Path) -> bool:
    """Tell a Cellpose 4 file by its keys; only tensors are read."""
    try:
        state = read_state(path, mapped=True)
    except ModelError:
        return False  # the loader of the other form says what is wrong with it
    return isinstance(state, dict) and any(
        key.removeprefix("module.") == "W2" or key.removeprefix("module.").startswith("encoder.")
        for key in state
    )


def load(name: str, path: Path, *, device: str = "auto") -> CellposeSamModel:
    """Load a Cellpose 4 file as a Model; errors as `load_network`."""
    chosen = choose_device(device)
    dtype = torch.float32 if chosen.type == "cpu" else torch.bfloat16
    net = load_network(path, chosen, dtype).eval()
    return CellposeSamModel(name, net, fingerprint=fingerprint(path), device=chosen)


def load_network(path: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """Load the network of a Cellpose 4 file, a torch Module.

    Raises
    ------
    ModelError
        Its weights do not fit the Cellpose-SAM network (a Cellpose-DINO file, say).
    """
    from cellpose.vit import CPSAM

    net = CPSAM(dtype=dtype).to(device)
    try:
        net.load_model(str(path), device=device)
    except (RuntimeError, KeyError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else "unknown form"
        raise ModelError(f"{path} does not fit the Cellpose-SAM network: {reason}") from error
    return net
