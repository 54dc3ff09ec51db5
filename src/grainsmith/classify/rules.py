"""Define mineral rules and read them from files."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from grainsmith.classify.element_ratios import UNITS, Quantity
from grainsmith.errors import MismatchError, ReadError
from grainsmith.minerals import LIBRARY, Mineral, atomic_weight, distinguishable_groups, visible_pct

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

_RULE_KEYS = {"range", "ratio", "require", "forbid", "group", "colour", "density"}
_MAX_GROUPS_IN_NAME, _MAIN_ELEMENT_PCT = 3, 15.0
_FILE_KEYS = {"name", "units", "match", "gaps", "minerals"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Bounds of a quantity, inclusive.

    Attributes
    ----------
    quantity : Quantity
        An element or a ratio.
    low, high : float
        Bounds in the units of the rules; infinite if open.
    """

    quantity: Quantity
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """Composition of one mineral.

    Attributes
    ----------
    mineral : str
        Name.
    conditions : tuple of Condition
        All must hold.
    require, forbid : tuple of str
        Elements that must, or must not, be present: above 2 % in units that add up to 100 or in
        wt%, above a tenth of the richest grain in counts and grey values.
    group : str
        Name for grains between two minerals of the same group; "" for none.
    color : str
        "#rrggbb".
    density_g_cm3 : float
        0 = unknown, which excludes the mineral from weight per cent.
    """

    mineral: str
    conditions: tuple[Condition, ...] = ()
    require: tuple[str, ...] = ()
    forbid: tuple[str, ...] = ()
    group: str = ""
    color: str = ""
    density_g_cm3: float = 0.0

    @property
    def elements(self) -> frozenset[str]:
        """All elements that the rule needs."""
        named = [condition.quantity.elements for condition in self.conditions]
        return frozenset(self.require + self.forbid).union(*named)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """Rules of one sample.

    Attributes
    ----------
    rules : tuple of Rule
        The order matters in first-match mode only.
    units : str
        Units of all ranges, one of `element_ratios.UNITS`.
    match : str
        "best": the best matching rule wins, in any order. "first": the first matching rule wins, as
        in older programs.
    gaps : str
        Name of grains outside all rules, but within the noise of one: "nearest" (the nearest rule,
        as unsure) or "unknown". Not used in "first" mode.
    name : str
        Name of the set.
    """

    rules: tuple[Rule, ...]
    units: str = "counts"
    match: str = "best"
    gaps: str = "nearest"
    name: str = ""

    def usable(self, elements: Collection[str]) -> RuleSet:
        """Return the rules that the given elements can test.

        Raises
        ------
        MismatchError
            No rule can be tested.
        """
        kept = tuple(rule for rule in self.rules if rule.elements <= set(elements))
        if not kept:
            raise MismatchError(
                f"none of the rules can be used with maps of {', '.join(elements) or 'nothing'}: "
                + "; ".join(self.advice(elements))
            )
        return replace(self, rules=kept)

    def advice(self, elements: Collection[str]) -> list[str]:
        """Describe which rules are left out because a map is missing."""
        return [
            f"{rule.mineral} needs {', '.join(sorted(rule.elements - set(elements)))}"
            for rule in self.rules
            if not rule.elements <= set(elements)
        ]


