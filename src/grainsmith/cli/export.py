"""grainsmith export and import: labels for other programs, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainsmith.cli.output_paths import check_outputs
from grainsmith.cli.terminal import print_json, show_message

if TYPE_CHECKING:
    from grainsmith.io.exchange import LabelledField

_FORMATS = "masks, cellpose, coco, yolo, imagej, geojson, gis, stardist, png or ome-tiff"


def export(
    labels: Annotated[
        Path, typer.Argument(help="Labels TIFF or PNG, or the folder of a training set.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="File or new folder.")],
    format_name: Annotated[str, typer.Option("--format", "-f", help=f"{_FORMATS}.")],
    image: Annotated[
        Path | None, typer.Option(help="Image of the grains; yolo and stardist need it.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="Grain table: its column 'mineral' names the classes, its numbers go "
                          "along in GeoJSON."),
    ] = None,
    pixel_size: Annotated[
        float,
        typer.Option(metavar="UM", help="Side of a pixel in µm; 0 = as the files say.", min=0),
    ] = 0.0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:  # fmt: skip
    """Write the grains of LABELS for another program."""
    from grainsmith.io.exchange import export_fields

    check_outputs({"--output": output}, [labels, image, table])
    fields = (
        _fields_of_set(labels) if labels.is_dir() else [_field(labels, image, table, pixel_size)]
    )
    written = export_fields(output, fields, format_name)
    facts: dict[str, Any] = {
        "format": format_name,
        "written": [str(path) for path in written],
        "fields": len(fields),
        "n_grains": sum(_count(field) for field in fields),
    }
    if json:
        print_json(facts)
        return
    show_message(
        f"{facts['n_grains']} grains of {len(fields)} fields in {', '.join(facts['written'])}"
    )


def import_(
    source: Annotated[Path, typer.Argument(help="File or folder of another program.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="Labels TIFF; a folder where SOURCE holds several fields."
        ),
    ],
    format_name: Annotated[
        str, typer.Option("--format", "-f", help=f"{_FORMATS}; default: by the name.")
    ] = "",
    image: Annotated[
        Path | None, typer.Option(help="Image of the grains: its size, where SOURCE has none.")
    ] = None,
    trust_pickle: Annotated[
        bool,
        typer.Option("--trust-pickle", help="Read Cellpose's _seg.npy, which is a Python pickle."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read grains of another program and write them as labels, their minerals as a table."""
    from grainsmith.io.exchange import import_fields

    check_outputs({"--output": output}, [source, image])
    shape = _shape(image) if image else ()
    fields = import_fields(source, format_name, shape=shape, trust_pickle=trust_pickle)
    several = len(fields) > 1
    facts: list[dict[str, Any]] = []
    for field in fields:
        target = output / f"{field.name}_masks.tif" if several else output
        facts.append(_write(field, target))
    if json:
        print_json({"fields": facts})
        return
    for field, fact in zip(fields, facts, strict=True):
        for note in field.notes:
            show_message(f"{field.name}: {note}")
        show_message(f"{fact['n_grains']} grains in {fact['labels']}")


def _field(
    labels: Path, image: Path | None, table: Path | None, pixel_size: float
) -> LabelledField:
    from dataclasses import replace

    from grainsmith.errors import MismatchError
    from grainsmith.io.exchange import import_fields
    from grainsmith.io.images.reader import read_image
    from grainsmith.io.tables.grain_table import read_table

    (field,) = import_fields(labels)
    field = replace(field, pixel_size_um=pixel_size or field.pixel_size_um)
    if image:
        image_file = read_image(image, crop_databar="no")
        if image_file.image.shape[:2] != field.labels.shape:
            raise MismatchError(
                f"{image} is {image_file.image.shape[:2]}, {labels} {field.labels.shape} (rows, "
                "columns): they do not belong together"
            )
        field = replace(
            field,
            image=image_file.image,
            name=image.stem,
            pixel_size_um=field.pixel_size_um or image_file.pixel_size_um,
        )
    if table:
        rows = read_table(table)
        field = replace(field, table=rows, minerals=field.minerals | _minerals(rows))
    return field


def _minerals(table: Any) -> dict[int, str]:
    if "mineral" not in table:
        return {}
    named = table["mineral"].dropna()
    return {int(label): str(name) for label, name in named.items() if str(name)}


def _fields_of_set(folder: Path) -> list[LabelledField]:
    from grainsmith.errors import ReadError
    from grainsmith.io.dataset import read_dataset
    from grainsmith.io.exchange import LabelledField

    dataset = read_dataset(folder)
    if not dataset.fields:
        raise ReadError(f"{folder} holds no pairs of images and masks")
    loaded = ((field, field.load()) for field in dataset.fields)
    return [
        LabelledField(
            labels=planes.labels,
            name=field.name,
            minerals=field.minerals,
            image=planes.image,
            pixel_size_um=field.pixel_size_um,
            role=field.role,
        )
        for field, planes in loaded
    ]


def _write(field: LabelledField, target: Path) -> dict[str, Any]:
    import pandas as pd

    from grainsmith.io.labels.label_image import write_labels
    from grainsmith.io.tables.grain_table import write_table

    write_labels(target, field.labels, pixel_size_um=field.pixel_size_um)
    facts = {
        "name": field.name,
        "labels": str(target),
        "n_grains": _count(field),
        "pixel_size_um": field.pixel_size_um,
        "notes": list(field.notes),
    }
    if field.minerals:
        table = target.with_name(f"{target.stem}_minerals.csv")
        write_table(table, pd.DataFrame({"mineral": field.minerals}))
        facts["minerals"] = str(table)
    return facts


def _shape(image: Path) -> tuple[int, int]:
    from grainsmith.io.images.reader import read_image

    rows, columns = read_image(image, crop_databar="no").image.shape[:2]
    return rows, columns


def _count(field: LabelledField) -> int:
    import numpy as np

    return int(np.count_nonzero(np.bincount(field.labels.ravel())[1:]))
