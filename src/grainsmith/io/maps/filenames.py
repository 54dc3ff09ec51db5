"""What a file or data set holds, by its name: which element, which line, which unit.

Oxford, Bruker, EDAX, JEOL, Thermo, microprobes (EPMA) and XMapTools name their maps in their own
ways. A name is only ever a guess; it is shown to the user before it counts.
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

# Not letters on either side; `\b` would take the underscore for a letter.
_ALONE = r"(?<![A-Za-z]){}(?![A-Za-z])"


def _any_of(words: Iterable[str]) -> str:
    return "|".join(sorted(words, key=len, reverse=True))


_ELEMENT = _any_of(SYMBOLS)
_LINE = r"[KLM](?:[\s_-]?(?:series|alpha|beta|a|b)\s?[12]?(?:[,_]\s?2)?)?"
_LINE_NAME = re.compile(rf"(?<![A-Za-z])({_ELEMENT})[\s_-]*({_LINE})(?![A-Za-z])")
_LINE_FIRST = re.compile(rf"(?<![A-Za-z])({_LINE})[\s_-]*({_ELEMENT})(?![A-Za-z])")
_OXIDE_OR_UNIT = re.compile(
    rf"(?<![A-Za-z])({_ELEMENT})(?:\d?O(?:\d{{1,2}})?)?[\s_-]*"
    r"(wt|weight|mass|norm|ox|at|atomic)(?![a-z]{3})[\s_.-]*(?:%|pct|percent)?",
    re.IGNORECASE,
)
_OXIDE = re.compile(rf"(?<![A-Za-z])({_ELEMENT})\d?O\d{{0,2}}(?:T|tot)?(?![A-Za-z0-9])")
_BARE = re.compile(rf"(?<![A-Za-z0-9])({_ELEMENT}|{_any_of(_SPELLED_OUT)})(?![A-Za-z])")
_LEFT_OUT = re.compile(
    r"layered|overlay|composite|phase ?map|legend|sum ?spectrum|mixed|cameo|colou?r ?map"
    r"|screen ?shot|mask|sigma|error|std ?dev",
    re.IGNORECASE,
)
_ELECTRON = re.compile(
    _ALONE.format(
        r"(?:BSED?|CBS|ABS|vCD|NTS BSD|QBSD|COMPO|TOPO|BEC|BEI|SEI|SE2?|SED|InLens|ETD|TLD|FSD"
        r"|Electron[ _]?Image(?:[ _]\d+)?|Grey|Image|IMG\d*|PPL|XPL)"
    ),
    re.IGNORECASE,
)
_GREEK = str.maketrans({"α": "a", "β": "b", "ﬁ": "fi"})
_KNOWN_SUFFIX = re.compile(
    r"\.(?:tiff?|png|bmp|jpe?g|gif|csv|txt|asc|dat|raw|rpl|map|img)", re.IGNORECASE
)
# Words of English as well: "In Situ 3" holds no indium. Trusted only at the very end of a name.
_WORDS_TOO = frozenset({"I", "In", "As", "Be", "He"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MapName:
    """What a name says.

    Attributes
    ----------
    what : str
        "element", "electron" (an SE, BSE or optical picture), "left out" (an overlay, a legend,
        a mask) or "unknown".
    element : str
        Chemical symbol; "" where `what` is not "element".
    line : str
        X-ray line as in "Ka1", "K series"; "" where the name does not say.
    unit : str
        "wt%", "at%" or "" where the name does not say.
    """

    what: str = "unknown"
    element: str = ""
    line: str = ""
    unit: str = ""


def parse_map_name(name: str | Path) -> MapName:
    """Return what a file name or a data set's name says about the map behind it.

    The line notation ("Si Ka1") counts most, then units ("Al Wt%", "SiO2"), then the *last* bare
    symbol: what stands before it is the name of sample or project.

    Parameters
    ----------
    name : str or Path
        A file's path, or the name of a data set in a file.

    Returns
    -------
    MapName
        With `what` "unknown" where nothing is recognised.

    Examples
    --------
    >>> parse_map_name("Map Data 1_Si Ka1.tiff").line
    'Ka1'
    >>> parse_map_name("obj1_8bt_Sul.tif").element
    'S'
    """
    stem = _stem(name).translate(_GREEK)
    if _LEFT_OUT.search(stem):
        return MapName(what="left out")
    with_line = _with_line(stem)
    if with_line and len(with_line.line) > 1:
        return with_line
    if _ELECTRON.search(stem):
        return MapName(what="electron")
    return with_line or _with_unit(stem) or _bare(stem) or MapName()


def _stem(name: str | Path) -> str:
    path = Path(name)
    # "Na Ka1,2" and "Map 1.2 Si" keep their ends: only known suffixes are cut off.
    return path.stem if _KNOWN_SUFFIX.fullmatch(path.suffix) else path.name


def _with_line(stem: str) -> MapName | None:
    found = [match.groups() for match in _LINE_NAME.finditer(stem)]
    turned = [match.groups()[::-1] for match in _LINE_FIRST.finditer(stem)]
    if not found and turned and len(turned[-1][1]) > 1:  # "Ka1 Si"
        found = turned
    if not found:
        return None
    element, line = found[-1]
    return MapName(what="element", element=element, line=_tidy_line(line), unit=_unit_in(stem))


def _tidy_line(line: str) -> str:
    short = re.sub(r"[\s_-]*alpha", "a", re.sub(r"[\s_-]*beta", "b", line))
    spaced = re.sub(r"[\s_-]+", " ", short).strip()
    joined = re.sub(r"^([KLM]) ([ab])", r"\1\2", spaced)
    return re.sub(r"1[ ,]+2$", "1,2", joined)


def _unit_in(stem: str) -> str:
    found = re.search(
        r"(?<![A-Za-z])(wt|weight|mass|at|atomic)(?![a-z]{3})[\s_.-]*(?:%|pct|\))", stem, re.I
    )
    if not found:
        return ""
    return "at%" if found.group(1).lower().startswith("at") else "wt%"


def _with_unit(stem: str) -> MapName | None:
    found = [match for match in _OXIDE_OR_UNIT.finditer(stem) if match.group(1) in SYMBOLS]
    if found:
        element, unit = found[-1].groups()
        in_atoms = unit.lower().startswith("at")
        return MapName(what="element", element=element, unit="at%" if in_atoms else "wt%")
    oxides = list(_OXIDE.finditer(stem))
    return MapName(what="element", element=oxides[-1].group(1), unit="wt%") if oxides else None


def _bare(stem: str) -> MapName | None:
    found = [
        match
        for match in _BARE.finditer(stem)
        if match.group(1) not in _WORDS_TOO or match.end() == len(stem)
    ]
    if not found:
        return None
    word = found[-1].group(1)
    return MapName(what="element", element=_SPELLED_OUT.get(word, word))
