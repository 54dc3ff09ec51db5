import errno
import json
import math
import os
from dataclasses import replace
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch

from grainsmith.errors import MismatchError, ModelError, ReadError, WriteError
from grainsmith.io.dataset import Origin, add_field
from grainsmith.io.exchange import LabelledField
from grainsmith.models.grainnet import GrainNet
from grainsmith.models.grainnet_model import GrainNetModel
from grainsmith.models.registry import list_models, load_model
from grainsmith.samples import training_field
from grainsmith.segment.normalize import MARGIN_PX
from grainsmith.train import RunFolder, TuneSettings, places, tune
from grainsmith.train import dataset as dataset_module
from grainsmith.train import trainer as trainer_module
from grainsmith.train import tuning as tuning_module
from grainsmith.train import validation as validation_module
from grainsmith.train.dataset import Fields, prepare
from grainsmith.train.sampling import Batches
from grainsmith.train.validation import Validator


@pytest.fixture(autouse=True)
def _no_made_fields(monkeypatch):
    monkeypatch.setattr(validation_module, "rehearsed_fields", lambda: ())


def losses(run):
    return [one["loss"] for one in RunFolder(run).events() if one["kind"] == "step"]


def test_a_run_leaves_events_model_and_card_and_the_lists_show_it(
    dataset, settings, tmp_path, monkeypatch
):
    monkeypatch.setenv("GRAINSMITH_MODELS", str(tmp_path / "models"))
    model, run = places("mine")
    heard = []
    tuned = tune(dataset, settings, run, on_event=heard.append)
    assert tuned.kind == "done"
    assert tuned.model == model
    assert list(RunFolder(run).events()) == heard
    kinds = [one["kind"] for one in heard]
    assert kinds[:2] == ["note", "validation"]
    assert kinds[-1] == "done"
    steps = [one for one in heard if one["kind"] == "step"]
    assert [one["step"] for one in steps] == list(range(1, steps[0]["steps"] + 1))
    judged = [one for one in heard if one["kind"] == "validation"]
    assert {"loss", "ap50", "d50_error_pct", "fields", "best", "step"} <= judged[0].keys()
    entry = next(one for one in list_models() if one.name == "mine")
    assert entry.card["tuned_from"]["name"] == "tiny"
    roles = {one["name"]: one["role"] for one in entry.card["fields"]}
    assert sorted(roles.values()) == ["train", "train", "validation"]
    assert all(len(sha) == 64 for one in entry.card["fields"] for sha in one["sha256"].values())
    assert entry.card["sha256"] == load_model("mine").fingerprint
    assert not RunFolder(run).unfinished


def test_garbage_where_nothing_is_trusted_changes_no_loss(settings, tmp_path):
    curves = []
    for name in ("clean", "garbage"):
        folder = tmp_path / name
        image, labels = training_field((5, 10), 96)
        image = (100 * (image - image.min())).astype(np.uint16)
        region = np.zeros(labels.shape, bool)
        region[:48] = True
        add_field(folder, LabelledField(labels=labels, name="f", image=image), Origin(),
                  region=region)  # fmt: skip
        if name == "garbage":
            written = tifffile.imread(folder / "f_masks.tif")
            assert len(np.unique(written)) > 4
            # Grains on the edge of the region count with their whole shape.
            free = ~region & (written == 0)
            chance = np.random.default_rng(0).integers(0, 999, labels.shape)
            written[free] = np.where(chance < 500, 999, chance)[free]
            tifffile.imwrite(folder / "f_masks.tif", written)
        chosen = replace(settings, validation="none", epochs=4)
        tune(folder, chosen, tmp_path / f"{name}.run")
        curves.append(losses(tmp_path / f"{name}.run"))
    assert len(curves[0]) >= 4
    assert curves[0] == curves[1]


def test_stop_is_heeded_after_the_step_and_keeps_the_best(dataset, settings, tmp_path):
    run = RunFolder(tmp_path / "m.run")

    def on_event(event):
        if event["kind"] == "step" and event["step"] == 30:
            run.ask_to_stop()

    tuned = tune(dataset, replace(settings, epochs=500), run.path, on_event=on_event)
    assert (tuned.kind, tuned.steps) == ("stopped", 30)
    assert load_model(str(tmp_path / "m.pt"))
    assert list(run.events())[-1]["kind"] == "stopped"


