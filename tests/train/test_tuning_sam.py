"""Cellpose-SAM as a start, with an encoder of one small layer in place of 305 million weights."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from grainsmith.errors import ModelError
from grainsmith.models import finetune
from grainsmith.models.registry import load_model
from grainsmith.train import tune, validation

pytest.importorskip("segment_anything")


@pytest.fixture(autouse=True)
def _no_synthetic_fields(monkeypatch):
    monkeypatch.setattr(validation, "held_out_synthetic_fields", lambda: ())


@pytest.fixture
def sam(tmp_path, monkeypatch):
    from cellpose import vit
    from segment_anything.modeling import ImageEncoderViT

    def small(_checkpoint):
        encoder = ImageEncoderViT(
            img_size=1024, patch_size=16, embed_dim=32, depth=1, num_heads=2, out_chans=256,
            use_rel_pos=True, window_size=14,
        )  # fmt: skip
        return SimpleNamespace(image_encoder=encoder)

    monkeypatch.setitem(vit.sam_model_registry, "vit_l", small)
    torch.manual_seed(0)
    path = tmp_path / "sam.pt"
    torch.save(vit.CPSAM().state_dict(), path)
    return path


def test_it_is_refused_where_there_is_no_gpu(dataset, settings, sam, tmp_path):
    asked = replace(settings, model=str(sam), device="cpu")
    with pytest.raises(ModelError, match=r"sam is a Cellpose-SAM network .* on a GPU only.*grains"):
        tune(dataset, asked, tmp_path / "m.run")
    assert not (tmp_path / "m.pt").exists()


def test_it_is_refused_where_the_gpu_is_too_small(sam, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (8 * 10**9, 12 * 10**9))
    with pytest.raises(ModelError, match=r"about 16 GB .* 8\.0 GB are free.*fewer tiles"):
        finetune.refuse_untunable("sam", sam, torch.device("cuda"), batch=6)


def test_it_is_tuned_at_a_hundredth_of_the_rate_and_comes_out_in_its_own_form(
    dataset, settings, sam, tmp_path, monkeypatch
):
    monkeypatch.setattr("grainsmith.train.run_setup.refuse_untunable", lambda *_: None)
    heard = []
    asked = replace(settings, model=str(sam), device="cpu", epochs=0, batch=1, start_share_pct=0)
    monkeypatch.setattr("grainsmith.train.tuning.default_steps", lambda _n: 3)
    tuned = tune(dataset, asked, tmp_path / "m.run", on_event=heard.append)
    assert tuned.steps == 3
    before, after = (torch.load(one, weights_only=True) for one in (sam, tuned.model))
    assert before.keys() == after.keys()
    moved = {
        name: float((after[name].float() - value).abs().max()) for name, value in before.items()
    }
    assert moved["W2"] == 0
    assert 0 < moved["out.weight"] < 10 * 3 * settings.learning_rate / 100
    model = load_model(str(tuned.model), device="cpu")
    assert model.tile_px == 256
    assert model.predict(np.zeros((256, 256), np.float32)).shape == (3, 256, 256)
    # Validation segments whole images, as users do.
    assert {"step", "validation"} <= {one["kind"] for one in heard}
