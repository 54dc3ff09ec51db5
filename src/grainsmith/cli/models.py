"""grainsmith models: which models there are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grainsmith.cli.terminal import print_json, progress_bar, show_message

models = typer.Typer(help="List, inspect, add, remove and download models.", no_args_is_help=True)


@models.command("list")
def list_all(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the models that can be chosen by name."""
    from grainsmith.models.registry import list_models

    entries = list_models()
    if json:
        print_json({"models": [{"name": e.name, "kind": e.kind} for e in entries]})
        return
    for entry in entries:
        kind = entry.kind
        if kind == "download":
            kind = "downloaded" if entry.path.is_file() else "to be downloaded"
        typer.echo(f"{entry.name:20} {kind:18} {entry.card.get('summary', '')}")


@models.command()
def info(
    name: Annotated[str, typer.Argument(help="Name or weights file.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say what is known of a model: its card, its file and fingerprint."""
    from grainsmith.models.registry import find_model, fingerprint_of

    entry = find_model(name)
    facts: dict[str, Any] = {"name": entry.name, "kind": entry.kind, "file": str(entry.path)}
    if entry.path.is_file():
        facts["size_mb"] = round(entry.path.stat().st_size / 1e6, 2)
        facts["sha256"] = fingerprint_of(entry)
    facts = {**entry.card, **facts}
    if json:
        print_json(facts)
        return
    for key, value in facts.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else value
        typer.echo(f"{key:18} {shown}")


@models.command()
def add(
    file: Annotated[Path, typer.Argument(help="Weights: Cellpose 1-3 form or Cellpose 4.")],
    name: Annotated[str, typer.Option(help="Keep it under this name.")] = "",
) -> None:
    """Add a weights file to your models, after trying that it loads."""
    from grainsmith.models.registry import add_model

    entry = add_model(file, name=name)
    show_message(f"added as {entry.name!r}: use it with --model {entry.name}")


@models.command()
def remove(name: Annotated[str, typer.Argument(help="Name of one of your own models.")]) -> None:
    """Remove one of your own models; embedded ones stay."""
    from grainsmith.models.registry import remove_model

    remove_model(name)
    show_message(f"removed {name!r}")


@models.command()
def download(
    name: Annotated[str, typer.Argument(help="cpsam_v2 or cpsam.")] = "cpsam_v2",
) -> None:
    """Download Cellpose-SAM (1.2 GB; trained on CC-BY-NC data)."""
    from grainsmith.errors import ModelError
    from grainsmith.models.download import SAM_CARD, download_sam
    from grainsmith.models.registry import SAM_NAMES

    if name not in SAM_NAMES:
        raise ModelError(f"{name!r} cannot be downloaded: there are {', '.join(SAM_NAMES)}")
    show_message(f"{name}: {SAM_CARD['size_mb']} MB, {SAM_CARD['licence']}")
    with progress_bar("Downloading (MB)") as on_progress:
        path = download_sam(name, on_progress=on_progress)
    show_message(f"downloaded to {path}: use it with --model {name}")


@models.command()
def compare(
    before: Annotated[str, typer.Argument(metavar="A", help="Name or weights file.")],
    after: Annotated[str, typer.Argument(metavar="B", help="Name or weights file.")],
    folder: Annotated[Path, typer.Argument(help="Training set; all its fields count.")],
    synthetic: Annotated[
        bool, typer.Option(help="Use synthetic fields, too; they show what was forgotten.")
    ] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare two models on the same fields: AP, D50 and D84 error, grains gained and lost."""
    from grainsmith.cli.train import print_comparison
    from grainsmith.io.dataset import read_dataset
    from grainsmith.train import evaluate_models

    with progress_bar("Comparing") as on_progress:
        comparison = evaluate_models(
            before, after, read_dataset(folder).fields, synthetic=synthetic, on_progress=on_progress
        )
    if json:
        print_json(comparison.summary())
        return
    print_comparison(comparison)
