"""Networks that can be tuned, of either form, and how they want to be shown images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import torch

from grainsmith.errors import Hint, ModelError
from grainsmith.models import cellpose_sam
from grainsmith.models.cellpose_sam import TILE_PX, CellposeSamModel
from grainsmith.models.grainnet import GrainNet, load_grainnet
from grainsmith.models.grainnet_model import GrainNetModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from grainsmith.models.model import Model

_GB = 10**9
_SAM_BYTES = 10 * _GB
"""Weights, their gradients and means, the optimizer's two, the start, and a copy to judge."""
_SAM_TILE_BYTES = 1 * _GB
_SAM_RATE = 0.01
"""Cellpose tunes it at 1e-5; what suits a small network would wipe out what it knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunable:
    """A network to be tuned.

    Attributes
    ----------
    net : torch Module
        Gives (N, 3, H, W) flows times 5 and logit, and the style.
    diameter_px : float
        Grain diameter that images are scaled to; 0 = it takes them as they are.
    inputs : int
        Input channels.
    grey_in_all : bool
        Whether all of them hold the grey image; else only the first, and the others are 0.
    tile_px : int
        Side of the only tiles that it takes; 0 = any.
    rate : float
        Of a learning rate, how much it bears.
    as_model : callable
        Makes a network of this form, on its device, a Model.
    """

    net: torch.nn.Module
    diameter_px: float
    inputs: int
    grey_in_all: bool
    tile_px: int
    rate: float
    as_model: Callable[[torch.nn.Module], Model]


def load_tunable(path: Path, device: torch.device) -> Tunable:
    """Load the network of a weights file to be tuned.

    Raises
    ------
    ModelError
        It is unreadable or of another form.
    """
    if cellpose_sam.is_cellpose4(path):
        net = cellpose_sam.load_network(path, device, torch.float32)
        return Tunable(
            net=net,
            diameter_px=0.0,
            inputs=3,
            grey_in_all=True,
            tile_px=TILE_PX,
            rate=_SAM_RATE,
            as_model=lambda tuned: CellposeSamModel("tuned", tuned, fingerprint="", device=device),
        )
    grainnet = load_grainnet(path)
    return Tunable(
        net=grainnet,
        diameter_px=float(grainnet.diam_mean.detach()),
        inputs=grainnet.channels[0],
        grey_in_all=False,
        tile_px=0,
        rate=1.0,
        as_model=lambda tuned: GrainNetModel(
            "tuned", cast("GrainNet", tuned), fingerprint="", device=device.type
        ),
    )


def refuse_untunable(name: str, path: Path, device: torch.device, batch: int) -> None:
    """Raise ModelError where this machine cannot tune the network of a file."""
    if not cellpose_sam.is_cellpose4(path):
        return
    what = f"{name} is a Cellpose-SAM network of 305 million weights"
    if device.type == "cpu":
        raise ModelError(f"{what}, which can be tuned on a GPU only", hint=Hint.ADD_TUNED_MODEL)
    needed = _SAM_BYTES + batch * _SAM_TILE_BYTES
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else needed
    if free < needed:
        raise ModelError(
            f"{what}: tuning it with {batch} tiles per step needs about {needed / _GB:.0f} GB of "
            f"the GPU's memory, and {free / _GB:.1f} GB are free",
            hint=Hint.SMALLER_TRAINING_BATCH_OR_MODEL,
        )
