"""The card of a tuned model: where it comes from and how good it is."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from grainsmith.io.files.atomic_write import fingerprint
from grainsmith.io.files.provenance import provenance, write_json
from grainsmith.train.run_folder import save_tensors

if TYPE_CHECKING:
    import torch

    from grainsmith.models.registry import ModelEntry
    from grainsmith.train.dataset import TrainingData
    from grainsmith.train.run_folder import RunFolder
    from grainsmith.train.settings import TuneSettings


def run_record(
    settings: TuneSettings, folder: str, study: TrainingData, start: ModelEntry
) -> dict[str, Any]:
    """Say what a run is asked to do: everything that its outcome follows from."""
    return {
        "folder": folder,
        "settings": asdict(settings),
        "base": {"name": start.name, "sha256": fingerprint(start.path)},
        "fields": study.facts,
        "notes": study.notes,
        "versions": provenance([], settings={})["versions"],
    }


def start_notes(start: ModelEntry) -> list[str]:
    """Warn of a start that was itself tuned."""
    if "tuned_from" not in start.card:
        return []
    base = start.card["tuned_from"].get("name", "its base")
    text = (
        f"{start.name} was itself tuned from {base}: tuning again and again drifts away from what "
        f"the base could do. Better start from {base} with all fields in one set"
    )
    return [text]


def save_model(
    run: RunFolder, state: dict[str, torch.Tensor], start: ModelEntry, ended: dict[str, Any]
) -> None:
    """Write the weights and their card; an older model of that name stays whole until then.

    The card first: weights without one would be of unknown descent, a card with older weights is
    found out by its fingerprint.
    """
    record = run.record()
    weights = {
        name: value.half() if value.is_floating_point() else value for name, value in state.items()
    }
    save_tensors(run.path / "model.pt", weights)
    licences = sorted({one["licence"] or "not stated" for one in record["fields"]})
    card = {
        "summary": f"tuned from {start.name} on {_count(record)} fields",
        "tuned_from": record["base"],
        "licence": f"base: {start.card.get('licence', 'not stated')}; "
        f"fields: {', '.join(licences)}",
        "training_images": [one["name"] for one in record["fields"] if one["role"] == "train"],
        "fields": record["fields"],
        "settings": record["settings"],
        "notes": record["notes"],
        "versions": record["versions"],
        **ended,
        "curves": [one for one in run.events() if one["kind"] == "validation"],
        "sha256": fingerprint(run.path / "model.pt"),
    }
    write_json(run.model_path.with_suffix(".json"), card)
    (run.path / "model.pt").replace(run.model_path)


def _count(record: dict[str, Any]) -> int:
    return sum(one["role"] == "train" for one in record["fields"])
