import pickle

import pytest
import torch

from grainsmith.errors import ModelError
from grainsmith.models.grainnet import GrainNet, load_grainnet

SMALL = (2, 4, 8)


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.pt"
    torch.save(GrainNet(SMALL, diameter_px=17).state_dict(), path)
    return path


def test_shapes_say_width_depth_and_diameter(weights):
    net = load_grainnet(weights)
    assert net.channels == SMALL
    assert net.diam_mean.item() == 17
    with torch.inference_mode():
        output, style = net(torch.rand(1, 2, 16, 24))
    assert output.shape == (1, 3, 16, 24)
    assert style.norm().item() == pytest.approx(1, abs=1e-5)


def test_half_precision_and_parallel_names_load(weights, tmp_path):
    state = torch.load(weights, weights_only=True)
    halves = {
        f"module.{k}": v.half() if v.is_floating_point() else v
        for k, v in state.items()
        if not k.startswith("diam_")
    }
    torch.save(halves, tmp_path / "half.pt")
    net = load_grainnet(tmp_path / "half.pt")
    assert net.diam_mean.item() == 30
    torch.testing.assert_close(
        net.state_dict()["output.2.weight"], state["output.2.weight"], atol=1e-3, rtol=1e-3
    )


class Harmful:
    def __reduce__(self):
        return (print, ("executed",))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param({"W2": torch.zeros(1)}, "is a Cellpose 4", id="cellpose-sam"),
        pytest.param({"encoder.x": torch.zeros(1)}, "is a Cellpose 4", id="cellpose-sam-encoder"),
        pytest.param({"weight": torch.zeros(1)}, "of no known form", id="another-network"),
        pytest.param([1, 2], "holds no state dict", id="a-list"),
    ],
)
def test_other_files_are_refused_with_the_reason(tmp_path, content, reason):
    path = tmp_path / "other.pt"
    torch.save(content, path)
    with pytest.raises(ModelError, match=reason):
        load_grainnet(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello\n", b"PK\x03\x04" + bytes(60), b"\x89PNG\r\n\x1a\n", b"\x80\x02}q\x00."],
)
def test_other_bytes_are_refused_without_torchs_advice_to_run_them(tmp_path, content):
    path = tmp_path / "other.pt"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a readable model file") as refused:
        load_grainnet(path)
    assert "weights_only" not in str(refused.value)


def test_nothing_in_a_file_is_executed(tmp_path, capsys):
    path = tmp_path / "harmful.pt"
    path.write_bytes(pickle.dumps(Harmful(), protocol=2))
    with pytest.raises(ModelError, match="not a readable model file"):
        load_grainnet(path)
    assert "executed" not in capsys.readouterr().out


def test_missing_truncated_and_wrongly_sized_files(tmp_path, weights):
    with pytest.raises(ModelError, match="does not exist"):
        load_grainnet(tmp_path / "none.pt")
    half = tmp_path / "half.pt"
    half.write_bytes(weights.read_bytes()[:2000])
    with pytest.raises(ModelError, match="not a readable model file"):
        load_grainnet(half)
    state = GrainNet(SMALL).state_dict()
    del state["upsample.up.res_up_0.proj.1.bias"]
    torch.save(state, tmp_path / "gap.pt")
    with pytest.raises(ModelError, match="does not fit"):
        load_grainnet(tmp_path / "gap.pt")
