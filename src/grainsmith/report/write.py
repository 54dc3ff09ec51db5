"""Write the report of a field and read its numbers back."""

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
from grainsmith.measure import RESOLUTION_PX, pieces_note
from grainsmith.plots import readable
from grainsmith.report import figures, tables
from grainsmith.report.methods import methods_paragraph
from grainsmith.statistics import (
    FieldGrains,
    SizeStatistics,
    StatisticsSettings,
    grain_weights,
    grid_hits,
    summarize,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from grainsmith.data import Image, LabelImage

FORMAT = "grainsmith-result-1"

MIN_GRAINS_PER_MINERAL = 10
"""Minerals with fewer grains get a count, but no size statistics."""

_FACT_LABELS = {
    "source": "Image",
    "maps": "Element maps",
    "alignment": "Alignment",
    "model": "Model",
    "model_sha256": "Model, SHA-256",
    "model_settings": "Segmentation settings",
    "edits": "Manual edits",
    "notes": "Notes",
}
_SHOWN_ELSEWHERE = {"title", "pixel_size_source", "data_bar_rows"}


@dataclass(frozen=True, slots=True)
class Report:
    """Files of a report.

    Attributes
    ----------
    html, result : Path
        The HTML page, and the JSON file with its numbers.
    summary : str
        One-line summary, such as "412 grains · D50 83.3 µm (by number) · 0.62 µm/px".
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
    grid_px: float = 0.0,
) -> Report:
    """Write an HTML report of a field, and `<name>.json` with the same numbers.

    The page is self-contained, with embedded images. For example::

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
        HTML file to write.
    labels : (Y, X) int array
        0 is background.
    table : DataFrame
        From `measure.measure_grains` for these labels. An optional column `mineral` is summarized
        too. The pixel size is taken from the columns in µm.
    image : (Y, X) or (Y, X, 3) array, optional
        Image of the field; without it the report has no images.
    facts : mapping, optional
        Recorded facts: "title", "source", "pixel_size_source", "data_bar_rows", "model",
        "model_sha256", "model_settings" (a dict), "edits" (number of manual edits), "maps" and
        "alignment" (lists of str), "notes" (a list of str). Other entries are listed unchanged.
    settings : StatisticsSettings, optional
    grid_px : float
        Spacing of a point grid for grid-by-number statistics; 0 = no grid.

    Returns
    -------
    Report

    Raises
    ------
    MismatchError
        Image, labels and table do not fit together.
    WriteError
        A file could not be written; existing files are unchanged.
    """
    facts = dict(facts or {})
    _check(labels, table, image)
    settings = settings or StatisticsSettings()
    rows = labels.shape[0] - int(facts.get("data_bar_rows", 0))
    field = FieldGrains(table=table, height_px=rows, width_px=labels.shape[1])
    if grid_px:
        field = replace(field, grid_hits=grid_hits(labels[:rows], grid_px))
    content = _Content(
        field=field,
        facts=facts,
        statistics=summarize(field, settings),
        by_mineral=_by_mineral(field, settings),
        pixel_size_um=_pixel_size_um(table),
        origin=provenance([], settings=asdict(settings)),
    )
    page, result = Path(path), Path(path).with_suffix(".json")
    html = page_template().render(
        title=facts.get("title") or page.stem,
        summary=content.summary,
        warnings=_warnings(table, content.statistics, content.pixel_size_um),
        images=_images(labels[:rows], table, image, content.statistics, content.pixel_size_um),
        figures=_figures(table, content),
        sections=_sections(table, content),
        provenance=[
            *_provenance(facts, content.statistics, content.pixel_size_um),
            ("Versions", _format_fact(content.origin["versions"])),
        ],
        methods=content.methods,
        version=__version__,
        made=content.origin["made"],
        result_name=result.name,
    )
    write_json(result, content.as_dict())
    with atomic_write(page) as temporary:
        temporary.write_text(html, "utf-8")
    return Report(page, result, content.summary)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Content:
    """Everything that both the page and the JSON file contain."""

    field: FieldGrains
    facts: dict[str, Any]
    statistics: SizeStatistics
    by_mineral: dict[str, SizeStatistics]
    pixel_size_um: float
    origin: dict[str, Any]

    @property
    def summary(self) -> str:
        return _summary(self.statistics, self.pixel_size_um)

    @property
    def methods(self) -> str:
        return methods_paragraph(
            self.statistics, self.facts, version=__version__, pixel_size_um=self.pixel_size_um
        )

    def as_dict(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "grainsmith": __version__,
            "made": self.origin["made"],
            "summary": self.summary,
            "pixel_size_um": self.pixel_size_um,
            "grains": len(self.field.table),
            "facts": self.facts,
            "statistics": self.statistics.as_dict(),
            "minerals": {name: sizes.as_dict() for name, sizes in self.by_mineral.items()},
            "versions": self.origin["versions"],
            "methods": self.methods,
        }


def read_result(path: str | Path) -> dict[str, Any]:
    """Read the numbers that `write_report` wrote next to its page.

    Raises
    ------
    ReadError
        The file is missing, broken or not a Grainsmith result.
    """
    content = read_json(path)
    if content.get("format") != FORMAT:
        raise ReadError(f"{path} is not a Grainsmith result: its format is not {FORMAT}")
    return content


def _check(labels: LabelImage, table: pd.DataFrame, image: Image | None) -> None:
    if image is not None and image.shape[:2] != labels.shape:
        raise MismatchError(
            f"the image is {image.shape[:2]} and the labels are {labels.shape} (rows, columns): "
            "choose the image of these labels"
        )
    grains = int(np.count_nonzero(np.bincount(labels.ravel())[1:])) if labels.max() < 2**26 else -1
    if grains not in (-1, len(table)):
        raise MismatchError(
            f"the labels contain {grains} grains and the table {len(table)}: measure again"
        )


def page_template() -> Any:
    """Load the HTML template shared by field and sample reports."""
    loader = PackageLoader("grainsmith.report", ".")
    environment = Environment(
        loader=loader, autoescape=select_autoescape(), trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("template.html")


def _by_mineral(field: FieldGrains, settings: StatisticsSettings) -> dict[str, SizeStatistics]:
    if "mineral" not in field.table:
        return {}
    return {
        str(name): summarize(replace(field, table=grains), settings)
        for name, grains in field.table.groupby("mineral", observed=True)
        if len(grains) >= MIN_GRAINS_PER_MINERAL
    }


def _pixel_size_um(table: pd.DataFrame) -> float:
    if "area_um2" not in table or table.empty:
        return 0.0
    return float(np.sqrt(table.area_um2.iloc[0] / table.area_px.iloc[0]))


def _summary(statistics: SizeStatistics, pixel_size_um: float) -> str:
    unit = {"um": "µm", "px": "px"}[statistics.unit]
    parts = [f"{statistics.n + statistics.left_out.n_edge + statistics.left_out.n_small} grains"]
    for basis in statistics.bases:
        if statistics.n:
            median = statistics.values.value[f"d50_{statistics.unit}_{basis}"]
            parts.append(f"D50 {tables.significant(median)} {unit} (by {basis})")
    known = f"{pixel_size_um:.4g} µm/px" if pixel_size_um else "pixel size unknown"
    return " · ".join([*parts, known])


def _warnings(table: pd.DataFrame, statistics: SizeStatistics, pixel_size_um: float) -> list[str]:
    warnings = []
    if not len(table):
        warnings.append("There are no grains to measure.")
    if not pixel_size_um and len(table):
        warnings.append("The pixel size is unknown: all lengths are in pixels.")
    if pieces := pieces_note(table):
        warnings.append(pieces[0].upper() + pieces[1:])
    small = int(table.below_resolution.sum())
    if small:
        share = 100 * small / len(table)
        warnings.append(
            f"{small} grains ({share:.0f} %) are less than {RESOLUTION_PX:.0f} px wide: their "
            "sizes are uncertain by several per cent, their shape measures by more."
        )
    if 0 < statistics.n < 100:
        warnings.append(
            f"Only {statistics.n} grains are counted: the tails of the distribution are uncertain."
        )
    if statistics.settings.edge_rule in ("drop", "count all"):
        warnings.append("The edge effect is not corrected: coarse grains are underestimated.")
    return warnings


def _images(
    labels: LabelImage,
    table: pd.DataFrame,
    image: Image | None,
    statistics: SizeStatistics,
    pixel_size_um: float,
) -> list[dict[str, str]]:
    if image is None:
        return []
    image = image[: labels.shape[0]]
    size = f"{statistics.settings.size}_{statistics.unit}"
    drawings = [
        (
            figures.outline_figure(image, labels, table, pixel_size_um=pixel_size_um),
            "Outlines: whole grains in yellow, grains cut off by the edge in pink.",
        ),
        (figures.field_figure(image, pixel_size_um=pixel_size_um), "The field."),
        (
            figures.size_figure(labels, table[size], unit=statistics.unit),
            f"Grains coloured by {readable(size)}.",
        ),
    ]
    return [{"uri": uri, "caption": caption} for uri, caption in drawings]


def _figures(table: pd.DataFrame, content: _Content) -> list[dict[str, str]]:
    statistics = content.statistics
    if not statistics.n:
        return []
    size = f"{statistics.settings.size}_{statistics.unit}"
    weights = grain_weights(content.field, statistics.settings)
    drawings = [
        (figures.curve_figure(statistics), "Cumulative curves with 95 % intervals."),
        (
            figures.histogram_figure(table[size], readable(size), log=True, weights=weights),
            "Histogram by number with logarithmic classes, weighted by the edge rule.",
        ),
        (
            figures.rose_figure(table.orientation_deg, weights),
            "Orientation of long axes, weighted by the edge rule; sector areas show counts.",
        ),
    ]
    return [{"uri": uri, "caption": caption} for uri, caption in drawings]


def _sections(table: pd.DataFrame, content: _Content) -> list[tables.Section]:
    statistics = content.statistics
    if not statistics.n:
        return []
    sections = [tables.size_section(statistics)]
    if "mineral" in table:
        sections.append(
            tables.mineral_section(table, content.by_mineral, statistics.unit, statistics.bases)
        )
    if len(statistics.classes):
        sections.append(tables.class_section(statistics))
    weights = grain_weights(content.field, statistics.settings)
    return [*sections, tables.shape_section(table, weights)]


def _provenance(
    facts: Mapping[str, Any], statistics: SizeStatistics, pixel_size_um: float
) -> list[tuple[str, str]]:
    source = facts.get("pixel_size_source") or "source not recorded"
    rows = [
        ("Pixel size", f"{pixel_size_um:.6g} µm ({source})" if pixel_size_um else "unknown"),
        ("Grain size", readable(f"{statistics.settings.size}_{statistics.unit}")),
        ("Edge", _edge(statistics)),
    ]
    if facts.get("data_bar_rows"):
        rows.append(("Data bar", f"{facts['data_bar_rows']} rows at the bottom left out"))
    for name, value in facts.items():
        if name not in _SHOWN_ELSEWHERE and value not in ("", None, [], {}, ()):
            rows.append((_FACT_LABELS.get(name, readable(name)), _format_fact(value)))
    return rows


def _edge(statistics: SizeStatistics) -> str:
    excluded = statistics.left_out
    small = f", {excluded.n_small} below resolution" if excluded.n_small else ""
    return (
        f"rule “{statistics.settings.edge_rule}”: {excluded.n_edge} grains left out{small}, "
        f"{excluded.area_pct:.1f} % of the grain area in total"
    )


def _format_fact(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(str(item) for item in value)
    return str(value)