def test_stop_is_heeded_after_one_piece_of_a_validation(dataset, settings, tmp_path, monkeypatch):
    run, predict, seen = RunFolder(tmp_path / "m.run"), GrainNetModel.predict, []

    def look(model, tile):
        seen.append(tile.shape)
        run.ask_to_stop()
        return predict(model, tile)

    monkeypatch.setattr(GrainNetModel, "predict", look)
    tuned = tune(dataset, settings, run.path)
    assert (tuned.kind, tuned.model, len(seen)) == ("stopped", None, 1)


def test_stop_is_heeded_while_the_fields_are_read_and_an_old_wish_is_not(
    dataset, settings, tmp_path, monkeypatch
):
    run, look_at, seen = RunFolder(tmp_path / "m.run"), dataset_module._look_at, []
    run.begin({})
    run.ask_to_stop()

    def look(one, role):
        seen.append(one.name)
        run.ask_to_stop()
        return look_at(one, role)

    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "_look_at", look)
        tuned = tune(dataset, settings, run.path)
    assert (tuned.kind, tuned.model, len(seen)) == ("stopped", None, 1)
    assert "while the fields were read" in list(run.events())[-1]["reason"]
    assert tune(dataset, settings, run.path).kind == "done"


def test_a_loss_that_is_no_number_ends_the_run_and_not_the_model(
    dataset, settings, tmp_path, monkeypatch
):
    (tmp_path / "m.pt").write_bytes(b"the last good model")
    factors, true_loss = chain([1.0, 1.0], repeat(torch.nan)), trainer_module.loss
    monkeypatch.setattr(
        trainer_module, "loss", lambda output, wanted: true_loss(output, wanted) * next(factors)
    )
    with pytest.raises(ModelError, match="no number since step 3: give a lower learning rate"):
        tune(dataset, replace(settings, epochs=20), tmp_path / "m.run")
    monkeypatch.undo()
    assert (tmp_path / "m.pt").read_bytes() == b"the last good model"
    last = list(RunFolder(tmp_path / "m.run").events())[-1]
    assert last["kind"] == "failed"
    assert "no number" in last["reason"]


def test_a_full_disk_is_said_and_the_last_good_model_stays(
    dataset, settings, tmp_path, monkeypatch
):
    def no_room(path, data):
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "m.pt").write_bytes(b"the last good model")
    monkeypatch.setattr(Path, "write_bytes", no_room)
    with pytest.raises(WriteError, match=r"best.pt could not be written: No space left on device"):
        tune(dataset, settings, tmp_path / "m.run")
    monkeypatch.undo()
    assert (tmp_path / "m.pt").read_bytes() == b"the last good model"
    assert list(RunFolder(tmp_path / "m.run").events())[-1]["kind"] == "failed"


