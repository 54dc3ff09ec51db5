"""The shell: one command a step, each in the file of its name.

Results go to stdout, bars and messages to stderr. Exit code 0: the work was done; 1: it was not;
2: the input or the call was at fault; 130: stopped by the user.
"""

from __future__ import annotations

import sys

import typer

from grainsmith.cli.align import align
from grainsmith.cli.batch import batch
from grainsmith.cli.classify import classify
from grainsmith.cli.clean import clean
from grainsmith.cli.dataset import dataset
from grainsmith.cli.demo import demo
from grainsmith.cli.export import export, import_
from grainsmith.cli.gallery import gallery
from grainsmith.cli.hints import message_of
from grainsmith.cli.maps import maps
from grainsmith.cli.measure import measure
from grainsmith.cli.minerals import minerals
from grainsmith.cli.models import models
from grainsmith.cli.mosaic import mosaic
from grainsmith.cli.recipe import recipe
from grainsmith.cli.score import score
from grainsmith.cli.segment import segment
from grainsmith.cli.terminal import fail
from grainsmith.cli.train import train
from grainsmith.cli.view import view
from grainsmith.errors import GrainsmithError

app = typer.Typer(
    name="grainsmith",
    help="Segment, correct, align, measure and name mineral grains.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.command()(demo)
app.command()(clean)
app.command()(segment)
app.command()(mosaic)
app.command()(maps)
app.command()(align)
app.command()(train)
app.command()(measure)
app.command()(score)
app.command()(classify)
app.command()(gallery)
app.command()(minerals)
app.command()(export)
app.command(name="import")(import_)
app.command()(recipe)
app.command()(batch)
app.command()(view)
app.add_typer(models, name="models")
app.add_typer(dataset, name="dataset")


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
    """Run the command line; a failure the user can mend is one line on stderr."""
    try:
        app()
    except GrainsmithError as error:
        sys.exit(fail(message_of(error)))
    except KeyboardInterrupt:
        sys.exit(fail("stopped; nothing more was written", code=130))
