"""What a run sets out from: the start, the set, the pace."""

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

_GOOD_START = 0.5


def find_start(settings: TuneSettings) -> ModelEntry:
    """Return the model to start from.

    Raises
    ------
    ModelError
        It is unknown, not on this machine, or more than this machine can tune.
    """
    entry = find_weights(settings.model)
    refuse_untunable(entry.name, entry.path, choose_device(settings.device), settings.batch)
    return entry


def asked_before(run: RunFolder) -> tuple[str, TuneSettings]:
    """Return folder and settings of an unfinished run; raise ModelError where there is none."""
    if not run.unfinished:
        raise ModelError(f"{run.path} holds no unfinished run", hint=Hint.START_NEW_TRAINING)
    record = run.record()
    try:
        return record["folder"], TuneSettings(**record["settings"])
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{run.path} is of another version ({error}): start anew") from error


def refuse_changed(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise ModelError where a run cannot go on as it began."""
    for key, what in (("base", "the start"), ("fields", "the training set")):
        if before[key] != now[key]:
            raise ModelError(f"{what} has changed since the run was broken off: start anew")


def pace(
    settings: TuneSettings, steps: int, *, rate: float = 1.0, before: float = 1.0
) -> TrainSettings:
    """Return how to learn in so many steps.

    Parameters
    ----------
    settings : TuneSettings
    steps : int
    rate : float
        Of the learning rate, how much the network bears.
    before : float
        AP@0.5 of the start: of one that finds little, little is worth keeping.
    """
    height = rate * settings.learning_rate
    kept = min(1.0, before / _GOOD_START) if math.isfinite(before) else 1.0
    return TrainSettings(
        steps=steps,
        learning_rate=height,
        final_learning_rate=height / 50,
        warm_up_steps=min(50, steps // 10),
        average_steps=max(1, min(100, steps // 8)),
        start_share=kept * settings.start_share_pct / 100,
        keep_statistics=True,
        threads=settings.threads,
    )
