"""Training of networks on labelled fields: tiles, steps, tuning runs, evaluation.

Submodules are imported when a name is first used, so that settings can be read without torch.
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
    from grainsmith.train.run_folder import RunFolder, model_and_run_paths
    from grainsmith.train.settings import TuneSettings
    from grainsmith.train.tiles import Tile, augment, cut_tile, training_targets
    from grainsmith.train.trainer import Trainer, TrainSettings, loss, run_training
    from grainsmith.train.tuning import TuningResult, tune

_MODULES = {
    "comparison": ("ModelComparison", "FieldComparison", "evaluate_models", "read_comparison"),
    "run_folder": ("RunFolder", "model_and_run_paths"),
    "settings": ("TuneSettings",),
    "tiles": ("Tile", "cut_tile", "training_targets", "augment"),
    "trainer": ("Trainer", "TrainSettings", "loss", "run_training"),
    "tuning": ("TuningResult", "tune"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}

__all__ = [
    "FieldComparison",
    "ModelComparison",
    "RunFolder",
    "Tile",
    "TrainSettings",
    "Trainer",
    "TuneSettings",
    "TuningResult",
    "augment",
    "cut_tile",
    "evaluate_models",
    "loss",
    "model_and_run_paths",
    "read_comparison",
    "run_training",
    "training_targets",
    "tune",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


make_callable(__name__)
