"""grainsmith classify: grain table -> minerals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainsmith.cli.output_paths import check_outputs
from grainsmith.cli.terminal import print_json, show_message

if TYPE_CHECKING:
    import pandas as pd

    from grainsmith.pipeline.field.classify import ClassificationResult


def classify(
    table: Annotated[Path, typer.Argument(help="Grain table (CSV) with <Element>_mean columns.")],
    rules: Annotated[
        str,
        typer.Option(metavar="RULES.yaml|library", help="Rules file, or the mineral library."),
    ] = "",
    examples: Annotated[
        Path | None,
        typer.Option(help="CSV with columns label,mineral: known grains.", show_default=False),
    ] = None,
    standards: Annotated[
        Path | None,
        typer.Option(
            help="CSV like that of --examples: converts counts to wt% for --rules in at% or wt%.",
            show_default=False,
        ),
    ] = None,
    clusters: Annotated[
        bool, typer.Option("--clusters", help="Group similar grains without naming them.")
    ] = False,
    method: Annotated[
        str, typer.Option(metavar="centroid|forest", help="Classifier for --examples.")
    ] = "centroid",
    units: Annotated[
        str,
        typer.Option(
            metavar="counts|wt%|at%|picture",
            help="Units of the element columns; default: counts if the table has columns of "
            "counts, else the units of the rules.",
        ),
    ] = "",
    labels: Annotated[
        Path | None,
        typer.Option(help="Label image of the same grains, for contacts.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="CSV; default TABLE_minerals.csv.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Name the grains of TABLE by rules, examples or clusters; print the modal percentages."""
    from grainsmith.errors import MismatchError
    from grainsmith.io.labels.label_image import read_labels
    from grainsmith.io.labels.label_metadata import read_label_metadata
    from grainsmith.io.tables.mineral_table import read_grain_csv, write_grain_csv
    from grainsmith.statistics import contact_matrix, modal_percentages

    if bool(rules) + (examples is not None) + clusters != 1:
        raise MismatchError("give one of --rules, --examples and --clusters")
    _check_units(units, rules, standards)
    target = output or table.with_name(f"{table.stem}_minerals.csv")
    rules_file = Path(rules) if rules not in ("", "library") else None
    check_outputs({"--output": target}, [table, rules_file, examples, standards, labels])
    grains = read_grain_csv(table)
    if rules:
        result, facts = _by_rules(grains, rules, units, standards)
    elif examples is not None:
        result, facts = _by_examples(grains, examples, method)
    else:
        result, facts = _by_clusters(grains)
    naming = result.naming
    write_grain_csv(target, naming)
    facts = {"minerals_csv": str(target), "n_grains": len(naming), **facts}
    if {"area_um2", "area_px"} & set(grains.columns):
        facts["modal"] = modal_percentages(grains, naming, densities=result.densities).to_dict(
            "index"
        )
    if labels is not None:
        contacts = contact_matrix(
            read_labels(labels),
            naming,
            pixel_size_um=read_label_metadata(labels).pixel_size_um,
        )
        facts["contacts"] = contacts.to_dict("index")
    facts["verdicts"] = naming["verdict"].value_counts().to_dict()
    if json:
        print_json(facts)
        return
    _print(facts)


def _check_units(units: str, rules: str, standards: Path | None) -> None:
    from grainsmith.errors import MismatchError

    if units not in ("", "counts", "wt%", "at%", "picture"):
        raise MismatchError(f"--units must be counts, wt%, at% or picture, got {units!r}")
    if standards is not None and (not rules or units not in ("", "counts")):
        raise MismatchError(
            "--standards turns counts into amounts: give it with --rules, and no --units"
        )


def _by_rules(
    grains: pd.DataFrame, rules: str, units: str, standards: Path | None
) -> tuple[ClassificationResult, dict[str, Any]]:
    from grainsmith.pipeline.field.classify import open_rules, rule_classifier

    if not units and (standards is not None or _has_counts(grains)):
        units = "counts"
    classifier = rule_classifier(
        open_rules(rules), kind=units, standards=_examples(standards) if standards else None
    )
    result = classifier(grains)
    facts: dict[str, Any] = {"method": "rules", "rules": rules, "advice": list(result.notes)}
    if result.standards is not None:
        facts |= {
            "sensitivity": result.standards.sensitivity,
            "assumed": list(result.standards.assumed),
            "ignored": list(result.standards.ignored),
        }
    return result, facts


def _has_counts(grains: pd.DataFrame) -> bool:
    from grainsmith.classify.naming_table import mapped_elements

    columns = [f"{element}_counts" for element in mapped_elements(grains)]
    return bool(grains.filter(items=columns).notna().to_numpy().any())


def _examples(path: Path) -> dict[int, str]:
    from grainsmith.io.tables.mineral_table import read_grain_csv

    rows = read_grain_csv(path, wanted=["mineral"])["mineral"].astype(str)
    return dict(zip(rows.index.tolist(), rows, strict=True))


def _by_examples(
    grains: pd.DataFrame, path: Path, method: str
) -> tuple[ClassificationResult, dict[str, Any]]:
    from grainsmith.classify.examples import ExampleSettings
    from grainsmith.pipeline.field.classify import example_classifier

    examples = _examples(path)
    settings = ExampleSettings(method=method)  # type: ignore[arg-type]
    result = example_classifier(examples, settings)(grains)
    facts: dict[str, Any] = {"method": method, "examples": len(examples)}
    if result.examples is not None:
        facts |= {
            "score": result.examples.score,
            "confusion": result.examples.confusion.to_dict("index"),
            "importances": result.examples.importances.to_dict(),
        }
    return result, facts


def _by_clusters(grains: pd.DataFrame) -> tuple[ClassificationResult, dict[str, Any]]:
    from grainsmith.pipeline.field.classify import cluster_classifier

    result = cluster_classifier()(grains)
    (looks_like,) = result.views.values()
    return result, {"method": "clusters", "looks_like": looks_like["looks_like"].to_dict()}


def _print(facts: dict[str, Any]) -> None:
    for line in facts.get("advice", ()):
        show_message(f"note: {line}")
    if "score" in facts:
        show_message(
            f"{facts['score']:.0%} of {facts['examples']} examples named right by the others"
        )
    for cluster, name in facts.get("looks_like", {}).items():
        show_message(f"{cluster} looks like {name}")
    for mineral, row in facts.get("modal", {}).items():
        typer.echo(
            f"{mineral:20s} {row['n_grains']:6.0f} grains  {row['area_pct']:5.1f} % of area "
            f"({row['area_pct_low']:.1f}–{row['area_pct_high']:.1f})"
            + (f", {row['unsure_pct']:.0f} % of it unsure" if row["unsure_pct"] >= 0.5 else "")
        )
    show_message(f"{facts['n_grains']} grains in {facts['minerals_csv']}")
