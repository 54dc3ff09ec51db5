"""grainsmith mosaic: what its options come to; the work itself is tested in the pipeline."""

import pytest
from typer.testing import CliRunner

from grainsmith.cli import app
from grainsmith.errors import MismatchError
from grainsmith.pipeline.mosaic import segment as mosaic_segment
from grainsmith.pipeline.recipe import Recipe
from grainsmith.segment import SegmentSettings


class _AskedError(Exception):
    pass


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return what segment_mosaic is asked for, with a recipe beside some options."""

    def ask(recipe, *options):
        recipe.write(tmp_path / "r.yaml")
        arguments = ["mosaic", "m.tif", "-o", "o.zarr", "--recipe", str(tmp_path / "r.yaml")]
        return CliRunner().invoke(app, [*arguments, *options]).exception

    def note(_image, _output, settings, **_options):
        raise _AskedError(settings)

    monkeypatch.setattr(mosaic_segment, "segment_mosaic", note)
    return ask


def test_settings_are_those_of_the_recipe(asked):
    settings = SegmentSettings(diameter_px=31.5, min_area_px=40, two_scales=False)
    assert asked(Recipe(segment=settings)).args == (settings,)
    (found,) = asked(Recipe(segment=settings), "--device", "cpu").args
    assert (found.device, found.diameter_px) == ("cpu", 31.5)


def test_a_recipe_and_options_that_say_something_else_are_refused(asked):
    error = asked(Recipe(), "--diameter", "20")
    assert isinstance(error, MismatchError)
    assert "--recipe or --model, --diameter" in str(error)
