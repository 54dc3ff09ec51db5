"""grainsmith clean: remove and repair grains of a label image."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from grainsmith.clean.cleanup import CleanSettings
from grainsmith.cli.options import make_settings, settings_options
from grainsmith.cli.output_paths import check_outputs, check_tiff_name
from grainsmith.cli.terminal import print_json, progress_bar, show_message


@settings_options(CleanSettings, hidden=("drop_data_bar", "min_confidence"))
def clean(
    labels: Annotated[Path, typer.Argument(help="Labels to clean (TIFF or PNG).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Cleaned labels (TIFF).")],
    pixel_size_um: Annotated[
        float,
        typer.Option(metavar="UM", min=0, help="Side of a pixel in µm; 0 = as the labels say."),
    ] = 0.0,
    data_bar_rows: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Rows of a data bar at the bottom, which are cleared; default: as the labels say.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Remove grains of LABELS by size, shape or place, repair the others, write all to OUTPUT."""
    from dataclasses import replace

    from grainsmith.clean import GrainIndex, clean_labels, count_reasons
    from grainsmith.io.labels.label_image import read_label_file, write_labels

    check_tiff_name("--output", output)
    check_outputs({"--output": output}, [labels])
    label_file = read_label_file(labels)
    notes = tuple(dict.fromkeys([*label_file.metadata.notes, *label_file.notes]))
    metadata = replace(label_file.metadata, notes=notes)
    if pixel_size_um:
        metadata = replace(metadata, pixel_size_um=pixel_size_um, pixel_size_source="given by hand")
    if data_bar_rows is not None:
        metadata = replace(metadata, data_bar_rows=data_bar_rows)
    settings = make_settings(CleanSettings, given, drop_data_bar=metadata.data_bar_rows > 0)
    with progress_bar("Cleaning") as on_progress:
        result = clean_labels(
            label_file.labels,
            settings,
            pixel_size_um=metadata.pixel_size_um,
            data_bar_rows=metadata.data_bar_rows,
            on_progress=on_progress,
        )
    if settings.drop_border:
        metadata = replace(metadata, edge_grains_removed=True)
    write_labels(output, result.labels, metadata=metadata)
    count = len(GrainIndex(result.labels))
    if json:
        print_json(
            {
                "grains": count,
                "removed": {str(label): reason for label, reason in result.removed.items()},
                "filled": list(result.filled),
                "trimmed": list(result.trimmed),
                "renumbered": {str(old): new for old, new in result.renumbered.items()},
                "pixel_size_um": metadata.pixel_size_um,
                "data_bar_rows": metadata.data_bar_rows,
                "notes": list(metadata.notes),
                "output": str(output),
            }
        )
        return
    for note in metadata.notes:
        show_message(note)
    reasons = count_reasons(result.removed)
    show_message(f"{len(result.removed)} grains removed{f' ({reasons})' if reasons else ''}")
    show_message(
        f"holes filled in {len(result.filled)} grains, fragments dropped from {len(result.trimmed)}"
    )
    typer.echo(f"{count} grains in {output}")
