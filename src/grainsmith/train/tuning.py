"""A training set -> a better model: learn, validate, keep the best, stop, go on."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from grainsmith.errors import GrainsmithError, ModelError, WriteError
from grainsmith.models.catalogue import ModelEntry, find_model
from grainsmith.models.cellpose_sam import is_cellpose4
from grainsmith.models.grainnet import GrainNet, load_grainnet
from grainsmith.models.grainnet_model import choose_device
from grainsmith.train.card import run_record, save_model, start_notes
from grainsmith.train.fields import Fields, prepare
from grainsmith.train.run_folder import RunFolder, ignore_event
from grainsmith.train.sampling import Batches
from grainsmith.train.settings import TuneSettings, default_steps
from grainsmith.train.trainer import Trainer, TrainSettings
from grainsmith.train.validation import Stopped, Validator

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.train.run_folder import OnEvent

_VALIDATIONS = 8
_STATE_EVERY = 50
_LOST_STEPS = 5
"""Batches in a row without a finite gradient after which nothing more can be hoped for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuned:
    """How a run ended.

    Attributes
    ----------
    model : Path or None
        The weights; None where nothing was better than the start.
    kind : str
        "done" or "stopped".
    reason : str
        In the user's words.
    best_step, steps : int
        Step of the weights that were kept, and steps in all.
    before, after : float
        Mean AP@0.5 on the validation fields.
    """

    model: Path | None
    kind: str
    reason: str
    best_step: int
    steps: int
    before: float
    after: float


def tune(
    folder: str | Path,
    settings: TuneSettings,
    run_folder: str | Path,
    *,
    resume: bool = False,
    on_event: OnEvent = ignore_event,
) -> Tuned:
    """Tune a model to a training set.

    Parameters
    ----------
    folder : str or Path
        The training set.
    settings : TuneSettings
    run_folder : str or Path
        `NAME.run`; the model goes beside it as `NAME.pt` with its card `NAME.json`, at the end.
    resume : bool
        Go on with the unfinished run of that folder, with its own settings.
    on_event : callable
        Told what is written to `events.jsonl`. Raising in it ends the run, which can be resumed.

    Raises
    ------
    ReadError, MismatchError
        The set cannot be learnt from.
    ModelError
        The start cannot be tuned, the loss is no number, or there is nothing to resume.
    WriteError
        The disk is full. The model that was there before is untouched, as by every failure.
    """
    run = RunFolder(run_folder, on_event)
    try:
        return _Tuning(str(folder), settings, run, resume=resume).go()
    except GrainsmithError as error:
        with suppress(WriteError):
            run.event("failed", reason=str(error))
        raise
    except MemoryError as error:
        reason = "the memory is full: give fewer tiles per step (--batch) or smaller ones"
        run.event("failed", reason=reason)
        raise ModelError(reason) from error


