"""Write the report of a sample: pooled statistics, fields, and comparison with other samples."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from grainsmith import __version__
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.provenance import provenance
from grainsmith.report import figures, tables
from grainsmith.report.methods import methods_paragraph
from grainsmith.report.tables import Cell, Section, significant
from grainsmith.report.write import page_template

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

    from grainsmith.statistics import FieldSpread, SampleComparison, SizeStatistics

_UNITS = {"um": "µm", "px": "px"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldLine:
    """One field in the list of a sample report.

    Attributes
    ----------
    name : str
    link : str
        Path of the report of the field, relative to the sample report; "" = none.
    n_grains : int
    d50 : float
        D50 by number; NaN without grains.
    notes : tuple of str
        Remarks for the user; for a failed field, the reason.
    failed : bool
    """

    name: str
    link: str = ""
    n_grains: int = 0
    d50: float = float("nan")
    notes: tuple[str, ...] = ()
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFacts:
    """Content of a sample report.

    Attributes
    ----------
    name : str
    statistics : SizeStatistics
        Statistics of all fields pooled.
    spread : FieldSpread
        Variation between the fields.
    fields : sequence of FieldLine
    modal : DataFrame
        From `statistics.modal_percentages`; empty = no minerals.
    others : mapping of str to Comparison
        This sample (first) compared with each other sample (second).
    curves : mapping of str to SizeStatistics
        This sample and all samples that it is compared with.
    facts : mapping
        See `write_report`.
    pixel_size_um : float
        Pixel size if all fields share it, else 0.
    """

    name: str
    statistics: SizeStatistics
    spread: FieldSpread
    fields: Sequence[FieldLine]
    modal: pd.DataFrame
    others: Mapping[str, SampleComparison] = dataclass_field(default_factory=dict)
    curves: Mapping[str, SizeStatistics] = dataclass_field(default_factory=dict)
    facts: Mapping[str, Any] = dataclass_field(default_factory=dict)
    pixel_size_um: float = 0.0


def write_sample_report(path: str | Path, sample: SampleFacts, *, result_name: str) -> str:
    """Write the HTML report of a sample and return its one-line summary.

    Parameters
    ----------
    path : str or Path
        Ends in .html.
    sample : SampleFacts
    result_name : str
        Name of the file with the same numbers next to it.

    Raises
    ------
    WriteError
        The file could not be written; an existing file is unchanged.
    """
    statistics = sample.statistics
    summary = _summary(sample)
    origin = provenance([], settings={})
    sections = [tables.size_section(statistics)] if statistics.n else []
    sections.append(_spread_section(sample))
    sections += [_modal_section(sample.modal)] if len(sample.modal) else []
    sections += [_others_section(sample)] if sample.others else []
    sections += [tables.class_section(statistics)] if len(statistics.classes) else []
    sections.append(_fields_section(sample))
    html = page_template().render(
        title=f"Sample {sample.name}",
        summary=summary,
        warnings=_warnings(sample),
        images=[],
        figures=_figures(sample),
        sections=sections,
        provenance=_provenance(sample),
        methods=methods_paragraph(
            statistics, sample.facts, version=__version__, pixel_size_um=sample.pixel_size_um
        ),
        version=__version__,
        made=origin["made"],
        result_name=result_name,
    )
    with atomic_write(path) as temporary:
        temporary.write_text(html, "utf-8")
    return summary


def _summary(sample: SampleFacts) -> str:
    statistics = sample.statistics
    done = [field for field in sample.fields if not field.failed]
    parts = [
        f"{len(done)} field{'s' if len(done) != 1 else ''}",
        f"{sum(field.n_grains for field in done)} grains",
    ]
    for basis in statistics.bases:
        if statistics.n:
            median = statistics.values.value[f"d50_{statistics.unit}_{basis}"]
            parts.append(f"D50 {significant(median)} {_UNITS[statistics.unit]} (by {basis})")
    return " · ".join(parts)


def _warnings(sample: SampleFacts) -> list[str]:
    failed = [field for field in sample.fields if field.failed]
    done = len(sample.fields) - len(failed)
    warnings = []
    if failed:
        names = ", ".join(field.name for field in failed[:5]) + (" …" if len(failed) > 5 else "")
        warnings.append(
            f"{len(failed)} of {len(sample.fields)} fields failed and are not included: {names}"
        )
    if 0 < done < 5:
        warnings.append(
            f"Only {done} field{'s' if done > 1 else ''}: the variation between fields "
            "is uncertain, and so is every interval."
        )
    if sample.statistics.unit == "px":
        warnings.append("The pixel size is unknown: all lengths are in pixels.")
    return warnings


def _figures(sample: SampleFacts) -> list[dict[str, str]]:
    statistics = sample.statistics
    if not statistics.n:
        return []
    drawings = [
        (figures.curve_figure(statistics), "All fields pooled, with 95 % intervals."),
        (
            figures.field_curves_figure(sample.spread, statistics),
            "Individual fields (grey), by number.",
        ),
    ]
    if len(sample.curves) > 1:
        uri = figures.sample_curves_figure(sample.curves)
        drawings.append((uri, "All samples, by number, with 95 % intervals."))
    return [{"uri": uri, "caption": caption} for uri, caption in drawings]


def _spread_section(sample: SampleFacts) -> Section:
    spread, unit = sample.spread, _UNITS[sample.statistics.unit]
    rows = [
        [Cell("share of the variance between fields"), Cell(_pct(spread.between_share))],
        [
            Cell("standard deviation between fields (factor)"),
            Cell(significant(2**spread.between_sd_log2)),
        ],
        [
            Cell("standard deviation within a field (factor)"),
            Cell(significant(2**spread.within_sd_log2)),
        ],
    ]
    rows += [
        [
            Cell(f"standard deviation of D50 by {name.rpartition('_')[2]} between fields ({unit})"),
            Cell(_number(sd)),
        ]
        for name, sd in spread.d50_sd.items()
    ]
    note = (
        "Variance components of log2(size); every grain counts once. A share near 0 means that any "
        "field represents the sample."
    )
    return Section("Between the fields", ["", ""], rows, note)


def _modal_section(modal: pd.DataFrame) -> Section:
    rows = [
        [
            Cell(str(mineral)),
            Cell(str(int(row.n_grains))),
            *(
                Cell(
                    _number(row[f"{basis}_pct"]),
                    _interval(row[f"{basis}_pct_low"], row[f"{basis}_pct_high"]),
                )
                for basis in ("area", "count", "weight")
            ),
        ]
        for mineral, row in modal.iterrows()
    ]
    note = "In grey: 95 % bootstrap intervals over fields, then grains."
    return Section("Modal percentages", ["", "grains", "% area", "% count", "% weight"], rows, note)


def _others_section(sample: SampleFacts) -> Section:
    rows = []
    for name, comparison in sample.others.items():
        unit = sample.statistics.unit
        cells = [Cell(name), Cell(significant(comparison.ks)), Cell(_p(comparison.ks_p))]
        for percentile in (16, 50, 84):
            row = comparison.differences.loc[f"d{percentile}_{unit}_number"].to_dict()
            difference, low, high = row["difference"], row["low"], row["high"]
            cells.append(Cell(_signed(difference), _interval(low, high)))
        rows.append(cells)
    unit_text = _UNITS[sample.statistics.unit]
    heads = ["compared with", "KS distance", "p", *(f"ΔD{p} ({unit_text})" for p in (16, 50, 84))]
    note = (
        "By number; Δ is the other sample minus this one, in grey its 95 % interval: the samples "
        "differ if it excludes 0. p accounts for the similarity of grains from one field."
    )
    return Section("Comparison with other samples", heads, rows, note)


def _fields_section(sample: SampleFacts) -> Section:
    unit = _UNITS[sample.statistics.unit]
    rows = [
        [
            Cell(field.name, link=quote(field.link)),
            Cell("failed" if field.failed else str(field.n_grains)),
            Cell("" if field.failed else _number(field.d50)),
            Cell("; ".join(note.rstrip(".") for note in field.notes)),
        ]
        for field in sample.fields
    ]
    heads = ["", "grains", f"D50 by number ({unit})", "notes"]
    return Section("Fields", heads, rows, ends_in_words=True)


def _provenance(sample: SampleFacts) -> list[tuple[str, str]]:
    rows = [
        ("Fields", f"{sum(not field.failed for field in sample.fields)} of {len(sample.fields)}")
    ]
    if sample.pixel_size_um:
        rows.append(("Pixel size", f"{sample.pixel_size_um:.6g} µm"))
    names = {"model": "Model", "model_sha256": "Model, SHA-256", "recipe": "Recipe"}
    rows += [(names[key], str(sample.facts[key])) for key in names if sample.facts.get(key)]
    return rows


def _number(value: float) -> str:
    return significant(float(value))


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{significant(float(value))}"


def _interval(low: float, high: float) -> str:
    return f"{_number(low)} – {_number(high)}" if low == low else ""


def _pct(share: float) -> str:
    return f"{100 * share:.1f} %" if share == share else "–"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
