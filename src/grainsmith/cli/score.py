"""grainsmith score: how well labels agree with hand-made ones."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from grainsmith.cli.terminal import print_json


def score(
    truth: Annotated[Path, typer.Argument(help="Labels made by hand (TIFF or PNG).")],
    labels: Annotated[Path, typer.Argument(help="Labels to judge, of the same shape.")],
    ignore_border: Annotated[
        bool,
        typer.Option(
            "--ignore-border",
            help="Leave out true grains that touch the edge, and predictions on them.",
        ),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Compare LABELS with TRUTH: average precision at three IoU limits, D50 and D84 error."""
    from grainsmith.io.labels.label_image import read_labels
    from grainsmith.score import score_labels

    result = score_labels(read_labels(truth), read_labels(labels), ignore_border=ignore_border)
    if json:
        print_json(asdict(result))
        return
    typer.echo(f"grains        {result.n_pred} found, {result.n_true} true")
    typer.echo(f"AP@0.50       {result.ap50:.3f}")
    typer.echo(f"AP@0.75       {result.ap75:.3f}")
    typer.echo(f"AP@0.90       {result.ap90:.3f}")
    typer.echo(f"mean IoU      {result.mean_iou:.3f} (of the pairs matched at 0.5)")
    typer.echo(f"D50 error     {result.d50_error_pct:+.1f} % (by number)")
    typer.echo(f"D84 error     {result.d84_error_pct:+.1f} % (by number)")
