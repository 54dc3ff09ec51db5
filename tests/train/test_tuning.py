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
from grainsmith.train import RunFolder, TuneSettings, model_and_run_paths, tune
from grainsmith.train import budget as budget_module
from grainsmith.train import dataset as dataset_module
from grainsmith.train import trainer as trainer_module
from grainsmith.train import tuning as tuning_module
from grainsmith.train import validation as validation_module
from grainsmith.train.budget import Budget
from grainsmith.train.checkpoints import BestScore, Checkpoints
from grainsmith.train.dataset import FieldCache, load_training_data
from grainsmith.train.sampling import BatchSampler
from grainsmith.train.validation import Validator


@pytest.fixture(autouse=True)
def _no_synthetic_fields(monkeypatch):
    monkeypatch.setattr(validation_module, "held_out_synthetic_fields", lambda: ())


def _use_clock(monkeypatch, clock):
    """Let the run measure time by `clock.now`."""
    for module in (budget_module, tuning_module):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: clock.now))


def events_of(run, kind):
    return [event for event in RunFolder(run).events() if event["kind"] == kind]


def losses(run):
    return [event["loss"] for event in events_of(run, "step")]


def test_a_run_writes_events_model_and_card_and_is_listed(dataset, settings, tmp_path, monkeypatch):
    monkeypatch.setenv("GRAINSMITH_MODELS", str(tmp_path / "models"))
    model, run = model_and_run_paths("mine")
    events = []
    result = tune(dataset, settings, run, on_event=events.append)
    assert result.kind == "done"
    assert result.model == model
    assert list(RunFolder(run).events()) == events
    kinds = [event["kind"] for event in events]
    assert kinds[:2] == ["note", "validation"]
    assert kinds[-1] == "done"
    steps = [event for event in events if event["kind"] == "step"]
    assert [event["step"] for event in steps] == list(range(1, steps[0]["steps"] + 1))
    validations = [event for event in events if event["kind"] == "validation"]
    assert {"loss", "ap50", "d50_error_pct", "fields", "best", "step"} <= validations[0].keys()
    entry = next(entry for entry in list_models() if entry.name == "mine")
    assert entry.card["tuned_from"]["name"] == "tiny"
    roles = {field["name"]: field["role"] for field in entry.card["fields"]}
    assert sorted(roles.values()) == ["train", "train", "validation"]
    assert all(len(sha) == 64 for field in entry.card["fields"] for sha in field["sha256"].values())
    assert entry.card["sha256"] == load_model("mine").fingerprint
    assert not RunFolder(run).unfinished


def test_labels_that_are_not_trusted_do_not_change_the_loss(settings, tmp_path):
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


def test_a_stop_request_ends_the_run_after_the_step(dataset, settings, tmp_path):
    run = RunFolder(tmp_path / "m.run")

    def on_event(event):
        if event["kind"] == "step" and event["step"] == 30:
            run.request_stop()

    result = tune(dataset, replace(settings, epochs=500), run.path, on_event=on_event)
    assert (result.kind, result.steps) == ("stopped", 30)
    assert load_model(str(tmp_path / "m.pt"))
    assert list(run.events())[-1]["kind"] == "stopped"


def test_a_stop_request_ends_a_validation_after_one_tile(dataset, settings, tmp_path, monkeypatch):
    run, predict, seen = RunFolder(tmp_path / "m.run"), GrainNetModel.predict, []

    def look(model, tile):
        seen.append(tile.shape)
        run.request_stop()
        return predict(model, tile)

    monkeypatch.setattr(GrainNetModel, "predict", look)
    result = tune(dataset, settings, run.path)
    assert (result.kind, result.model, len(seen)) == ("stopped", None, 1)


