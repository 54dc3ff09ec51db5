"""Pool the fields of each sample, and compare the samples."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grainsmith.data import no_progress
from grainsmith.errors import GrainsmithError, MismatchError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.provenance import write_json
from grainsmith.io.tables.grain_table import read_table, write_table
from grainsmith.pipeline.batch.field_job import TABLE
from grainsmith.pipeline.field.classify import densities_of, open_rules
from grainsmith.report import FieldLine, SampleFacts, write_sample_report
from grainsmith.statistics import (
    FieldGrains,
    compare_samples,
    field_spread,
    modal_percentages,
    summarize,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from grainsmith.data import OnProgress
    from grainsmith.pipeline.batch.manifest import Entry
    from grainsmith.pipeline.recipe import Recipe
    from grainsmith.statistics import FieldSpread, SampleComparison, SizeStatistics

RESULT = "statistics.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """A sample of which some fields are done.

    Attributes
    ----------
    name : str
    entries : tuple of Entry
        Its finished fields.
    failed : dict of str to str
        Field -> reason.
    """

    name: str
    entries: tuple[Entry, ...]
    failed: dict[str, str]


@dataclass(frozen=True, slots=True)
class SampleSummary:
    """What came of pooling.

    Attributes
    ----------
    summaries : dict of str to str
        Sample -> one line.
    problems : dict of str to str
        Sample -> why its fields could not be pooled.
    """

    summaries: dict[str, str]
    problems: dict[str, str]


def pool_samples(
    out: Path, samples: Sequence[Sample], recipe: Recipe, *, on_progress: OnProgress = no_progress
) -> SampleSummary:
    """Write the tables, statistics and report of every sample, and how the samples differ.

    Parameters
    ----------
    out : Path
        Folder of the batch; reads OUT/<sample>/<field>/grains.csv, writes OUT/<sample>/grains.csv,
        statistics.json, curve.csv, fields.csv, modal.csv and report.html, and OUT/comparison.csv.
    samples : sequence of Sample
    recipe : Recipe
    on_progress : callable
        Told (samples done, samples in all); raising in it stops the work.
    """
    pools: dict[str, _Pool] = {}
    problems: dict[str, str] = {}
    for done, sample in enumerate(samples):
        on_progress(done, len(samples))
        try:
            pools[sample.name] = _pooled(out, sample, recipe)
        except GrainsmithError as error:
            problems[sample.name] = str(error)
    on_progress(len(samples), len(samples))
    comparisons = _compared(pools, recipe)
    if comparisons:
        _write_comparisons(out, comparisons)
    summaries = {}
    for name, pool in pools.items():
        on_progress(len(samples), len(samples))
        pool.others = {b: comparison for (a, b), comparison in comparisons.items() if a == name}
        pool.others |= {a: pair.swapped() for (a, b), pair in comparisons.items() if b == name}
        shown = sorted((name, *pool.others))
        curves = {shown_name: pools[shown_name].statistics for shown_name in shown}
        summaries[name] = _write_sample(out / name, pool, recipe, curves)
    return SampleSummary(summaries, problems)


@dataclass(slots=True)
class _Pool:
    """Pooled grains of a sample."""

    sample: Sample
    tables: list[pd.DataFrame]
    fields: list[FieldGrains]
    spread: FieldSpread
    statistics: SizeStatistics
    others: dict[str, SampleComparison] = field(default_factory=dict)


def _pooled(out: Path, sample: Sample, recipe: Recipe) -> _Pool:
    if not sample.entries:
        raise MismatchError("none of its fields is done")
    tables = [read_table(out / entry.name / TABLE) for entry in sample.entries]
    fields = [
        FieldGrains(
            table=table, height_px=entry.facts["height_px"], width_px=entry.facts["width_px"]
        )
        for entry, table in zip(sample.entries, tables, strict=True)
    ]
    spread = field_spread(fields, recipe.statistics)
    return _Pool(sample, tables, fields, spread, summarize(fields, recipe.statistics))


def _compared(
    pools: Mapping[str, _Pool], recipe: Recipe
) -> dict[tuple[str, str], SampleComparison]:
    found = {}
    for a, b in combinations(sorted(pools), 2):
        # Samples in pixels and µm, or without grains, cannot be compared.
        with suppress(MismatchError):
            found[a, b] = compare_samples(pools[a].fields, pools[b].fields, recipe.statistics)
    return found


def _write_comparisons(out: Path, comparisons: Mapping[tuple[str, str], SampleComparison]) -> None:
    rows = [
        comparison.differences.assign(
            first_sample=first, second_sample=second, ks=comparison.ks, ks_p=comparison.ks_p
        ).reset_index()
        for (first, second), comparison in comparisons.items()
    ]
    table = pd.concat(rows, ignore_index=True)
    names = ["first_sample", "second_sample", "ks", "ks_p"]
    _write_csv(
        out / "comparison.csv", table[[*names, *(c for c in table.columns if c not in names)]]
    )


def _write_sample(
    folder: Path, pool: _Pool, recipe: Recipe, curves: Mapping[str, SizeStatistics]
) -> str:
    sample, statistics, spread = pool.sample, pool.statistics, pool.spread
    modal = _modal(pool, recipe)
    names = [entry.field for entry in sample.entries]
    write_table(folder / TABLE, _together(sample, pool.tables))
    lines = _lines(sample, spread.fields, statistics.unit, report=recipe.report.report)
    per_field = spread.fields.assign(field=names).set_index("field")
    _write_csv(folder / "fields.csv", per_field.reset_index())
    _write_csv(folder / "curve.csv", statistics.curve)
    if len(modal):
        _write_csv(folder / "modal.csv", modal.reset_index())
    result: dict[str, Any] = {
        "sample": sample.name,
        "fields": names,
        "failed": sample.failed,
        "statistics": statistics.as_dict(),
        "between_fields": {
            "between_share": spread.between_share,
            "between_sd_log2": spread.between_sd_log2,
            "within_sd_log2": spread.within_sd_log2,
            "d50_sd": spread.d50_sd,
            "fields": per_field.to_dict("index"),
        },
        "modal": modal.to_dict("index"),
        "against": {
            name: {
                "ks": comparison.ks,
                "ks_p": comparison.ks_p,
                "n_effective": list(comparison.n_effective),
                "differences": comparison.differences.to_dict("index"),
            }
            for name, comparison in pool.others.items()
        },
        "recipe": asdict(recipe),
    }
    write_json(folder / RESULT, result)
    facts = SampleFacts(
        name=sample.name,
        statistics=statistics,
        spread=spread,
        fields=lines,
        modal=modal,
        others=pool.others,
        curves=curves,
        facts=_origin(sample, recipe),
        pixel_size_um=_common_pixel_size(sample),
    )
    if recipe.report.report:
        return write_sample_report(folder / "report.html", facts, result_name=RESULT)
    fields = f"{len(names)} field{'s' if len(names) != 1 else ''}"
    return f"{fields} · {sum(map(len, pool.tables))} grains"


def _together(sample: Sample, tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    parts = []
    for entry, table in zip(sample.entries, tables, strict=True):
        part = table.copy()
        part.insert(0, "sample", sample.name)
        part.insert(1, "field", entry.field)
        parts.append(part)
    return pd.concat(parts)


def _modal(pool: _Pool, recipe: Recipe) -> pd.DataFrame:
    """Compute the modal percentages over all fields whose grains have minerals."""
    named = [field for field in pool.fields if "mineral" in field.table and len(field.table)]
    if not named:
        return pd.DataFrame()
    table = pd.concat([field.table for field in named], ignore_index=True)
    if any("area_um2" not in field.table for field in named):
        table = table.drop(columns="area_um2", errors="ignore")
    return modal_percentages(
        table,
        table[["mineral", "verdict"]],
        settings=recipe.statistics,
        densities=(
            densities_of(open_rules(recipe.classify.rules)) if recipe.classify.rules else {}
        ),
        fields=np.repeat(np.arange(len(named)), [len(field.table) for field in named]),
        field_shapes=[(field.height_px, field.width_px) for field in named],
    )


def _lines(sample: Sample, per_field: pd.DataFrame, unit: str, *, report: bool) -> list[FieldLine]:
    lines = [
        FieldLine(
            name=entry.field,
            link=f"{entry.field}/report.html" if report else "",
            n_grains=entry.facts["n_grains"],
            d50=float(per_field[f"d50_{unit}_number"].iloc[number]),
            notes=tuple(entry.facts["notes"]),
        )
        for number, entry in enumerate(sample.entries)
    ]
    lines += [
        FieldLine(name=name, notes=(reason,), failed=True) for name, reason in sample.failed.items()
    ]
    return sorted(lines, key=lambda line: line.name)


def _origin(sample: Sample, recipe: Recipe) -> dict[str, Any]:
    models = {(entry.facts["model"], entry.facts["model_sha256"]) for entry in sample.entries}
    known = dict(zip(("model", "model_sha256"), next(iter(models)), strict=True))
    return {
        **(known if len(models) == 1 else {}),
        "edits": 0,
        "recipe": f"SHA-256 {recipe.fingerprint()[:12]}",
    }


def _common_pixel_size(sample: Sample) -> float:
    sizes = {entry.facts["pixel_size_um"] for entry in sample.entries}
    return float(sizes.pop()) if len(sizes) == 1 else 0.0


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index=False)
