"""Named runs: start, list, compare with the start model, keep."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING

from grainsmith.data import OnProgress, no_progress
from grainsmith.errors import Hint, MismatchError, ModelError
from grainsmith.io.dataset import read_dataset
from grainsmith.models.registry import add_model, list_models, own_models_folder
from grainsmith.train.run_folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.io.dataset import LoadedField
    from grainsmith.models.registry import ModelEntry
    from grainsmith.train.comparison import ModelComparison
    from grainsmith.train.settings import TuneSettings


def runs_folder() -> Path:
    """Return the folder of runs whose models are not among the user's models yet."""
    return own_models_folder() / "runs"


def free_name(stem: str) -> str:
    """Return an unused name for a model: "sand-1", "sand-2", ..."""
    clean = re.sub(r"[^\w.+-]+", "-", stem).strip("-.") or "model"
    number = 1
    while _is_taken(f"{clean}-{number}"):
        number += 1
    return f"{clean}-{number}"


def start_run(name: str, folder: str | Path, settings: TuneSettings) -> RunFolder:
    """Create the folder of a new run, after checking what would make it fail at once.

    Parameters
    ----------
    name : str
        Name of the new model.
    folder : str or Path
        The training set.
    settings : TuneSettings

    Raises
    ------
    ReadError, MismatchError
        The set is missing or holds no training field.
    ModelError
        The name is taken or invalid, or the start model cannot be tuned.
    WriteError
        The folder of the user's models is not writable.
    """
    from grainsmith.train.run_setup import find_start_model

    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ModelError(f"{name!r} is not a valid model name: use letters, digits, . _ + -")
    if _is_taken(name):
        raise ModelError(f"a model or run named '{name}' exists: choose another name")
    dataset = read_dataset(folder)
    if not dataset.fields:
        raise MismatchError(f"{folder} holds no field", hint=Hint.ADD_FIELDS)
    if not dataset.of_role("train"):
        raise MismatchError("the set has no training field: give a field the role 'train'")
    find_start_model(settings)
    run = RunFolder(runs_folder() / f"{name}.run")
    run.begin({"folder": str(folder), "settings": asdict(settings)})
    return run


def unfinished_runs() -> list[RunFolder]:
    """Return the runs that can be resumed, by name."""
    runs = (RunFolder(path) for path in sorted(runs_folder().glob("*.run")))
    return [run for run in runs if run.unfinished]


def compare_run(run: RunFolder, *, on_progress: OnProgress = no_progress) -> ModelComparison:
    """Compare the tuned model of a run with its start model; written once, then read.

    Raises
    ------
    GrainsmithError
        The set, the start model or the tuned model cannot be read.
    """
    from grainsmith.train.comparison import evaluate_models, read_comparison
    from grainsmith.train.dataset import load_training_data

    if (run.comparison_folder / "comparison.json").is_file():
        return read_comparison(run.comparison_folder)
    record = run.record()
    data = load_training_data(record["folder"], record["settings"]["validation"])
    start, tuned = record["settings"]["model"], str(run.model_path)
    comparison = evaluate_models(start, tuned, data.validation, on_progress=on_progress)
    comparison.write(run.comparison_folder)
    return comparison


def comparison_field(run: RunFolder, name: str) -> LoadedField:
    """Return image and true labels of a field of a comparison."""
    record = run.record()
    validation = record["settings"]["validation"]
    folder = record["folder"] if validation in ("auto", "none") else validation
    fields = {field.name: field for field in read_dataset(folder).fields}
    if name not in fields:
        raise MismatchError(f"'{name}' is no longer in {folder}")
    return fields[name].load()


def keep_model(run: RunFolder) -> ModelEntry:
    """Add the model of a run to the user's models, with its card."""
    return add_model(run.model_path)


def _is_taken(name: str) -> bool:
    run = RunFolder(runs_folder() / f"{name}.run")
    known = {entry.name for entry in list_models()}
    return name in known or run.model_path.is_file() or run.unfinished