def read_rules(path: str | Path) -> RuleSet:
    """Read a rules file.

    Raises
    ------
    ReadError
        The file is missing, is not YAML, or has invalid content; the message lists all faults.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read: {error}") from error
    except yaml.YAMLError as error:
        raise ReadError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    faults: list[str] = []
    rules = _parse(content, faults)
    if faults:
        raise ReadError(f"{path} cannot be used as rules: " + "; ".join(faults))
    return rules


def library_rules(
    elements: Collection[str],
    minerals: Iterable[Mineral] = (),
    *,
    within_at_pct: float = 8.0,
) -> RuleSet:
    """Derive rules in at% from the library, for the mapped elements.

    Parameters
    ----------
    elements : collection of str
        The mapped elements.
    minerals : iterable of Mineral
        Empty = the whole library.
    within_at_pct : float
        Tolerance around the formula.

    Returns
    -------
    RuleSet
        One rule per set of minerals that the elements can distinguish, named after the mineral,
        after up to three groups, or after the main elements.
    """
    chosen = {mineral.name: mineral for mineral in minerals} or LIBRARY
    sets = distinguishable_groups(elements, chosen.values())
    members = [[chosen[name] for name in names] for names in sets]
    rules = [
        _rule_of(group, elements, within_at_pct)
        for group in members
        if any(visible_pct(group[0], elements).values())
    ]
    return RuleSet(rules=tuple(rules), units="at%", name="library")


def advice_on_elements(elements: Collection[str], minerals: Iterable[Mineral] = ()) -> list[str]:
    """Describe which minerals the elements cannot distinguish, and which maps would.

    Returns
    -------
    list of str
        Such as "K-feldspar, albite cannot be told apart without Na, K".
    """
    chosen = {mineral.name: mineral for mineral in minerals} or LIBRARY
    advice = []
    for names in distinguishable_groups(elements, chosen.values()):
        members = [chosen[name] for name in names]
        lacking = {element for mineral in members for element in mineral.atomic_pct}
        lacking -= set(elements)
        if not any(any(visible_pct(mineral, elements).values()) for mineral in members):
            advice.append(f"{', '.join(names)} cannot be seen without {', '.join(sorted(lacking))}")
        elif len(distinguishable_groups({*elements, *lacking}, members)) > 1:
            advice.append(
                f"{', '.join(names)} cannot be told apart without {', '.join(sorted(lacking))}"
            )
    return advice


def _rule_of(members: Sequence[Mineral], elements: Collection[str], within: float) -> Rule:
    seen = [visible_pct(mineral, elements) for mineral in members]
    conditions = tuple(
        Condition(
            quantity=Quantity((element,)),
            low=min(pct[element] for pct in seen) - within,
            high=max(pct[element] for pct in seen) + within,
        )
        for element in elements
    )
    groups = list(dict.fromkeys(mineral.group for mineral in members))
    return Rule(
        mineral=members[0].name if len(members) == 1 else _name_of_set(groups, seen),
        conditions=conditions,
        group=members[0].group if len(groups) == 1 else "",
        color=members[0].color,
        density_g_cm3=sum(mineral.density_g_cm3 for mineral in members) / len(members),
    )


def _name_of_set(groups: Sequence[str], seen: Sequence[Mapping[str, float]]) -> str:
    """Return "garnet or epidote", or the main elements of more groups."""
    if len(groups) <= _MAX_GROUPS_IN_NAME:
        return " or ".join(groups)
    mean = {element: sum(pct[element] for pct in seen) / len(seen) for element in seen[0]}
    rich = sorted(
        (e for e, pct in mean.items() if pct >= _MAIN_ELEMENT_PCT), key=lambda e: -mean[e]
    )
    return f"{'-'.join(rich)} minerals ({len(groups)} groups)"


def _parse(content: Any, faults: list[str]) -> RuleSet:
    if not isinstance(content, dict) or not isinstance(content.get("minerals"), dict):
        faults.append("it has no section 'minerals: {name: {range: {Si: [low, high]}}}'")
        return RuleSet(rules=())
    _refuse_unknown(content, _FILE_KEYS, "the file", faults)
    units = str(content.get("units", "counts"))
    match = str(content.get("match", "best"))
    if units not in UNITS:
        faults.append(f"units must be one of {', '.join(UNITS)}, got {units!r}")
    gaps = str(content.get("gaps", "nearest"))
    if match not in ("best", "first"):
        faults.append(f"match must be best or first, got {match!r}")
    if gaps not in ("nearest", "unknown"):
        faults.append(f"gaps must be nearest or unknown, got {gaps!r}")
    rules = [
        _parse_rule(str(name), body, units, faults) for name, body in content["minerals"].items()
    ]
    name = str(content.get("name", ""))
    return RuleSet(rules=tuple(rules), units=units, match=match, gaps=gaps, name=name)


def _parse_rule(name: str, body: Any, units: str, faults: list[str]) -> Rule:
    if not isinstance(body, dict) or not _RULE_KEYS & {"range", "ratio", "require"} & set(body):
        faults.append(f"{name} needs a range, a ratio or require")
        return Rule(mineral=name)
    _refuse_unknown(body, _RULE_KEYS, name, faults)
    if body.get("ratio") and units == "picture":
        faults.append(f"{name}: stretched images allow no ratio between elements")
    bounds = {**_mapping(body, "range", name, faults), **_mapping(body, "ratio", name, faults)}
    known = LIBRARY.get(name)
    return Rule(
        mineral=name,
        conditions=tuple(
            condition
            for text, pair in bounds.items()
            for condition in _condition(str(text), pair, name, faults)
        ),
        require=_element_list(body, "require", name, faults),
        forbid=_element_list(body, "forbid", name, faults),
        group=str(body.get("group", known.group if known else "")),
        color=_colour(body.get("colour", known.color if known else ""), name, faults),
        density_g_cm3=_number(
            body.get("density", known.density_g_cm3 if known else 0.0), name, faults
        ),
    )


def _condition(text: str, pair: Any, name: str, faults: list[str]) -> list[Condition]:
    try:
        quantity = Quantity.parse(text)
        for element in quantity.elements:
            atomic_weight(element)
        low, high = (_bound(value, sign) for value, sign in zip(pair, (-1, 1), strict=True))
    except (TypeError, ValueError) as error:
        faults.append(f"{name}: {text}: {pair!r} is not 'element: [low, high]' ({error})")
        return []
    if low > high:
        faults.append(f"{name}: {text}: {low:g} is more than {high:g}")
    return [Condition(quantity=quantity, low=low, high=high)]


def _bound(value: Any, sign: int) -> float:
    return sign * math.inf if value is None else float(value)


def _mapping(body: Mapping[str, Any], key: str, name: str, faults: list[str]) -> dict[str, Any]:
    value = body.get(key) or {}
    if isinstance(value, dict):
        return value
    faults.append(f"{name}: {key} must be written as {key}: {{Si: [low, high]}}")
    return {}


def _element_list(
    body: Mapping[str, Any], key: str, name: str, faults: list[str]
) -> tuple[str, ...]:
    value = body.get(key) or []
    try:
        elements = tuple(
            str(element) for element in (value if isinstance(value, list) else [value])
        )
        for element in elements:
            atomic_weight(element)
    except ValueError as error:
        faults.append(f"{name}: {key}: {error}")
        return ()
    return elements


def _colour(value: Any, name: str, faults: list[str]) -> str:
    text = str(value)
    if text and not (text.startswith("#") and len(text) == 7):
        faults.append(f"{name}: colour must be written as '#rrggbb', got {text!r}")
    return text


def _number(value: Any, name: str, faults: list[str]) -> float:
    if isinstance(value, int | float) and value >= 0:
        return float(value)
    faults.append(f"{name}: density must be a number of g/cm³, got {value!r}")
    return 0.0


def _refuse_unknown(
    body: Mapping[Any, Any], known: set[str], where: str, faults: list[str]
) -> None:
    unknown = sorted(str(key) for key in body if key not in known)
    if unknown:
        faults.append(
            f"{where} has unknown keys {', '.join(unknown)} (known: {', '.join(sorted(known))})"
        )
