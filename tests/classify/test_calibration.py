import numpy as np
import pandas as pd
import pytest

from grainsmith.classify.calibration import learn_standards, to_weight_pct
from grainsmith.classify.rule_matching import classify_by_rules
from grainsmith.classify.rules import library_rules
from grainsmith.errors import MismatchError
from grainsmith.minerals import LIBRARY

ELEMENTS = ("Na", "Al", "Si", "K", "Fe", "Zr")
PER_PCT = dict(zip(ELEMENTS, (0.02, 0.05, 0.06, 0.09, 0.12, 0.04), strict=True))
"""Counts in a map pixel per wt%: not alike, as a detector sees them."""

PIXELS = 400


def table_of(minerals, seed=0):
    """Counted means of one grain of each mineral."""
    random = np.random.default_rng(seed)
    columns = {}
    for element in ELEMENTS:
        expected = [PER_PCT[element] * LIBRARY[m].weight_pct.get(element, 0) for m in minerals]
        counts = random.poisson(np.array(expected) * PIXELS)
        columns[f"{element}_mean"] = counts / PIXELS
        columns[f"{element}_error"] = np.sqrt(np.maximum(counts, 1)) / PIXELS
        columns[f"{element}_counts"] = counts.astype(float)
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(minerals) + 1, name="label"))


MINERALS = ["quartz", "K-feldspar", "albite", "almandine", "zircon", "quartz", "K-feldspar"]


def test_sensitivities_are_those_that_the_counts_were_made_with():
    standards = learn_standards(
        table_of(MINERALS), {1: "quartz", 2: "K-feldspar", 3: "albite", 4: "almandine"}
    )
    assert standards.assumed == ("Zr",)
    for element in ("Na", "Al", "Si", "K", "Fe"):
        wanted = pytest.approx(PER_PCT[element], abs=4 * standards.relative_error[element])
        assert standards.sensitivity[element] == wanted
    assert standards.sensitivity["Zr"] == pytest.approx(0.06, rel=0.1)
    assert "No example holds Zr" in standards.note


def test_the_library_names_counted_grains_by_two_clicked_standards():
    table = table_of(MINERALS)
    rules = library_rules(ELEMENTS, [LIBRARY[name] for name in sorted(set(MINERALS))])
    standards = learn_standards(table, {2: "K-feldspar", 3: "albite", 4: "almandine"})
    weights = to_weight_pct(table, standards)
    assert weights.loc[1, "Si_mean"] == pytest.approx(LIBRARY["quartz"].weight_pct["Si"], rel=0.1)
    assert "Si_counts" not in weights
    naming = classify_by_rules(weights, rules, kind="wt%")
    assert naming["mineral"].tolist() == MINERALS


def test_the_errors_of_standards_are_carried_on():
    table = table_of(MINERALS)
    standards = learn_standards(table, {1: "quartz"})
    weights = to_weight_pct(table, standards)
    relative = weights.loc[6, "Si_error"] / weights.loc[6, "Si_mean"]
    counted = table.loc[6, "Si_error"] / table.loc[6, "Si_mean"]
    assert relative == pytest.approx(np.hypot(counted, standards.relative_error["Si"]))


def test_a_guessed_sensitivity_is_said_to_be_unsure():
    standards = learn_standards(table_of(MINERALS), {2: "K-feldspar", 3: "albite", 4: "almandine"})
    assert standards.assumed == ("Zr",)
    known = [standards.sensitivity[e] for e in ("Na", "Al", "Si", "K", "Fe")]
    unlike = np.std(known) / np.median(known)
    assert standards.relative_error["Zr"] == pytest.approx(max(unlike, 0.5))
    weights = to_weight_pct(table_of(MINERALS), standards)
    assert weights.loc[5, "Zr_error"] >= 0.5 * weights.loc[5, "Zr_mean"]


def test_examples_that_are_no_minerals_are_named():
    standards = learn_standards(table_of(MINERALS), {1: "quartz", 2: "slag", 3: "matte"})
    assert standards.ignored == ("matte", "slag")
    assert "Not in the library, so no standards: matte, slag." in standards.note


def test_a_standard_that_counts_nothing_is_not_left_out():
    table = table_of(MINERALS)
    alone = learn_standards(table, {1: "quartz"}).sensitivity["Si"]
    table.loc[6, ["Si_mean", "Si_counts", "Si_error"]] = 0.0, 0.0, 1 / PIXELS
    blind = learn_standards(table, {1: "quartz", 6: "quartz"})
    assert blind.sensitivity["Si"] < 0.9 * alone


def test_a_large_standard_weighs_more_than_a_speck():
    table = table_of(MINERALS)
    table.loc[6, "Si_mean"] = 2 * table.loc[1, "Si_mean"]
    for element in ELEMENTS:  # one pixel
        table.loc[6, f"{element}_counts"] = table.loc[6, f"{element}_mean"]
    alone = learn_standards(table, {1: "quartz"}).sensitivity["Si"]
    both = learn_standards(table, {1: "quartz", 6: "quartz"}).sensitivity["Si"]
    assert both == pytest.approx(alone, rel=0.01)


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({}, "got none"),
        ({1: "slag"}, "got slag"),
        ({99: "quartz"}, "grains of minerals of the library"),
        ({1: "calcite"}, "none of the examples shows"),
    ],
)
def test_standards_that_are_none_are_refused(examples, message):
    with pytest.raises(MismatchError, match=message):
        learn_standards(table_of(MINERALS), examples)


def test_standards_of_other_maps_are_refused():
    standards = learn_standards(table_of(MINERALS), {1: "quartz"})
    other = table_of(MINERALS).rename(columns={"Zr_mean": "Ti_mean"})
    with pytest.raises(MismatchError, match="know nothing of Ti"):
        to_weight_pct(other, standards)
