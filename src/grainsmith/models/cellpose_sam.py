"""Cellpose 4 weights (Cellpose-SAM and models fine-tuned from it) as a Model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch

from grainsmith.errors import ModelError
from grainsmith.io.files.atomic_write import fingerprint
from grainsmith.models.device import choose_device
from grainsmith.models.grainnet import FLOW_SCALE, read_state

if TYPE_CHECKING:
    from pathlib import Path

TILE_PX = 256
_PREFIX = "module."  # of networks saved from DataParallel


class CellposeSamModel:
    """A Cellpose-SAM network on a device; attributes as in `Model`."""

    stride = TILE_PX
    tile_px = TILE_PX
    diameter_px = 0.0  # trained on grains of all sizes: images are not rescaled

    def __init__(self, name: str, net: Any, *, fingerprint: str, device: torch.device) -> None:
        self.name = name
        self.fingerprint = fingerprint
        self.device = device
        self._net = net

    def predict(self, tile: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return (3, H, W): flow y, flow x as unit steps, logit of the grain probability."""
        grey = torch.from_numpy(np.ascontiguousarray(tile)).to(self.device)
        batch = grey.expand(1, 3, *tile.shape).to(self._net.dtype)
        with torch.inference_mode():
            output, _ = self._net(batch)
        prediction = output[0].float().cpu().numpy()
        prediction[:2] /= FLOW_SCALE
        return np.ascontiguousarray(prediction)


def is_cellpose4(path: Path) -> bool:
    """Return whether a file has the keys of Cellpose 4 weights; only tensors are read."""
    try:
        state = read_state(path, mapped=True)
    except ModelError:
        return False  # the loader of Cellpose 1-3 weights reports what is wrong
    return isinstance(state, dict) and any(
        str(key).removeprefix(_PREFIX) == "W2"
        or str(key).removeprefix(_PREFIX).startswith("encoder.")
        for key in state
    )


def load(name: str, path: Path, *, device: str = "auto") -> CellposeSamModel:
    """Load Cellpose 4 weights as a Model; raises as `load_network`."""
    chosen = choose_device(device)
    dtype = torch.float32 if chosen.type == "cpu" else torch.bfloat16
    net = load_network(path, chosen, dtype).eval()
    return CellposeSamModel(name, net, fingerprint=fingerprint(path), device=chosen)


def load_network(path: Path, device: torch.device, dtype: torch.dtype) -> Any:
    """Load the network of a Cellpose 4 file as a torch Module.

    Raises
    ------
    ModelError
        A weight is missing, unknown or of another shape (as in a Cellpose-DINO file).
    """
    from cellpose.vit import CPSAM

    state = read_state(path, mapped=True)
    weights = {str(key).removeprefix(_PREFIX): value for key, value in state.items()}
    net = CPSAM(dtype=dtype)
    own = net.state_dict()
    _check_complete(path, own, weights)
    net.load_state_dict({name: weights.get(name, value) for name, value in own.items()})
    return net.to(device=device, dtype=dtype)


_OPTIONAL = frozenset({"diam_labels", "diam_mean"})
"""Not part of the network; some published files lack them."""


def _check_complete(path: Path, expected: dict[str, torch.Tensor], weights: dict[str, Any]) -> None:
    """Refuse weights that leave a part of the network at its random initial values."""
    shapes = {name: getattr(value, "shape", None) for name, value in weights.items()}
    missing = sorted(expected.keys() - weights.keys() - _OPTIONAL)
    unfit = [
        name for name, value in expected.items() if shapes.get(name, value.shape) != value.shape
    ]
    for names, problem in ((missing, "lacks"), (unfit, "has another shape for")):
        if names:
            raise ModelError(
                f"{path} does not fit the Cellpose-SAM network: it {problem} {len(names)} of "
                f"{len(expected)} tensors, such as {names[0]}. Use a complete Cellpose-SAM file"
            )
