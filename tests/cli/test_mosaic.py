"""Options of grainsmith mosaic; the segmentation is tested in the pipeline."""

import pytest
from typer.testing import CliRunner

from grainsmith.cli import app
from grainsmith.pipeline.mosaic import segment as mosaic_segment
from grainsmith.pipeline.recipe import Recipe
from grainsmith.segment import SegmentSettings


class _AskedError(Exception):
    pass


@pytest.fixture
def run_with_recipe(tmp_path, monkeypatch):
    """Run the command with a recipe beside some options; the settings end in the exception."""

    def run(recipe, *options):
        recipe.write(tmp_path / "r.yaml")
        arguments = ["mosaic", "m.tif", "-o", "o.zarr", "--recipe", str(tmp_path / "r.yaml")]
        return CliRunner().invoke(app, [*arguments, *options])

    def note(_image, _output, settings, **_options):
        raise _AskedError(settings)

    monkeypatch.setattr(mosaic_segment, "segment_mosaic", note)
    return run


def test_settings_are_those_of_the_recipe(run_with_recipe):
    settings = SegmentSettings(diameter_px=31.5, min_area_px=40, two_scales=False)
    assert run_with_recipe(Recipe(segment=settings)).exception.args == (settings,)
    (merged,) = run_with_recipe(Recipe(segment=settings), "--device", "cpu").exception.args
    assert (merged.device, merged.diameter_px) == ("cpu", 31.5)


def test_options_beside_a_recipe_are_refused(run_with_recipe):
    result = run_with_recipe(Recipe(), "--diameter", "20", "--no-two-scales")
    assert result.exit_code == 2
    assert "give --recipe or --diameter, --two-scales, not both" in " ".join(result.output.split())
    # A given option counts, also if its value is the default.
    assert run_with_recipe(Recipe(), "--diameter", "auto").exit_code == 2
