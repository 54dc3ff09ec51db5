"""Parse the element, X-ray line and unit of a map from its file or data set name.

Oxford, Bruker, EDAX, JEOL, Thermo, microprobes (EPMA) and XMapTools each have their own naming
scheme. The result is a guess that the user confirms before it is used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_ALL_SYMBOLS = (
    "H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se "
    "Br Kr Rb Sr Y Zr Nb Mo Tc Ru Rh Pd Ag Cd In Sn Sb Te I Xe Cs Ba La Ce Pr Nd Pm Sm Eu Gd Tb "
    "Dy Ho Er Tm Yb Lu Hf Ta W Re Os Ir Pt Au Hg Tl Pb Bi Th U"
)
SYMBOLS: tuple[str, ...] = tuple(_ALL_SYMBOLS.split())
"""Chemical symbols up to uranium, in the order of their atomic numbers (gaps: Po to Pa)."""

_SPELLED_OUT = {
    "Sul": "S", "Pho": "P", "Phos": "P", "Pot": "K",  # microprobe habit
    "Oxygen": "O", "Fluorine": "F", "Sodium": "Na", "Magnesium": "Mg", "Aluminium": "Al",
    "Aluminum": "Al", "Silicon": "Si", "Phosphorus": "P", "Sulfur": "S", "Sulphur": "S",
    "Chlorine": "Cl", "Potassium": "K", "Calcium": "Ca", "Titanium": "Ti", "Chromium": "Cr",
    "Manganese": "Mn", "Iron": "Fe", "Nickel": "Ni", "Copper": "Cu", "Zinc": "Zn",
    "Zirconium": "Zr", "Barium": "Ba", "Cerium": "Ce", "Carbon": "C",
}  # fmt: skip

# No letters on either side; `\b` would treat the underscore as a letter.
_WHOLE_WORD = r"(?<![A-Za-z]){}(?![A-Za-z])"


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_ELEMENT = _any_of(SYMBOLS)
_LINE = r"[KLM](?:[\s_-]?(?:series|alpha|beta|a|b)\s?[12]?(?:[,_]\s?2)?)?"
_LINE_NAME = re.compile(rf"(?<![A-Za-z])({_ELEMENT})[\s_(\[-]*({_LINE})(?![A-Za-z])")
_LINE_FIRST = re.compile(rf"(?<![A-Za-z])({_LINE})[\s_-]*({_ELEMENT})(?![A-Za-z])")
_OXIDE_OR_UNIT = re.compile(
    rf"(?<![A-Za-z])({_ELEMENT})(?:\d?O(?:\d{{1,2}})?)?[\s_-]*"
    r"(wt|weight|mass|norm|ox|at|atomic)(?![a-z]{3})[\s_.-]*(?:%|pct|percent)?",
    re.IGNORECASE,
)
_OXIDE = re.compile(rf"(?<![A-Za-z])({_ELEMENT})\d?O\d{{0,2}}(?:T|tot)?(?![A-Za-z0-9])")
_BARE = re.compile(rf"(?<![A-Za-z0-9])({_ELEMENT}|{_any_of(_SPELLED_OUT)})(?![A-Za-z])")
_LEFT_OUT = re.compile(
    r"layered|overlay|composite|phase ?map|legend|sum[ _]?(?:spectrum|peak)|mixed|cameo"
    r"|colou?r ?map|screen ?shot|mask|sigma|error|std ?dev|background|backgr|bkgd?|ratio|minus"
    r"|detection[ _]?limit|#(?!\d)|(?<![A-Za-z])(?:bg|bgd|LOD|MDL|totals?)(?![A-Za-z])",
    re.IGNORECASE,
)
_COMBINED = re.compile(rf"(?<![A-Za-z])({_ELEMENT})\s*[+/÷]\s*({_ELEMENT})(?![A-Za-z])")
_ELECTRON = re.compile(
    _WHOLE_WORD.format(
        r"(?:BSED?|CBS|ABS|vCD|NTS BSD|QBSD|COMPO|TOPO|BEC|BEI|SEI|SE2?|SED|InLens|ETD|TLD|FSD"
        r"|Electron[ _]?Image(?:[ _]\d+)?|PPL|XPL)"
    ),
    re.IGNORECASE,
)
_IMAGE = re.compile(_WHOLE_WORD.format(r"(?:Gr[ea]y|Image|IMG\d*)"), re.IGNORECASE)
_GREEK = str.maketrans({"α": "a", "β": "b", "ﬁ": "fi"})
_KNOWN_SUFFIX = re.compile(
    r"\.(?:tiff?|png|bmp|jpe?g|gif|csv|txt|asc|dat|raw|rpl|map|img)", re.IGNORECASE
)
# English words too: "In Situ 3" holds no indium. They count only at the end of a name.
_ENGLISH_WORDS = frozenset({"I", "In", "As", "Be", "He"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MapName:
    """Parsed name of a map.

    Attributes
    ----------
    what : str
        "element", "electron" (an SE, BSE or optical image), "left out" (an overlay, a legend, a
        mask, a background, a ratio) or "unknown".
    element : str
        Chemical symbol; "" unless `what` is "element".
    line : str
        X-ray line as in "Ka1", "K series"; "" if the name states none.
    unit : str
        "wt%", "at%" or "" if the name states none.
    """

    what: str = "unknown"
    element: str = ""
    line: str = ""
    unit: str = ""


def parse_map_name(name: str | Path) -> MapName:
    """Parse the name of a file or data set.

    The line notation ("Si Ka1") takes precedence, then units ("Al Wt%", "SiO2"), then the *last*
    bare symbol: the text before it is the name of a sample or project.

    Parameters
    ----------
    name : str or Path
        Path of a file, or name of a data set in a file.

    Returns
    -------
    MapName
        `what` is "unknown" if nothing is recognised.

    Examples
    --------
    >>> parse_map_name("Map Data 1_Si Ka1.tiff").line
    'Ka1'
    >>> parse_map_name("obj1_8bt_Sul.tif").element
    'S'
    """
    stem = _stem(name).translate(_GREEK)
    if _LEFT_OUT.search(stem) or _COMBINED.search(stem):
        return MapName(what="left out")
    with_line = _with_line(stem)
    if with_line and len(with_line.line) > 1:
        return with_line
    if _ELECTRON.search(stem):
        return MapName(what="electron")
    if with_line:
        return with_line
    if _IMAGE.search(stem):
        return MapName(what="electron")
    return _with_unit(stem) or _bare(stem) or MapName()


def _stem(name: str | Path) -> str:
    path = Path(name)
    # "Na Ka1,2" and "Map 1.2 Si" have no suffix: only known suffixes are removed.
    return path.stem if _KNOWN_SUFFIX.fullmatch(path.suffix) else path.name


def _with_line(stem: str) -> MapName | None:
    pairs = [match.groups() for match in _LINE_NAME.finditer(stem)]
    reversed_pairs = [match.groups()[::-1] for match in _LINE_FIRST.finditer(stem)]
    if not pairs and reversed_pairs and len(reversed_pairs[-1][1]) > 1:  # "Ka1 Si"
        pairs = reversed_pairs
    if not pairs:
        return None
    element, line = pairs[-1]
    return MapName(what="element", element=element, line=_tidy_line(line), unit=_unit_in(stem))


def _tidy_line(line: str) -> str:
    short = re.sub(r"[\s_-]*alpha", "a", re.sub(r"[\s_-]*beta", "b", line))
    spaced = re.sub(r"[\s_-]+", " ", short).strip()
    joined = re.sub(r"^([KLM]) ([ab])", r"\1\2", spaced)
    return re.sub(r"1[ ,]+2$", "1,2", joined)


def _unit_in(stem: str) -> str:
    match = re.search(
        r"(?<![A-Za-z])(wt|weight|mass|at|atomic)(?![a-z]{3})[\s_.-]*(?:%|pct|\))", stem, re.I
    )
    if not match:
        return ""
    return "at%" if match.group(1).lower().startswith("at") else "wt%"


def _with_unit(stem: str) -> MapName | None:
    matches = [match for match in _OXIDE_OR_UNIT.finditer(stem) if match.group(1) in SYMBOLS]
    if matches:
        element, unit = matches[-1].groups()
        in_atoms = unit.lower().startswith("at")
        return MapName(what="element", element=element, unit="at%" if in_atoms else "wt%")
    oxides = list(_OXIDE.finditer(stem))
    return MapName(what="element", element=oxides[-1].group(1), unit="wt%") if oxides else None


def _bare(stem: str) -> MapName | None:
    matches = [
        match
        for match in _BARE.finditer(stem)
        if match.group(1) not in _ENGLISH_WORDS or match.end() == len(stem)
    ]
    if not matches:
        return None
    word = matches[-1].group(1)
    return MapName(what="element", element=_SPELLED_OUT.get(word, word))