def test_a_stop_request_ends_reading_and_an_old_one_is_ignored(
    dataset, settings, tmp_path, monkeypatch
):
    run, look_at, seen = RunFolder(tmp_path / "m.run"), dataset_module._inspect, []
    run.begin({})
    run.request_stop()

    def look(field, role):
        seen.append(field.name)
        run.request_stop()
        return look_at(field, role)

    with monkeypatch.context() as patch:
        patch.setattr(dataset_module, "_inspect", look)
        result = tune(dataset, settings, run.path)
    assert (result.kind, result.model, len(seen)) == ("stopped", None, 1)
    assert "while the fields were read" in list(run.events())[-1]["reason"]
    assert tune(dataset, settings, run.path).kind == "done"


def test_a_loss_that_is_not_finite_fails_the_run_and_keeps_the_earlier_model(
    dataset, settings, tmp_path, monkeypatch
):
    (tmp_path / "m.pt").write_bytes(b"the last good model")
    factors, true_loss = chain([1.0, 1.0], repeat(torch.nan)), trainer_module.loss
    monkeypatch.setattr(
        trainer_module, "loss", lambda output, wanted: true_loss(output, wanted) * next(factors)
    )
    with pytest.raises(ModelError, match="not been finite since step 3: lower the learning rate"):
        tune(dataset, replace(settings, epochs=20), tmp_path / "m.run")
    monkeypatch.undo()
    assert (tmp_path / "m.pt").read_bytes() == b"the last good model"
    last = list(RunFolder(tmp_path / "m.run").events())[-1]
    assert last["kind"] == "failed"
    assert "finite" in last["reason"]


