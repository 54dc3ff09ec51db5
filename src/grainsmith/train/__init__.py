"""Tiles -> weights: a network learns from a training set, can stop and go on, and is judged.

Torch is loaded by the first name that needs it: forms and command lines want the settings only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from grainsmith._callable_package import make_callable

if TYPE_CHECKING:
    from grainsmith.train.comparison import (
        FieldComparison,
        ModelComparison,
        evaluate_models,
        read_comparison,
    )
    from grainsmith.train.run_folder import RunFolder, places
    from grainsmith.train.settings import TuneSettings
    from grainsmith.train.tiles import Tile, cut_tile, targets, vary
    from grainsmith.train.trainer import Trainer, TrainSettings, loss, run_training
    from grainsmith.train.tuning import TuningResult, tune

_ROOMS = {
    "comparison": ("ModelComparison", "FieldComparison", "evaluate_models", "read_comparison"),
    "run_folder": ("RunFolder", "places"),
    "settings": ("TuneSettings",),
    "tiles": ("Tile", "cut_tile", "targets", "vary"),
    "trainer": ("Trainer", "TrainSettings", "loss", "run_training"),
    "tuning": ("TuningResult", "tune"),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = [
    "FieldComparison",
    "ModelComparison",
    "RunFolder",
    "Tile",
    "TrainSettings",
    "Trainer",
    "TuneSettings",
    "TuningResult",
    "cut_tile",
    "evaluate_models",
    "loss",
    "places",
    "read_comparison",
    "run_training",
    "targets",
    "tune",
    "vary",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


make_callable(__name__)
