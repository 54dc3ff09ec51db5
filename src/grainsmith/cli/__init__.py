"""Command line: one command per step, each in the module of its name.

Results go to stdout; progress bars and messages go to stderr. Exit code 0: done; 1: not
everything could be done; 2: wrong input or call; 130: stopped by the user.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from grainsmith.cli.hints import message_of
from grainsmith.cli.terminal import fail
from grainsmith.errors import GrainsmithError

_COMMANDS = (
    "demo",
    "clean",
    "segment",
    "mosaic",
    "maps",
    "align",
    "train",
    "measure",
    "score",
    "classify",
    "gallery",
    "minerals",
    "export",
    "import",
    "recipe",
    "batch",
    "view",
    "models",
    "dataset",
)
_HOMES = {"import": ("export", "import_")}
"""Command -> its module and function, where they differ from its name."""


class _LazyCommands(TyperGroup):
    """Commands whose modules are imported when needed: settings load numba, pandas and more."""

    def list_commands(self, ctx: Any) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _COMMANDS:
            return None
        module, attribute = _HOMES.get(cmd_name, (cmd_name, cmd_name))
        command = getattr(import_module(f"grainsmith.cli.{module}"), attribute)
        if isinstance(command, typer.Typer):
            group = typer.main.get_command(command)
            group.name = cmd_name
            return group
        single = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        single.command(cmd_name)(command)
        return typer.main.get_command(single)


app = typer.Typer(
    name="grainsmith",
    cls=_LazyCommands,
    help="Segment, correct, align, measure and name mineral grains.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        import grainsmith

        typer.echo(f"grainsmith {grainsmith.__version__}")
        raise typer.Exit


@app.callback()
def _global_options(
    version: bool = typer.Option(
        False, "--version", help="Print the version.", callback=_print_version, is_eager=True
    ),
) -> None:
    """Segment, correct, align, measure and name mineral grains."""


def main() -> None:
    """Run the command line; errors that a user can fix are one line on stderr."""
    try:
        app()
    except GrainsmithError as error:
        sys.exit(fail(message_of(error)))
    except KeyboardInterrupt:
        sys.exit(fail("stopped; nothing more was written", code=130))
