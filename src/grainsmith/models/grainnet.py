"""The compact network: a residual U-Net with a style vector.

It has the form of the Cellpose 1-3 network (Stringer et al. 2021, doi 10.1038/s41592-020-01018-x)
and the same state-dict names, so weights published for that network load into it. The code is our
own.
"""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from grainsmith.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

FLOW_SCALE = 5.0
"""The network gives flows times this number: part of the published form."""


def _convolution(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(channels_in, eps=1e-5, momentum=0.05),
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, 3, padding=1),
    )


def _projection(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(channels_in, eps=1e-5, momentum=0.05),
        nn.Conv2d(channels_in, channels_out, 1),
    )


class _Down(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        self.proj = _projection(channels_in, channels_out)
        for i in range(4):
            first = channels_in if i == 0 else channels_out
            self.conv.add_module(f"conv_{i}", _convolution(first, channels_out))

    def forward(self, x: Tensor) -> Tensor:
        x = self.proj(x) + self.conv[1](self.conv[0](x))
        out: Tensor = x + self.conv[3](self.conv[2](x))
        return out


class _StyledConvolution(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, style_channels: int) -> None:
        super().__init__()
        self.conv = _convolution(channels_in, channels_out)
        self.full = nn.Linear(style_channels, channels_out)

    def forward(self, style: Tensor, x: Tensor) -> Tensor:
        out: Tensor = self.conv(x + self.full(style)[:, :, None, None])
        return out


class _Up(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, style_channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential()
        self.conv.add_module("conv_0", _convolution(channels_in, channels_out))
        for i in (1, 2, 3):
            styled = _StyledConvolution(channels_out, channels_out, style_channels)
            self.conv.add_module(f"conv_{i}", styled)
        self.proj = _projection(channels_in, channels_out)

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        x = self.proj(x) + self.conv[1](style, self.conv[0](x) + skip)
        out: Tensor = x + self.conv[3](style, self.conv[2](style, x))
        return out


class _Downsample(nn.Module):
    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.down = nn.Sequential()
        for i in range(len(channels) - 1):
            self.down.add_module(f"res_down_{i}", _Down(channels[i], channels[i + 1]))

    def forward(self, x: Tensor) -> list[Tensor]:
        levels = [self.down[0](x)]
        for block in list(self.down)[1:]:
            levels.append(block(functional.max_pool2d(levels[-1], 2)))
        return levels


class _Upsample(nn.Module):
    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.up = nn.Sequential()
        deepest = len(channels) - 1
        for i in range(1, deepest + 1):
            channels_in = channels[min(i + 1, deepest)]
            self.up.add_module(f"res_up_{i - 1}", _Up(channels_in, channels[i], channels[-1]))

    def forward(self, levels: list[Tensor], style: Tensor) -> Tensor:
        x = self.up[-1](levels[-1], levels[-1], style)
        for i in range(len(levels) - 2, -1, -1):
            x = functional.interpolate(x, scale_factor=2, mode="nearest")
            x = self.up[i](x, levels[i], style)
        return x


class GrainNet(nn.Module):
    """Flows and grain probability of a tile.

    Parameters
    ----------
    channels : sequence of int
        Input channels, then the width of each level; (2, 32, 64, 128, 256) is the published
        full size, (2, 16, 32, 64, 128) ours.
    diameter_px : float
        Mean grain diameter that the network was trained for; images are scaled to it.
    """

    def __init__(
        self, channels: Sequence[int] = (2, 16, 32, 64, 128), *, diameter_px: float = 30.0
    ) -> None:
        super().__init__()
        self.downsample = _Downsample(channels)
        self.upsample = _Upsample(channels)
        self.output = _projection_with_relu(channels[1], 3)
        self.diam_mean = nn.Parameter(torch.tensor([float(diameter_px)]), requires_grad=False)
        self.diam_labels = nn.Parameter(torch.tensor([float(diameter_px)]), requires_grad=False)
        self.channels = tuple(channels)

    @property
    def stride(self) -> int:
        """Height and width of a tile must be multiples of this number of pixels."""
        return int(2 ** (len(self.channels) - 2))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the output and the style vector.

        Parameters
        ----------
        x : (N, C, H, W) tensor
            Channel 0 is the image, normalised to 1st..99th percentile = 0..1.

        Returns
        -------
        output : (N, 3, H, W) tensor
            Flow along y times 5, flow along x times 5, logit of the grain probability.
        style : (N, S) tensor
            Unit vectors: what kind of image the network takes it for.
        """
        levels = self.downsample(x)
        style = levels[-1].float().mean(dim=(2, 3))
        style = style / style.norm(dim=1, keepdim=True).clamp(min=1e-6)
        return self.output(self.upsample(levels, style)), style


def _projection_with_relu(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.BatchNorm2d(channels_in, eps=1e-5, momentum=0.05),
        nn.ReLU(),
        nn.Conv2d(channels_in, channels_out, 1),
    )


def load_grainnet(path: str | Path) -> GrainNet:
    """Load weights of the Cellpose 1-3 form; their shapes say how wide and deep the network is.

    Parameters
    ----------
    path : str or Path
        A torch file holding a state dict, of 32-bit or 16-bit numbers. Only tensors are read
        (`weights_only`): nothing in the file is executed.

    Raises
    ------
    ModelError
        The file is missing, no torch file, holds more than tensors, or another network.
    """
    return grainnet_from_state(read_state(path), name=str(path))


def read_state(path: str | Path, *, mapped: bool = False) -> Any:
    """Read what a torch file holds: tensors only, nothing in it is executed.

    Parameters
    ----------
    path : str or Path
    mapped : bool
        Leave the numbers on the disk until they are used.

    Raises
    ------
    ModelError
        The file is missing, cut off, no torch file, or holds more than tensors.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except FileNotFoundError as error:
        raise ModelError(f"model file {path} does not exist") from error
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"{path} is not a readable model file, it may be cut off: {_first_line(error)}"
        ) from error
    except (pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError, AttributeError):
        # Bytes of any other kind fail anywhere in the unpickler, and where they do not, torch
        # advises to read them in a way that would run what is in them: its words are kept back.
        raise ModelError(
            f"{path} is not a readable model file: it holds no table of weights, or more than "
            "that. Give weights of the Cellpose 1-3 form or of Cellpose 4"
        ) from None


def grainnet_from_state(state: Any, *, name: str) -> GrainNet:
    """Build the network that a state dict describes and fill it; raise ModelError if none fits."""
    net = GrainNet(_channels(state, name), diameter_px=_diameter_px(state))
    weights = {key.removeprefix("module."): value for key, value in state.items()}
    # Some published files hold only the mean diameter, others neither.
    weights.setdefault("diam_mean", net.diam_mean.data)
    weights.setdefault("diam_labels", weights["diam_mean"])
    try:
        net.load_state_dict(
            {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}
        )
    except RuntimeError as error:
        raise ModelError(
            f"{name} does not fit the Cellpose 1-3 form: {_first_line(error)}"
        ) from error
    return net.eval()


def _channels(state: Any, name: str) -> tuple[int, ...]:
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ModelError(
            f"{name} holds no state dict (a table of tensors), so no network can be made"
        )
    state = {key.removeprefix("module."): value for key, value in state.items()}
    if "W2" in state or any(key.startswith("encoder.") for key in state):
        raise ModelError(
            f"{name} is a Cellpose 4 (Cellpose-SAM) file, not one of the Cellpose 1-3 form"
        )
    projections = _projection_shapes(state)
    if not projections or "output.2.weight" not in state:
        raise ModelError(f"{name} is of no known form: Cellpose 1-3 weights name res_down blocks")
    outputs = state["output.2.weight"].shape[0]
    if outputs != 3:
        raise ModelError(
            f"{name} has {outputs} outputs; a grain network has 3 (two flows, one probability)"
        )
    return (projections[0][1], *(shape[0] for shape in projections))


def _projection_shapes(state: Mapping[str, Tensor]) -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    while (key := f"downsample.down.res_down_{len(shapes)}.proj.1.weight") in state:
        shapes.append(tuple(state[key].shape))
    return shapes


def _diameter_px(state: Mapping[str, Tensor]) -> float:
    for key in ("diam_mean", "module.diam_mean"):
        if key in state:
            return float(state[key].ravel()[0])
    return 30.0


def _first_line(error: Exception) -> str:
    message = str(error).strip()
    return message.splitlines()[0].split(". ")[0] if message else type(error).__name__
