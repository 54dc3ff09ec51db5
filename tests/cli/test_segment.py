import json
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch

from grainsmith.io.labels.label_image import read_labels
from grainsmith.models.grainnet import GrainNet


def run(*arguments, **environment):
    import os

    return subprocess.run(
        [sys.executable, "-c", "from grainsmith.cli import main; main()", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A tiny network of chance weights that takes everything for a grain."""
    torch.manual_seed(0)
    net = GrainNet((1, 4, 8), diameter_px=30)
    net.output[2].bias.data[2] = 8.0
    path = tmp_path_factory.mktemp("model") / "tiny.pt"
    torch.save(net.state_dict(), path)
    return path


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "field.tif"
    rng = np.random.default_rng(0)
    grey = rng.integers(0, 100, (90, 120), dtype=np.uint8)
    grey[20:50, 30:80] += 100
    tifffile.imwrite(path, grey)
    return path


def test_json_is_one_object_on_stdout_and_labels_have_the_file_s_shape(weights, image, tmp_path):
    out = tmp_path / "labels.tif"
    done = run(
        "segment", image, "-o", out, "--model", weights, "--crop-databar", 20,
        "--pixel-size", 0.5, "--flow-error", 0, "--table", tmp_path / "grains.csv", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["data_bar_rows"] == 20
    assert facts["pixel_size_um"] == 0.5
    assert facts["diameter_estimated"] is True
    labels = read_labels(out)
    assert labels.shape == (90, 120)
    assert labels[70:].max() == 0
    assert len(np.unique(labels)) - 1 == facts["n_grains"]
    beside = json.loads(out.with_suffix(".json").read_text())
    assert beside["provenance"]["settings"]["segment"]["model"] == str(weights)
    assert len(beside["provenance"]["inputs"][0]["sha256"]) == 64
    assert (tmp_path / "grains.csv").read_text().startswith("label,confidence")


def test_without_json_people_are_told_on_stderr_and_stdout_is_empty(weights, image):
    done = run("segment", image, "--model", weights, "--diameter", 30)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert "(scale set by small grains of 30 px, given)" in done.stderr
    assert (image.parent / "field_masks.tif").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["segment", "{here}/none.tif"], "none.tif", id="missing"),
        pytest.param(["segment", "{here}/empty.png"], "empty.png", id="empty"),
        pytest.param(["segment", "{here}/text.tif"], "text.tif", id="no-image"),
        pytest.param(["segment", "{here}/field.tif", "--model", "nobody"], "'nobody'", id="model"),
        pytest.param(["segment", "{here}/field.tif", "--diameter", "big"], "'big'", id="diameter"),
        pytest.param(["segment", "{here}/field.tif", "--crop-databar", "x"], "'x'", id="databar"),
        pytest.param(["score", "{here}/none.tif", "{here}/none.tif"], "none.tif", id="score"),
    ],
)
def test_bad_input_is_one_line_exit_code_2_and_nothing_written(image, arguments, message):
    here = image.parent
    (here / "empty.png").write_bytes(b"")
    (here / "text.tif").write_text("no image")
    before = sorted(path.name for path in here.iterdir())
    done = run(*[a.format(here=here) for a in arguments])
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(path.name for path in here.iterdir()) == before


def test_score_of_labels_with_themselves(tmp_path):
    labels = np.zeros((30, 30), np.uint16)
    labels[5:12, 5:12] = 4
    tifffile.imwrite(tmp_path / "a.tif", labels)
    done = run("score", tmp_path / "a.tif", tmp_path / "a.tif", "--json")
    facts = json.loads(done.stdout)
    assert facts["ap50"] == facts["ap90"] == 1
    assert set(facts) == {
        "ap50", "ap75", "ap90", "n_true", "n_pred", "mean_iou", "d50_error_pct", "d84_error_pct",
    }  # fmt: skip


def test_models_are_listed_added_inspected_and_removed(weights, tmp_path):
    own = {"GRAINSMITH_MODELS": str(tmp_path / "own")}
    added = run("models", "add", weights, "--name", "mine", **own)
    assert added.returncode == 0, added.stderr
    listed = json.loads(run("models", "list", "--json", **own).stdout)["models"]
    assert {"name": "mine", "kind": "own"} in listed
    facts = json.loads(run("models", "info", "mine", "--json", **own).stdout)
    assert len(facts["sha256"]) == 64
    assert run("models", "remove", "mine", **own).returncode == 0
    again = run("models", "remove", "mine", **own)
    assert again.returncode == 2
    assert "there is no model 'mine'" in again.stderr


def test_version_is_printed():
    assert run("--version").stdout.startswith("grainsmith ")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("field.tif", "--output would overwrite the input"),
        ("labels.json", "--output must end in .tif"),
    ],
)
def test_outputs_that_would_destroy_something_are_refused(image, output, message):
    before = image.read_bytes()
    done = run("segment", image, "-o", image.with_name(output))
    assert done.returncode == 2
    assert message in done.stderr
    assert image.read_bytes() == before
    assert [path.name for path in image.parent.iterdir()] == [image.name]
