"""Library of rock-forming minerals, with compositions computed from formulas.

The *visible* composition of a mineral consists of the elements from sodium up. Hydrogen to fluorine
are part of formula and weight, but their X-rays are absorbed too strongly, or are too common, to
identify minerals.

Densities are mean values of handbooks; those of solid solutions vary with composition.
"""

from __future__ import annotations

import colorsys
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

# Symbol: atomic number, standard atomic weight (IUPAC, abridged).
_ELEMENTS: dict[str, tuple[int, float]] = {
    "H": (1, 1.008),
    "Li": (3, 6.94),
    "Be": (4, 9.012),
    "B": (5, 10.81),
    "C": (6, 12.011),
    "N": (7, 14.007),
    "O": (8, 15.999),
    "F": (9, 18.998),
    "Na": (11, 22.990),
    "Mg": (12, 24.305),
    "Al": (13, 26.982),
    "Si": (14, 28.085),
    "P": (15, 30.974),
    "S": (16, 32.06),
    "Cl": (17, 35.45),
    "K": (19, 39.098),
    "Ca": (20, 40.078),
    "Sc": (21, 44.956),
    "Ti": (22, 47.867),
    "V": (23, 50.942),
    "Cr": (24, 51.996),
    "Mn": (25, 54.938),
    "Fe": (26, 55.845),
    "Co": (27, 58.933),
    "Ni": (28, 58.693),
    "Cu": (29, 63.546),
    "Zn": (30, 65.38),
    "As": (33, 74.922),
    "Br": (35, 79.904),
    "Rb": (37, 85.468),
    "Sr": (38, 87.62),
    "Y": (39, 88.906),
    "Zr": (40, 91.224),
    "Nb": (41, 92.906),
    "Mo": (42, 95.95),
    "Ag": (47, 107.87),
    "Sn": (50, 118.71),
    "Sb": (51, 121.76),
    "Te": (52, 127.60),
    "Ba": (56, 137.33),
    "La": (57, 138.91),
    "Ce": (58, 140.12),
    "Nd": (60, 144.24),
    "Sm": (62, 150.36),
    "Gd": (64, 157.25),
    "Hf": (72, 178.49),
    "Ta": (73, 180.95),
    "W": (74, 183.84),
    "Pt": (78, 195.08),
    "Au": (79, 196.97),
    "Pb": (82, 207.2),
    "Bi": (83, 208.98),
    "Th": (90, 232.04),
    "U": (92, 238.03),
}
UNKNOWN = "unknown"
"""Mineral of a grain that matches nothing."""

UNMAPPED = "unmapped"
"""Mineral of a grain that the maps do not cover."""

NO_MINERAL = frozenset({"", UNKNOWN, UNMAPPED})
"""Values of a column `mineral` that name no mineral."""

BY_HAND = "by hand"
"""Verdict on a mineral that the user chose."""

