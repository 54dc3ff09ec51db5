"""What a run sets out from: the start, the set, the pace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grainsmith.errors import ModelError
from grainsmith.models.catalogue import ModelEntry, find_model
from grainsmith.models.cellpose_sam import is_cellpose4
from grainsmith.train.settings import TuneSettings
from grainsmith.train.trainer import TrainSettings

if TYPE_CHECKING:
    from grainsmith.train.run_folder import RunFolder


def find_start(name: str) -> ModelEntry:
    """Return the model to start from.

    Raises
    ------
    ModelError
        It is unknown, not on this machine, or of a form that is not tuned here.
    """
    entry = find_model(name)
    if entry.kind == "download" or is_cellpose4(entry.path):
        raise ModelError(
            f"{name} is a Cellpose-SAM network of 305 million weights, which Grainsmith does not "
            "tune: start from 'grains' or a Cellpose 1-3 file, or let Cellpose tune it on a GPU "
            "(`cellpose --train --dir FOLDER`; the set is in its form) and add the result with "
            "`grainsmith models add`"
        )
    return entry


def asked_before(run: RunFolder) -> tuple[str, TuneSettings]:
    """Return folder and settings of an unfinished run; raise ModelError where there is none."""
    if not run.unfinished:
        raise ModelError(f"{run.path} holds no unfinished run: start without --resume")
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


def pace(settings: TuneSettings, steps: int) -> TrainSettings:
    """Return learning rates for so many steps."""
    return TrainSettings(
        steps=steps,
        learning_rate=settings.learning_rate,
        final_learning_rate=settings.learning_rate / 50,
        warm_up_steps=min(50, steps // 10),
        average_steps=max(1, min(100, steps // 8)),
        start_share=settings.start_share_pct / 100,
        keep_statistics=True,
        threads=settings.threads,
    )
