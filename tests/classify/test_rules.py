import re

import numpy as np
import pandas as pd
import pytest

from grainsmith.classify.element_ratios import Quantity, convert
from grainsmith.classify.rule_matching import classify_by_rules, classify_pixels
from grainsmith.classify.rules import advice_on_elements, library_rules, read_rules
from grainsmith.errors import MismatchError, ReadError
from grainsmith.minerals import LIBRARY

SILICATES = """
name: three silicates
units: at%
minerals:
  quartz: {range: {Si: [85, 100]}}
  K-feldspar:
    range: {Si: [50, 70], Al: [12, 28]}
    ratio: {K/(K+Na+Ca): [0.6, 1]}
  zircon: {require: [Zr], forbid: [Al, K]}
"""
# Mimura & Akizawa 2025, Zenodo 10.5281/zenodo.14676066, out/001/03_criteria.csv
GEOMAC = """
units: picture
match: first
minerals:
  blank: {range: {Si: [0, 25], Mg: [0, 10], Fe: [0, 5]}}
  Spl: {range: {Si: [0, 255], Mg: [60, 95], Fe: [35, 60]}}
  Ol: {range: {Si: [0, 255], Mg: [175, 255], Fe: [0, 255]}}
  Opx: {range: {Si: [100, 255], Mg: [130, 175], Fe: [0, 255]}}
  Cpx: {range: {Si: [50, 95], Mg: [60, 110], Fe: [0, 255]}}
  Grt: {range: {Si: [95, 130], Mg: [50, 90], Fe: [0, 255]}}
"""


@pytest.fixture
def rules(tmp_path):
    def write_and_read(text):
        path = tmp_path / "rules.yaml"
        path.write_text(text, encoding="utf-8")
        return read_rules(path)

    return write_and_read


def grains(kind="at%", error=0.5, **columns):
    """One grain a row; errors are the same for all."""
    table = pd.DataFrame({f"{element}_mean": values for element, values in columns.items()})
    for element in columns:
        table[f"{element}_error"] = error
    table.index = pd.Index(range(1, len(table) + 1), name="label")
    return table


def test_grains_get_the_name_of_the_rule_they_meet(rules):
    table = grains(
        Si=[99, 60, 50, 20], Al=[0, 20, 0, 80], K=[1, 19, 0, 0], Na=[0, 1, 0, 0], Ca=[0, 0, 0, 0],
        Zr=[0, 0, 50, 0],
    )  # fmt: skip
    naming = classify_by_rules(table, rules(SILICATES))
    assert list(naming["mineral"]) == ["quartz", "K-feldspar", "zircon", "unknown"]
    assert list(naming["verdict"]) == ["named", "named", "named", "unknown"]
    assert naming["score"].between(0, 1).all()


def test_order_of_rules_matters_only_in_first_match(rules):
    overlapping = "{}: {{range: {{Si: [0, 60]}}}}", "{}: {{range: {{Si: [45, 55]}}}}"
    table = grains(Si=[50], error=1.0)
    answers = {}
    for match in ("best", "first"):
        for order in ((0, 1), (1, 0)):
            lines = [overlapping[i].format("wide" if i == 0 else "narrow") for i in order]
            text = f"match: {match}\nminerals:\n  " + "\n  ".join(lines)
            answers[match, order] = classify_by_rules(table, rules(text))["mineral"].iloc[0]
    assert answers["best", (0, 1)] == answers["best", (1, 0)] == "narrow"
    assert answers["first", (0, 1)] == "wide"
    assert answers["first", (1, 0)] == "narrow"


def test_noise_decides_between_neighbours(rules):
    text = "minerals:\n  low: {range: {Mg: [0, 50]}}\n  high: {range: {Mg: [50, 100]}}"
    table = grains(Mg=[49, 49, 30], error=[0.1, 5.0, 5.0])
    naming = classify_by_rules(table, rules(text))
    assert list(naming["mineral"]) == ["low", "low", "low"]
    assert list(naming["verdict"]) == ["named", "unsure", "named"]
    assert naming["runner_up"].iloc[1] == "high"


def test_a_grain_in_a_gap_that_chance_explains_gets_the_nearest_name_but_unsure(rules):
    text = "minerals:\n  low: {range: {Mg: [0, 50]}}\n  high: {range: {Mg: [60, 100]}}"
    table = grains(Mg=[53, 53, 57.5, 53], error=[2.0, 0.5, 2.0, 0.0])
    naming = classify_by_rules(table, rules(text))
    assert list(naming["mineral"]) == ["low", "unknown", "high", "unknown"]
    assert list(naming["verdict"]) == ["unsure", "unknown", "unsure", "unknown"]
    assert naming["score"].iloc[0] <= 0.5
    first = classify_by_rules(table, rules(f"match: first\n{text}"))
    assert set(first["mineral"]) == {"unknown"}
    refused = classify_by_rules(table, rules(f"gaps: unknown\n{text}"))
    assert set(refused["verdict"]) == {"unknown"}
    assert refused["runner_up"].iloc[0] == "low"


