"""Settings as values: what their classes say of themselves, and how plain text becomes one.

Every step keeps its settings in a frozen dataclass; forms, commands and recipes are made from it.
"""

from __future__ import annotations

import difflib
import inspect
import math
import re
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from dataclasses import Field

T = TypeVar("T")

_WORDS = {
    float: "a number",
    int: "a whole number",
    bool: "true or false",
    str: "a text (put it in quotes)",
}


def attribute_docs(cls: type) -> dict[str, str]:
    """Return what a class's docstring says under Attributes: name -> text."""
    doc = inspect.getdoc(cls) or ""
    _, _, section = doc.partition("Attributes\n----------\n")
    section = re.split(r"\n\w[^\n]*\n-{3,}\n", section)[0]
    entries = re.findall(r"^(\w[^\n:]*?) *:[^\n]*\n((?:[ \t]+[^\n]*\n?|\n)+)", section, re.M)
    return {
        name.strip(): " ".join(text.split()) for names, text in entries for name in names.split(",")
    }


def resolved_types(settings_type: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields: name -> type."""
    return get_type_hints(settings_type)


def default_of(field: Field[Any]) -> Any:
    """Return the default of a dataclass's field."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def settings_from(
    settings_type: type[T], content: Any, *, where: str, faults: list[str]
) -> T | None:
    """Make settings from what a file holds, strictly: nothing is guessed or converted.

    Parameters
    ----------
    settings_type : frozen dataclass
        Its types, its `choices` in the metadata and its own checks all count.
    content : mapping
        Name -> value; what is missing keeps its default.
    where : str
        Name of the section, for the faults.
    faults : list of str
        Gets one sentence for each fault.

    Returns
    -------
    settings, or None where there was a fault
    """
    if content is None:
        content = {}
    if not isinstance(content, dict):
        faults.append(f"{where} must be a section of 'name: value', got {content!r}")
        return None
    known = {field.name: field for field in fields(settings_type)}  # type: ignore[arg-type]
    hints = get_type_hints(settings_type)
    found = [unknown_key(key, known, where) for key in content if key not in known]
    found += [
        fault
        for name, value in content.items()
        if name in known and (fault := _fault(value, known[name], hints[name], f"{where}.{name}"))
    ]
    if not found:
        try:
            return settings_type(**{name: _as(hints[name], v) for name, v in content.items()})
        except ValueError as error:
            found.append(f"{where}: {error}")
    faults.extend(found)
    return None


def unknown_key(key: object, known: Iterable[str] | Mapping[str, Any], where: str = "") -> str:
    """Say that a key is not known, naming the nearest one that is."""
    names = list(known)
    near = difflib.get_close_matches(str(key), names, n=1, cutoff=0.4)
    full = f"{where}.{key}" if where else str(key)
    if near:
        return f"{full} is not known: did you mean {near[0]}?"
    return f"{full} is not known (known: {', '.join(names)})"


def _fault(value: Any, field: Field[Any], hint: Any, name: str) -> str:
    """Say what is wrong with a value; "" where nothing is."""
    choices = get_args(hint) if get_origin(hint) is Literal else field.metadata.get("choices", ())
    if choices:
        if value in choices and not isinstance(value, bool):
            return ""
        near = difflib.get_close_matches(str(value), [str(choice) for choice in choices], n=1)
        hint_text = f": did you mean {near[0]}?" if near else ""
        return f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}{hint_text}"
    allowed = (int, float) if hint is float else (hint,)
    fits = type(value) in allowed and _is_finite(value)
    return "" if fits else f"{name} must be {_WORDS.get(hint, str(hint))}, got {value!r}"


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _as(hint: Any, value: Any) -> Any:
    return float(value) if hint is float else value
