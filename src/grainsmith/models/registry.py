"""Registry of embedded, own and downloadable models."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from platformdirs import user_data_path

from grainsmith.errors import Hint, ModelError
from grainsmith.io.files.atomic_write import atomic_write, fingerprint

if TYPE_CHECKING:
    from grainsmith.models.model import Model

EMBEDDED = Path(__file__).parent / "weights"
SAM_NAMES = ("cpsam_v2", "cpsam")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    """A model in the registry.

    Attributes
    ----------
    name : str
        Name by which it is chosen.
    kind : str
        "embedded", "own" or "download".
    path : Path
        The weights file; a downloadable one may not exist yet.
    card : dict
        Model card: training data, licence, scores, ...
    """

    name: str
    kind: str
    path: Path
    card: dict[str, Any] = field(default_factory=dict)


def own_models_folder() -> Path:
    """Return the folder of the user's own models; the variable GRAINSMITH_MODELS overrides it."""
    import os

    chosen = os.environ.get("GRAINSMITH_MODELS")
    return Path(chosen) if chosen else user_data_path("grainsmith", appauthor=False) / "models"


def list_models() -> list[ModelEntry]:
    """List all models by kind: embedded, own, downloadable."""
    entries = [_entry(path, "embedded") for path in sorted(EMBEDDED.glob("*.pt"))]
    entries += [_entry(path, "own") for path in sorted(own_models_folder().glob("*.pt"))]
    return entries + [_sam_entry(name) for name in SAM_NAMES[:1]]


def find_model(name: str) -> ModelEntry:
    """Look up a model by its name or the path of its weights file.

    Raises
    ------
    ModelError
        There is neither a model nor a file of that name.
    """
    entries = {entry.name: entry for entry in list_models()}
    if name in entries:
        return entries[name]
    if name in SAM_NAMES:
        return _sam_entry(name)
    if Path(name).is_file():
        return _entry(Path(name), "own")
    raise ModelError(f"there is no model {name!r}", hint=Hint.LIST_MODELS, names=", ".join(entries))


def find_weights(name: str) -> ModelEntry:
    """Look up a model whose weights are on this machine.

    Raises
    ------
    ModelError
        It is unknown or has not been downloaded.
    """
    entry = find_model(name)
    if entry.kind == "download" and not entry.path.is_file():
        raise ModelError(
            f"{name} is not on this machine yet",
            hint=Hint.DOWNLOAD_MODEL,
            name=name,
            size_mb=entry.card["size_mb"],
            licence=entry.card["licence"],
        )
    return entry


def add_model(path: str | Path, *, name: str = "") -> ModelEntry:
    """Copy a weights file into the user's models after checking that it loads.

    Parameters
    ----------
    path : str or Path
        Weights of the Cellpose 1-3 form, or a fine-tuned Cellpose 4 file.
    name : str
        New name of the model; by default that of the file.
    """
    source = Path(path)
    if not source.is_file():
        raise ModelError(f"model file {source} does not exist")
    chosen = name or source.stem
    if not re.fullmatch(r"[\w.+-]+", chosen):
        raise ModelError(f"{chosen!r} is not a valid name: use letters, digits, . _ + - only")
    if chosen in {entry.name for entry in list_models() if entry.kind != "own"}:
        raise ModelError(f"{chosen!r} is the name of a built-in model: add it under another name")
    load_model(str(source))
    target = own_models_folder() / f"{chosen}.pt"
    with atomic_write(target) as temporary:
        shutil.copyfile(source, temporary)
    card = source.with_suffix(".json")
    if card.is_file():
        with atomic_write(target.with_suffix(".json")) as temporary:
            shutil.copyfile(card, temporary)
    return _entry(target, "own")


def remove_model(name: str) -> None:
    """Delete one of the user's own models; embedded ones stay."""
    entry = find_model(name)
    if entry.kind != "own" or entry.path.parent != own_models_folder():
        raise ModelError(f"{name!r} is not one of your own models: only those can be removed")
    entry.path.unlink()
    entry.path.with_suffix(".json").unlink(missing_ok=True)


def load_model(name: str, *, device: str = "auto") -> Model:
    """Load a model by name or file.

    Parameters
    ----------
    name : str
        From `list_models`, or the path of a weights file.
    device : str
        "auto" (a GPU where there is one), "cpu", "cuda" or "mps".

    Raises
    ------
    ModelError
        It is unknown, unreadable, of another form, or has not been downloaded.
    """
    entry = find_weights(name)
    from grainsmith.models import cellpose_sam, grainnet_model
    from grainsmith.models.device import limit_torch_threads

    limit_torch_threads()
    if cellpose_sam.is_cellpose4(entry.path):
        return cellpose_sam.load(entry.name, entry.path, device=device)
    return grainnet_model.load(entry.name, entry.path, device=device)


def _entry(path: Path, kind: str) -> ModelEntry:
    card_path = path.with_suffix(".json")
    card: dict[str, Any] = {}
    if card_path.is_file():
        try:
            card = json.loads(card_path.read_text("utf8"))
        except (OSError, ValueError) as error:
            card = {"note": f"its card {card_path.name} cannot be read: {error}"}
    return ModelEntry(name=path.stem, kind=kind, path=path, card=card)


def _sam_entry(name: str) -> ModelEntry:
    from grainsmith.models.download import SAM_CARD, sam_path

    return ModelEntry(name=name, kind="download", path=sam_path(name), card=dict(SAM_CARD))


def fingerprint_of(entry: ModelEntry) -> str:
    """Return the SHA-256 of a model's weights."""
    return fingerprint(entry.path)