def test_sets_that_cannot_be_learnt_from_are_refused_by_name(dataset, settings, tmp_path):
    def refused(error, match):
        with pytest.raises(error, match=match):
            tune(dataset, settings, tmp_path / "m.run")

    whole = (dataset / "f1.tif").read_bytes()
    (dataset / "f1.tif").write_bytes(whole[: len(whole) // 2])
    refused(ReadError, r"f1.tif is cut off: .*\. Copy or export it again")
    (dataset / "f1.tif").write_bytes(whole)
    masks = tifffile.imread(dataset / "f1_masks.tif")
    tifffile.imwrite(dataset / "f1_masks.tif", masks[:-3])
    refused(MismatchError, r"f1: the image is \(64, 64\), its labels are \(61, 64\)")
    for one in dataset.glob("*_masks.tif"):
        tifffile.imwrite(one, np.zeros((64, 64), np.uint16))
    refused(MismatchError, "no training field of .* holds a trusted grain")
    with pytest.raises(ReadError, match="is not a folder"):
        tune(tmp_path / "nowhere", settings, tmp_path / "m.run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MismatchError, match="holds no field"):
        tune(tmp_path / "empty", settings, tmp_path / "m.run")
    assert not (tmp_path / "m.pt").exists()


def test_starts_and_validation_sets_that_are_not_there_are_refused(dataset, settings, tmp_path):
    (tmp_path / "empty").mkdir()
    for change, error, match in (
        (
            {"model": "sandd"},
            ModelError,
            "no model 'sandd': give a file, or one of grains",
        ),
        ({"model": str(tmp_path / "x.pt")}, ModelError, "there is no model '.*x.pt'"),
        ({"validation": str(tmp_path / "empty")}, MismatchError, "no field to validate on: add"),
        ({"validation": str(tmp_path / "nowhere")}, ReadError, "nowhere is not a folder"),
    ):
        with pytest.raises(error, match=match):
            tune(dataset, replace(settings, **change), tmp_path / "m.run")
    state = torch.load(settings.model, weights_only=True)
    state["output.2.bias"] *= torch.nan
    torch.save(state, tmp_path / "nan.pt")
    chosen = replace(settings, model=str(tmp_path / "nan.pt"), epochs=20)
    with pytest.raises(ModelError, match="no number since step 1: start from another model"):
        tune(dataset, chosen, tmp_path / "m.run")
    assert not (tmp_path / "m.pt").exists()


def test_one_field_trains_and_says_that_nothing_judges_it(dataset, settings, tmp_path):
    for name in ("f1", "f2"):
        (dataset / f"{name}.tif").unlink()
        (dataset / f"{name}_masks.tif").unlink()
    heard = []
    tuned = tune(dataset, settings, tmp_path / "m.run", on_event=heard.append)
    assert "no field validates" in heard[0]["text"]
    assert tuned.best_step == tuned.steps


def test_a_validation_folder_of_its_own(dataset, settings, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for one in dataset.glob("f2*"):
        (other / one.name).write_bytes(one.read_bytes())
    with pytest.raises(MismatchError, match="f2: both to train and to validate on"):
        prepare(dataset, str(other))
    for one in dataset.glob("f2*"):
        one.unlink()
    study = prepare(dataset, str(other))
    assert [one.name for one in study.validation] == ["f2"]
    assert len(study.train) == 2


def test_a_tuned_start_is_warned_of(dataset, settings, tmp_path):
    tune(dataset, settings, tmp_path / "m.run")
    heard = []
    again = replace(settings, model=str(tmp_path / "m.pt"))
    tune(dataset, again, tmp_path / "n.run", on_event=heard.append)
    assert any("m was itself tuned from tiny" in one.get("text", "") for one in heard)


def test_a_cellpose_file_of_two_channels_can_be_tuned(dataset, settings, tmp_path):
    torch.save(GrainNet((2, 4, 8)).state_dict(), tmp_path / "cyto.pt")
    tuned = tune(dataset, replace(settings, model=str(tmp_path / "cyto.pt")), tmp_path / "m.run")
    assert load_model(str(tuned.model)).predict(np.zeros((32, 32), np.float32)).shape[0] == 3


def test_it_stops_early_and_keeps_the_best(dataset, settings, tmp_path, monkeypatch):
    values = iter([0.1, 0.3, 0.25, 0.2, 0.2, 0.2])

    def judge(self, net):
        return {"loss": 1.0, "ap50": next(values), "d50_error_pct": 0.0, "fields": {}}

    monkeypatch.setattr(Validator, "judge", judge)
    chosen = replace(settings, epochs=16, patience=2)
    tuned = tune(dataset, chosen, tmp_path / "m.run")
    judged = [one for one in RunFolder(tmp_path / "m.run").events() if one["kind"] == "validation"]
    assert tuned.reason == "no gain in 2 validations"
    assert [one["best"] for one in judged] == [False, True, False, False]
    assert tuned.best_step == judged[1]["step"]
    assert (tuned.before, tuned.after) == (0.1, 0.3)


def test_of_equal_scores_the_lower_loss_is_kept(dataset, settings, tmp_path, monkeypatch):
    found = [(0.1, 9.0), (0.3, 2.0), (0.3, 2.5), (0.3, 1.5), (0.3, 1.5), (0.2, 1.0), (0.3, 1.4)]
    values = iter([*found, (0.3, 1.6), (0.3, 1.6)])

    def judge(self, net):
        ap50, loss = next(values)
        return {"loss": loss, "ap50": ap50, "d50_error_pct": 0.0, "fields": {}}

    monkeypatch.setattr(Validator, "judge", judge)
    tuned = tune(dataset, replace(settings, epochs=16, patience=3), tmp_path / "m.run")
    judged = [one for one in RunFolder(tmp_path / "m.run").events() if one["kind"] == "validation"]
    best = [False, True, False, True, False, False, True, False, False]
    assert [one["best"] for one in judged] == best
    assert tuned.best_step == judged[6]["step"]


def test_the_time_limit_ends_it_with_a_model(dataset, settings, tmp_path):
    chosen = replace(settings, epochs=5000, minutes=0.02)
    tuned = tune(dataset, chosen, tmp_path / "m.run")
    assert "the time of 0.02 minutes is over" in tuned.reason or "all steps" in tuned.reason
    assert tuned.model.is_file()


def test_the_time_is_used_to_its_end_though_the_first_steps_are_slow(
    dataset, settings, tmp_path, monkeypatch
):
    clock, learn = SimpleNamespace(now=0.0), trainer_module.Trainer.learn

    def slow_at_first(self, *batch):
        clock.now += 3 if self.step < 20 else 1
        return learn(self, *batch)

    monkeypatch.setattr(trainer_module.Trainer, "learn", slow_at_first)
    monkeypatch.setattr(tuning_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    heard = []
    chosen = replace(settings, epochs=5000, minutes=4, validation="none")
    tuned = tune(dataset, chosen, tmp_path / "m.run", on_event=heard.append)
    assert tuned.steps == 20 + (240 - 60)
    said = [one["text"].split()[0] for one in heard if "fit into" in one.get("text", "")]
    assert said == ["80", "200"]


def test_validations_that_take_long_are_few(dataset, settings, tmp_path, monkeypatch):
    clock, learn, validated = SimpleNamespace(now=0.0), trainer_module.Trainer.learn, []

    def learn_for_a_second(self, *batch):
        clock.now += 1
        return learn(self, *batch)

    def judge(self, net):
        clock.now += 16
        validated.append(clock.now)
        return {"loss": 1.0, "ap50": 0.5, "d50_error_pct": 0.0, "fields": {}}

    monkeypatch.setattr(trainer_module.Trainer, "learn", learn_for_a_second)
    monkeypatch.setattr(Validator, "judge", judge)
    monkeypatch.setattr(tuning_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    tuned = tune(dataset, replace(settings, epochs=5000, minutes=4), tmp_path / "m.run")
    # A fifth of the time is three of them, and one more at the beginning.
    assert len(validated) == 1 + 3
    assert tuned.steps > 150
    assert clock.now <= 4 * 60


@pytest.mark.parametrize(
    ("before", "kept"), [(0.05, 0.05), (0.25, 0.25), (0.5, 0.5), (0.9, 0.5), (math.nan, 0.5)]
)
def test_of_a_poor_start_less_is_kept(dataset, settings, tmp_path, monkeypatch, before, kept):
    shares, best_guess = [], trainer_module.Trainer.best_guess

    def guess(self):
        shares.append(self.settings.start_share)
        return best_guess(self)

    def judge(self, net):
        return {"loss": 1.0, "ap50": before, "d50_error_pct": 0.0, "fields": {}}

    monkeypatch.setattr(trainer_module.Trainer, "best_guess", guess)
    monkeypatch.setattr(Validator, "judge", judge)
    tune(dataset, replace(settings, start_share_pct=50), tmp_path / "m.run")
    assert shares[-1] == pytest.approx(kept)


def test_fields_are_let_go_when_the_memory_is_small(dataset):
    study = prepare(dataset, "none")
    small, large = Fields(study, most_bytes=1), Fields(study)
    for one in study.train:
        small[one.name], large[one.name]
    assert small.held_bytes == (64 + 2 * MARGIN_PX) ** 2 * 20
    assert large.held_bytes == 3 * small.held_bytes


def test_batches_follow_from_the_step_alone_and_the_scale_from_the_grains(dataset, settings):
    study = prepare(dataset, "none")
    batches = [Batches(study, Fields(study), settings, diameter_px=15.0) for _ in range(2)]
    ahead = batches[0].from_step(0)
    three = [next(ahead) for _ in range(3)]
    torch.testing.assert_close(three[2], batches[1].at(2))
    assert not torch.equal(three[1][0], three[2][0])
    found = np.unique(tifffile.imread(dataset / "f0_masks.tif"), return_counts=True)[1][1:]
    diameters = np.sqrt(found * 4 / np.pi)
    assert diameters.min() <= study.diameters_px["f0"] <= np.median(diameters)


def test_events_are_read_while_they_are_written(tmp_path):
    run = RunFolder(tmp_path / "m.run")
    run.event("step", step=1, loss=float("nan"))
    with (run.path / "events.jsonl").open("a") as file:
        file.write('{"kind": "st')
    first = {"kind": "step", "step": 1, "loss": None}
    assert list(run.events()) == [first]
    # What a full disk cut off stays cut off; what comes after is read.
    run.event("failed")
    run.event("step", step=2)
    assert list(run.events()) == [first, {"kind": "step", "step": 2}]


def test_a_state_is_on_disk_only_after_the_curve_that_leads_to_it(tmp_path, monkeypatch):
    written, fsync = [], os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: written.append(os.fstat(file).st_ino))
    run = RunFolder(tmp_path / "m.run")
    run.event("step", step=1)
    run.save("state.pt", {"step": 1})
    monkeypatch.setattr(os, "fsync", fsync)
    names = ("events.jsonl", "state.pt")
    assert written == [(run.path / name).stat().st_ino for name in names]


def test_a_damaged_state_is_refused(tmp_path):
    run = RunFolder(tmp_path / "m.run")
    run.event("step", step=1)
    run.save("state.pt", {"net": torch.zeros(999)})
    whole = (run.path / "state.pt").read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"no tensors"):
        (run.path / "state.pt").write_bytes(broken)
        with pytest.raises(ModelError, match=r"state.pt cannot be read, .*: start it anew"):
            run.load("state.pt")


def test_a_power_cut_while_the_state_is_written_changes_no_curve(
    dataset, settings, tmp_path, monkeypatch
):
    class PowerCutError(Exception):
        pass

    states, write_bytes = [], Path.write_bytes

    def half(path, data):
        if path.name.startswith(".state-"):
            states.append(path)
            if len(states) == 3:
                (path.parent / ".state-left.pt").write_text("half")
                write_bytes(path, bytes(data)[: len(data) // 2])
                raise PowerCutError
        return write_bytes(path, data)

    chosen = replace(settings, epochs=8)
    whole, broken = RunFolder(tmp_path / "whole.run"), RunFolder(tmp_path / "broken.run")
    tune(dataset, chosen, whole.path)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", half)
        with pytest.raises(PowerCutError):
            tune(dataset, chosen, broken.path)
    assert len(list(broken.events())) > 6
    tune(tmp_path, TuneSettings(), broken.path, resume=True)
    curves = [[{**one, "seconds_left": 0} for one in run.events()] for run in (whole, broken)]
    assert curves[0] == curves[1]
    assert not list(broken.path.glob(".*"))


def test_what_is_asked_is_written_down_and_a_changed_set_is_not_resumed(
    dataset, settings, tmp_path
):
    run = RunFolder(tmp_path / "m.run")

    class PowerCutError(Exception):
        pass

    def on_event(event):
        if event["kind"] == "step" and event["step"] == event["steps"] // 2 + 3:
            raise PowerCutError

    chosen = replace(settings, epochs=8)
    with pytest.raises(PowerCutError):
        tune(dataset, chosen, run.path, on_event=on_event)
    record = json.loads((run.path / "run.json").read_text())
    assert TuneSettings(**record["settings"]) == chosen
    assert run.unfinished
    masks = tifffile.imread(dataset / "f0_masks.tif")
    tifffile.imwrite(dataset / "f0_masks.tif", masks[::-1])
    with pytest.raises(ModelError, match="the training set has changed"):
        tune(dataset, chosen, run.path, resume=True)
    with pytest.raises(ModelError, match="holds no unfinished run"):
        tune(dataset, chosen, tmp_path / "other.run", resume=True)


@pytest.mark.parametrize(
    "wrong",
    [
        {"tile_px": 33},
        {"rehearsal_pct": 95},
        {"start_share_pct": 91},
        {"batch": 0},
        {"learning_rate": 0},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TuneSettings(**wrong)
