"""A training set -> a better model: learn, validate, keep the best, stop, go on."""

from __future__ import annotations

import math
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from grainsmith.errors import GrainsmithError, Hint, ModelError, WriteError
from grainsmith.models.device import choose_device
from grainsmith.models.finetune import load_tunable
from grainsmith.train.dataset import Fields, prepare
from grainsmith.train.model_card import run_record, save_model, start_notes
from grainsmith.train.run_folder import RunFolder, ignore_event
from grainsmith.train.run_setup import asked_before, find_start, pace, refuse_changed
from grainsmith.train.sampling import Batches
from grainsmith.train.settings import TuneSettings, default_steps
from grainsmith.train.trainer import Trainer, TrainSettings
from grainsmith.train.validation import Cancelled, Validator

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.train.run_folder import OnEvent

_VALIDATIONS, _FEWEST_VALIDATIONS = 8, 2
_VALIDATING = 0.2
"""Share of the time that is there for validations: where they take long, there are fewer."""
_STATE_EVERY = 50
_PACE_KNOWN = (20, 40, 80)
"""Steps after which it is known, better each time, how many the time allows: the first ones are
slower, as made fields are yet to be made."""
_LOST_STEPS = 5
"""Batches in a row without a finite gradient after which nothing more can be hoped for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningResult:
    """How a run ended.

    Attributes
    ----------
    model : Path or None
        The weights; None where it was stopped before the first step.
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
) -> TuningResult:
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
    run.forget_stop()
    try:
        return _Tuning(str(folder), settings, run, resume=resume).go()
    except Cancelled:
        return _stopped_early(run)
    except GrainsmithError as error:
        with suppress(WriteError):
            run.event("failed", reason=str(error))
        raise
    except (MemoryError, torch.cuda.OutOfMemoryError) as error:
        full = ModelError("the memory is full", hint=Hint.SMALLER_TRAINING_BATCH)
        run.event("failed", reason=str(full))
        raise full from error


def _stopped_early(run: RunFolder) -> TuningResult:
    reason = "stopped while the fields were read; nothing was changed"
    run.event("stopped", reason=reason, step=0, best_step=0)
    unknown = float("nan")
    return TuningResult(
        model=None,
        kind="stopped",
        reason=reason,
        best_step=0,
        steps=0,
        before=unknown,
        after=unknown,
    )


