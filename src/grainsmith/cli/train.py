"""grainsmith train: a training set -> a better model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainsmith.cli.terminal import print_json, progress_bar, say
from grainsmith.train.settings import TuneSettings

if TYPE_CHECKING:
    from grainsmith.data import OnProgress
    from grainsmith.train import ModelComparison

_DEFAULT = TuneSettings()


def train(
    folder: Annotated[Path, typer.Argument(help="Training set; see `grainsmith dataset`.")],
    output: Annotated[
        str,
        typer.Option(
            "--output", "-o", help="A name, then every list of models has it; or a .pt file."
        ),
    ],
    start: Annotated[
        str, typer.Option("--from", help="Model to start from: name or file.")
    ] = _DEFAULT.model,
    epochs: Annotated[
        int, typer.Option(help="How often the set is shown; 0 = chosen from its size.")
    ] = _DEFAULT.epochs,
    minutes: Annotated[
        float, typer.Option(help="Stop after so long, keep the best; 0 = no limit.")
    ] = _DEFAULT.minutes,
    validation: Annotated[
        str, typer.Option(metavar="FOLDER|auto|none", help="Training set that only validates.")
    ] = _DEFAULT.validation,
    rehearsal: Annotated[
        float, typer.Option(help="Share of made fields, against forgetting (%).")
    ] = _DEFAULT.rehearsal_pct,
    start_share: Annotated[
        float, typer.Option(help="Share of the start in the weights that are kept (%).")
    ] = _DEFAULT.start_share_pct,
    patience: Annotated[
        int, typer.Option(help="Validations without gain before it stops; 0 = never.")
    ] = _DEFAULT.patience,
    learning_rate: Annotated[float, typer.Option(help="At its height.")] = _DEFAULT.learning_rate,
    batch: Annotated[int, typer.Option(help="Tiles per step.")] = _DEFAULT.batch,
    tile: Annotated[int, typer.Option(help="Side of a tile (px).")] = _DEFAULT.tile_px,
    seed: Annotated[int, typer.Option(help="Of the choice of tiles.")] = _DEFAULT.seed,
    threads: Annotated[int, typer.Option(help="0 = all.")] = _DEFAULT.threads,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = _DEFAULT.device,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the unfinished run, with its settings.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Tune a model to the fields of FOLDER, and judge it before and after.

    Beside the model, NAME.run holds settings, curves and comparison; a file called `stop` put into
    it stops the training and keeps the best. Ctrl+C stops at once; --resume goes on.
    """
    try:
        settings = TuneSettings(
            model=start,
            validation=validation,
            epochs=epochs,
            minutes=minutes,
            rehearsal_pct=rehearsal,
            start_share_pct=start_share,
            patience=patience,
            learning_rate=learning_rate,
            batch=batch,
            tile_px=tile,
            seed=seed,
            threads=threads,
            device=device,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    from grainsmith.train import places, tune

    _, run_folder = places(output)
    with progress_bar("Training") as on_progress:
        tuned = tune(folder, settings, run_folder, resume=resume, on_event=_follow(on_progress))
    say(f"{tuned.kind} at step {tuned.steps}: {tuned.reason}")
    facts: dict[str, Any] = {**asdict(tuned), "model": str(tuned.model or "")}
    if tuned.model and tuned.kind == "done":
        comparison = _judge(run_folder)
        facts["comparison"] = comparison.summary()
        if not json:
            print_comparison(comparison)
    if json:
        print_json(facts)
    elif tuned.model:
        say(f"{tuned.model}: use it with --model {output}")


def print_comparison(comparison: ModelComparison) -> None:
    """Print a row per field."""
    typer.echo(
        f"{'field':26} {'role':10} {'AP50':>14} {'AP75':>14} {'D50 error %':>15} "
        f"{'gained':>6} {'lost':>5}"
    )
    for one in comparison.fields:
        a, b = one.before, one.after
        typer.echo(
            f"{one.name:26} {one.role:10} {a.ap50:6.3f} > {b.ap50:5.3f} {a.ap75:6.3f} > "
            f"{b.ap75:5.3f} {a.d50_error_pct:+6.1f} > {b.d50_error_pct:+6.1f} "
            f"{len(one.gained):6} {len(one.lost):5}"
        )


def _follow(on_progress: OnProgress) -> Any:
    def on_event(event: dict[str, Any]) -> None:
        if event["kind"] == "step":
            on_progress(event["step"], event["steps"])
        elif event["kind"] == "note":
            say(event["text"])
        elif event["kind"] == "validation":
            value = event["ap50"]
            shown = "no grain to judge on" if value is None else f"AP@0.5 {value:.3f}"
            say(f"step {event['step']}: {shown}{' (best)' if event['best'] else ''}")

    return on_event


def _judge(run_folder: Path) -> ModelComparison:
    """Judge start and tuned model on the validation fields and write that down."""
    from grainsmith.train import RunFolder, evaluate_models
    from grainsmith.train.dataset import prepare

    run = RunFolder(run_folder)
    record = run.record()
    study = prepare(record["folder"], record["settings"]["validation"])
    with progress_bar("Judging") as on_progress:
        found = evaluate_models(
            record["settings"]["model"],
            str(run.model_path),
            study.validation,
            on_progress=on_progress,
        )
    found.write(run.comparison)
    return found
