"""grainsmith clean: remove and mend grains of a label image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from grainsmith.cli.terminal import print_json, progress_bar, say


def clean(
    labels: Annotated[Path, typer.Argument(help="Labels to clean (TIFF or PNG).")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the cleaned labels go (TIFF).")
    ],
    min_area_um2: Annotated[
        float, typer.Option(min=0, help="Remove smaller grains, µm²; needs --pixel-size-um.")
    ] = 0.0,
    max_area_um2: Annotated[
        float, typer.Option(min=0, help="Remove larger grains, µm²; 0: none.")
    ] = 0.0,
    min_area_px: Annotated[float, typer.Option(min=0, help="Remove smaller grains, px.")] = 0.0,
    max_area_px: Annotated[
        float, typer.Option(min=0, help="Remove larger grains, px; 0: none.")
    ] = 0.0,
    min_solidity: Annotated[
        float, typer.Option(min=0, max=1, help="Remove grains that fill less of their hull.")
    ] = 0.0,
    drop_border: Annotated[
        bool, typer.Option("--drop-border", help="Remove grains that touch the edge.")
    ] = False,
    fill_holes: Annotated[
        bool, typer.Option("--fill-holes", help="Give enclosed background to its grain.")
    ] = False,
    keep_largest: Annotated[
        bool, typer.Option("--keep-largest", help="Keep only the largest piece of each grain.")
    ] = False,
    relabel: Annotated[
        bool, typer.Option("--relabel", help="Number the grains 1, 2, 3, ...")
    ] = False,
    pixel_size_um: Annotated[
        float, typer.Option(min=0, help="Side of a pixel, µm; 0: as the file says.")
    ] = 0.0,
    data_bar_rows: Annotated[
        int, typer.Option(min=0, help="Rows at the bottom that are no image: cleared.")
    ] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Remove grains of LABELS by size, shape or place, mend the others, write all to OUTPUT."""
    from grainsmith.clean import CleanSettings, GrainIndex, clean_labels, count_reasons
    from grainsmith.io.images.reader import read_image
    from grainsmith.io.labels.label_image import read_labels, write_labels

    try:
        settings = CleanSettings(
            min_area_um2=min_area_um2,
            max_area_um2=max_area_um2,
            min_area_px=min_area_px,
            max_area_px=max_area_px,
            min_solidity=min_solidity,
            drop_border=drop_border,
            drop_data_bar=data_bar_rows > 0,
            fill_holes=fill_holes,
            keep_largest=keep_largest,
            relabel=relabel,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    if output.suffix.lower() not in (".tif", ".tiff"):
        raise typer.BadParameter(f"OUTPUT is a TIFF: let it end in .tif, not '{output.name}'")
    before = read_labels(labels)
    pixel_size_um = pixel_size_um or read_image(labels, crop_databar=0).pixel_size_um
    with progress_bar("Cleaning") as on_progress:
        done = clean_labels(
            before,
            settings,
            pixel_size_um=pixel_size_um,
            data_bar_rows=data_bar_rows,
            on_progress=on_progress,
        )
    write_labels(output, done.labels, pixel_size_um=pixel_size_um)
    count = len(GrainIndex(done.labels))
    result = {
        "grains": count,
        "removed": {str(label): reason for label, reason in done.removed.items()},
        "filled": list(done.filled),
        "trimmed": list(done.trimmed),
        "renumbered": {str(old): new for old, new in done.renumbered.items()},
        "pixel_size_um": pixel_size_um,
        "output": str(output),
    }
    if json:
        print_json(result)
        return
    why = count_reasons(done.removed)
    say(f"{len(done.removed)} grains removed{f' ({why})' if why else ''}")
    say(f"holes filled in {len(done.filled)}, fragments dropped from {len(done.trimmed)}")
    typer.echo(f"{count} grains in {output}")
