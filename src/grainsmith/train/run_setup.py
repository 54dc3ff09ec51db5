"""Start model, recorded request and learning rates of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from grainsmith.errors import Hint, ModelError
from grainsmith.models.device import choose_device
from grainsmith.models.finetune import refuse_untunable
from grainsmith.models.registry import ModelEntry, find_weights
from grainsmith.train.settings import TuneSettings
from grainsmith.train.trainer import TrainSettings

if TYPE_CHECKING:
    from grainsmith.train.run_folder import RunFolder

_GOOD_AP50 = 0.5


def find_start_model(settings: TuneSettings) -> ModelEntry:
    """Return the model to start from.

    Raises
    ------
    ModelError
        It is unknown, not on this machine, or too large to be tuned here.
    """
    entry = find_weights(settings.model)
    refuse_untunable(entry.name, entry.path, choose_device(settings.device), settings.batch)
    return entry


def recorded_request(run: RunFolder) -> tuple[str, TuneSettings]:
    """Return training set and settings of an unfinished run.

    Raises
    ------
    ModelError
        There is no unfinished run, or it was recorded by an incompatible version.
    """
    if not run.unfinished:
        raise ModelError(f"{run.path} holds no unfinished run", hint=Hint.START_NEW_TRAINING)
    record = run.record()
    try:
        return record["folder"], TuneSettings(**record["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{run.path} was written by another version ({error}): start a new run"
        ) from error


def check_unchanged(recorded: dict[str, Any], present: dict[str, Any]) -> None:
    """Raise ModelError if start model or training set changed since a run was recorded."""
    for key, what in (("base", "the start model"), ("fields", "the training set")):
        if recorded[key] != present[key]:
            raise ModelError(f"{what} has changed since the run was interrupted: start a new run")


def train_settings(
    settings: TuneSettings, steps: int, *, rate: float = 1.0, start_ap50: float = math.nan
) -> TrainSettings:
    """Return learning rates and averages for a number of steps.

    Parameters
    ----------
    settings : TuneSettings
    steps : int
    rate : float
        Factor on the learning rate that suits the network.
    start_ap50 : float
        AP@0.5 of the start model on the validation fields; the lower it is, the less of its
        weights is kept. NaN if unknown.
    """
    highest = rate * settings.learning_rate
    quality = min(1.0, start_ap50 / _GOOD_AP50) if math.isfinite(start_ap50) else 1.0
    return TrainSettings(
        steps=steps,
        learning_rate=highest,
        final_learning_rate=highest / 50,
        warm_up_steps=min(50, steps // 10),
        average_steps=max(1, min(100, steps // 8)),
        start_share=quality * settings.start_share_pct / 100,
        freeze_statistics=True,
        threads=settings.threads,
    )
