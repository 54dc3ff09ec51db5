"""Options generated from settings classes: name, default, bounds and help are written there."""

from __future__ import annotations

import functools
import inspect
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

import typer

from grainsmith.settings import attribute_docs, default_of, resolved_types

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from dataclasses import Field

T = TypeVar("T")

_LONGEST_HELP = 160
_METAVARS = {"px": "PX", "um": "UM", "um2": "UM2", "pct": "PCT", "deg": "DEG"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionStyle:
    """How the option of one setting differs from the generated one.

    Attributes
    ----------
    name : str
        Option name; "" = the name of the setting.
    metavar : str
    parse : callable, optional
        Converts the text of the user.
    help : str
        Help text; "" = the first sentence of the setting's documentation.
    """

    name: str = ""
    metavar: str = ""
    parse: Callable[[str], Any] | None = None
    help: str = ""


def settings_options(
    settings_type: type,
    styles: Mapping[str, OptionStyle] | None = None,
    *,
    hidden: tuple[str, ...] = (),
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each setting of a class.

    The command receives the keyword argument `given`, a dict of the settings that the user has
    given; `make_settings` turns it into settings.

    Parameters
    ----------
    settings_type : frozen dataclass
    styles : mapping of str to OptionStyle, optional
        By the names of settings.
    hidden : tuple of str
        Settings without an option.
    """
    styles = styles or {}
    types, docs = resolved_types(settings_type), attribute_docs(settings_type)
    options = [
        _option(field, types[field.name], docs[field.name], styles.get(field.name, OptionStyle()))
        for field in fields(settings_type)
        if field.name not in hidden
    ]
    names = [option.name for option in options]

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**arguments: Any) -> None:
            options_given = {name: arguments.pop(name) for name in names}
            given = {name: value for name, value in options_given.items() if value is not None}
            command(**arguments, given=given)

        signature = inspect.signature(command, eval_str=True)
        own = [p for p in signature.parameters.values() if p.name not in ("given", "json")]
        last = [p for p in signature.parameters.values() if p.name == "json"]
        parameters = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in (*own, *options, *last)
        ]
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return run

    return decorate


def make_settings(settings_type: type[T], given: Mapping[str, Any], **fixed: Any) -> T:
    """Return settings with the given values; raise BadParameter if they are not valid."""
    try:
        return settings_type(**given, **fixed)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def option_name(setting: str, styles: Mapping[str, OptionStyle]) -> str:
    """Return the name of the option of a setting."""
    return (styles[setting].name if setting in styles else "") or _default_name(setting)


def _default_name(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def _option(field: Field[Any], hint: Any, doc: str, style: OptionStyle) -> inspect.Parameter:
    choices = get_args(hint) if get_origin(hint) is Literal else field.metadata.get("choices", ())
    kind = str if choices else hint
    default = default_of(field)
    name = style.name or _default_name(field.name)
    if kind is bool and default:
        name = f"{name}/--no-{name.removeprefix('--')}"
    numeric = kind in (int, float) and style.parse is None
    unit = _METAVARS.get(field.name.rpartition("_")[2])
    option = typer.Option(
        name,
        help=style.help or _short(doc),
        metavar=style.metavar or "|".join(map(str, choices)) or unit,
        min=field.metadata.get("min") if numeric else None,
        max=field.metadata.get("max") if numeric else None,
        parser=style.parse,
        # None marks an option that was not given; the default itself is that of the class.
        show_default=False if default is False or default == "" else _shown(default),
    )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[kind | None, option],
    )


def _shown(default: Any) -> str:
    return f"{default:g}" if isinstance(default, float) else str(default)


def _short(doc: str) -> str:
    """Return a documentation of few words whole, and of a longer one its first sentence."""
    return doc if len(doc) <= _LONGEST_HELP else doc.split(". ")[0] + "."
