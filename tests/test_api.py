"""The public API: what ``import grainsmith as gs`` offers, and the example scripts."""

import inspect
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

import grainsmith as gs
from grainsmith import api
from grainsmith.cli import app
from grainsmith.data import SemImage
from grainsmith.errors import MismatchError
from grainsmith.io.images.reader import write_image
from grainsmith.io.labels.label_image import write_labels
from grainsmith.io.labels.label_metadata import LabelMetadata

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def sample():
    return gs.datasets.plain()


@pytest.fixture(scope="module")
def grains(sample):
    """The grains that are found in a corner of the sample."""
    return gs.segment(sample.image.image[:256, :256], pixel_size_um=1.5)


def test_import_loads_neither_arrays_nor_gui():
    code = (
        "import sys, grainsmith as gs; dir(gs);"
        "print([m for m in ('numpy', 'pandas', 'torch', 'napari') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_stub_lists_what_the_module_offers():
    stub = (Path(gs.__file__).with_name("__init__.pyi")).read_text()
    names = {line.split(" as ")[1] for line in stub.splitlines() if " as " in line}
    assert names == set(dir(gs)) == {*api.__all__, "datasets"}


@pytest.mark.parametrize("name", ["segment", "clean", "align", "measure", "statistics", "score"])
def test_a_step_is_both_package_and_function(name):
    # The package is imported first, which sets it as an attribute of its parent.
    __import__(f"grainsmith.{name}")
    step = getattr(gs, name)
    assert inspect.ismodule(step)
    assert inspect.signature(step) == inspect.signature(getattr(api, name))


def test_functions_are_documented_in_numpy_form():
    for name in api.__all__:
        if inspect.isfunction(getattr(api, name)):
            assert "Parameters\n" in inspect.getdoc(getattr(api, name)), name


def test_segment_takes_arrays_and_paths(grains, tmp_path):
    write_image(tmp_path / "a.tif", grains.image.image, pixel_size_um=1.5)
    from_path = gs.segment(tmp_path / "a.tif")
    assert np.array_equal(from_path, grains)
    assert from_path.pixel_size_um == pytest.approx(1.5)
    assert len(grains) > 20
    assert f"{len(grains)} grains, 256 x 256 px, 1.5 µm" in repr(grains)
    assert "<img" in grains._repr_html_()


def test_pixel_size_comes_from_the_coordinates_of_an_xarray():
    xarray = pytest.importorskip("xarray")
    y = xarray.DataArray(np.arange(40) * 0.25, dims="y", attrs={"units": "µm"})
    x = xarray.DataArray(np.arange(50) * 0.25, dims="x", attrs={"units": "µm"})
    labels = xarray.DataArray(np.ones((40, 50), int), coords={"y": y, "x": x}, dims=("y", "x"))
    assert gs.measure(labels).loc[1, "area_um2"] == pytest.approx(40 * 50 * 0.25**2)


def test_clean_keeps_image_and_renumbers_the_table(grains):
    cleaned = gs.clean(grains, min_area_px=500, relabel=True)
    assert len(cleaned) < len(grains)
    assert list(cleaned.table.index) == list(range(1, len(cleaned) + 1))
    assert cleaned.image is grains.image


def test_labels_that_are_not_whole_numbers_are_refused():
    with pytest.raises(MismatchError, match="whole numbers, got float64"):
        gs.measure(np.full((5, 5), 0.5))


@pytest.fixture
def labels_with_bar(tmp_path):
    """A label file that states a data bar of 10 rows and a pixel size of 0.5 µm."""
    labels = np.zeros((60, 60), np.int32)
    labels[10:30, 10:30], labels[40:50, 10:30] = 1, 2  # the second ends at the data bar
    metadata = LabelMetadata(pixel_size_um=0.5, data_bar_rows=10, notes=("a note",))
    write_labels(tmp_path / "masks.tif", labels, metadata=metadata)
    return tmp_path / "masks.tif"


def test_measure_uses_what_the_label_file_states(labels_with_bar):
    table = gs.measure(labels_with_bar)
    assert table["touches_edge"].to_dict() == {1: False, 2: True}
    assert table.attrs["field_shape_px"] == (50, 60)
    assert table.attrs["notes"] == ["a note"]
    shell = labels_with_bar.with_name("grains.csv")
    assert (
        CliRunner().invoke(app, ["measure", str(labels_with_bar), "-o", str(shell)]).exit_code == 0
    )
    pd.testing.assert_frame_equal(
        table[["area_um2", "touches_edge"]],
        pd.read_csv(shell, index_col="label")[["area_um2", "touches_edge"]],
        check_index_type=False,
        check_names=False,
    )


def test_the_image_counts_if_its_pixel_size_differs_from_that_of_the_labels(labels_with_bar):
    image = SemImage(image=np.ones((60, 60), np.uint8), pixel_size_um=2.0)
    assert gs.measure(labels_with_bar, image=image).loc[1, "area_um2"] == 400 * 4.0
    given = gs.measure(labels_with_bar, image=image, pixel_size_um=1.0)
    assert given.loc[1, "area_um2"] == 400


def test_saved_labels_keep_their_metadata(labels_with_bar, tmp_path):
    cleaned = gs.clean(labels_with_bar, drop_border=True)
    assert cleaned.labels.max() == 1
    cleaned.save(tmp_path / "again.tif")
    metadata = gs.read_labels(tmp_path / "again.tif").metadata
    assert (metadata.pixel_size_um, metadata.data_bar_rows) == (0.5, 10)
    assert metadata.edge_grains_removed


def test_statistics_ask_for_the_size_of_an_unknown_field(sample):
    table = gs.measure(sample.labels)
    table.attrs.clear()
    with pytest.raises(MismatchError, match="field_shape_px"):
        gs.statistics(table)
    assert gs.statistics(table, field_shape_px=sample.labels.shape).n > 100


def test_a_registration_places_the_maps(sample):
    registration = gs.align(sample.image, sample.maps)
    table = gs.measure(sample.labels, maps=sample.maps, transforms=registration)
    minerals = gs.classify(table)
    truth = sample.minerals.loc[minerals.index, "mineral"].replace({"albite": "plagioclase"})
    assert (minerals.mineral == truth).mean() > 0.8
    with pytest.raises(MismatchError, match="no transform for"):
        gs.measure(sample.labels, maps=sample.maps, transforms={"Si": registration.rows[0]})


def test_element_combo_is_an_image(sample, tmp_path):
    combo = gs.element_combo(7, sample.labels, sample.maps, image=sample.image)
    assert combo.save(tmp_path / "combo.png").stat().st_size > 1000
    assert combo._repr_png_().startswith(b"\x89PNG")
    with pytest.raises(MismatchError):
        gs.element_combo(9999, sample.labels, sample.maps, image=sample.image)


def test_report_states_what_was_measured(grains, tmp_path):
    written = gs.report(tmp_path / "r.html", grains, title="Sample 7")
    assert "Sample 7" in written.html.read_text()


@pytest.fixture
def user_folder(tmp_path, monkeypatch, sample):
    """A folder as a scientist has it: images, maps, masks and rules."""
    image, size = sample.image, sample.image.pixel_size_um
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "bse.tif", image.image, pixel_size_um=size)
    for name, corner in (("a.tif", np.s_[:256, :256]), ("b.tif", np.s_[-256:, -256:])):
        write_image(tmp_path / "images" / name, image.image[corner], pixel_size_um=size)
    write_labels(tmp_path / "masks.tif", sample.labels, pixel_size_um=size)
    (tmp_path / "maps").mkdir()
    for one in sample.maps:
        np.savetxt(tmp_path / "maps" / f"{one.element} Ka1.csv", one.values, delimiter=",")
    (tmp_path / "rules.yaml").write_text(
        "units: relative\nminerals:\n  quartz: {range: {Si: [80, 100]}}\n"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_examples_are_short():
    scripts = sorted(EXAMPLES.glob("*.py"))
    assert len(scripts) == 5
    for script in scripts:
        code = [line for line in script.read_text().splitlines()[1:] if line.strip()]
        assert len(code) <= 10, script.name


def test_example_folder_to_table(user_folder):
    runpy.run_path(str(EXAMPLES / "folder_to_table.py"))
    table = pd.read_csv(user_folder / "grains.csv")
    assert table["image"].value_counts().min() > 20
    assert set(table["image"]) == {"a.tif", "b.tif"}
    assert "ecd_um" in table


def test_example_own_masks(user_folder, capsys):
    runpy.run_path(str(EXAMPLES / "own_masks.py"))
    assert "d50_um_number" in capsys.readouterr().out
    assert len(pd.read_csv(user_folder / "grains.csv")) == 269


def test_example_element_means(user_folder):
    runpy.run_path(str(EXAMPLES / "element_means.py"))
    elements = pd.read_csv(user_folder / "elements.csv", index_col="label")
    assert {"Si_mean", "Fe_mean"} <= set(elements)


def test_example_minerals_by_rules(user_folder, capsys):
    runpy.run_path(str(EXAMPLES / "minerals_by_rules.py"))
    assert "quartz" in capsys.readouterr().out


@pytest.mark.slow
def test_example_tune_a_model(user_folder):
    folder = user_folder / "training_set"
    folder.mkdir()
    shutil.copy(user_folder / "bse.tif", folder / "field_image.tif")
    shutil.copy(user_folder / "masks.tif", folder / "field_masks.tif")
    code = (EXAMPLES / "tune_a_model.py").read_text().replace("minutes=8", "minutes=0.3")
    exec(compile(code, "tune_a_model.py", "exec"), {})
    assert (user_folder / "bse_masks.tif").is_file()
