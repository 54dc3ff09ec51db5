"""Runs that somebody can look at: begun by name, found again, judged, kept."""

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
    """Return where runs lie until they are kept: beside the user's models, in no list of them."""
    return own_models_folder() / "runs"


def free_name(stem: str) -> str:
    """Return a name for a model that nothing has yet: "sand-1", "sand-2", ..."""
    clean = re.sub(r"[^\w.+-]+", "-", stem).strip("-.") or "model"
    number = 1
    while _taken(f"{clean}-{number}"):
        number += 1
    return f"{clean}-{number}"


def begin_run(name: str, folder: str | Path, settings: TuneSettings) -> RunFolder:
    """Make the folder of a new run, after a look at what would stop it at once.

    Parameters
    ----------
    name : str
        Of the model to be.
    folder : str or Path
        The training set.
    settings : TuneSettings

    Raises
    ------
    ReadError, MismatchError
        The set is missing or has nothing to learn from.
    ModelError
        The name is taken or none, or the start cannot be tuned.
    WriteError
        The folder of the user's models cannot be written.
    """
    from grainsmith.train.run_setup import find_start

    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise ModelError(f"{name!r} is no name for a model: letters, digits, . _ + - only")
    if _taken(name):
        raise ModelError(f"there is a model or a run called '{name}': give another name")
    dataset = read_dataset(folder)
    if not dataset.fields:
        raise MismatchError(f"{folder} holds no field", hint=Hint.ADD_FIELDS)
    if not dataset.of_role("train"):
        raise MismatchError("no field of the set has the role 'train': give one that role first")
    find_start(settings)
    run = RunFolder(runs_folder() / f"{name}.run")
    run.begin({"folder": str(folder), "settings": asdict(settings)})
    return run


def unfinished_runs() -> list[RunFolder]:
    """Return the runs that can go on, by name."""
    found = (RunFolder(path) for path in sorted(runs_folder().glob("*.run")))
    return [run for run in found if run.unfinished]


def judge_run(run: RunFolder, *, on_progress: OnProgress = no_progress) -> ModelComparison:
    """Return the judgement of a run: what was written, else made now and written.

    Raises
    ------
    GrainsmithError
        The set, the start or the tuned model cannot be read any more.
    """
    from grainsmith.train.comparison import evaluate_models, read_comparison
    from grainsmith.train.dataset import prepare

    if (run.comparison / "comparison.json").is_file():
        return read_comparison(run.comparison)
    record = run.record()
    study = prepare(record["folder"], record["settings"]["validation"])
    start, tuned = record["settings"]["model"], str(run.model_path)
    found = evaluate_models(start, tuned, study.validation, on_progress=on_progress)
    found.write(run.comparison)
    return found


def judged_field(run: RunFolder, name: str) -> LoadedField:
    """Return image and true grains of a field that a run was judged on."""
    record = run.record()
    other = record["settings"]["validation"]
    folder = record["folder"] if other in ("auto", "none") else other
    known = {one.name: one for one in read_dataset(folder).fields}
    if name not in known:
        raise MismatchError(f"'{name}' is no longer in {folder}")
    return known[name].load()


def keep_model(run: RunFolder) -> ModelEntry:
    """Put the model of a run among the user's own, with its card."""
    return add_model(run.model_path)


def _taken(name: str) -> bool:
    run = RunFolder(runs_folder() / f"{name}.run")
    known = {entry.name for entry in list_models()}
    return name in known or run.model_path.is_file() or run.unfinished