def test_a_full_disk_is_reported_and_the_earlier_model_stays(
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


def test_unusable_training_sets_are_refused_with_the_name_of_the_file(dataset, settings, tmp_path):
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
    for path in dataset.glob("*_masks.tif"):
        tifffile.imwrite(path, np.zeros((64, 64), np.uint16))
    refused(MismatchError, "no training field of .* holds a trusted grain")
    with pytest.raises(ReadError, match="is not a folder"):
        tune(tmp_path / "nowhere", settings, tmp_path / "m.run")
    (tmp_path / "empty").mkdir()
    with pytest.raises(MismatchError, match="holds no field"):
        tune(tmp_path / "empty", settings, tmp_path / "m.run")
    assert not (tmp_path / "m.pt").exists()


def test_missing_start_models_and_validation_sets_are_refused(dataset, settings, tmp_path):
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
    with pytest.raises(ModelError, match="not been finite since step 1: start from another model"):
        tune(dataset, chosen, tmp_path / "m.run")
    assert not (tmp_path / "m.pt").exists()


def test_a_single_field_trains_with_a_note_that_nothing_validates(dataset, settings, tmp_path):
    for name in ("f1", "f2"):
        (dataset / f"{name}.tif").unlink()
        (dataset / f"{name}_masks.tif").unlink()
    events = []
    result = tune(dataset, settings, tmp_path / "m.run", on_event=events.append)
    assert "no field validates" in events[0]["text"]
    assert result.best_step == result.steps


def test_a_validation_folder_of_its_own(dataset, settings, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    for path in dataset.glob("f2*"):
        (other / path.name).write_bytes(path.read_bytes())
    with pytest.raises(MismatchError, match="f2: in both the training and the validation set"):
        load_training_data(dataset, str(other))
    for path in dataset.glob("f2*"):
        path.unlink()
    data = load_training_data(dataset, str(other))
    assert [field.name for field in data.validation] == ["f2"]
    assert len(data.train) == 2


def test_a_start_model_that_was_itself_tuned_gives_a_warning(dataset, settings, tmp_path):
    tune(dataset, settings, tmp_path / "m.run")
    events = []
    again = replace(settings, model=str(tmp_path / "m.pt"))
    tune(dataset, again, tmp_path / "n.run", on_event=events.append)
    assert any("m was itself tuned from tiny" in event.get("text", "") for event in events)


def test_a_cellpose_file_of_two_channels_can_be_tuned(dataset, settings, tmp_path):
    torch.save(GrainNet((2, 4, 8)).state_dict(), tmp_path / "cyto.pt")
    result = tune(dataset, replace(settings, model=str(tmp_path / "cyto.pt")), tmp_path / "m.run")
    assert load_model(str(result.model)).predict(np.zeros((32, 32), np.float32)).shape[0] == 3


def test_training_stops_early_and_keeps_the_best_weights(dataset, settings, tmp_path, monkeypatch):
    values = iter([0.1, 0.3, 0.25, 0.2, 0.2, 0.2])

    def validate(self, net):
        return {"loss": 1.0, "ap50": next(values), "d50_error_pct": 0.0, "fields": {}}

    monkeypatch.setattr(Validator, "validate", validate)
    chosen = replace(settings, epochs=16, patience=2)
    result = tune(dataset, chosen, tmp_path / "m.run")
    validations = [
        event for event in RunFolder(tmp_path / "m.run").events() if event["kind"] == "validation"
    ]
    assert result.reason == "no gain in 2 validations"
    assert [event["best"] for event in validations] == [False, True, False, False]
    assert result.best_step == validations[1]["step"]
    assert (result.before, result.after) == (0.1, 0.3)


def test_the_lower_loss_decides_between_equal_scores(dataset, settings, tmp_path, monkeypatch):
    scores = [(0.1, 9.0), (0.3, 2.0), (0.3, 2.5), (0.3, 1.5), (0.3, 1.5), (0.2, 1.0), (0.3, 1.4)]
    values = iter([*scores, (0.3, 1.6), (0.3, 1.6)])

    def validate(self, net):
        ap50, loss = next(values)
        return {"loss": loss, "ap50": ap50, "d50_error_pct": 0.0, "fields": {}}

    monkeypatch.setattr(Validator, "validate", validate)
    result = tune(dataset, replace(settings, epochs=16, patience=3), tmp_path / "m.run")
    validations = [
        event for event in RunFolder(tmp_path / "m.run").events() if event["kind"] == "validation"
    ]
    best = [False, True, False, True, False, False, True, False, False]
    assert [event["best"] for event in validations] == best
    assert result.best_step == validations[6]["step"]


def test_the_time_limit_ends_it_with_a_model(dataset, settings, tmp_path):
    chosen = replace(settings, epochs=5000, minutes=0.02)
    result = tune(dataset, chosen, tmp_path / "m.run")
    assert "the time of 0.02 minutes is over" in result.reason or "all steps" in result.reason
    assert result.model.is_file()


def test_the_time_is_used_to_its_end_though_the_first_steps_are_slow(
    dataset, settings, tmp_path, monkeypatch
):
    clock, learn = SimpleNamespace(now=0.0), trainer_module.Trainer.train_step

    def slow_at_first(self, *batch):
        clock.now += 3 if self.step < 20 else 1
        return learn(self, *batch)

    monkeypatch.setattr(trainer_module.Trainer, "train_step", slow_at_first)
    _use_clock(monkeypatch, clock)
    events = []
    chosen = replace(settings, epochs=5000, minutes=4, validation="none")
    result = tune(dataset, chosen, tmp_path / "m.run", on_event=events.append)
    assert result.steps == 20 + (240 - 60)
    notes = [event["text"].split()[0] for event in events if "fit into" in event.get("text", "")]
    assert notes == ["80", "200"]


def test_validations_that_take_long_are_few(dataset, settings, tmp_path, monkeypatch):
    clock, learn, validated = SimpleNamespace(now=0.0), trainer_module.Trainer.train_step, []

    def learn_for_a_second(self, *batch):
        clock.now += 1
        return learn(self, *batch)

    def validate(self, net):
        clock.now += 16
        validated.append(clock.now)
        return {"loss": 1.0, "ap50": 0.5, "d50_error_pct": 0.0, "fields": {}}

    monkeypatch.setattr(trainer_module.Trainer, "train_step", learn_for_a_second)
    monkeypatch.setattr(Validator, "validate", validate)
    _use_clock(monkeypatch, clock)
    result = tune(dataset, replace(settings, epochs=5000, minutes=4), tmp_path / "m.run")
    # A fifth of the time is three of them, and one more at the beginning.
    assert len(validated) == 1 + 3
    assert result.steps > 150
    assert clock.now <= 4 * 60


@pytest.mark.parametrize(
    ("before", "kept"), [(0.05, 0.05), (0.25, 0.25), (0.5, 0.5), (0.9, 0.5), (math.nan, 0.5)]
)
def test_less_of_a_poor_start_model_is_kept(dataset, settings, tmp_path, monkeypatch, before, kept):
    shares, averaged_network = [], trainer_module.Trainer.averaged_network

    def guess(self):
        shares.append(self.settings.start_share)
        return averaged_network(self)

    def validate(self, net):
        return {"loss": 1.0, "ap50": before, "d50_error_pct": 0.0, "fields": {}}

    monkeypatch.setattr(trainer_module.Trainer, "averaged_network", guess)
    monkeypatch.setattr(Validator, "validate", validate)
    tune(dataset, replace(settings, start_share_pct=50), tmp_path / "m.run")
    assert shares[-1] == pytest.approx(kept)


def test_the_cache_drops_fields_when_memory_is_small(dataset):
    data = load_training_data(dataset, "none")
    small, large = FieldCache(data, max_bytes=1), FieldCache(data)
    for field in data.train:
        small[field.name], large[field.name]
    assert small.nbytes == (64 + 2 * MARGIN_PX) ** 2 * 20
    assert large.nbytes == 3 * small.nbytes


def test_batches_follow_from_the_step_alone_and_the_scale_from_the_grains(dataset, settings):
    data = load_training_data(dataset, "none")
    batches = [BatchSampler(data, FieldCache(data), settings, diameter_px=15.0) for _ in range(2)]
    ahead = batches[0].batches_from(0)
    three = [next(ahead) for _ in range(3)]
    torch.testing.assert_close(three[2], batches[1].batch(2))
    assert not torch.equal(three[1][0], three[2][0])
    found = np.unique(tifffile.imread(dataset / "f0_masks.tif"), return_counts=True)[1][1:]
    diameters = np.sqrt(found * 4 / np.pi)
    assert diameters.min() <= data.diameters_px["f0"] <= np.median(diameters)


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


def test_the_state_is_written_after_the_events_before_it(tmp_path, monkeypatch):
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
        with pytest.raises(
            ModelError, match=r"state.pt cannot be read, .* resumed: start a new run"
        ):
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
    curves = [[{**event, "seconds_left": 0} for event in run.events()] for run in (whole, broken)]
    assert curves[0] == curves[1]
    assert not list(broken.path.glob(".*"))


def test_the_request_is_recorded_and_a_changed_set_is_not_resumed(dataset, settings, tmp_path):
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
def test_invalid_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TuneSettings(**wrong)


def test_the_state_of_an_earlier_version_can_be_resumed(tmp_path):
    run = RunFolder(tmp_path / "m.run")
    run.event("step", step=40)
    standing = {"best": 0.4, "best_loss": 1.5, "best_step": 20, "no_gain": 1, "before": 0.3}
    standing |= {"after": 0.4, "validation_s": 2.0}
    run.save("state.pt", {"trainer": {}, "steps": 80, "standing": standing, "used_s": 60.0})
    state = Checkpoints(run).load_state()
    best = BestScore(**state["best_score"])
    assert (best.value, best.step, best.validations_without_gain) == (0.4, 20, 1)
    assert (best.before, best.after, state["validation_s"]) == (0.3, 0.4, 2.0)


def test_the_budget_fits_steps_and_validations_into_the_time(monkeypatch):
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(budget_module, "time", SimpleNamespace(monotonic=lambda: clock.now))
    free = Budget(limit_s=0, requested_steps=500)
    assert free.fitting_steps(20, 1000.0) == 500
    budget = Budget(limit_s=100, requested_steps=500, used_s=10)
    clock.now = 10
    assert budget.remaining_s == 80
    assert budget.fitting_steps(20, 1.0) == 100
    budget.validation_s = 10
    assert budget.n_validations == 2
    assert budget.fitting_steps(20, 1.0) == 80