class _Tuning:
    """One run, from its record to the model."""

    def __init__(
        self, folder: str, settings: TuneSettings, run: RunFolder, *, resume: bool
    ) -> None:
        self.run = run
        if resume:
            folder, settings = asked_before(run)
        self.start = find_start(settings)
        self.study = prepare(folder, settings.validation, on_progress=self._look_up)
        record = run_record(settings, folder, self.study, self.start)
        record["notes"] = [*record["notes"], *start_notes(self.start)]
        if resume:
            refuse_changed(run.record(), record)
        else:
            run.begin(record)
            for note in record["notes"]:
                run.event("note", text=note)
        device = choose_device(settings.device)
        tunable = load_tunable(self.start.path, device)
        settings = replace(settings, tile_px=tunable.tile_px or settings.tile_px)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self.settings, self.rate = settings, tunable.rate
        self.batches = Batches(
            self.study,
            Fields(self.study),
            settings,
            diameter_px=tunable.diameter_px,
            channels=tunable.inputs,
            grey_in_all=tunable.grey_in_all,
        )
        steps = default_steps(len(self.study.train))
        if settings.epochs:
            steps = settings.epochs * self.batches.steps_per_epoch()
        self.standing = {"best": -1.0, "best_loss": math.inf, "best_step": 0, "no_gain": 0}
        self.wanted = steps
        self.trainer = Trainer(tunable.net, self._pace(steps), device=device)
        self.validator = Validator(
            self.study, self.batches, tunable.as_model, wants_stop=lambda: run.stop_wanted
        )
        self.used_s = 0.0
        if resume:
            self._take_up()
        self.clock = time.monotonic() - self.used_s

    @property
    def steps(self) -> int:
        """Steps in all."""
        return self.trainer.settings.steps

    def go(self) -> TuningResult:
        """Learn until done, stopped, out of time or out of gain."""
        kind = "done"
        try:
            if self.trainer.step == 0:
                self._validate()
            reason = self._learn()
        except Cancelled:
            kind, reason = "stopped", "stopped as asked; the best weights so far were kept"
            if self.trainer.step and (self.study.seen or not self.standing["best_step"]):
                self._keep(self.trainer.best_guess())
                reason = "stopped as asked; the last weights were kept"
        return self._finish(kind, reason)

    def _learn(self) -> str:
        """Take the steps; return why they ended."""
        source = self.batches.from_step(self.trainer.step)
        lost, learning_s = 0, 0.0
        first = self.trainer.step
        while self.trainer.step < self.steps:
            self._look_up()
            skipped, begun = self.trainer.skipped, time.monotonic()
            loss = self.trainer.learn(*next(source))
            learning_s += time.monotonic() - begun
            lost = lost + 1 if self.trainer.skipped > skipped else 0
            self._refuse_nonsense(lost)
            step = self.trainer.step
            each = learning_s / (step - first)
            if step in _PACE_KNOWN:
                self._fit_time(each)
                first, learning_s = step, 0.0
            left = min(each * (self.steps - step), self._time_left)
            self.run.event("step", step=step, steps=self.steps, loss=loss, seconds_left=left)
            ended = self._look_round(step)
            if ended:
                return ended
        return "all steps were done"

    def _look_round(self, step: int) -> str:
        """Validate and save where it is time; return why the run ends now, "" where it goes on."""
        last = step == self.steps or self._time_left <= 0
        if last or step % -(-self.steps // self._validations) == 0:
            self._validate()
            self._save_state()
            patience = self.settings.patience
            if patience and not self.study.seen and self.standing["no_gain"] >= patience:
                return f"no gain in {patience} validations"
        elif step % _STATE_EVERY == 0:
            self._save_state()
        if last and step < self.steps:
            return f"the time of {self.settings.minutes:g} minutes is over"
        return ""

    def _look_up(self, *_: int) -> None:
        if self.run.stop_wanted:
            raise Cancelled

    def _refuse_nonsense(self, lost: int) -> None:
        if lost >= _LOST_STEPS:
            first = self.trainer.step - lost + 1
            cure = "start from another model" if first == 1 else "give a lower learning rate"
            raise ModelError(
                f"the loss is no number since step {first}: {cure}. The model that was there "
                "before is untouched"
            )

    @property
    def _validations(self) -> int:
        # Fields that are trained on decide nothing: looking at them more often only costs time.
        if self.study.seen:
            return _FEWEST_VALIDATIONS
        limit, each_s = 60 * self.settings.minutes, self.standing.get("validation_s", 0.0)
        if not limit or each_s * _VALIDATIONS <= _VALIDATING * limit:
            return _VALIDATIONS
        return max(_FEWEST_VALIDATIONS, int(_VALIDATING * limit / each_s))

    @property
    def _time_left(self) -> float:
        limit = 60 * self.settings.minutes
        return limit - (time.monotonic() - self.clock) if limit else float("inf")

    def _fit_time(self, each_s: float) -> None:
        """Take fewer steps where the time allows no more: the learning rate must come to rest."""
        allowed = self._time_left - self._validations * self.standing.get("validation_s", 0.0)
        if math.isinf(allowed):
            return
        fitting = max(self.trainer.step + int(allowed / each_s), 2 * _PACE_KNOWN[0])
        steps = min(self.wanted, fitting)
        if steps != self.steps:
            self.run.event(
                "note", text=f"{steps} of {self.wanted} steps fit into the time on this machine"
            )
            self.trainer.settings = self._pace(steps)

    def _validate(self) -> None:
        """Judge the running mean of the weights and keep it where it is the best so far."""
        step, begun = self.trainer.step, time.monotonic()
        net = self.trainer.best_guess()
        facts = self.validator.judge(net)
        self.standing["validation_s"] = time.monotonic() - begun
        # On fields that are trained on, later always looks better: the last weights are kept.
        value = float(step) if self.study.seen else facts["ap50"]
        gained = self._better(value, facts["loss"])
        if step == 0:
            self.standing |= {"before": facts["ap50"], "best": value, "best_loss": facts["loss"]}
            self.trainer.settings = self._pace(self.steps)
        elif gained or not self.standing["best_step"]:
            self._keep(net)
            self.standing |= {"best": value, "best_loss": facts["loss"], "after": facts["ap50"]}
        if step:
            self.standing["no_gain"] = 0 if gained else self.standing["no_gain"] + 1
        best = step > 0 and self.standing["best_step"] == step
        self.run.event("validation", step=step, **facts, best=best)

    def _better(self, value: float, loss: float) -> bool:
        """Of equal scores the lower loss is the better: few grains give few different scores."""
        best = self.standing["best"]
        return value > best or (value == best and loss < self.standing["best_loss"])

    def _pace(self, steps: int) -> TrainSettings:
        before = self.standing.get("before", 1.0)
        return pace(self.settings, steps, rate=self.rate, before=before)

    def _keep(self, net: torch.nn.Module) -> None:
        self.run.save("best.pt", net.state_dict())
        self.standing["best_step"] = self.trainer.step

    def _save_state(self) -> None:
        state = {
            "trainer": self.trainer.state(),
            "steps": self.steps,
            "standing": self.standing,
            "used_s": time.monotonic() - self.clock,
        }
        self.run.save("state.pt", state)

    def _take_up(self) -> None:
        state = self.run.load("state.pt")
        self.standing |= state["standing"]
        self.trainer.settings = self._pace(state["steps"])
        self.trainer.resume(state["trainer"])
        self.used_s = state["used_s"]
        self.run.forget_after(self.trainer.step)

    def _finish(self, kind: str, reason: str) -> TuningResult:
        best_step = int(self.standing["best_step"])
        scores = {side: self.standing.get(side, float("nan")) for side in ("before", "after")}
        if best_step:
            ended = {"ended": reason, "best_step": best_step, "validation_ap50": scores}
            save_model(self.run, self.run.load("best.pt"), self.start, ended)
        else:
            reason = "stopped before the first step, so there is no model"
        self.run.event(kind, reason=reason, step=self.trainer.step, best_step=best_step)
        (self.run.path / "state.pt").unlink(missing_ok=True)
        return TuningResult(
            model=self.run.model_path if best_step else None,
            kind=kind,
            reason=reason,
            best_step=best_step,
            steps=self.trainer.step,
            **scores,
        )
