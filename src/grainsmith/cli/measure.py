"""grainsmith measure: labels -> table, statistics and report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainsmith.cli.options import OptionStyle, make_settings, settings_options
from grainsmith.cli.output_paths import check_outputs
from grainsmith.cli.terminal import print_json, progress_bar, show_message
from grainsmith.statistics.settings import StatisticsSettings

if TYPE_CHECKING:
    import pandas as pd

    from grainsmith.data import LabelImage, SemImage
    from grainsmith.io.labels.label_metadata import LabelMetadata
    from grainsmith.statistics import SizeStatistics

_STATISTICS_OPTIONS = {
    "edge_rule": OptionStyle(name="--edge"),
    "guard_px": OptionStyle(name="--guard"),
    "scale_error_pct": OptionStyle(name="--scale-error"),
}


@settings_options(StatisticsSettings, _STATISTICS_OPTIONS)
def measure(
    labels: Annotated[Path, typer.Argument(help="Labels TIFF or PNG; 0 is background.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Table, one row per grain: .csv, .parquet or .xlsx; default LABELS_grains.csv.",
            show_default=False,
        ),
    ] = None,
    image: Annotated[
        Path | None,
        typer.Option(help="Image of the grains: grey values, pixel size, data bar."),
    ] = None,
    maps: Annotated[
        Path | None, typer.Option(help="Folder of element maps: composition of each grain.")
    ] = None,
    transforms: Annotated[
        Path | None,
        typer.Option(help="Positions of the maps on the image, written by `grainsmith align`."),
    ] = None,
    mixed: Annotated[
        bool,
        typer.Option("--mixed", help="Also find grains of two minerals, and purity, by the maps."),
    ] = False,
    pixel_size: Annotated[
        float,
        typer.Option(
            metavar="UM", help="Side of a pixel in µm; 0 = as image or labels say.", min=0
        ),
    ] = 0.0,
    stats: Annotated[
        Path | None, typer.Option(help="Also write grain-size statistics to this JSON.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write a report to this HTML, with a JSON beside it.")
    ] = None,
    grid: Annotated[
        float,
        typer.Option(metavar="PX", help="Also count by a grid of points at this distance.", min=0),
    ] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Measure the grains of LABELS: one row per grain, in px and, if the scale is known, in µm."""
    from grainsmith.io.files.provenance import write_json
    from grainsmith.io.labels.label_image import read_label_file
    from grainsmith.io.tables.grain_table import write_table
    from grainsmith.measure import pieces_note
    from grainsmith.pipeline.field.measure import (
        combine_metadata,
        field_of,
        measure_field,
        with_metadata,
    )
    from grainsmith.pipeline.field.registration import open_placed_maps
    from grainsmith.statistics import summarize

    settings = make_settings(StatisticsSettings, given)
    if mixed and maps is None:
        raise typer.BadParameter("mixed grains are found in element maps: give --maps FOLDER too")
    target = output or labels.with_name(f"{labels.stem}_grains.csv")
    _check_outputs(target, stats, report, [labels, image, maps, transforms])
    label_file = read_label_file(labels)
    label_image = label_file.labels
    opened = _read_image(image)
    metadata = combine_metadata(
        label_file.metadata,
        opened,
        pixel_size_um=pixel_size,
        edge_rule=settings.edge_rule,
    )
    sem_image = with_metadata(opened, metadata)
    placed = open_placed_maps(maps, transforms, label_image, sem_image) if maps else None
    with progress_bar("Measuring") as on_progress:
        table = measure_field(
            label_image,
            sem_image,
            pixel_size_um=metadata.pixel_size_um,
            data_bar_rows=metadata.data_bar_rows,
            maps=placed.maps if placed else (),
            transforms=placed.transforms if placed else (),
            mixed=mixed,
            on_progress=on_progress,
        )
    pieces = pieces_note(table)
    notes = [
        *label_file.notes,
        *metadata.notes,
        *(placed.notes if placed else ()),
        *([pieces] if pieces else []),
    ]
    write_table(target, table)
    field = field_of(table, label_image, data_bar_rows=metadata.data_bar_rows, grid_px=grid)
    statistics = summarize(field, settings)
    if stats:
        write_json(stats, {**statistics.as_dict(), "notes": notes})
    if report:
        metadata = replace(metadata, notes=tuple(notes), source=metadata.source or str(labels))
        _write_report(report, label_image, table, sem_image, metadata, settings, grid)
    facts = {**_facts(target, table, statistics), "notes": notes}
    if json:
        print_json(facts)
        return
    for note in notes:
        show_message(note)
    _print(facts, statistics)


def _check_outputs(
    target: Path, stats: Path | None, report: Path | None, inputs: list[Path | None]
) -> None:
    outputs = {
        "--output": target,
        "--stats": stats,
        "--report": report,
        "the JSON of --report": report.with_suffix(".json") if report else None,
    }
    check_outputs(outputs, inputs)


def _read_image(path: Path | None) -> SemImage | None:
    from grainsmith.io.images.reader import read_image

    return read_image(path) if path else None


def _write_report(
    path: Path,
    labels: LabelImage,
    table: pd.DataFrame,
    image: SemImage | None,
    metadata: LabelMetadata,
    settings: StatisticsSettings,
    grid_px: float,
) -> None:
    from grainsmith.report import write_report

    write_report(
        path,
        labels=labels,
        table=table,
        image=image.image if image else None,
        facts={
            "title": Path(metadata.source).stem,
            "source": metadata.source,
            "pixel_size_source": metadata.pixel_size_source,
            "data_bar_rows": metadata.data_bar_rows,
            "notes": list(metadata.notes),
        },
        settings=settings,
        grid_px=grid_px,
    )


def _facts(target: Path, table: pd.DataFrame, statistics: SizeStatistics) -> dict[str, Any]:
    names = [f"d50_{statistics.unit}_{basis}" for basis in statistics.bases]
    return {
        "table": str(target),
        "n_grains": len(table),
        "n_counted": statistics.n,
        "unit": statistics.unit,
        **{name: statistics.values.value.get(name, float("nan")) for name in names},
        "n_left_out_at_edge": statistics.left_out.n_edge,
        "n_below_resolution": int(table.below_resolution.sum()),
    }


def _print(facts: dict[str, Any], statistics: SizeStatistics) -> None:
    typer.echo(f"grains        {facts['n_grains']} in {facts['table']}")
    for basis in statistics.bases if statistics.n else ():
        typer.echo(f"D50 {basis:<10}{statistics.d50_text(basis)}")
    if facts["n_left_out_at_edge"]:
        weighted = statistics.settings.edge_rule == "weights"
        rest = ", and the others weighted for them" if weighted else ""
        show_message(f"{facts['n_left_out_at_edge']} grains at the edge are left out{rest}")
    if statistics.unit == "px":
        show_message(
            "The pixel size is unknown: lengths are in pixels (give --pixel-size or --image)"
        )
