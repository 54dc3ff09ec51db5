"""grainsmith segment: image -> labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grainsmith.cli.terminal import print_json, progress_bar, say


def segment(
    image: Annotated[Path, typer.Argument(help="TIFF, PNG, JPEG or BMP.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Labels TIFF; default IMAGE_masks.tif.", show_default=False
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Name (see `grainsmith models list`) or weights file.")
    ] = "grains",
    diameter: Annotated[
        str,
        typer.Option(
            metavar="PX|auto", help="Diameter of the smaller grains in pixels; it sets the scale."
        ),
    ] = "auto",
    pixel_size: Annotated[
        float,
        typer.Option(metavar="UM", help="Side of a pixel in µm; 0 = as the file says.", min=0),
    ] = 0.0,
    crop_databar: Annotated[
        str, typer.Option(metavar="auto|ROWS|no", help="Rows of a data bar at the bottom.")
    ] = "auto",
    probability: Annotated[
        float, typer.Option(help="Logit above which a pixel belongs to a grain.")
    ] = -0.9,
    flow_error: Annotated[
        float, typer.Option(help="Grains with a higher flow error are dropped; 0 keeps all.", min=0)
    ] = 0.5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    table: Annotated[
        Path | None, typer.Option(help="Also write confidence per grain to this CSV.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the grains of IMAGE and write them as a label image of the same shape."""
    from grainsmith.io.files.atomic_write import atomic_write
    from grainsmith.io.images.reader import read_image
    from grainsmith.pipeline import segment_field, with_pixel_size, write_segmented
    from grainsmith.segment import SegmentSettings

    settings = SegmentSettings(
        model=model,
        diameter_px=_diameter(diameter),
        probability_threshold=probability,
        flow_threshold=flow_error,
        device=device,
    )
    read = with_pixel_size(read_image(image, crop_databar=_rows(crop_databar)), pixel_size)
    with progress_bar("Finding grains") as on_progress:
        result = segment_field(read, settings, on_progress=on_progress)
    target = output or image.with_name(f"{image.stem}_masks.tif")
    write_segmented(target, result, settings, inputs=[image])
    if table:
        with atomic_write(table) as temporary:
            result.table.to_csv(temporary)
    facts: dict[str, Any] = {"labels": str(target), **result.facts()}
    if json:
        print_json(facts)
        return
    for note in facts["notes"]:
        say(note)
    how = "estimated" if facts["diameter_estimated"] else "given"
    say(
        f"{facts['n_grains']} grains in {target} "
        f"(scale set by small grains of {facts['diameter_px']:.0f} px, {how})"
    )


def _diameter(text: str) -> float:
    if text == "auto":
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 100_000:
        raise typer.BadParameter(f"must be 'auto' or a number of pixels above 0, got {text!r}")
    return value


def _rows(text: str) -> str | int:
    if text in ("auto", "no"):
        return text
    if not text.isdecimal():
        raise typer.BadParameter(f"must be 'auto', 'no' or a number of rows, got {text!r}")
    return int(text)
