from dataclasses import fields, replace

import pytest
import yaml

from grainsmith.clean import CleanSettings
from grainsmith.errors import MismatchError, ReadError
from grainsmith.pipeline.recipe import ClassifySettings, Recipe, read_recipe, segment_only
from grainsmith.segment import SegmentSettings


@pytest.fixture
def read(tmp_path):
    def write_and_read(text):
        path = tmp_path / "recipe.yaml"
        path.write_text(text, "utf-8")
        return read_recipe(path)

    return write_and_read


def test_what_is_written_is_read_back_with_a_comment_on_every_setting(read):
    recipe = Recipe(
        segment=SegmentSettings(diameter_px=22.5, model="grains", two_scales=False),
        clean=CleanSettings(min_area_px=30, fill_holes=True),
        classify=ClassifySettings(rules="", units="wt%"),
    )
    text = recipe.as_text()
    assert read(text) == recipe
    lines = text.splitlines()
    settings = [i for i, line in enumerate(lines) if line.startswith("  ") and line[2] != "#"]
    assert len(settings) == sum(len(fields(getattr(recipe, one.name))) for one in fields(recipe))
    assert all(lines[i - 1].startswith("  # ") for i in settings)


def test_what_is_left_out_keeps_its_default_and_whole_numbers_are_numbers(read):
    recipe = read("recipe: 1\nsegment:\n  diameter_px: 30\nclean:\n")
    assert recipe == Recipe(segment=SegmentSettings(diameter_px=30.0))
    assert isinstance(recipe.segment.diameter_px, float)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("recipe: 1\nsegment:\n  diametr_px: 3\n", "segment.diametr_px is not known: did you"),
        ("recipe: 1\nsegmnt:\n  diameter_px: 30\n", "segmnt is not known: did you mean segment"),
        ("recipe: 1\nsegment:\n  xyz: 30\n", "known: model, diameter_px"),
        ("recipe: 1\nsegment:\n  diameter_px: '30'\n", "must be a number, got '30'"),
        ("recipe: 1\nsegment:\n  diameter_px: true\n", "must be a number, got True"),
        ("recipe: 1\nsegment:\n  diameter_px: .nan\n", "must be a number, got nan"),
        ("recipe: 1\nsegment:\n  min_area_px: 3.5\n", "must be a whole number, got 3.5"),
        ("recipe: 1\nsegment:\n  two_scales: 1\n", "must be true or false, got 1"),
        ("recipe: 1\nsegment:\n  device: cdua\n", "did you mean cuda"),
        ("recipe: 1\nstatistics:\n  size: feret\n", "must be one of 'ecd'"),
        ("recipe: 1\nclean:\n  min_solidity: 1.5\n", "min_solidity must lie in 0..1"),
        ("recipe: 1\nclean: 3\n", "clean must be a section"),
        ("recipe: 0\nsegment:\n", "version 0, older than version 1"),
        ("recipe: 2\n", "newer than version 1"),
        ("segment:\n  diameter_px: 30\n", "states no version"),
        ("recipe: '1'\n", "version must be a whole number"),
        ("- 1\n- 2\n", "must hold sections"),
        ("recipe: 1\nsegment: {a: [}\n", "is not YAML"),
    ],
)  # fmt: skip
def test_what_a_recipe_cannot_say_is_refused_with_what_to_do(read, text, word):
    with pytest.raises(ReadError) as raised:
        read(text)
    assert word in str(raised.value)
    assert "\n" not in str(raised.value)


def test_all_faults_are_named_at_once(read):
    with pytest.raises(ReadError, match=r"diametr_px.*min_solidty"):
        read("recipe: 1\nsegment:\n  diametr_px: 3\nclean:\n  min_solidty: 0.5\n")


def test_rules_lie_beside_the_recipe_and_their_content_counts(read, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"minerals": {"quartz": {"range": {"Si": [10, None]}}}}))
    recipe = read("recipe: 1\nclassify:\n  rules: rules.yaml\n")
    assert recipe.classify.rules == str(rules)
    before = recipe.fingerprint()
    rules.write_text(yaml.safe_dump({"minerals": {"quartz": {"range": {"Si": [11, None]}}}}))
    assert recipe.fingerprint() != before


def test_the_fingerprint_is_of_the_settings_and_not_of_the_machine():
    recipe = Recipe()
    other = replace(recipe, segment=replace(recipe.segment, device="cpu"))
    assert recipe.fingerprint() == other.fingerprint()
    assert recipe.fingerprint() != replace(recipe, clean=CleanSettings(relabel=True)).fingerprint()


def test_the_command_writes_defaults_and_checks(tmp_path):
    from typer.testing import CliRunner

    from grainsmith.cli import app

    done = CliRunner().invoke(app, ["recipe"])
    assert yaml.safe_load(done.stdout_bytes.decode("utf-8"))["segment"]["model"] == "grains"
    path = tmp_path / "r.yaml"
    path.write_bytes(done.stdout_bytes)
    assert read_recipe(path) == Recipe()
    assert CliRunner().invoke(app, ["recipe", "--check", str(path)]).exit_code == 0


def test_what_work_that_only_finds_grains_cannot_use_is_named():
    asked = SegmentSettings(diameter_px=22.0)
    assert segment_only(Recipe(segment=asked)) == asked
    with pytest.raises(MismatchError, match=r"remove clean\.min_area_px, classify\.units"):
        segment_only(
            Recipe(
                segment=asked,
                clean=CleanSettings(min_area_px=30.0),
                classify=ClassifySettings(units="wt%"),
            )
        )
