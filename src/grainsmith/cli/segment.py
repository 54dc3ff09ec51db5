"""grainsmith segment: image -> labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grainsmith.cli.options import OptionStyle, make_settings, settings_options
from grainsmith.cli.output_paths import check_outputs, check_tiff_name
from grainsmith.cli.terminal import print_json, progress_bar, show_message
from grainsmith.segment.types import SegmentSettings


def parse_diameter(text: str) -> float:
    """Return the diameter in pixels; 0 for "auto"."""
    if text == "auto":
        return 0.0
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 100_000:
        raise typer.BadParameter(f"must be 'auto' or a number of pixels, got {text!r}")
    return value


SEGMENT_OPTIONS = {
    "model": OptionStyle(help="Name (see `grainsmith models list`) or weights file."),
    "diameter_px": OptionStyle(name="--diameter", metavar="PX|auto", parse=parse_diameter),
    "probability_threshold": OptionStyle(name="--probability"),
    "flow_threshold": OptionStyle(name="--flow-error"),
    "tile_px": OptionStyle(name="--tile"),
}


@settings_options(SegmentSettings, SEGMENT_OPTIONS)
def segment(
    image: Annotated[Path, typer.Argument(help="TIFF, PNG, JPEG or BMP.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="Labels TIFF; default IMAGE_masks.tif.", show_default=False
        ),
    ] = None,
    pixel_size: Annotated[
        float,
        typer.Option(metavar="UM", help="Side of a pixel in µm; 0 = as the file says.", min=0),
    ] = 0.0,
    crop_databar: Annotated[
        str, typer.Option(metavar="auto|ROWS|no", help="Rows of a data bar at the bottom.")
    ] = "auto",
    table: Annotated[
        Path | None, typer.Option(help="Also write confidence per grain to this CSV.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Find the grains of IMAGE and write them as a label image of the same shape."""
    from grainsmith.io.files.atomic_write import atomic_write
    from grainsmith.io.images.reader import read_image
    from grainsmith.pipeline import segment_field, with_pixel_size, write_segmented

    settings = make_settings(SegmentSettings, given)
    target = output or image.with_name(f"{image.stem}_masks.tif")
    check_tiff_name("--output", target)
    check_outputs(
        {
            "--output": target,
            "the JSON of --output": target.with_suffix(".json"),
            "--table": table,
        },
        [image],
    )
    field = with_pixel_size(read_image(image, crop_databar=_data_bar(crop_databar)), pixel_size)
    with progress_bar("Finding grains") as on_progress:
        result = segment_field(field, settings, on_progress=on_progress)
    write_segmented(target, result, settings, inputs=[image])
    if table:
        with atomic_write(table) as temporary:
            result.table.to_csv(temporary)
    facts: dict[str, Any] = {"labels": str(target), **result.facts()}
    if json:
        print_json(facts)
        return
    for note in facts["notes"]:
        show_message(note)
    origin = "estimated" if facts["diameter_estimated"] else "given"
    show_message(
        f"{facts['n_grains']} grains in {target} "
        f"(scale set by small grains of {facts['diameter_px']:.0f} px, {origin})"
    )


def _data_bar(text: str) -> str | int:
    if text in ("auto", "no"):
        return text
    if not text.isdecimal():
        raise typer.BadParameter(f"must be 'auto', 'no' or a number of rows, got {text!r}")
    return int(text)