def test_bounds_that_are_met_do_not_excuse_one_that_is_missed(rules):
    """A value 3 standard errors out is as unlikely with nine idle conditions as with none."""
    idle = ", ".join(f"{e}: [0, 100]" for e in ("Na", "Al", "Si", "K", "Ca", "Ti", "Fe", "Mn", "P"))
    table = grains(
        Mg=[53.0, 56.0], error=2.0, **dict.fromkeys(("Na", "Al", "Si", "K", "Ca", "Ti"), 5.0),
        **dict.fromkeys(("Fe", "Mn", "P"), 5.0),
    )  # fmt: skip
    for conditions in ("Mg: [0, 50]", f"Mg: [0, 50], {idle}"):
        naming = classify_by_rules(table, rules(f"minerals: {{low: {{range: {{{conditions}}}}}}}"))
        assert list(naming["verdict"]) == ["unsure", "unknown"]


def test_an_error_that_is_not_known_is_not_none(rules):
    text = "minerals:\n  low: {range: {Mg: [0, 50]}}\n  high: {range: {Mg: [50, 100]}}"
    naming = classify_by_rules(grains(Mg=[45, 45], error=[0.1, np.nan]), rules(text))
    assert list(naming["verdict"]) == ["named", "unsure"]


def test_members_of_a_group_that_noise_cannot_part_get_its_name(rules):
    text = (
        "minerals:\n  magnetite: {range: {Fe: [70, 73]}}\n  hematite: {range: {Fe: [68, 70]}}\n"
        "  pyrite: {range: {Fe: [40, 50]}}"
    )
    naming = classify_by_rules(grains(Fe=[70.0, 72.0, 45.0], error=0.6), rules(text))
    assert list(naming["mineral"]) == ["Fe oxide", "magnetite", "pyrite"]


def test_grain_outside_the_maps_is_unmapped(rules):
    table = grains(Si=[95, 95], Al=[0, 0], K=[0, 0], Na=[0, 0], Ca=[0, 0], Zr=[0, 0])
    for element in ("Si", "Al", "K", "Na", "Ca", "Zr"):
        table[f"{element}_coverage"] = [1.0, 0.2]
    naming = classify_by_rules(table, rules(SILICATES))
    assert list(naming["mineral"]) == ["quartz", "unmapped"]
    assert naming["score"].iloc[1] == 0


def test_rules_without_their_map_are_left_out_and_named(rules):
    silicates = rules(SILICATES)
    assert silicates.advice(["Si"]) == ["K-feldspar needs Al, Ca, K, Na", "zircon needs Al, K, Zr"]
    naming = classify_by_rules(grains(Si=[95.0]), silicates)
    assert naming["mineral"].iloc[0] == "quartz"
    with pytest.raises(MismatchError, match=r"none of the rules can be used with maps of Fe: qua"):
        classify_by_rules(grains(Fe=[95.0]), silicates)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("minerals: [quartz]", "no section 'minerals"),
        ("minerals: {a: {range: {Si: [1, 2]}, colour: red}}", "colour must be written as"),
        ("minerals: {a: {range: {Si: [2, 1]}}}", "a: Si: 2 is more than 1"),
        ("minerals: {a: {range: {Si: 5}}}", "is not 'element: [low, high]'"),
        ("minerals: {a: {range: {Xq: [1, 2]}}}", "'Xq' is not an element"),
        ("minerals: {a: {ratio: {K/Na/Ca: [1, 2]}}}", "more than one '/'"),
        ("minerals: {a: {rnage: {Si: [1, 2]}}}", "a needs a range, a ratio or require"),
        ("unit: at%\nminerals: {a: {range: {Si: [1, 2]}}}", "unknown keys unit"),
        ("units: ppm\nminerals: {a: {range: {Si: [1, 2]}}}", "units must be one of counts"),
        ("gaps: guess\nminerals: {a: {range: {Si: [1, 2]}}}", "gaps must be nearest or unknown"),
        ("units: picture\nminerals: {a: {ratio: {K/Na: [1, 2]}}}", "stretched images allow no"),
        ("minerals: {a: {range: {Si: [1, 2]}, density: x}}", "density must be a number"),
        ("minerals: {a: [", "is not valid YAML"),
    ],
)
def test_faults_in_a_rules_file_are_named(rules, text, message):
    with pytest.raises(ReadError, match=re.escape(message)):
        rules(text)


def test_all_faults_are_named_at_once(rules):
    with pytest.raises(ReadError, match="units must be") as caught:
        rules("units: ppm\nminerals: {a: {range: {Si: [2, 1]}}}")
    assert "2 is more than 1" in str(caught.value)


