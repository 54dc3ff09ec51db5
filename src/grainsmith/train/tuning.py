"""Tuning of a model to a training set: learn, validate, keep the best weights, stop, resume."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch

from grainsmith.errors import GrainsmithError, Hint, ModelError, WriteError
from grainsmith.models.device import choose_device
from grainsmith.models.finetune import load_tunable
from grainsmith.train.budget import ESTIMATE_AFTER, Budget
from grainsmith.train.checkpoints import BestScore, Checkpoints
from grainsmith.train.dataset import FieldCache, load_training_data
from grainsmith.train.model_card import run_record, save_model, start_notes
from grainsmith.train.run_folder import RunFolder, ignore_event
from grainsmith.train.run_setup import (
    check_unchanged,
    find_start_model,
    recorded_request,
    train_settings,
)
from grainsmith.train.sampling import BatchSampler
from grainsmith.train.settings import TuneSettings, default_steps
from grainsmith.train.trainer import Trainer
from grainsmith.train.validation import StopRequested, Validator

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.models.finetune import Tunable
    from grainsmith.models.registry import ModelEntry
    from grainsmith.train.dataset import TrainingData
    from grainsmith.train.run_folder import OnEvent
    from grainsmith.train.trainer import TrainSettings

_SAVE_EVERY = 50
_MAX_SKIPPED_STEPS = 5
"""Consecutive batches without a finite gradient after which the run fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuningResult:
    """Outcome of a run.

    Attributes
    ----------
    model : Path or None
        The weights; None if it was stopped before the first step.
    kind : str
        "done" or "stopped".
    reason : str
        Why it ended, for the user.
    best_step, steps : int
        Step of the weights that were kept, and number of steps.
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
        `NAME.run`; the model is written beside it as `NAME.pt` with its card `NAME.json` at the
        end.
    resume : bool
        Continue the unfinished run in that folder, with its own set and settings.
    on_event : callable
        Called with every event that is written to `events.jsonl`. An exception raised in it ends
        the run, which can be resumed.

    Returns
    -------
    TuningResult

    Raises
    ------
    ReadError, MismatchError
        The training set cannot be used.
    ModelError
        The start model cannot be tuned, the loss is not finite, or there is nothing to resume.
    WriteError
        The disk is full. As after every failure, an earlier model of that name is untouched.
    """
    run = RunFolder(run_folder, on_event)
    run.clear_stop_request()
    try:
        return _start(str(folder), settings, run, resume=resume).run()
    except StopRequested:
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


def _start(folder: str, settings: TuneSettings, run: RunFolder, *, resume: bool) -> _TuningLoop:
    """Check and record the request, or the recorded one of a run that is resumed."""
    if resume:
        folder, settings = recorded_request(run)
    start = find_start_model(settings)
    data = load_training_data(
        folder, settings.validation, on_progress=lambda *_: _raise_if_stopped(run)
    )
    record = run_record(settings, folder, data, start)
    record["notes"] = [*record["notes"], *start_notes(start)]
    if resume:
        check_unchanged(run.record(), record)
    else:
        run.begin(record)
        for note in record["notes"]:
            run.event("note", text=note)
    loop = _TuningLoop(run, settings, data, start)
    if resume:
        loop.restore()
    return loop


def _raise_if_stopped(run: RunFolder) -> None:
    if run.stop_requested:
        raise StopRequested


