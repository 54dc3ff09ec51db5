"""The command in its own process: killed, resumed, judged."""

import errno
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from tests.fixtures.training import write_pair, write_tiny_model
from typer.testing import CliRunner

from grainsmith.cli import app, main
from grainsmith.train import ModelComparison, RunFolder, validation

OPTIONS = ("--epochs", 25, "--minutes", 0, "--rehearsal", 0, "--batch", 2, "--tile", 32,
           "--threads", 1, "--patience", 0)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A set of two fields and a tiny network."""
    folder = tmp_path_factory.mktemp("train")
    for k in range(2):
        write_pair(folder / "set", f"f{k}", k)
    write_tiny_model(folder)
    return folder


def command(*arguments):
    return [sys.executable, "-m", "grainsmith", *map(str, arguments)]


def run(*arguments, **more):
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, **more)


def events(model):
    return [
        {name: value for name, value in one.items() if name != "seconds_left"}
        for one in RunFolder(model.with_suffix(".run")).events()
    ]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_and_resumed_it_ends_with_the_same_curve(place):
    whole, broken = place / "whole.pt", place / "broken.pt"
    given = ("train", place / "set", "--from", place / "tiny.pt", *OPTIONS)
    done = run(*given, "-o", whole, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["kind"] == "done"
    assert {one["role"] for one in facts["comparison"]["fields"]} == {"validation", "made"}
    assert (whole.with_suffix(".run") / "comparison" / "comparison.json").is_file()

    broken.write_bytes(b"the last good model")
    process = subprocess.Popen(command(*given, "-o", broken), stderr=subprocess.DEVNULL)
    until = time.monotonic() + 240
    while not any(one.get("step", 0) >= 13 for one in events(broken)):
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = events(broken)
    assert broken.read_bytes() == b"the last good model"
    resumed = run("train", place / "set", "--resume", "-o", broken)
    assert resumed.returncode == 0, resumed.stderr
    assert before[-1]["step"] < facts["steps"]
    assert events(broken) == events(whole)
    weights = [torch.load(one, weights_only=True) for one in (whole, broken)]
    for name, value in weights[0].items():
        torch.testing.assert_close(value, weights[1][name], rtol=0, atol=0)


def test_wrong_calls_are_one_line(place):
    done = run("train", place / "nowhere", "-o", place / "x.pt")
    assert done.returncode == 2
    assert "is not a folder" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("train", place / "set", "--tile", 33, "-o", place / "x.pt")
    assert done.returncode == 2
    assert "tile_px must be a multiple of 32" in done.stderr


def cut_picture(folder):
    (folder / "f0.tif").write_bytes((folder / "f0.tif").read_bytes()[:900])


def erase_grains(folder):
    for file in folder.glob("*_masks.tif"):
        tifffile.imwrite(file, np.zeros((64, 64), np.uint16))


def cut_masks(folder):
    file = folder / "f1_masks.tif"
    tifffile.imwrite(file, tifffile.imread(file)[:-3])


def no_room(path, *_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("spoil", "more", "said"),
    [
        (cut_picture, (), "f0.tif is cut off: it has 900 bytes.* [Cc]opy or export it again"),
        (erase_grains, (), "no training field of .* holds a trusted grain: label or accept some"),
        (cut_masks, (), r"f1: the image is \(64, 64\), .* \(61, 64\) .* [Ee]xport them again"),
        (shutil.rmtree, (), "a set is not a folder: a training set is a folder of images"),
        (None, ("--from", "nowhere.pt"), "no model 'nowhere.pt': give a file, or one of grains"),
        (None, ("--from", "junk.pt"), "not a readable model file: .* Give weights of the Cellpose"),
        (None, ("--validation", "empty"), "empty holds no field to validate on: add some, or"),
        (None, ("--validation", "nowhere"), "nowhere is not a folder: a training set is a folder"),
        (None, ("--resume",), "holds no unfinished run: start without --resume"),
        ("full disk", (), "could not be written: No space left on device. .* free some space"),
    ],
)
def test_what_stops_a_training_is_one_sentence_and_the_last_model_stays(
    place, tmp_path, monkeypatch, capsys, spoil, more, said
):
    monkeypatch.chdir(tmp_path)
    folder, model = tmp_path / "a set", tmp_path / "m.pt"
    shutil.copytree(place / "set", folder)
    (tmp_path / "empty").mkdir()
    (tmp_path / "junk.pt").write_bytes(b"no weights")
    model.write_bytes(b"the last good model")
    if spoil == "full disk":
        monkeypatch.setattr(Path, "write_text", no_room)
    elif spoil:
        spoil(folder)
    arguments = ["train", folder, "--from", place / "tiny.pt", *OPTIONS, "-o", model, *more]
    monkeypatch.setattr(sys, "argv", ["grainsmith", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    lines = capsys.readouterr().err.strip().splitlines()
    assert ended.value.code == 2
    assert lines[-1].startswith("grainsmith: ")
    assert re.search(said, lines[-1])
    assert model.read_bytes() == b"the last good model"


def test_places_with_spaces_and_letters_of_any_script(place, tmp_path, monkeypatch):
    folder, model = tmp_path / "Mein Sand µ 鉱物", tmp_path / "grüner Ordner" / "Modell 1"
    shutil.copytree(place / "set", folder)
    nothing = ModelComparison(before="a", after="b", fields=())
    monkeypatch.setattr(sys.modules["grainsmith.cli.train"], "_evaluate", lambda _: nothing)
    monkeypatch.setattr(validation, "held_out_synthetic_fields", lambda: ())
    arguments = ["train", folder, "--from", place / "tiny.pt", *OPTIONS, "-o", model]
    result = CliRunner().invoke(app, [*map(str, arguments), "--epochs", "2"])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "grüner Ordner" / "Modell 1.pt").is_file()
    run = RunFolder(tmp_path / "grüner Ordner" / "Modell 1.run")
    assert run.record()["folder"] == str(folder)


def test_two_models_are_compared_on_a_folder(place):
    done = run(
        "models", "compare", place / "tiny.pt", place / "tiny.pt", place / "set", "--no-synthetic",
        "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert [one["name"] for one in facts["fields"]] == ["f0", "f1"]
    assert facts["fields"][0]["gained"] == []
