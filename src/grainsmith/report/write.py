"""Write the report of a field, and read its numbers back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, PackageLoader, select_autoescape

from grainsmith import __version__
from grainsmith.errors import MismatchError, ReadError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.provenance import provenance, read_json, write_json
from grainsmith.plots import readable
from grainsmith.report import figures, tables
from grainsmith.report.methods import methods_paragraph
from grainsmith.statistics import FieldGrains, SizeStatistics, StatisticsSettings, summarise

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from grainsmith.data import Image, LabelImage

FORMAT = "grainsmith-result-1"

LEAST_PER_MINERAL = 10
"""Minerals of fewer grains get a count, but no distribution."""

_NAMES = {
    "source": "Image",
    "maps": "Element maps",
    "alignment": "RegistrationResult",
    "model": "Model",
    "model_sha256": "Model, SHA-256",
    "model_settings": "Settings of the segmentation",
    "edits": "Edits by hand",
    "notes": "Notes",
}
_SAID_ELSEWHERE = {"title", "pixel_size_source", "data_bar_rows"}


@dataclass(frozen=True, slots=True)
class Report:
    """The files of a report.

    Attributes
    ----------
    html, result : Path
        The page, and its numbers as JSON.
    summary : str
        One line, such as "412 grains · D50 83.3 µm (by number) · 0.62 µm/px".
    """

    html: Path
    result: Path
    summary: str


def write_report(
    path: str | Path,
    *,
    labels: LabelImage,
    table: pd.DataFrame,
    image: Image | None = None,
    facts: Mapping[str, Any] | None = None,
    settings: StatisticsSettings | None = None,
) -> Report:
    """Write one HTML page about a field, and `<name>.json` with the same numbers beside it.

    The page stands alone: images are inside, nothing is fetched. All of this is enough::

        table = measure_grains(labels, pixel_size_um=image.pixel_size_um, image=image.image)
        write_report(
            "out/report.html",
            labels=labels,
            table=table,
            image=image.image,
            facts={
                "title": "Sample 7, field 3",
                "source": image.source,
                "pixel_size_source": image.pixel_size_source,
                "data_bar_rows": image.data_bar_rows,
                "model": "grains",
                "model_sha256": "...",
                "edits": 3,
            },
        )

    Parameters
    ----------
    path : str or Path
        Of the page; ends in .html.
    labels : (Y, X) int array
        0 is background.
    table : DataFrame
        Of `measure.measure_grains` for these labels. A column `mineral`, where it has one, is
        summed up too. Its columns in µm say the pixel size.
    image : (Y, X) or (Y, X, 3) array, optional
        The image on which the grains were drawn; without it there are no images.
    facts : mapping, optional
        What is known: "title", "source", "pixel_size_source", "data_bar_rows", "model",
        "model_sha256", "model_settings" (a dict), "edits" (how many, by hand), "maps" and
        "alignment" (lists of str), "notes" (a list of str). Others are printed as they are.
    settings : StatisticsSettings, optional

    Returns
    -------
    Report

    Raises
    ------
    MismatchError
        Image, labels and table do not belong together.
    WriteError
        A file could not be written; what was there before is untouched.
    """
    facts = dict(facts or {})
    _check(labels, table, image)
    settings = settings or StatisticsSettings()
    rows = labels.shape[0] - int(facts.get("data_bar_rows", 0))
    field = FieldGrains(table=table, height_px=rows, width_px=labels.shape[1])
    statistics = summarise(field, settings)
    by_mineral = _by_mineral(field, settings)
    pixel_size_um = _pixel_size_um(table)
    page, result = Path(path), Path(path).with_suffix(".json")
    origin = provenance([], settings=asdict(settings))
    methods = methods_paragraph(statistics, facts, version=__version__, pixel_size_um=pixel_size_um)
    summary = _summary(statistics, pixel_size_um)
    found = {
        "format": FORMAT,
        "grainsmith": __version__,
        "made": origin["made"],
        "summary": summary,
        "pixel_size_um": pixel_size_um,
        "grains": len(table),
        "facts": facts,
        "statistics": statistics.as_dict(),
        "minerals": {name: one.as_dict() for name, one in by_mineral.items()},
        "versions": origin["versions"],
        "methods": methods,
    }
    html = page_template().render(
        title=facts.get("title") or page.stem,
        summary=summary,
        warnings=_warnings(table, statistics, pixel_size_um),
        pictures=_pictures(labels[:rows], table, image, statistics, pixel_size_um),
        figures=_figures(table, statistics),
        sections=_sections(table, statistics, by_mineral),
        provenance=[
            *_provenance(facts, statistics, pixel_size_um),
            ("Versions", _said(origin["versions"])),
        ],
        methods=methods,
        version=__version__,
        made=origin["made"],
        result_name=result.name,
    )
    write_json(result, found)
    with atomic_write(page) as temporary:
        temporary.write_text(html, "utf-8")
    return Report(page, result, summary)


def read_result(path: str | Path) -> dict[str, Any]:
    """Return the numbers that `write_report` has written beside its page.

    Raises
    ------
    ReadError
        The file is missing, broken or not one of ours.
    """
    found = read_json(path)
    if found.get("format") != FORMAT:
        raise ReadError(f"{path} is not a result of Grainsmith: it lacks the format {FORMAT}")
    return found


def _check(labels: LabelImage, table: pd.DataFrame, image: Image | None) -> None:
    if image is not None and image.shape[:2] != labels.shape:
        raise MismatchError(
            f"the image is {image.shape[:2]} and the labels are {labels.shape} (rows, columns): "
            "choose the image on which the grains were drawn"
        )
    grains = int(np.count_nonzero(np.bincount(labels.ravel())[1:])) if labels.max() < 2**26 else -1
    if grains not in (-1, len(table)):
        raise MismatchError(
            f"the labels hold {grains} grains and the table {len(table)}: measure them again"
        )


def page_template() -> Any:
    """Return the page that reports of fields and of samples share."""
    loader = PackageLoader("grainsmith.report", ".")
    environment = Environment(
        loader=loader, autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("template.html")


def _by_mineral(field: FieldGrains, settings: StatisticsSettings) -> dict[str, SizeStatistics]:
    if "mineral" not in field.table:
        return {}
    return {
        str(name): summarise(replace(field, table=grains), settings)
        for name, grains in field.table.groupby("mineral", observed=True)
        if len(grains) >= LEAST_PER_MINERAL
    }


def _pixel_size_um(table: pd.DataFrame) -> float:
    if "area_um2" not in table or table.empty:
        return 0.0
    return float(np.sqrt(table.area_um2.iloc[0] / table.area_px.iloc[0]))


def _summary(statistics: SizeStatistics, pixel_size_um: float) -> str:
    unit = {"um": "µm", "px": "px"}[statistics.unit]
    parts = [f"{statistics.n + statistics.left_out.n_edge + statistics.left_out.n_small} grains"]
    for basis in ("number", "area"):
        if statistics.n:
            median = statistics.values.value[f"d50_{statistics.unit}_{basis}"]
            parts.append(f"D50 {tables.significant(median)} {unit} (by {basis})")
    known = f"{pixel_size_um:.4g} µm/px" if pixel_size_um else "pixel size unknown"
    return " · ".join([*parts, known])


def _warnings(table: pd.DataFrame, statistics: SizeStatistics, pixel_size_um: float) -> list[str]:
    out = []
    if not len(table):
        out.append("No grains were found: there is nothing to measure.")
    if not pixel_size_um and len(table):
        out.append("The pixel size is unknown: all lengths are in pixels.")
    small = int(table.below_resolution.sum())
    if small:
        share = 100 * small / len(table)
        out.append(
            f"{small} grains ({share:.0f} %) are less than 20 px wide: their sizes are uncertain "
            "by several per cent, their forms by more."
        )
    if 0 < statistics.n < 100:
        out.append(f"Only {statistics.n} grains count: tails of the distribution are guesses.")
    if statistics.settings.edge_rule in ("drop", "count all"):
        out.append("The edge of the field is not corrected for: coarse grains are underestimated.")
    return out


def _pictures(
    labels: LabelImage,
    table: pd.DataFrame,
    image: Image | None,
    statistics: SizeStatistics,
    pixel_size_um: float,
) -> list[dict[str, str]]:
    if image is None:
        return []
    seen = image[: labels.shape[0]]
    size = f"{statistics.settings.size}_{statistics.unit}"
    shown = [
        (
            figures.outline_figure(seen, labels, table, pixel_size_um=pixel_size_um),
            "Outlines: yellow grains are whole, pink ones are cut off by the edge.",
        ),
        (figures.field_figure(seen, pixel_size_um=pixel_size_um), "The field."),
        (
            figures.size_figure(labels, table[size], unit=statistics.unit),
            f"Grains coloured by {readable(size)}.",
        ),
    ]
    return [{"uri": uri, "caption": caption} for uri, caption in shown]


def _figures(table: pd.DataFrame, statistics: SizeStatistics) -> list[dict[str, str]]:
    if not statistics.n:
        return []
    size = f"{statistics.settings.size}_{statistics.unit}"
    shown = [
        (figures.curve_figure(statistics), "Cumulative curves with their 95 % bands."),
        (
            figures.histogram_figure(table[size], readable(size), log=True),
            "Grains in classes of equal ratio; each counts once, uncorrected.",
        ),
        (
            figures.rose_figure(table.orientation_deg),
            "Long axes; the area of a petal goes with its count.",
        ),
    ]
    return [{"uri": uri, "caption": caption} for uri, caption in shown]


def _sections(
    table: pd.DataFrame, statistics: SizeStatistics, by_mineral: Mapping[str, SizeStatistics]
) -> list[tables.Section]:
    if not statistics.n:
        return []
    sections = [tables.size_section(statistics)]
    if "mineral" in table:
        sections.append(tables.mineral_section(table, by_mineral, statistics.unit))
    if len(statistics.classes):
        sections.append(tables.class_section(statistics))
    return [*sections, tables.form_section(table)]


def _provenance(
    facts: Mapping[str, Any], statistics: SizeStatistics, pixel_size_um: float
) -> list[tuple[str, str]]:
    source = facts.get("pixel_size_source") or "source not said"
    rows = [
        ("Pixel size", f"{pixel_size_um:.6g} µm ({source})" if pixel_size_um else "unknown"),
        ("Grain size", readable(f"{statistics.settings.size}_{statistics.unit}")),
        ("Edge", _edge(statistics)),
    ]
    if facts.get("data_bar_rows"):
        rows.append(("Data bar", f"{facts['data_bar_rows']} rows at the bottom left out"))
    for name, value in facts.items():
        if name not in _SAID_ELSEWHERE and value not in ("", None, [], {}, ()):
            rows.append((_NAMES.get(name, readable(name)), _said(value)))
    return rows


def _edge(statistics: SizeStatistics) -> str:
    left = statistics.left_out
    small = f", {left.n_small} below resolution" if left.n_small else ""
    return (
        f"rule “{statistics.settings.edge_rule}”: {left.n_edge} grains left out{small}, "
        f"together {left.area_pct:.1f} % of the grains' area"
    )


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(str(item) for item in value)
    return str(value)
