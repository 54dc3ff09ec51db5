"""grainsmith measure: labels -> table, statistics and report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainsmith.cli.terminal import print_json, progress_bar, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from grainsmith.data import ElementMap, LabelImage, SemImage, Transform
    from grainsmith.statistics import SizeStatistics, StatisticsSettings


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
        Path | None, typer.Option(help="Folder of element maps: what each grain is made of.")
    ] = None,
    transforms: Annotated[
        Path | None,
        typer.Option(help="Where the maps lie on the image, as `grainsmith align` writes it."),
    ] = None,
    mixed: Annotated[
        bool,
        typer.Option(
            "--mixed", help="Also judge by the maps which grains are of two minerals, how pure."
        ),
    ] = False,
    pixel_size: Annotated[
        float,
        typer.Option(metavar="UM", help="Side of a pixel in µm; 0 = as the image says.", min=0),
    ] = 0.0,
    stats: Annotated[
        Path | None, typer.Option(help="Also write grain-size statistics to this JSON.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write a report to this HTML, its numbers beside it.")
    ] = None,
    size: Annotated[
        str, typer.Option(help="ecd, feret_min, feret_max, best_short, best_long, minor or major.")
    ] = "ecd",
    edge: Annotated[
        str, typer.Option(help="Grains at the edge: weights, guard, drop or 'count all'.")
    ] = "weights",
    grid: Annotated[
        float,
        typer.Option(metavar="PX", help="Also count by a grid of points so far apart.", min=0),
    ] = 0.0,
    scale_error: Annotated[
        float, typer.Option(metavar="PCT", help="Standard error of the pixel size in %.", min=0)
    ] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure the grains of LABELS: one row per grain, in px and, where the scale is known, µm."""
    from grainsmith.io.files.provenance import write_json
    from grainsmith.io.labels.label_image import read_labels
    from grainsmith.io.tables.grain_table import write_table
    from grainsmith.pipeline.field.measure import field_of, measure_field
    from grainsmith.statistics import summarize

    settings = _settings(size, edge, scale_error)
    if mixed and maps is None:
        raise typer.BadParameter("mixed grains are found in element maps: give --maps FOLDER too")
    target = output or labels.with_name(f"{labels.stem}_grains.csv")
    _check_outputs(target, stats, report)
    read = read_labels(labels)
    picture = _picture(image, pixel_size)
    opened, placed = _maps(read, picture, maps, transforms)
    with progress_bar("Measuring") as on_progress:
        table = measure_field(
            read,
            picture,
            pixel_size_um=pixel_size,
            maps=opened,
            transforms=placed,
            mixed=mixed,
            on_progress=on_progress,
        )
    write_table(target, table)
    bar_rows = picture.data_bar_rows if picture else 0
    field = field_of(table, read, data_bar_rows=bar_rows, grid_px=grid)
    statistics = summarize(field, settings)
    if stats:
        write_json(stats, statistics.as_dict())
    if report:
        _write_report(report, read, table, picture, settings, labels, grid)
    facts = _facts(target, table, statistics)
    if json:
        print_json(facts)
        return
    _say(facts, statistics)


def _check_outputs(target: Path, stats: Path | None, report: Path | None) -> None:
    """Refuse outputs that would overwrite one another."""
    result = report.with_suffix(".json") if report else None
    names = {"table": target, "--stats": stats, "--report": report, "numbers of --report": result}
    used: dict[Path, str] = {}
    for name, path in names.items():
        if path is None:
            continue
        other = used.setdefault(path.resolve(), name)
        if other != name:
            raise typer.BadParameter(f"{path} is both the {other} file and the {name} file")


def _settings(size: str, edge: str, scale_error: float) -> StatisticsSettings:
    from grainsmith.statistics import StatisticsSettings

    try:
        return StatisticsSettings(
            size=size,  # type: ignore[arg-type]
            edge_rule=edge,  # type: ignore[arg-type]
            scale_error_pct=scale_error,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _picture(path: Path | None, pixel_size: float) -> SemImage | None:
    from grainsmith.io.images.reader import read_image
    from grainsmith.pipeline import with_pixel_size

    return with_pixel_size(read_image(path), pixel_size) if path else None


def _maps(
    labels: LabelImage, picture: SemImage | None, folder: Path | None, transforms: Path | None
) -> tuple[Sequence[ElementMap], Mapping[str, Transform] | Sequence[Transform]]:
    from grainsmith.align import initial_transform
    from grainsmith.data import SemImage
    from grainsmith.io.maps.reader import open_maps
    from grainsmith.io.transforms import read_transforms

    if folder is None:
        return (), ()
    opened = open_maps(folder)
    for note in (*map(str, opened.problems), *opened.notes):
        say(note)
    if transforms:
        known = read_transforms(transforms)
        # A file of one nameless matrix, as affinder writes it, is meant for all maps.
        return opened.maps, [known[""]] * len(opened.maps) if "" in known else known
    say("The maps were not aligned (no --transforms): they lie where their files say")
    reference = picture or SemImage(image=labels)
    return opened.maps, [initial_transform(one, reference) for one in opened.maps]


def _write_report(
    path: Path,
    labels: LabelImage,
    table: pd.DataFrame,
    picture: SemImage | None,
    settings: StatisticsSettings,
    source: Path,
    grid_px: float,
) -> None:
    from grainsmith.report import write_report

    known: dict[str, Any] = {"title": source.stem, "source": str(source)}
    if picture:
        known |= {
            "source": picture.source,
            "pixel_size_source": picture.pixel_size_source,
            "data_bar_rows": picture.data_bar_rows,
            "notes": list(picture.notes),
        }
    write_report(
        path,
        labels=labels,
        table=table,
        image=picture.image if picture else None,
        facts=known,
        settings=settings,
        grid_px=grid_px,
    )


def _facts(target: Path, table: pd.DataFrame, statistics: SizeStatistics) -> dict[str, Any]:
    from grainsmith.measure import pieces_note

    medians = {
        f"d50_{statistics.unit}_{basis}": statistics.values.value.get(
            f"d50_{statistics.unit}_{basis}", float("nan")
        )
        for basis in statistics.bases
    }
    return {
        "table": str(target),
        "n_grains": len(table),
        "n_counted": statistics.n,
        "unit": statistics.unit,
        **medians,
        "n_left_out_at_edge": statistics.left_out.n_edge,
        "n_below_resolution": int(table.below_resolution.sum()),
        "notes": [note for note in (pieces_note(table),) if note],
    }


def _say(facts: dict[str, Any], statistics: SizeStatistics) -> None:
    typer.echo(f"grains        {facts['n_grains']} in {facts['table']}")
    for basis in statistics.bases if statistics.n else ():
        typer.echo(f"D50 {basis:<10}{statistics.d50_text(basis)}")
    if facts["n_left_out_at_edge"]:
        weighted = statistics.settings.edge_rule == "weights"
        say(
            f"{facts['n_left_out_at_edge']} grains at the edge are left out"
            + (", and the others weighted for them" if weighted else "")
        )
    for note in facts["notes"]:
        say(note)
    if statistics.unit == "px":
        say("The pixel size is unknown: lengths are in pixels (give --pixel-size or --image)")