def test_missing_rules_file(tmp_path):
    with pytest.raises(ReadError, match="cannot be read"):
        read_rules(tmp_path / "none.yaml")


def test_ratio_and_its_error():
    quantity = Quantity.parse("K/(K+Na)")
    means = np.array([[30.0, 10.0], [0.0, 0.0]])
    ratio, error = quantity.measure(["K", "Na"], means, np.full((2, 2), 1.0))
    assert ratio[0] == 0.75
    assert error[0] == pytest.approx(np.hypot(10 / 1600, 30 / 1600))
    assert np.isnan(ratio[1])


@pytest.mark.parametrize(
    ("kind", "units", "expected"),
    [
        pytest.param("counts", "counts", [30, 10], id="as-they-are"),
        pytest.param("counts", "relative", [75, 25], id="relative"),
        pytest.param("at%", "at%", [75, 25], id="without-oxygen"),
        pytest.param("wt%", "at%", [72.16, 27.84], id="weights-divided"),
    ],
)
def test_units_are_brought_together(kind, units, expected):
    means, _ = convert(
        np.array([[30.0, 10.0]]), np.ones((1, 2)), ["Fe", "Mg"] if kind == "at%" else ["Si", "Mg"],
        kind=kind, units=units,
    )  # fmt: skip
    if kind == "wt%":
        # 30 / 28.085 against 10 / 24.305
        expected = [100 * 1.0682 / (1.0682 + 0.41144), 100 * 0.41144 / (1.0682 + 0.41144)]
    np.testing.assert_allclose(means[0], expected, rtol=1e-3)


@pytest.mark.parametrize(
    ("kind", "units", "why"),
    [
        ("counts", "at%", "only with standards"),
        ("picture", "relative", "stretched one by one"),
        ("at%", "wt%", "oxygen is not known"),
    ],
)
def test_units_without_an_honest_way_are_refused(kind, units, why):
    with pytest.raises(MismatchError, match=why):
        convert(np.ones((1, 1)), np.ones((1, 1)), ["Si"], kind=kind, units=units)


def test_library_names_its_own_minerals():
    elements = ("Na", "Mg", "Al", "Si", "P", "S", "K", "Ca", "Ti", "Fe", "Cu", "Zr", "Ba", "Ce")
    table = pd.DataFrame(
        {f"{e}_mean": [m.atomic_pct.get(e, 0.0) for m in LIBRARY.values()] for e in elements},
        index=pd.Index(range(1, len(LIBRARY) + 1), name="label"),
    )
    naming = classify_by_rules(table, library_rules(elements), kind="at%")
    for found, mineral in zip(naming["mineral"], LIBRARY.values(), strict=True):
        assert found in (mineral.name, mineral.group)


def test_library_says_which_maps_would_part_the_feldspars():
    advice = advice_on_elements(("Si", "Al", "Ca", "Fe", "Mg"))
    assert any("K-feldspar, albite" in line and "without K, Na" in line for line in advice)
    assert "monazite, rutile, barite cannot be seen without Ba, Ce, P, S, Ti" in advice


def geomac_maps(shared_data):
    from PIL import Image

    folder = shared_data / "eds_geomac"
    return {
        element: np.asarray(Image.open(folder / f"{number}-{element}.jpg"))
        for number, element in ((1, "Si"), (2, "Mg"), (4, "Fe"))
    }


def test_published_pixel_counts_come_out_exactly(rules, shared_data):
    found = classify_pixels(geomac_maps(shared_data), rules(GEOMAC))
    assert np.bincount(found.ravel()).tolist() == [
        127_859, 25_710, 6_061, 304_439, 122_785, 88_649, 92_497,
    ]  # fmt: skip


def test_best_match_changes_only_pixels_with_two_rules(rules, shared_data):
    maps = geomac_maps(shared_data)
    first = classify_pixels(maps, rules(GEOMAC))
    best = classify_pixels(maps, rules(GEOMAC.replace("first", "best")))
    assert (first != best).sum() <= 1_631
    np.testing.assert_array_equal(first == 0, best == 0)


@pytest.mark.parametrize("gaps", ["nearest", "unknown"])
def test_unknown_grains_that_no_rule_comes_near_have_no_runner_up(rules, gaps):
    text = f"units: wt%\ngaps: {gaps}\nminerals:\n  a: {{range: {{Si: [90, 100]}}}}\n"
    text += "  b: {range: {Si: [50, 60]}}\n"
    naming = classify_by_rules(grains(kind="wt%", Si=[95.0, 55.0, 10.0, 75.0]), rules(text))
    assert naming["mineral"].tolist() == ["a", "b", "unknown", "unknown"]
    assert naming["runner_up"].tolist() == [""] * 4
    assert naming["runner_up_score"].tolist()[2:] == [0, 0]