_FIRST_VISIBLE = 11  # sodium
_TOKEN = re.compile(r"([A-Z][a-z]?|\(|\))(\d*\.?\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mineral:
    """One mineral of the library.

    Attributes
    ----------
    name : str
        Name in tables and legends.
    formula : str
        Plain formula with brackets and decimals: "KAl2(AlSi3O10)(OH)2".
    group : str
        Name for grains that cannot be assigned to one member of the group.
    density_g_cm3 : float
        Density, for weight per cent from areas.
    color : str
        "#rrggbb", for maps and legends.
    """

    name: str
    formula: str
    group: str
    density_g_cm3: float
    color: str

    @property
    def atomic_pct(self) -> dict[str, float]:
        """Atomic per cent of the elements from sodium up; sums to 100."""
        visible = {
            element: number
            for element, number in parse_formula(self.formula).items()
            if is_visible(element)
        }
        return _as_pct(visible)

    @property
    def weight_pct(self) -> dict[str, float]:
        """Weight per cent of all elements, including oxygen and lighter ones."""
        return _as_pct(
            {
                element: number * _ELEMENTS[element][1]
                for element, number in parse_formula(self.formula).items()
            }
        )

    @property
    def mean_atomic_number(self) -> float:
        """Mass-weighted mean atomic number (Castaing's rule); BSE intensity rises with it."""
        return sum(
            weight / 100 * _ELEMENTS[element][0] for element, weight in self.weight_pct.items()
        )


def is_visible(element: str) -> bool:
    """Return whether an element is used to identify minerals: sodium or heavier."""
    return _ELEMENTS.get(element, (0, 0.0))[0] >= _FIRST_VISIBLE


def atomic_weight(element: str) -> float:
    """Return the standard atomic weight; raises ValueError for an unknown symbol."""
    if element not in _ELEMENTS:
        raise ValueError(f"{element!r} is not an element of the library")
    return _ELEMENTS[element][1]


def parse_formula(formula: str) -> dict[str, float]:
    """Count the atoms of a formula.

    Raises
    ------
    ValueError
        The formula is empty, has an unknown symbol, an unbalanced bracket or other characters.

    Examples
    --------
    >>> parse_formula("Ca5(PO4)3F")
    {'Ca': 5.0, 'P': 3.0, 'O': 12.0, 'F': 1.0}
    """
    if not formula or _TOKEN.sub("", formula):
        raise ValueError(f"cannot read {formula!r} as a formula such as 'Ca5(PO4)3F'")
    levels: list[dict[str, float]] = [{}]
    for symbol, digits in _TOKEN.findall(formula):
        if symbol == "(":
            levels.append({})
        elif symbol == ")":
            _close_bracket(levels, float(digits or 1), formula)
        elif symbol in _ELEMENTS:
            levels[-1][symbol] = levels[-1].get(symbol, 0.0) + float(digits or 1)
        else:
            raise ValueError(f"{symbol!r} in {formula!r} is not an element of the library")
    if len(levels) != 1:
        raise ValueError(f"a bracket is not closed in {formula!r}")
    return levels[0]


def visible_pct(mineral: Mineral, elements: Iterable[str]) -> dict[str, float]:
    """Compute the atomic per cent of a mineral normalized to the given elements.

    Parameters
    ----------
    mineral : Mineral
        Mineral of the library or of the user.
    elements : iterable of str
        Mapped elements.

    Returns
    -------
    dict of str to float
        Value per element, in order; sums to 100, or all 0 if the mineral contains none of them.
    """
    full = mineral.atomic_pct
    return _as_pct({element: full.get(element, 0.0) for element in elements})


def colors_of(names: Iterable[str], own: Mapping[str, str] | None = None) -> dict[str, str]:
    """Assign a colour, "#rrggbb", to every mineral.

    Parameters
    ----------
    names : iterable of str
        Minerals, groups, clusters, "unknown" or "unmapped".
    own : mapping of str to str, optional
        Colours that override the library, such as those of a rules file.

    Returns
    -------
    dict of str to str
        Names that are not in the library get distinct hues, by their position in `names`.
    """
    known = {mineral.group: mineral.color for mineral in reversed(LIBRARY.values())}
    known |= {name: mineral.color for name, mineral in LIBRARY.items()}
    known |= {"unknown": "#8f8f8f", "unmapped": "#383838"}
    known |= {name: color for name, color in (own or {}).items() if color}
    return {name: known.get(name) or _hue(place) for place, name in enumerate(names)}


def _hue(place: int) -> str:
    # Steps of the golden angle give neighbouring names very different hues.
    channels = colorsys.hls_to_rgb((place * 0.381966 + 0.13) % 1, 0.55, 0.65)
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def distinguishable_groups(
    elements: Collection[str], minerals: Iterable[Mineral] = (), *, least_at_pct: float = 10.0
) -> list[list[str]]:
    """Group minerals that the given elements cannot distinguish.

    Two minerals are in one group if no element differs by `least_at_pct` or more, or if a chain of
    such pairs connects them (such as albite to anorthite). BSE intensity is not used.

    Parameters
    ----------
    elements : collection of str
        Mapped elements, such as ("Si", "Al", "Fe").
    minerals : iterable of Mineral
        Empty = the whole library.
    least_at_pct : float
        Smallest difference, in atomic per cent of the given elements, that grain means show
        reliably without standards.

    Returns
    -------
    list of list of str
        Names in the order of the library. Minerals without any of the elements are one group.
    """
    chosen = list(minerals) or list(LIBRARY.values())
    seen = [visible_pct(mineral, elements) for mineral in chosen]
    sets: list[list[int]] = []
    for index, pct in enumerate(seen):
        near = [
            group
            for group in sets
            if any(_largest_difference(pct, seen[other]) < least_at_pct for other in group)
        ]
        joined = sorted([*(member for group in near for member in group), index])
        sets = [group for group in sets if group not in near] + [joined]
    return [[chosen[index].name for index in group] for group in sorted(sets)]


def _largest_difference(first: Mapping[str, float], second: Mapping[str, float]) -> float:
    return max((abs(first[element] - second[element]) for element in first), default=0.0)


def _close_bracket(levels: list[dict[str, float]], times: float, formula: str) -> None:
    if len(levels) == 1:
        raise ValueError(f"a bracket is not opened in {formula!r}")
    for element, number in levels.pop().items():
        levels[-1][element] = levels[-1].get(element, 0.0) + times * number


def _as_pct(amounts: Mapping[str, float]) -> dict[str, float]:
    total = sum(amounts.values())
    return {element: 100 * amount / total if total else 0.0 for element, amount in amounts.items()}


def _library(*rows: tuple[str, str, str, float, str]) -> dict[str, Mineral]:
    return {
        name: Mineral(name=name, formula=formula, group=group, density_g_cm3=density, color=color)
        for name, formula, group, density, color in rows
    }


LIBRARY: dict[str, Mineral] = _library(
    ("quartz", "SiO2", "SiO2", 2.65, "#f2c4de"),
    ("K-feldspar", "KAlSi3O8", "alkali feldspar", 2.56, "#e0529c"),
    ("albite", "NaAlSi3O8", "plagioclase", 2.62, "#9ecae9"),
    ("oligoclase", "Na0.8Ca0.2Al1.2Si2.8O8", "plagioclase", 2.64, "#6baed6"),
    ("labradorite", "Na0.4Ca0.6Al1.6Si2.4O8", "plagioclase", 2.70, "#3182bd"),
    ("anorthite", "CaAl2Si2O8", "plagioclase", 2.75, "#08519c"),
    ("muscovite", "KAl2(AlSi3O10)(OH)2", "white mica", 2.82, "#d9d98f"),
    ("biotite", "KMg1.5Fe1.5(AlSi3O10)(OH)2", "dark mica", 3.05, "#8c5a2b"),
    ("chlorite", "Mg3Fe2Al(AlSi3O10)(OH)8", "chlorite", 2.85, "#5f8f3e"),
    ("kaolinite", "Al2Si2O5(OH)4", "kaolin", 2.62, "#c9b79c"),
    ("hornblende", "Ca2Mg3FeAl(AlSi7O22)(OH)2", "amphibole", 3.20, "#1b6e3c"),
    ("augite", "CaMg0.8Fe0.2Si2O6", "clinopyroxene", 3.30, "#35b779"),
    ("enstatite", "MgSiO3", "orthopyroxene", 3.21, "#a6761d"),
    ("forsterite", "Mg1.8Fe0.2SiO4", "olivine", 3.32, "#b5de2b"),
    ("almandine", "Fe3Al2(SiO4)3", "garnet", 4.25, "#b2182b"),
    ("epidote", "Ca2Al2Fe(Si2O7)(SiO4)O(OH)", "epidote", 3.45, "#7fc97f"),
    ("titanite", "CaTiSiO5", "titanite", 3.53, "#fdae61"),
    ("zircon", "ZrSiO4", "zircon", 4.65, "#fff33b"),
    ("apatite", "Ca5(PO4)3F", "phosphate", 3.19, "#00c5cd"),
    ("monazite", "CePO4", "phosphate", 5.15, "#ff7f00"),
    ("calcite", "CaCO3", "Ca carbonate", 2.71, "#c6dbef"),
    ("dolomite", "CaMg(CO3)2", "Ca-Mg carbonate", 2.86, "#b3a2c7"),
    ("rutile", "TiO2", "TiO2", 4.25, "#e31a1c"),
    ("ilmenite", "FeTiO3", "Fe-Ti oxide", 4.72, "#54278f"),
    ("magnetite", "Fe3O4", "Fe oxide", 5.18, "#525252"),
    ("hematite", "Fe2O3", "Fe oxide", 5.26, "#7f2704"),
    ("pyrite", "FeS2", "Fe sulphide", 5.02, "#d4af37"),
    ("chalcopyrite", "CuFeS2", "Cu-Fe sulphide", 4.20, "#b87333"),
    ("barite", "BaSO4", "sulphate", 4.48, "#d4b9da"),
    ("sillimanite", "Al2SiO5", "Al2SiO5", 3.24, "#02818a"),
    ("schorl", "NaFe3Al6(Si6O18)(BO3)3(OH)4", "tourmaline", 3.20, "#253494"),
)
"""Name -> mineral, in the order of legends and tables."""