class _Tuning:
    """One run, from its record to the model."""

    def __init__(self, folder: str, settings: TuneSettings, run: RunFolder, *, resume: bool):
        self.run = run
        if resume:
            folder, settings = _asked_before(run)
        self.settings = settings
        self.start = _start(settings.model)
        self.study = prepare(folder, settings.validation)
        record = run_record(settings, folder, self.study, self.start)
        record["notes"] = [*record["notes"], *start_notes(self.start)]
        if resume:
            _refuse_changed(run.record(), record)
        else:
            run.begin(record)
        for note in () if resume else record["notes"]:
            run.event("note", text=note)
        self._prepare(record, resume=resume)

    def _prepare(self, record: dict[str, Any], *, resume: bool) -> None:
        settings = self.settings
        torch.manual_seed(settings.seed)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        net = load_grainnet(self.start.path)
        self.device = choose_device(settings.device)
        self.batches = Batches(
            self.study,
            Fields(self.study),
            settings,
            diameter_px=float(net.diam_mean.detach()),
            channels=net.channels[0],
        )
        self.steps = default_steps(len(self.study.train))
        if settings.epochs:
            self.steps = settings.epochs * self.batches.steps_per_epoch()
        self.every = max(1, self.steps // _VALIDATIONS)
        rates = TrainSettings(
            steps=self.steps,
            learning_rate=settings.learning_rate,
            final_learning_rate=settings.learning_rate / 50,
            warm_up_steps=min(50, self.steps // 10),
            average_steps=max(1, min(100, self.steps // 8)),
            threads=settings.threads,
        )
        self.trainer = Trainer(net, rates, device=self.device)
        self.validator = Validator(self.study, self.batches, wants_stop=lambda: self._stop_wanted)
        self.standing = {"best": -1.0, "best_step": 0, "before": float("nan"), "no_gain": 0}
        self.used_s = 0.0
        if resume:
            self._take_up()

    def go(self) -> Tuned:
        """Learn until done, stopped, out of time or out of gain."""
        self.clock = time.monotonic() - self.used_s
        kind, reason = "done", "all steps were done"
        try:
            if self.trainer.step == 0:
                self._validate()
            reason = self._learn()
        except Stopped:
            kind, reason = "stopped", "stopped as asked; the best weights so far were kept"
        return self._finish(kind, reason)

    @property
    def _stop_wanted(self) -> bool:
        return self.run.stop_wanted

    def _learn(self) -> str:
        source = self.batches.from_step(self.trainer.step)
        lost = 0
        while self.trainer.step < self.steps:
            if self._stop_wanted:
                raise Stopped
            finite = self.trainer.skipped
            loss = self.trainer.learn(*next(source))
            lost = lost + 1 if self.trainer.skipped > finite else 0
            if lost >= _LOST_STEPS:
                raise ModelError(
                    f"the loss is no number since step {self.trainer.step - lost}: give a lower "
                    "learning rate. The last good model is untouched"
                )
            step = self.trainer.step
            left = (time.monotonic() - self.clock) / step * (self.steps - step)
            self.run.event("step", step=step, steps=self.steps, loss=loss, seconds_left=left)
            if step % self.every == 0 or step == self.steps:
                self._validate()
                self._save_state()
                if self._patience_is_over:
                    return f"no gain in {self.settings.patience} validations"
            elif step % _STATE_EVERY == 0:
                self._save_state()
            if self._out_of_time:
                self._validate()
                return f"the time of {self.settings.minutes:g} minutes is over"
        return "all steps were done"

    @property
    def _patience_is_over(self) -> bool:
        patience = self.settings.patience
        return patience > 0 and not self.study.seen and self.standing["no_gain"] >= patience

    @property
    def _out_of_time(self) -> bool:
        limit = 60 * self.settings.minutes
        return limit > 0 and time.monotonic() - self.clock > limit

    def _validate(self) -> None:
        """Judge the running mean of the weights and keep it where it is the best so far."""
        step = self.trainer.step
        net = self.trainer.best_guess()
        facts = self.validator.judge(net)
        # On fields that are trained on, later always looks better: the last weights are kept.
        value = float(step) if self.study.seen else facts["ap50"]
        best = step > 0 and (value > self.standing["best"] or self.standing["best_step"] == 0)
        if step == 0:
            self.standing |= {"before": facts["ap50"], "best": value}
        elif best:
            self.run.save("best.pt", net.state_dict())
            gained = value > self.standing["best"]
            self.standing |= {"best": value, "best_step": step, "after": facts["ap50"]}
            self.standing["no_gain"] = 0 if gained else self.standing["no_gain"] + 1
        else:
            self.standing["no_gain"] += 1
        self.run.event("validation", step=step, **facts, best=best)

    def _save_state(self) -> None:
        state = {
            "trainer": self.trainer.state(),
            "standing": self.standing,
            "used_s": time.monotonic() - self.clock,
        }
        self.run.save("state.pt", state)

    def _take_up(self) -> None:
        if not self.run.unfinished:
            raise ModelError(f"{self.run.path} holds no unfinished run: start without --resume")
        state = self.run.load("state.pt")
        self.trainer.resume(state["trainer"])
        self.standing, self.used_s = state["standing"], state["used_s"]
        self.run.forget_after(self.trainer.step)

    def _finish(self, kind: str, reason: str) -> Tuned:
        before, after = self.standing["before"], self.standing.get("after", float("nan"))
        best_step = int(self.standing["best_step"])
        model = None
        if best_step:
            net = GrainNet(self.trainer.net.channels)
            net.load_state_dict(self.run.load("best.pt"))
            ended = {
                "ended": reason,
                "best_step": best_step,
                "scores": {"validation_ap50_before": before, "validation_ap50_after": after},
            }
            save_model(self.run, net, self.start, ended)
            model = self.run.model_path
        else:
            reason = "nothing was validated yet, so there is no model"
        self.run.event(kind, reason=reason, step=self.trainer.step, best_step=best_step)
        (self.run.path / "state.pt").unlink(missing_ok=True)
        return Tuned(
            model=model,
            kind=kind,
            reason=reason,
            best_step=best_step,
            steps=self.trainer.step,
            before=before,
            after=after,
        )


def _start(name: str) -> ModelEntry:
    entry = find_model(name)
    if not entry.path.is_file():
        raise ModelError(f"{name} is not on this machine: start from one that is")
    if is_cellpose4(entry.path):
        raise ModelError(
            f"{name} is a Cellpose-SAM network of 305 million weights, which Grainsmith does not "
            "tune: start from 'grains' or a Cellpose 1-3 file, or let Cellpose tune it on a GPU "
            "(`cellpose --train --dir FOLDER`; the set is in its form) and add the result with "
            "`grainsmith models add`"
        )
    return entry


def _asked_before(run: RunFolder) -> tuple[str, TuneSettings]:
    if not run.unfinished:
        raise ModelError(f"{run.path} holds no unfinished run: start without --resume")
    record = run.record()
    try:
        return record["folder"], TuneSettings(**record["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{run.path} is of another version ({error}): start anew") from error


def _refuse_changed(before: dict[str, Any], now: dict[str, Any]) -> None:
    for key, what in (("base", "the start"), ("fields", "the training set")):
        if before[key] != now[key]:
            raise ModelError(f"{what} has changed since the run was stopped: start anew")
