"""Classify the grains of a field: by examples, by rules or by clusters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grainsmith.classify.calibration import Standards, learn_standards, to_weight_pct
from grainsmith.classify.clusters import classify_by_clusters, suggest_names
from grainsmith.classify.examples import (
    ExampleClassification,
    ExampleSettings,
    classify_by_examples,
)
from grainsmith.classify.mixed import find_mixed
from grainsmith.classify.naming_table import keep_manual_names, mapped_elements
from grainsmith.classify.rule_matching import classify_by_rules
from grainsmith.classify.rules import RuleSet, advice_on_elements, library_rules, read_rules
from grainsmith.errors import MismatchError
from grainsmith.measure import measure_grains, measure_maps
from grainsmith.statistics import association_pct, contact_matrix, modal_percentages

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grainsmith.data import ElementMap, LabelImage, OnProgress, Transform


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationResult:
    """Minerals of all grains.

    Attributes
    ----------
    naming : DataFrame
        One row per grain, see `grainsmith.classify`.
    notes : tuple of str
        Messages for the user.
    views : dict of str to DataFrame
        Further tables by title, such as the confusion matrix.
    colors, densities : dict
        Mineral -> color, and density in g/cm³, of a rules file.
    standards : Standards, optional
        Calibration by which counts became amounts.
    examples : ExampleClassification, optional
        Agreement of the examples, and the importance of the elements.
    """

    naming: pd.DataFrame
    notes: tuple[str, ...] = ()
    views: dict[str, pd.DataFrame] = field(default_factory=dict)
    colors: dict[str, str] = field(default_factory=dict)
    densities: dict[str, float] = field(default_factory=dict)
    standards: Standards | None = None
    examples: ExampleClassification | None = None


Classifier = Callable[[pd.DataFrame], ClassificationResult]
"""Names the grains of a table with element columns."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationInput:
    """Grains and element maps of a field; none of them is changed.

    Attributes
    ----------
    labels : (Y, X) int32 array
    table : DataFrame
        Measured grains, index `label`.
    maps : sequence of ElementMap
    transforms : mapping of str to Transform
        Map name -> position of the map on the image.
    pixel_size_um : float
        Pixel size of the image; 0 = unknown.
    """

    labels: LabelImage
    table: pd.DataFrame
    maps: Sequence[ElementMap]
    transforms: Mapping[str, Transform]
    pixel_size_um: float


def classify_grains(
    work: ClassificationInput, classifier: Classifier, *, on_progress: OnProgress
) -> tuple[pd.DataFrame, ClassificationResult]:
    """Measure the elements of all grains, find mixed grains, and name all of them.

    Returns
    -------
    columns : DataFrame
        Elements, purity and names, for the grain table.
    result : ClassificationResult

    Raises
    ------
    MismatchError
        There is no map.
    """
    if not work.maps:
        raise MismatchError("minerals are named by their elements: open element maps first")
    columns = measure_maps(work.labels, work.maps, work.transforms)
    if "area_px" not in work.table or work.table["area_px"].isna().any():
        columns = measure_grains(work.labels, pixel_size_um=work.pixel_size_um).join(columns)
    columns = columns.join(
        find_mixed(work.labels, work.maps, work.transforms, on_progress=on_progress)
    )
    result = classifier(columns)
    naming = keep_manual_names(result.naming, work.table)
    return columns.join(naming), replace(result, naming=naming)


def example_classifier(examples: Mapping[int, str], settings: ExampleSettings) -> Classifier:
    """Return a classifier that names grains after example grains (label -> mineral)."""

    def classify(table: pd.DataFrame) -> ClassificationResult:
        learned = classify_by_examples(table, examples, settings)
        score = (
            "Give a second example of some mineral to see how well the examples agree."
            if pd.isna(learned.score)
            else f"{learned.score:.0%} of the examples are named right by the others."
        )
        importances = learned.importances.sort_values(ascending=False)
        telling = ", ".join(f"{e} {share:.0%}" for e, share in importances.head(3).items())
        return ClassificationResult(
            naming=learned.naming,
            notes=(score, *_confused(learned.confusion), f"Most telling: {telling}."),
            views={
                "Confusion of examples": _narrow(learned.confusion),
                "Importance of elements": (100 * importances).to_frame("share_pct"),
            },
            examples=learned,
        )

    return classify


def _confused(confusion: pd.DataFrame) -> list[str]:
    """Return a note on the examples that the other examples name otherwise."""
    counts = confusion.to_numpy().copy()
    np.fill_diagonal(counts, 0)
    wrong = sorted(zip(*np.nonzero(counts), strict=True), key=lambda pair: -counts[pair])
    words = [
        f"{confusion.index[row]} taken for {confusion.columns[column]} ({counts[row, column]})"
        for row, column in wrong
    ]
    return [f"Examples: {', '.join(words)}."] if words else []


