"""Card of a tuned model: its origin and its scores."""

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
    settings: TuneSettings, folder: str, data: TrainingData, start: ModelEntry
) -> dict[str, Any]:
    """Return the request of a run: everything that determines its outcome."""
    return {
        "folder": folder,
        "settings": asdict(settings),
        "base": {"name": start.name, "sha256": fingerprint(start.path)},
        "fields": data.records,
        "notes": data.notes,
        "versions": provenance([], settings={})["versions"],
    }


def start_notes(start: ModelEntry) -> list[str]:
    """Return a warning if the start model was itself tuned."""
    if "tuned_from" not in start.card:
        return []
    base = start.card["tuned_from"].get("name", "its base")
    text = (
        f"{start.name} was itself tuned from {base}, and every tuning drifts away from what the "
        f"base could do. Better start from {base} with all fields in one set"
    )
    return [text]


def save_model(
    run: RunFolder, state: dict[str, torch.Tensor], start: ModelEntry, outcome: dict[str, Any]
) -> None:
    """Write the weights and their card; an older model of that name stays whole until then.

    The card is written first: weights without one would be of unknown origin, while a card beside
    older weights is detected by its fingerprint.
    """
    record = run.record()
    weights = {
        name: value.half() if value.is_floating_point() else value for name, value in state.items()
    }
    save_tensors(run.path / "model.pt", weights)
    licences = sorted({field["licence"] or "not stated" for field in record["fields"]})
    card = {
        "summary": f"tuned from {start.name} on {_n_training_fields(record)} fields",
        "tuned_from": record["base"],
        "licence": f"base: {start.card.get('licence', 'not stated')}; "
        f"fields: {', '.join(licences)}",
        "training_images": [
            field["name"] for field in record["fields"] if field["role"] == "train"
        ],
        "fields": record["fields"],
        "settings": record["settings"],
        "notes": record["notes"],
        "versions": record["versions"],
        **outcome,
        "curves": [event for event in run.events() if event["kind"] == "validation"],
        "sha256": fingerprint(run.path / "model.pt"),
    }
    write_json(run.model_path.with_suffix(".json"), card)
    (run.path / "model.pt").replace(run.model_path)


def _n_training_fields(record: dict[str, Any]) -> int:
    return sum(field["role"] == "train" for field in record["fields"])
