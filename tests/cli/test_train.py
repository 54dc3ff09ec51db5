"""The command in its own process: killed, resumed, judged."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
import torch

from grainsmith.models.grainnet import GrainNet
from grainsmith.samples import training_field
from grainsmith.train import RunFolder

OPTIONS = ("--epochs", 25, "--minutes", 0, "--rehearsal", 0, "--batch", 2, "--tile", 32,
           "--threads", 1, "--patience", 0)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A set of two fields and a tiny network."""
    folder = tmp_path_factory.mktemp("train")
    (folder / "set").mkdir()
    for k in range(2):
        image, labels = training_field((5, k), 64)
        low, high = image.min(), image.max()
        grey = (255 * (image - low) / (high - low)).astype(np.uint8)
        tifffile.imwrite(folder / "set" / f"f{k}.tif", grey)
        tifffile.imwrite(folder / "set" / f"f{k}_masks.tif", labels.astype(np.uint16))
    torch.manual_seed(0)
    torch.save(GrainNet((1, 4, 8), diameter_px=15).state_dict(), folder / "tiny.pt")
    return folder


def command(*arguments):
    return [sys.executable, "-m", "grainsmith", *map(str, arguments)]


def run(*arguments, **more):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, **more)


def curve(model):
    steps = [one for one in RunFolder(model.with_suffix(".run")).events() if one["kind"] == "step"]
    return [one["step"] for one in steps], [one["loss"] for one in steps]


@pytest.mark.slow
def test_killed_and_resumed_it_ends_with_the_same_curve(place):
    whole, broken = place / "whole.pt", place / "broken.pt"
    given = ("train", place / "set", "--from", place / "tiny.pt", *OPTIONS)
    done = run(*given, "-o", whole, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["kind"] == "done"
    assert {one["role"] for one in facts["comparison"]["fields"]} == {"validation", "made"}
    assert (whole.with_suffix(".run") / "comparison" / "comparison.json").is_file()

    process = subprocess.Popen(command(*given, "-o", broken), stderr=subprocess.DEVNULL)
    state = broken.with_suffix(".run") / "state.pt"
    until = time.monotonic() + 120
    while not state.is_file() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not broken.exists()
    before = len(curve(broken)[0])
    resumed = run("train", place / "set", "--resume", "-o", broken)
    assert resumed.returncode == 0, resumed.stderr
    steps, losses = curve(broken)
    assert 0 < before < len(steps)
    assert steps == curve(whole)[0]
    assert losses == pytest.approx(curve(whole)[1], rel=0.02)
    assert broken.is_file()


def test_wrong_calls_are_one_line(place):
    done = run("train", place / "nowhere", "-o", place / "x.pt")
    assert done.returncode == 2
    assert "is no folder" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("train", place / "set", "--tile", 33, "-o", place / "x.pt")
    assert done.returncode == 2
    assert "tile_px must be a multiple of 32" in done.stderr


def test_two_models_are_compared_on_a_folder(place):
    done = run(
        "models", "compare", place / "tiny.pt", place / "tiny.pt", place / "set", "--no-made",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert [one["name"] for one in facts["fields"]] == ["f0", "f1"]
    assert facts["fields"][0]["gained"] == []
