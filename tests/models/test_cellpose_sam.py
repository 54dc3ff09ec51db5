"""Cellpose 4 files, with an encoder of one small layer instead of 305 million weights."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from grainsmith.errors import ModelError
from grainsmith.models.cellpose_sam import is_cellpose4
from grainsmith.models.registry import load_model

pytest.importorskip("segment_anything")


@pytest.fixture
def state(monkeypatch):
    from cellpose import vit
    from segment_anything.modeling import ImageEncoderViT

    def small_encoder(_checkpoint):
        encoder = ImageEncoderViT(
            img_size=1024, patch_size=16, embed_dim=32, depth=1, num_heads=2, out_chans=256,
            use_rel_pos=True, window_size=14,
        )  # fmt: skip
        return SimpleNamespace(image_encoder=encoder)

    monkeypatch.setitem(vit.sam_model_registry, "vit_l", small_encoder)
    torch.manual_seed(0)
    return vit.CPSAM().state_dict()


def saved(state, tmp_path):
    path = tmp_path / "weights.pt"
    torch.save(state, path)
    return path


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_complete_file_loads_and_predicts_with_its_weights(state, tmp_path, prefix):
    state["out.bias"] = torch.full_like(state["out.bias"], 7.0)
    state["out.weight"] = torch.zeros_like(state["out.weight"])
    path = saved({prefix + name: value for name, value in state.items()}, tmp_path)
    assert is_cellpose4(path)
    output = load_model(str(path), device="cpu").predict(np.zeros((256, 256), np.float32))
    np.testing.assert_allclose(output[2], 7.0)


@pytest.mark.parametrize("kept", [("W2",), ("W2", "out.weight", "out.bias")])
def test_a_file_that_leaves_weights_random_is_refused(state, tmp_path, kept):
    path = saved({name: state[name] for name in kept}, tmp_path)
    with pytest.raises(ModelError, match=r"lacks \d+ of \d+ tensors, such as encoder"):
        load_model(str(path), device="cpu")


def test_a_tensor_of_another_shape_is_refused(state, tmp_path):
    state["out.bias"] = torch.zeros(5)
    with pytest.raises(ModelError, match=r"another shape for 1 of .* such as out\.bias"):
        load_model(str(saved(state, tmp_path)), device="cpu")
