"""Make tests/models/data/cellpose3_output.json: the output of the network of Cellpose 3.

Run it in a separate environment with cellpose==3.1.1.3:

    python tools/make_cellpose3_fixture.py tests/models/data/cellpose3_output.json

The weights are not stored; script and test draw them from the same seeded numbers.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Mapping

CHANNELS = (2, 32, 64, 128, 256)


def drawn_weights(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Fill a state dict with numbers that depend only on its names and shapes."""
    rng = np.random.default_rng(20261123)
    drawn = {}
    for key in sorted(state):
        shape = tuple(state[key].shape)
        if key.endswith("num_batches_tracked"):
            drawn[key] = torch.tensor(1)
        elif key.endswith("running_var"):
            drawn[key] = torch.from_numpy(rng.uniform(0.5, 2, shape).astype(np.float32))
        elif key.startswith("diam_"):
            drawn[key] = torch.full(shape, 30.0)
        else:
            fan_in = max(1, int(np.prod(shape[1:])))
            values = rng.standard_normal(shape) / np.sqrt(fan_in) + (len(shape) == 1) * 0.5
            drawn[key] = torch.from_numpy(values.astype(np.float32))
    return drawn


def drawn_input() -> torch.Tensor:
    """One tile of 48 x 64 px with two channels."""
    rng = np.random.default_rng(7)
    return torch.from_numpy(rng.standard_normal((1, 2, 48, 64)).astype(np.float32))


def main() -> None:
    """Run Cellpose 3's network and write every seventh number of its output."""
    from cellpose.resnet_torch import CPnet

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    args = parser.parse_args()
    net = CPnet(list(CHANNELS), nout=3, sz=3, mkldnn=False, max_pool=True, diam_mean=30.0)
    state = drawn_weights(dict(net.state_dict().items()))
    net.load_state_dict(state)
    net.eval()
    with torch.inference_mode():
        output, style = net(drawn_input())[:2]
    args.target.write_text(
        json.dumps(
            {
                "made_with": "cellpose 3.1.1.3",
                "output_every_7th": output.numpy().ravel()[::7].round(6).tolist(),
                "style": style.numpy().ravel().round(6).tolist(),
            }
        )
        + "\n",
        "utf8",
    )
    print(f"{args.target}: {args.target.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
