import re

import pytest

from grainsmith.minerals import (
    LIBRARY,
    Mineral,
    colors_of,
    distinguishable_groups,
    parse_formula,
    visible_pct,
)


@pytest.mark.parametrize(
    ("formula", "atoms"),
    [
        pytest.param("SiO2", {"Si": 1, "O": 2}, id="plain"),
        pytest.param("Ca5(PO4)3F", {"Ca": 5, "P": 3, "O": 12, "F": 1}, id="bracket"),
        pytest.param("Na0.8Ca0.2Al1.2Si2.8O8", {"Na": 0.8, "Ca": 0.2, "Al": 1.2, "Si": 2.8, "O": 8},
                     id="decimals"),
        pytest.param("Al(AlSi3O10)(OH)8", {"Al": 2, "Si": 3, "O": 18, "H": 8}, id="element-twice"),
        pytest.param("Ca(Al(OH)2)2", {"Ca": 1, "Al": 2, "O": 4, "H": 4}, id="nested"),
    ],
)  # fmt: skip
def test_formula_is_counted(formula, atoms):
    assert parse_formula(formula) == pytest.approx(atoms)


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("", "cannot read ''"),
        ("Si O2", "cannot read"),
        ("quartz", "cannot read"),
        ("Xx2O3", "'Xx' in 'Xx2O3' is not an element"),
        ("Ca(PO4", "not closed"),
        ("CaPO4)3", "not opened"),
    ],
)
def test_bad_formula_is_refused(formula, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        parse_formula(formula)


# Rounded values as printed in handbooks: atomic per cent without H to F, and mean atomic number.
@pytest.mark.parametrize(
    ("name", "atomic_pct", "mean_z"),
    [
        ("quartz", {"Si": 100}, 10.80),
        ("K-feldspar", {"Al": 20, "Si": 60, "K": 20}, 11.85),
        ("albite", {"Na": 20, "Al": 20, "Si": 60}, 10.71),
        ("labradorite", {"Na": 8, "Al": 32, "Si": 48, "Ca": 12}, 11.45),
        ("forsterite", {"Mg": 60, "Fe": 6.7, "Si": 33.3}, 11.7),
        ("zircon", {"Zr": 50, "Si": 50}, 24.8),
        ("monazite", {"Ce": 50, "P": 50}, 38.7),
        ("magnetite", {"Fe": 100}, 21.0),
        ("hematite", {"Fe": 100}, 20.6),
        ("apatite", {"Ca": 62.5, "P": 37.5}, 14.1),
    ],
)
def test_composition_follows_from_the_formula(name, atomic_pct, mean_z):
    assert LIBRARY[name].atomic_pct == pytest.approx(atomic_pct, abs=0.1)
    assert LIBRARY[name].mean_atomic_number == pytest.approx(mean_z, abs=0.06)


def test_weight_per_cent_has_the_oxygen():
    assert LIBRARY["quartz"].weight_pct == pytest.approx({"Si": 46.74, "O": 53.26}, abs=0.01)


@pytest.mark.parametrize("mineral", LIBRARY.values(), ids=list(LIBRARY))
def test_every_mineral_is_whole(mineral):
    assert sum(mineral.atomic_pct.values()) == pytest.approx(100)
    assert sum(mineral.weight_pct.values()) == pytest.approx(100)
    assert 2 < mineral.density_g_cm3 < 6
    assert re.fullmatch("#[0-9a-f]{6}", mineral.color)


def test_colours_are_distinct():
    colors = [tuple(int(m.color[i : i + 2], 16) for i in (1, 3, 5)) for m in LIBRARY.values()]
    distances = [
        sum(abs(a - b) for a, b in zip(one, other, strict=True))
        for n, one in enumerate(colors)
        for other in colors[:n]
    ]
    assert min(distances) >= 24


def test_a_mineral_without_the_mapped_elements_shows_nothing():
    assert visible_pct(LIBRARY["zircon"], ("Fe", "Mg")) == {"Fe": 0, "Mg": 0}
    assert visible_pct(LIBRARY["forsterite"], ("Fe", "Mg")) == pytest.approx({"Fe": 10, "Mg": 90})


MANY = ("Na", "Mg", "Al", "Si", "P", "S", "K", "Ca", "Ti", "Fe", "Cu", "Zr", "Ba", "Ce")


@pytest.mark.parametrize(
    ("elements", "together", "apart"),
    [
        pytest.param(MANY, ("magnetite", "hematite"), ("quartz", "albite"), id="iron-oxides"),
        pytest.param(MANY, ("albite", "anorthite"), ("enstatite", "forsterite"), id="chain"),
        pytest.param(
            ("Si", "Al", "Ca", "Fe", "Mg"), ("K-feldspar", "albite"), ("augite", "enstatite"),
            id="feldspars-need-Na-and-K",
        ),
        pytest.param(("Fe",), ("quartz", "calcite"), ("quartz", "pyrite"), id="invisible"),
    ],
)  # fmt: skip
def test_which_minerals_the_elements_tell_apart(elements, together, apart):
    sets = distinguishable_groups(elements)
    assert sorted(name for names in sets for name in names) == sorted(LIBRARY)
    assert any(set(together) <= set(names) for names in sets)
    assert not any(set(apart) <= set(names) for names in sets)


def test_own_minerals_take_part():
    own = Mineral(
        name="wustite", formula="FeO", group="Fe oxide", density_g_cm3=5.7, color="#000000"
    )
    assert distinguishable_groups(("Fe", "Si"), [LIBRARY["quartz"], own, LIBRARY["hematite"]]) == [
        ["quartz"],
        ["wustite", "hematite"],
    ]


def test_every_name_gets_a_colour_of_its_own():
    names = ["quartz", "plagioclase", "cluster 1", "cluster 2", "glass", "unknown"]
    colors = colors_of(names, {"quartz": "#123456", "glass": ""})
    assert colors["quartz"] == "#123456"
    assert colors["plagioclase"] == LIBRARY["albite"].color
    assert len(set(colors.values())) == len(names)
    assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in colors.values())