class _TuningLoop:
    """Steps and validations of one run."""

    def __init__(
        self, run: RunFolder, settings: TuneSettings, data: TrainingData, start: ModelEntry
    ) -> None:
        device = choose_device(settings.device)
        tunable = load_tunable(start.path, device)
        settings = replace(settings, tile_px=tunable.tile_px or settings.tile_px)
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._run_folder, self._settings, self._data, self._start = run, settings, data, start
        self._rate = tunable.rate
        self._sampler = _sampler(data, settings, tunable)
        self._checkpoints = Checkpoints(run)
        self._best = BestScore()
        steps = default_steps(len(data.train))
        if settings.epochs:
            steps = settings.epochs * self._sampler.steps_per_epoch()
        self._budget = Budget(
            limit_s=60 * settings.minutes,
            requested_steps=steps,
            few_validations=data.validates_on_training,
        )
        self._trainer = Trainer(tunable.net, self._train_settings(steps), device=device)
        self._validator = Validator(
            data, self._sampler, tunable.as_model, stop_requested=lambda: run.stop_requested
        )

    @property
    def steps(self) -> int:
        """Number of steps of the whole run."""
        return self._trainer.settings.steps

    def run(self) -> TuningResult:
        """Learn until all steps are done, the run is stopped, or time or gains run out."""
        kind = "done"
        try:
            if self._trainer.step == 0:
                self._validate()
            reason = self._learn()
        except StopRequested:
            kind, reason = "stopped", self._keep_what_was_learnt()
        return self._finish(kind, reason)

    def restore(self) -> None:
        """Continue from the saved state."""
        state = self._checkpoints.load_state()
        self._best = BestScore(**state["best_score"])
        self._budget.used_s = state["used_s"]
        self._budget.validation_s = state["validation_s"]
        self._trainer.settings = self._train_settings(state["steps"])
        self._trainer.resume(state["trainer"])
        self._run_folder.drop_events_after(self._trainer.step)

    def _learn(self) -> str:
        """Take the steps; return why they ended."""
        batches = self._sampler.batches_from(self._trainer.step)
        n_skipped, learning_s = 0, 0.0
        first = self._trainer.step
        while self._trainer.step < self.steps:
            _raise_if_stopped(self._run_folder)
            skipped, begin = self._trainer.skipped, time.monotonic()
            loss = self._trainer.train_step(*next(batches))
            learning_s += time.monotonic() - begin
            n_skipped = n_skipped + 1 if self._trainer.skipped > skipped else 0
            self._check_finite(n_skipped)
            step = self._trainer.step
            step_s = learning_s / (step - first)
            if step in ESTIMATE_AFTER:
                self._fit_steps(step_s)
                first, learning_s = step, 0.0
            left_s = min(step_s * (self.steps - step), self._budget.remaining_s)
            self._run_folder.event(
                "step", step=step, steps=self.steps, loss=loss, seconds_left=left_s
            )
            if reason := self._after_step(step):
                return reason
        return "all steps were done"

    def _after_step(self, step: int) -> str:
        """Validate and save when due; return why the run ends now, or ""."""
        last = step == self.steps or self._budget.remaining_s <= 0
        if last or self._budget.validates_at(step, self.steps):
            self._validate()
            self._save_state()
            if self._patience_is_over():
                return f"no gain in {self._settings.patience} validations"
        elif step % _SAVE_EVERY == 0:
            self._save_state()
        if last and step < self.steps:
            return f"the time of {self._settings.minutes:g} minutes is over"
        return ""

    def _patience_is_over(self) -> bool:
        patience = self._settings.patience
        decides = patience and not self._data.validates_on_training
        return bool(decides) and self._best.validations_without_gain >= patience

    def _check_finite(self, n_skipped: int) -> None:
        if n_skipped >= _MAX_SKIPPED_STEPS:
            first = self._trainer.step - n_skipped + 1
            remedy = "start from another model" if first == 1 else "lower the learning rate"
            raise ModelError(
                f"the loss has not been finite since step {first}: {remedy}. An earlier model of "
                "this name is untouched"
            )

    def _fit_steps(self, step_s: float) -> None:
        """Shorten the run to the time limit, so that the learning rate falls to its end."""
        steps = self._budget.fitting_steps(self._trainer.step, step_s)
        if steps != self.steps:
            requested = self._budget.requested_steps
            self._run_folder.event(
                "note", text=f"{steps} of {requested} steps fit into the time on this machine"
            )
            self._trainer.settings = self._train_settings(steps)

    def _validate(self) -> None:
        """Score the averaged weights and keep them if they are the best so far."""
        step, begin = self._trainer.step, time.monotonic()
        net = self._trainer.averaged_network()
        scores = self._validator.validate(net)
        self._budget.validation_s = time.monotonic() - begin
        # On training fields, later weights always look better: the last ones are kept.
        value = float(step) if self._data.validates_on_training else scores["ap50"]
        gained = self._best.is_exceeded_by(value, scores["loss"])
        if step == 0:
            self._best.before = scores["ap50"]
            self._best.value, self._best.loss = value, scores["loss"]
            self._trainer.settings = self._train_settings(self.steps)
        elif gained or not self._best.step:
            self._keep(net)
            self._best.value, self._best.loss = value, scores["loss"]
            self._best.after = scores["ap50"]
        if step:
            waited = self._best.validations_without_gain
            self._best.validations_without_gain = 0 if gained else waited + 1
        best = step > 0 and self._best.step == step
        self._run_folder.event("validation", step=step, **scores, best=best)

    def _train_settings(self, steps: int) -> TrainSettings:
        return train_settings(self._settings, steps, rate=self._rate, start_ap50=self._best.before)

    def _keep(self, net: torch.nn.Module) -> None:
        self._checkpoints.save_best(net)
        self._best.step = self._trainer.step

    def _keep_what_was_learnt(self) -> str:
        """Keep the last weights of a stopped run if no others are kept; return the reason."""
        if self._trainer.step and (self._data.validates_on_training or not self._best.step):
            self._keep(self._trainer.averaged_network())
            return "stopped as asked; the last weights were kept"
        return "stopped as asked; the best weights so far were kept"

    def _save_state(self) -> None:
        self._checkpoints.save_state(
            self._trainer,
            self._best,
            elapsed_s=self._budget.elapsed_s,
            validation_s=self._budget.validation_s,
        )

    def _finish(self, kind: str, reason: str) -> TuningResult:
        best = self._best
        if best.step:
            scores = {"before": best.before, "after": best.after}
            outcome = {"ended": reason, "best_step": best.step, "validation_ap50": scores}
            save_model(self._run_folder, self._checkpoints.load_best(), self._start, outcome)
        else:
            reason = "stopped before the first step; no model was written"
        step = self._trainer.step
        self._run_folder.event(kind, reason=reason, step=step, best_step=best.step)
        self._checkpoints.discard_state()
        return TuningResult(
            model=self._run_folder.model_path if best.step else None,
            kind=kind,
            reason=reason,
            best_step=best.step,
            steps=step,
            before=best.before,
            after=best.after,
        )


def _sampler(data: TrainingData, settings: TuneSettings, tunable: Tunable) -> BatchSampler:
    return BatchSampler(
        data,
        FieldCache(data),
        settings,
        diameter_px=tunable.diameter_px,
        channels=tunable.inputs,
        grey_in_all=tunable.grey_in_all,
    )
