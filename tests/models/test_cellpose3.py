"""GrainNet gives what Cellpose 3's own network gives, with the same weights."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import torch

from grainsmith.models.grainnet import grainnet_from_state

ROOT = Path(__file__).parents[2]


def fixture_maker():
    spec = importlib.util.spec_from_file_location(
        "make_cellpose3_fixture", ROOT / "tools" / "make_cellpose3_fixture.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_full_size_network_of_cellpose_3_gives_the_same_output():
    made = json.loads((Path(__file__).parent / "data" / "cellpose3_output.json").read_text())
    maker = fixture_maker()
    from grainsmith.models.grainnet import GrainNet

    state = maker.drawn_weights(GrainNet(maker.CHANNELS).state_dict())
    net = grainnet_from_state(state, name="fixture")
    with torch.inference_mode():
        output, style = net(maker.drawn_input())
    np.testing.assert_allclose(
        output.numpy().ravel()[::7], made["output_every_7th"], atol=1e-4, rtol=1e-4
    )
    np.testing.assert_allclose(style.numpy().ravel(), made["style"], atol=1e-4)
