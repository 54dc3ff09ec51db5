"""Errors of the core name no option, key or control; interfaces word their remedies."""

import ast
import pickle
import re
from pathlib import Path

import pytest

import grainsmith
from grainsmith.errors import GrainsmithError, Hint, WriteError

_SOURCE = Path(grainsmith.__file__).parent
_INTERFACE_WORDS = re.compile(r"(?<![\w-])--[a-z]|\(key \w|\btab [A-Z]|shift-click|`grainsmith ")


def test_a_hint_is_worded_by_the_interface_with_its_values():
    error = GrainsmithError("no scheduler answers", hint=Hint.START_SCHEDULER, address="tcp://h:1")
    assert str(error).startswith("no scheduler answers: start one with `dask scheduler`")
    assert "tcp://h:1" in str(error)
    assert error.worded({Hint.START_SCHEDULER: "ask {address}"}).endswith(": ask tcp://h:1")
    assert str(GrainsmithError("plain")) == "plain"


def test_an_error_keeps_its_hint_between_processes():
    error = pickle.loads(pickle.dumps(WriteError("full", hint=Hint.ZOOM_IN, side_px=4096)))
    assert isinstance(error, WriteError)
    assert error.hint is Hint.ZOOM_IN
    assert str(error) == "full: open at most 4096 x 4096 px"


@pytest.mark.parametrize("hint", Hint)
def test_hints_of_the_core_name_no_interface(hint):
    assert not _INTERFACE_WORDS.search(hint.value)


def test_texts_of_the_core_name_no_interface():
    offending = [
        f"{path.relative_to(_SOURCE)}:{node.lineno}: {node.value!r}"
        for path in sorted(_SOURCE.rglob("*.py"))
        if path.relative_to(_SOURCE).parts[0] not in ("cli", "ui")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _INTERFACE_WORDS.search(node.value)
    ]
    assert not offending, "\n".join(offending)
