"""Options are generated from settings classes."""

from dataclasses import dataclass, field, fields
from typing import Literal

import pytest
import typer
from typer.testing import CliRunner

from grainsmith.align.settings import AlignSettings
from grainsmith.clean.cleanup import CleanSettings
from grainsmith.cli.options import OptionStyle, make_settings, settings_options
from grainsmith.segment.types import SegmentSettings
from grainsmith.settings import attribute_docs
from grainsmith.statistics.settings import StatisticsSettings
from grainsmith.train.settings import TuneSettings


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """Settings of a test.

    Attributes
    ----------
    size_px : float
        Size of a tile.
    rule : str
        Rule at the edge.
    fast : bool
        Whether to be fast.
    """

    size_px: float = field(default=1.5, metadata={"min": 0.0, "max": 9.0})
    rule: Literal["a", "b c"] = "a"
    fast: bool = True

    def __post_init__(self):
        if self.rule not in ("a", "b c"):
            raise ValueError(f"rule must be a or b c, got {self.rule!r}")


@pytest.fixture
def run():
    results = []

    @settings_options(_Settings, {"size_px": OptionStyle(name="--size")})
    def command(name: str, json: bool = False, *, given):
        results.append((name, given, make_settings(_Settings, given)))

    app = typer.Typer()
    app.command()(command)

    def invoke(*arguments):
        result = CliRunner().invoke(app, arguments)
        return result, results[-1] if results else None

    return invoke


def test_defaults_are_those_of_the_class(run):
    _, (name, given, settings) = run("x")
    assert (name, given, settings) == ("x", {}, _Settings())


def test_given_options_are_known_even_with_the_default_value(run):
    _, (_, given, settings) = run("x", "--size", "1.5", "--no-fast", "--rule", "b c")
    assert given == {"size_px": 1.5, "fast": False, "rule": "b c"}
    assert settings == _Settings(fast=False, rule="b c")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--size", "10"), "less than or equal to 9"),
        (("--rule", "c"), "rule must be a or b c, got 'c'"),
    ],
)
def test_bounds_and_checks_of_the_class_hold(run, arguments, message):
    result, _ = run("x", *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_help_is_the_documentation_of_the_class(run):
    output = run("--help")[0].output
    for text in ("Size of a tile.", "default: (1.5)", "a|b c", "--no-fast"):
        assert text in output


@pytest.mark.parametrize(
    "settings_type",
    [SegmentSettings, CleanSettings, AlignSettings, StatisticsSettings, TuneSettings],
)
def test_every_setting_is_documented(settings_type):
    assert set(attribute_docs(settings_type)) >= {f.name for f in fields(settings_type)}
