"""grainsmith minerals: the library, and what given elements can tell apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainsmith.cli.terminal import print_json

if TYPE_CHECKING:
    from grainsmith.minerals import Mineral


def minerals(
    elements: Annotated[
        str, typer.Option(metavar="Si,Al,...", help="The mapped elements; default: all.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the mineral library, and which of it the given elements can tell apart."""
    from grainsmith.classify.rules import advice_on_elements
    from grainsmith.minerals import LIBRARY, distinguishable_groups

    named = _elements(elements)
    sets = distinguishable_groups(named)
    if json:
        print_json(
            {
                "elements": named,
                "minerals": {name: _facts(mineral) for name, mineral in LIBRARY.items()},
                "told_apart": sets,
                "advice": advice_on_elements(named),
            }
        )
        return
    for mineral in LIBRARY.values():
        composition = " ".join(f"{e}{pct:.0f}" for e, pct in mineral.atomic_pct.items())
        typer.echo(
            f"{mineral.name:12s} {mineral.formula:30s} {mineral.group:16s} "
            f"{mineral.density_g_cm3:4.2f} g/cm³  Z {mineral.mean_atomic_number:4.1f}  "
            f"{composition}"
        )
    typer.echo(f"\nWith {', '.join(named)}:")
    typer.echo(f"  {sum(len(names) == 1 for names in sets)} minerals can be told from all others")
    for line in advice_on_elements(named):
        typer.echo(f"  {line}")
    for names in sets:
        if len(names) > 1:
            typer.echo(f"  one name for: {', '.join(names)}")


def _elements(text: str) -> list[str]:
    from grainsmith.errors import MismatchError
    from grainsmith.minerals import LIBRARY, atomic_weight

    if not text:
        return list(dict.fromkeys(e for mineral in LIBRARY.values() for e in mineral.atomic_pct))
    named = [element.strip() for element in text.split(",") if element.strip()]
    try:
        for element in named:
            atomic_weight(element)
    except ValueError as error:
        raise MismatchError(
            f"--elements {text}: {error}; write symbols such as Si,Al,Fe"
        ) from error
    return named


def _facts(mineral: Mineral) -> dict[str, Any]:
    return {
        "formula": mineral.formula,
        "group": mineral.group,
        "density_g_cm3": mineral.density_g_cm3,
        "mean_atomic_number": mineral.mean_atomic_number,
        "atomic_pct": mineral.atomic_pct,
        "weight_pct": mineral.weight_pct,
        "colour": mineral.color,
    }
