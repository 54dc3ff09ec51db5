"""grainsmith demo: the main job on the bundled sample."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from grainsmith.cli.terminal import print_json, progress_bar, show_message
from grainsmith.cli.view import open_viewer


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the results.")] = Path(
        "grainsmith-demo"
    ),
    view: Annotated[bool, typer.Option("--view", help="Open the results in napari.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Segment and measure the bundled sample: labels, table, image and report."""
    from grainsmith.pipeline import run_demo

    with progress_bar("Finding and measuring grains") as on_progress:
        files = run_demo(output, on_progress=on_progress)
    if json:
        print_json({key: str(value) for key, value in asdict(files).items()})
    else:
        show_message(files.summary)
        show_message(
            f"Labels, table, image and report are in {output}{_separator()}: open "
            f"{files.report}, or look at the grains with `grainsmith demo --view`; then try "
            "`grainsmith segment` on an image of your own."
        )
    if view:
        open_viewer([files.image, files.labels])


def _separator() -> str:
    import os

    return os.sep
