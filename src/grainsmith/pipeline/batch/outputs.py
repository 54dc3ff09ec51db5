"""What is written of a finished field besides its labels and table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from grainsmith.errors import MismatchError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.provenance import write_json
from grainsmith.pipeline.field.measure import field_of

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from grainsmith.data import ElementMap, Transform
    from grainsmith.pipeline.batch.discovery import FieldFiles
    from grainsmith.pipeline.field.segment import SegmentedField
    from grainsmith.pipeline.recipe import Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessedField:
    """Field after all steps.

    Attributes
    ----------
    files : FieldFiles
    found : SegmentedField
    table : DataFrame
        All grains, with minerals if they were classified.
    maps : tuple of ElementMap
    transforms : dict of str to Transform
        By the maps' names.
    notes : list of str
        Messages for the user.
    """

    files: FieldFiles
    found: SegmentedField
    table: pd.DataFrame
    maps: tuple[ElementMap, ...]
    transforms: dict[str, Transform]
    notes: list[str]


def write_statistics(field: ProcessedField, recipe: Recipe, folder: Path) -> dict[str, Any]:
    """Write statistics.json and, if the recipe asks for it, the report; return the statistics."""
    from grainsmith.report import read_result, write_report
    from grainsmith.statistics import summarize

    image = field.found.image
    if recipe.report.report:
        report = write_report(
            folder / "report.html",
            labels=field.found.labels,
            table=field.table,
            image=image.image,
            facts=_report_facts(field, recipe),
            settings=recipe.statistics,
        )
        statistics: dict[str, Any] = read_result(report.result)["statistics"]
    else:
        whole = field_of(field.table, field.found.labels, data_bar_rows=image.data_bar_rows)
        statistics = summarize(whole, recipe.statistics).as_dict()
    write_json(folder / "statistics.json", statistics)
    return statistics


def write_figures(field: ProcessedField, folder: Path) -> None:
    """Write outlines over the image and, with maps, a contact sheet of the grains by mineral."""
    from grainsmith.gallery import contact_sheet, prepare_field
    from grainsmith.io.images.png import write_png
    from grainsmith.report.figures import outline_png

    found, table = field.found, field.table
    size = found.image.pixel_size_um
    with atomic_write(folder / "overview.png") as temporary:
        drawn = outline_png(found.image.image, found.labels, table, pixel_size_um=size)
        temporary.write_bytes(drawn)
    if not (field.maps and len(table)):
        return
    ready = prepare_field(
        found.image.image,
        found.labels,
        field.maps,
        {element_map.element: field.transforms[element_map.name] for element_map in field.maps},
        naming=table[["mineral", "verdict"]] if "mineral" in table else None,
        pixel_size_um=size,
    )
    try:
        write_png(folder / "sheet.png", contact_sheet(ready))
    except MismatchError as error:
        field.notes.append(str(error))


def facts_of(field: ProcessedField, statistics: dict[str, Any]) -> dict[str, Any]:
    """Return the summary of a field for lists and pooled statistics."""
    found, unit = field.found, statistics["unit"]
    return {
        "image": field.files.image,
        "n_grains": len(field.table),
        "d50_number": statistics["values"].get(f"d50_{unit}_number", {}).get("value"),
        "unit": unit,
        "height_px": found.labels.shape[0] - found.image.data_bar_rows,
        "width_px": found.labels.shape[1],
        "pixel_size_um": found.image.pixel_size_um,
        "model": found.prediction.model,
        "model_sha256": found.prediction.fingerprint,
        "notes": field.notes,
    }


def _report_facts(field: ProcessedField, recipe: Recipe) -> dict[str, Any]:
    image, prediction = field.found.image, field.found.prediction
    return {
        "title": field.files.name,
        "source": image.source,
        "pixel_size_source": image.pixel_size_source,
        "data_bar_rows": image.data_bar_rows,
        "model": prediction.model,
        "model_sha256": prediction.fingerprint,
        "model_settings": asdict(recipe.segment),
        "edits": 0,
        "maps": [element_map.name for element_map in field.maps],
        "alignment": [
            f"{name}: {transform.verdict}" for name, transform in field.transforms.items()
        ],
        "notes": field.notes,
    }