def rule_classifier(
    rules: RuleSet | None, *, kind: str = "", standards: Mapping[int, str] | None = None
) -> Classifier:
    """Return a classifier by rules, or by the mineral library if there are none.

    Parameters
    ----------
    rules : RuleSet or None
        See `open_rules`.
    kind : str
        Content of the maps: counts, wt%, at% or picture; "" = in the units of the rules.
    standards : mapping of int to str, optional
        Label -> mineral of known grains, by which counts become amounts for rules that need them.
    """

    def classify(table: pd.DataFrame) -> ClassificationResult:
        elements = mapped_elements(table)
        applied = library_rules(elements) if rules is None else rules
        notes = advice_on_elements(elements) if rules is None else rules.advice(elements)
        calibration, units = None, kind
        if kind == "counts" and applied.units in ("at%", "wt%") and standards:
            calibration = learn_standards(table, standards)
            table, units = to_weight_pct(table, calibration), "wt%"
            notes = [*notes, calibration.note]
        return ClassificationResult(
            naming=classify_by_rules(table, applied, kind=units),
            notes=tuple(notes),
            colors={rule.mineral: rule.color for rule in applied.rules},
            densities=densities_of(applied),
            standards=calibration,
        )

    return classify


def open_rules(rules: str) -> RuleSet | None:
    """Read a rules file; return None for "library", the mineral library."""
    return None if rules == "library" else read_rules(rules)


def densities_of(rules: RuleSet | None) -> dict[str, float]:
    """Return the densities that rules give, in g/cm³; those of the library are known."""
    if rules is None:
        return {}
    return {rule.mineral: rule.density_g_cm3 for rule in rules.rules if rule.density_g_cm3}


def cluster_classifier(max_clusters: int = 12) -> Classifier:
    """Return a classifier that groups similar grains and suggests a mineral for each group."""

    def classify(table: pd.DataFrame) -> ClassificationResult:
        naming = classify_by_clusters(table, most_clusters=max_clusters)
        hints = suggest_names(table, naming)
        return ClassificationResult(
            naming=naming, views={"Clusters look like": hints.to_frame("looks_like")}
        )

    return classify


def summaries(
    labels: LabelImage,
    table: pd.DataFrame,
    naming: pd.DataFrame,
    densities: Mapping[str, float],
    pixel_size_um: float,
    field_shape: tuple[int, int] = (0, 0),
) -> dict[str, pd.DataFrame]:
    """Return modal percentages, grains by doubt and contacts, by title."""
    grains = table.loc[naming.index]
    contacts = contact_matrix(labels, naming, pixel_size_um=pixel_size_um)
    return {
        "Modal percentages": _with_intervals(
            modal_percentages(
                grains,
                naming,
                densities=densities,
                field_shapes=[field_shape if all(field_shape) else labels.shape],
            )
        ),
        "Grains by doubt": _by_doubt(grains, naming),
        "Contacts (% of row)": _narrow(association_pct(contacts)),
    }


def _narrow(matrix: pd.DataFrame) -> pd.DataFrame:
    """Shorten the names of the columns, unambiguously; the rows keep the full names."""
    names = [str(name) for name in matrix.columns]
    letters = 3
    while len({name[:letters] for name in names}) < len(names):
        letters += 1
    return matrix.set_axis([name[:letters] for name in names], axis="columns")


def _with_intervals(modal: pd.DataFrame) -> pd.DataFrame:
    """Return modal percentages with their intervals as text."""
    shown = pd.DataFrame({"grains": modal["n_grains"]}, index=modal.index)
    for basis in ("area", "count", "weight"):
        columns = modal[[f"{basis}_pct", f"{basis}_pct_low", f"{basis}_pct_high"]]
        shown[f"{basis}_pct"] = [
            "" if pd.isna(value) else f"{value:.1f} ({low:.1f}–{high:.1f})"
            for value, low, high in columns.itertuples(index=False)
        ]
    diameters = [name for name in modal if str(name).startswith("d50_")]
    shown["unsure_pct"] = modal["unsure_pct"].round(1)
    return shown.join(modal[diameters]).assign(by_hand=modal["n_by_hand"])


def _by_doubt(grains: pd.DataFrame, naming: pd.DataFrame) -> pd.DataFrame:
    extra = [name for name in ("purity", "area_px") if name in grains]
    return naming.join(grains[extra]).sort_values("score", kind="stable")
