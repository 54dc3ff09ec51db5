"""grainsmith batch: one recipe over many fields."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grainsmith.cli.hints import message_of
from grainsmith.cli.terminal import print_json, show_message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.data import OnProgress
    from grainsmith.pipeline.batch.discovery import FieldFiles
    from grainsmith.pipeline.batch.runner import BatchResult, FieldState, OnState


def batch(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of fields, or images.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "grainsmith-batch"
    ),
    recipe: Annotated[
        Path | None,
        typer.Option(help="Settings of all steps; see `grainsmith recipe`.", show_default=False),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            help="CSV with the columns sample, field, image, maps, pixel_size_um.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str,
        typer.Option(
            metavar="none|local|local:N|tcp://HOST:PORT",
            help="Here, on N processes of this machine, or on a dask cluster.",
        ),
    ] = "none",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an earlier batch in OUTPUT.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Do all steps on every field of PATHS or of a sheet, and pool the fields of each sample.

    Exit code 0: every field is done; 1: some failed (see errors.csv) or the batch was ended before
    its time; 2: the call was at fault, nothing was done; 130: stopped by you. Whatever is done
    stays, and --resume goes on from there.
    """
    from grainsmith.pipeline.batch.runner import run_batch
    from grainsmith.pipeline.recipe import Recipe, read_recipe

    fields = _fields(paths or [], sheet)
    for field in fields:
        if field.problem is not None:
            show_message(f"{field.name}: {message_of(field.problem)}")
    chosen = read_recipe(recipe) if recipe else Recipe()
    with _bars(len(fields)) as (on_progress, on_state):
        result = run_batch(
            fields,
            chosen,
            output,
            scheduler=scheduler,
            resume=resume,
            on_progress=on_progress,
            on_state=on_state,
            on_message=show_message,
        )
    if json:
        print_json(_facts(result))
    else:
        _print(result)
    if not result.whole:
        raise typer.Exit(1)


def _fields(paths: list[Path], sheet: Path | None) -> tuple[FieldFiles, ...]:
    from grainsmith.errors import MismatchError
    from grainsmith.pipeline.batch.discovery import find_fields, read_sheet

    if bool(paths) == (sheet is not None):
        raise MismatchError("give folders or images, or a sheet with --sheet: one of the two")
    return read_sheet(sheet) if sheet else find_fields(paths)


@contextmanager
def _bars(total: int) -> Iterator[tuple[OnProgress, OnState]]:
    """Show one bar over all fields, with the time left, and one for each field in work."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        overall = bars.add_task("All fields", total=total)
        tasks: dict[str, object] = {}

        def on_progress(done: int, total: int) -> None:
            bars.update(overall, completed=done, total=total)

        def on_state(state: FieldState) -> None:
            if state.state == "in work":
                task = tasks.get(state.name)
                if task is None:
                    task = tasks[state.name] = bars.add_task(state.name, total=100)
                bars.update(task, completed=state.percent)  # type: ignore[arg-type]
                return
            if state.name in tasks:
                bars.remove_task(tasks.pop(state.name))  # type: ignore[arg-type]
            if state.state == "failed":
                show_message(f"{state.name} failed: {state.reason}")

        yield on_progress, on_state


def _facts(result: BatchResult) -> dict[str, object]:
    return {
        "output": str(result.out),
        "n_fields": len(result.states),
        "n_done": result.count("done"),
        "n_done_before": result.count("done before"),
        "n_failed": result.count("failed"),
        "stopped": message_of(result.stopped) if result.stopped else "",
        "fields": {
            name: {"state": one.state, "n_grains": one.n_grains, "notes": one.reason}
            for name, one in result.states.items()
        },
        "samples": result.summaries,
        "samples_not_pooled": result.problems,
    }


def _print(result: BatchResult) -> None:
    for name, summary in result.summaries.items():
        typer.echo(f"{name}: {summary}")
    for name, reason in result.problems.items():
        show_message(f"the fields of {name} could not be pooled: {reason}")
    done = result.count("done", "done before")
    before = result.count("done before")
    show_message(
        f"{done} of {len(result.states)} fields done"
        f"{f' ({before} of them before)' if before else ''}, in {result.out}"
    )
    if failed := result.count("failed"):
        show_message(f"{failed} failed: the reasons are in {result.out / 'errors.csv'}")
    if result.stopped:
        show_message(f"ended early: {message_of(result.stopped)}")
