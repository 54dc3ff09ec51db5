"""What runs behind *Name grains*: measure the elements, name the grains, sum up. No Qt here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grainsmith.classify.calibration import learn_standards, to_weight_pct
from grainsmith.classify.clusters import classify_by_clusters, suggest_names
from grainsmith.classify.examples import ExampleSettings, classify_by_examples
from grainsmith.classify.mixed import find_mixed
from grainsmith.classify.modal import association_pct, contact_matrix, modal_percentages
from grainsmith.classify.naming_table import keep_manual_names, mapped_elements
from grainsmith.classify.rule_matching import classify_by_rules
from grainsmith.classify.rules import RuleSet, advice_on_elements, library_rules
from grainsmith.errors import MismatchError
from grainsmith.measure import measure_grains, measure_maps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grainsmith.data import ElementMap, LabelImage, OnProgress, Transform


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """Names of all grains, and what is shown about them.

    Attributes
    ----------
    naming : DataFrame
        As `grainsmith.classify` describes it.
    notes : tuple of str
        In the user's words.
    views : dict of str to DataFrame
        Further tables, such as the confusion matrix.
    colours, densities : dict
        Mineral -> what a rules file gives it.
    """

    naming: pd.DataFrame
    notes: tuple[str, ...] = ()
    views: dict[str, pd.DataFrame] = field(default_factory=dict)
    colours: dict[str, str] = field(default_factory=dict)
    densities: dict[str, float] = field(default_factory=dict)


Namer = Callable[[pd.DataFrame], Named]
"""Names the grains of a table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What the naming starts from: all of it is the caller's and is not changed.

    Attributes
    ----------
    labels : (Y, X) int32 array
        Grains.
    table : DataFrame
        What is known of them, index `label`.
    maps, transforms
        Element maps and where they lie on the image.
    pixel_size_um : float
        Of the image; 0 where unknown.
    """

    labels: LabelImage
    table: pd.DataFrame
    maps: Sequence[ElementMap]
    transforms: Mapping[str, Transform]
    pixel_size_um: float


def name_grains(work: Work, namer: Namer, *, on_progress: OnProgress) -> tuple[pd.DataFrame, Named]:
    """Measure the elements of all grains, find those of two minerals, and name them.

    Returns
    -------
    columns : DataFrame
        Elements, purity and names, to be put into the grain table.
    named : Named
        The same names with all that is shown about them.

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
    named = namer(columns)
    naming = keep_manual_names(named.naming, work.table)
    return columns.join(naming), Named(
        naming=naming,
        notes=named.notes,
        views=named.views,
        colours=named.colours,
        densities=named.densities,
    )


def by_examples(examples: Mapping[int, str], settings: ExampleSettings) -> Namer:
    """Name grains like the ones that were clicked."""

    def name(table: pd.DataFrame) -> Named:
        learned = classify_by_examples(table, examples, settings)
        score = (
            "Click a second grain of some mineral to see how well the examples agree."
            if pd.isna(learned.score)
            else f"{learned.score:.0%} of the examples are named right by the others."
        )
        importances = learned.importances.sort_values(ascending=False)
        telling = ", ".join(f"{e} {share:.0%}" for e, share in importances.head(3).items())
        return Named(
            naming=learned.naming,
            notes=(score, *_confused(learned.confusion), f"Most telling: {telling}."),
            views={
                "Confusion of examples": _narrow(learned.confusion),
                "Importance of elements": (100 * importances).to_frame("share_pct"),
            },
        )

    return name


def _confused(confusion: pd.DataFrame) -> list[str]:
    """Say which examples the others take for another mineral, the most frequent first."""
    counts = confusion.to_numpy().copy()
    np.fill_diagonal(counts, 0)
    wrong = sorted(zip(*np.nonzero(counts), strict=True), key=lambda pair: -counts[pair])
    words = [
        f"{confusion.index[said]} taken for {confusion.columns[found]} ({counts[said, found]})"
        for said, found in wrong
    ]
    return [f"Examples: {', '.join(words)}."] if words else []


def by_rules(rules: RuleSet | None, kind: str, standards: Mapping[int, str]) -> Namer:
    """Name grains by a rules file, or by the mineral library where it is None.

    Grains of known minerals (`standards`: label -> mineral) turn counts into amounts where the
    rules want them.
    """

    def name(table: pd.DataFrame) -> Named:
        elements = mapped_elements(table)
        chosen = library_rules(elements) if rules is None else rules
        advice = advice_on_elements(elements) if rules is None else rules.advice(elements)
        held, notes = kind, list(advice)
        if kind == "counts" and chosen.units in ("at%", "wt%") and standards:
            learned = learn_standards(table, standards)
            table, held = to_weight_pct(table, learned), "wt%"
            notes.append(learned.note)
        return Named(
            naming=classify_by_rules(table, chosen, kind=held),
            notes=tuple(notes),
            colours={rule.mineral: rule.colour for rule in chosen.rules},
            densities={r.mineral: r.density_g_cm3 for r in chosen.rules if r.density_g_cm3},
        )

    return name


def by_clusters(most: int) -> Namer:
    """Sort grains into clusters, and say what each looks like."""

    def name(table: pd.DataFrame) -> Named:
        naming = classify_by_clusters(table, most_clusters=most)
        hints = suggest_names(table, naming)
        return Named(naming=naming, views={"Clusters look like": hints.to_frame("looks_like")})

    return name


def summaries(
    labels: LabelImage,
    table: pd.DataFrame,
    naming: pd.DataFrame,
    densities: Mapping[str, float],
    pixel_size_um: float,
) -> dict[str, pd.DataFrame]:
    """Return the tables that hold for any naming: modes, doubtful grains, contacts."""
    grains = table.loc[naming.index]
    contacts = contact_matrix(labels, naming, pixel_size_um=pixel_size_um)
    return {
        "Modal percentages": _read_easily(modal_percentages(grains, naming, densities=densities)),
        "Grains by doubt": _by_doubt(grains, naming),
        "Contacts (% of row)": _narrow(association_pct(contacts)),
    }


def _narrow(matrix: pd.DataFrame) -> pd.DataFrame:
    """Cut the names of the columns to what tells them apart: the rows have the whole names."""
    names = [str(name) for name in matrix.columns]
    letters = 3
    while len({name[:letters] for name in names}) < len(names):
        letters += 1
    return matrix.set_axis([name[:letters] for name in names], axis="columns")


def _read_easily(modal: pd.DataFrame) -> pd.DataFrame:
    """Put each interval into the column of its number."""
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
