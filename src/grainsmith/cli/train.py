"""grainsmith train: training set -> tuned model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainsmith.cli.options import OptionStyle, make_settings, settings_options
from grainsmith.cli.terminal import print_json, progress_bar, show_message
from grainsmith.train.settings import TuneSettings

if TYPE_CHECKING:
    from grainsmith.data import OnProgress
    from grainsmith.train import ModelComparison

_TRAIN_OPTIONS = {
    "model": OptionStyle(name="--from", help="Model to start from: name or file."),
    "validation": OptionStyle(metavar="FOLDER|auto|none"),
    "rehearsal_pct": OptionStyle(name="--rehearsal"),
    "start_share_pct": OptionStyle(name="--start-share"),
    "tile_px": OptionStyle(name="--tile"),
}


@settings_options(TuneSettings, _TRAIN_OPTIONS)
def train(
    folder: Annotated[Path, typer.Argument(help="Training set; see `grainsmith dataset`.")],
    output: Annotated[
        str,
        typer.Option("--output", "-o", help="Name under which models list it, or a .pt file."),
    ],
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the unfinished run with its settings.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Tune a model to the fields of FOLDER, and evaluate it before and after.

    NAME.run beside the model holds settings, curves and comparison. A file called `stop` in it
    stops the training and keeps the best weights. Ctrl+C stops at once; --resume continues.
    """
    settings = make_settings(TuneSettings, given)
    from grainsmith.train import model_and_run_paths, tune

    _, run_folder = model_and_run_paths(output)
    with progress_bar("Training") as on_progress:
        result = tune(folder, settings, run_folder, resume=resume, on_event=_follow(on_progress))
    show_message(f"{result.kind} at step {result.steps}: {result.reason}")
    facts: dict[str, Any] = {**asdict(result), "model": str(result.model or "")}
    if result.model and result.kind == "done":
        comparison = _evaluate(run_folder)
        facts["comparison"] = comparison.summary()
        if not json:
            print_comparison(comparison)
    if json:
        print_json(facts)
    elif result.model:
        show_message(f"{result.model}: use it with --model {output}")


def print_comparison(comparison: ModelComparison) -> None:
    """Print one row per field."""
    typer.echo(
        f"{'field':26} {'role':10} {'AP50':>14} {'AP75':>14} {'D50 error %':>15} "
        f"{'gained':>6} {'lost':>5}"
    )
    for field in comparison.fields:
        a, b = field.before, field.after
        typer.echo(
            f"{field.name:26} {field.role:10} {a.ap50:6.3f} > {b.ap50:5.3f} {a.ap75:6.3f} > "
            f"{b.ap75:5.3f} {a.d50_error_pct:+6.1f} > {b.d50_error_pct:+6.1f} "
            f"{len(field.gained):6} {len(field.lost):5}"
        )


def _follow(on_progress: OnProgress) -> Any:
    def on_event(event: dict[str, Any]) -> None:
        if event["kind"] == "step":
            on_progress(event["step"], event["steps"])
        elif event["kind"] == "note":
            show_message(event["text"])
        elif event["kind"] == "validation":
            value = event["ap50"]
            shown = "no grain to validate on" if value is None else f"AP@0.5 {value:.3f}"
            show_message(f"step {event['step']}: {shown}{' (best)' if event['best'] else ''}")

    return on_event


def _evaluate(run_folder: Path) -> ModelComparison:
    """Evaluate start and tuned model on the validation fields, and record it."""
    from grainsmith.train import RunFolder, evaluate_models
    from grainsmith.train.dataset import load_training_data

    run = RunFolder(run_folder)
    record = run.record()
    data = load_training_data(record["folder"], record["settings"]["validation"])
    with progress_bar("Evaluating") as on_progress:
        comparison = evaluate_models(
            record["settings"]["model"],
            str(run.model_path),
            data.validation,
            on_progress=on_progress,
        )
    comparison.write(run.comparison_folder)
    return comparison
