"""grainsmith recipe: the settings of all steps, with what they mean."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from grainsmith.cli.terminal import show_message


def recipe(
    check: Annotated[
        Path | None,
        typer.Option(help="Check this recipe instead of writing one.", show_default=False),
    ] = None,
) -> None:
    """Write a recipe with all defaults and what they mean: `grainsmith recipe > recipe.yaml`."""
    from grainsmith.pipeline.recipe import Recipe, read_recipe

    if check is None:
        # YAML is UTF-8, also where the terminal of the platform is not.
        sys.stdout.buffer.write(Recipe().as_text().encode("utf-8"))
        return
    read_recipe(check)
    show_message(f"{check} is a good recipe")
