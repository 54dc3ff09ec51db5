import re
from string import Formatter

import pytest
import typer

from grainsmith.cli import app
from grainsmith.cli.hints import _WORDING
from grainsmith.errors import Hint


def _options():
    group = typer.main.get_command(app)
    found = set()
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        for leaf in getattr(command, "commands", {"": command}).values():
            found.update(name for parameter in leaf.params for name in parameter.opts)
    return found


def _names(text):
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_options_named_in_hints_exist():
    named = {option for text in _WORDING.values() for option in re.findall(r"--[a-z-]+", text)}
    named -= {"--nthreads", "--train", "--dir"}  # of dask and Cellpose
    assert named
    assert named <= _options()


@pytest.mark.parametrize("hint", [Hint.LIST_MODELS, Hint.GIVE_FORMAT, Hint.START_SCHEDULER])
def test_wording_keeps_the_values_of_a_hint(hint):
    assert _names(_WORDING[hint]) == _names(hint.value)
