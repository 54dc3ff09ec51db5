import json

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from grainsmith.cli import app, main
from grainsmith.data import Transform
from grainsmith.errors import MismatchError
from grainsmith.io.images.reader import write_image
from grainsmith.io.labels.label_image import write_labels
from grainsmith.io.tables.grain_table import read_table
from grainsmith.io.transforms import write_transforms
from grainsmith.measure import measure_grains
from grainsmith.report import read_result
from grainsmith.statistics import FieldGrains, summarize


@pytest.fixture
def files(tmp_path):
    y, x = np.mgrid[:120, :160]
    labels = ((y // 30 * 6 + x // 30 + 1) * ((y % 30 < 27) & (x % 30 < 25))).astype(np.int32)
    image = np.random.default_rng(0).integers(0, 255, labels.shape).astype(np.uint8)
    write_labels(tmp_path / "labels.tif", labels)
    write_image(tmp_path / "image.tif", image, pixel_size_um=0.25)
    return tmp_path, labels, image


def run(*arguments):
    return CliRunner().invoke(app, ["measure", *map(str, arguments)], catch_exceptions=False)


def test_the_shell_gives_the_numbers_of_the_library_to_the_last_digit(files):
    folder, labels, image = files
    out, stats = folder / "grains.csv", folder / "stats.json"
    result = run(
        folder / "labels.tif",
        "--image",
        folder / "image.tif",
        "-o",
        out,
        "--stats",
        stats,
        "--json",
    )
    assert result.exit_code == 0
    facts = json.loads(result.stdout)
    expected = measure_grains(labels, pixel_size_um=0.25, image=image)
    pd.testing.assert_frame_equal(
        read_table(out), expected, check_dtype=False, check_index_type=False, check_exact=True
    )
    statistics = summarize(FieldGrains(table=expected, height_px=120, width_px=160))
    d50 = statistics.values.value.d50_um_number
    assert facts["d50_um_number"] == d50
    assert json.loads(stats.read_text())["values"]["d50_um_number"]["value"] == d50
    assert facts["n_grains"] == len(expected)


def test_report_and_its_numbers(files):
    folder, _, _ = files
    page = folder / "out" / "report.html"
    result = run(
        folder / "labels.tif", "--image", folder / "image.tif", "--report", page, "--edge", "drop"
    )
    assert result.exit_code == 0
    assert "image.tif" in page.read_text("utf8")
    assert read_result(page.with_suffix(".json"))["statistics"]["settings"]["edge_rule"] == "drop"


def test_without_a_scale_all_is_in_pixels_and_said(files):
    folder, _, _ = files
    result = run(folder / "labels.tif", "--grid", 10)
    table = read_table(folder / "labels_grains.csv")
    assert not [name for name in table if "_um" in name]
    assert "D50 grid" in result.stdout
    assert "The pixel size is unknown" in result.stderr
    assert "µm" not in result.stdout


def test_no_grains_are_no_failure(tmp_path):
    write_labels(tmp_path / "labels.tif", np.zeros((40, 40), np.int32))
    result = run(tmp_path / "labels.tif", "--pixel-size", 0.5, "--report", tmp_path / "r.html")
    assert result.exit_code == 0
    assert "grains        0" in result.stdout


def test_bad_choices_are_named(files):
    folder, _, _ = files
    result = run(folder / "labels.tif", "--size", "b_axis")
    assert result.exit_code == 2
    assert "b_axis" in result.stderr


def test_picture_of_another_field_is_refused(files):
    folder, _, _ = files
    write_image(folder / "other.tif", np.zeros((50, 60), np.uint8))
    with pytest.raises(MismatchError, match="choose the image on which the grains were drawn"):
        run(folder / "labels.tif", "--image", folder / "other.tif")


def test_elements_of_the_maps_join_the_table(files):
    folder, _, _ = files
    maps = folder / "maps"
    maps.mkdir()
    np.savetxt(maps / "Si Ka1.csv", np.full((60, 80), 7), delimiter=",", fmt="%d")
    result = run(folder / "labels.tif", "--image", folder / "image.tif", "--maps", maps)
    assert result.exit_code == 0
    assert "not aligned" in result.stderr
    table = read_table(folder / "labels_grains.csv")
    assert table.Si_mean.eq(7).all()
    assert table.Si_coverage.eq(1).all()
    shifted = {"Si Ka1": Transform(matrix=np.array([[2, 0, 0.5], [0, 2, 80.5], [0, 0, 1]]))}
    write_transforms(folder / "t.json", shifted, reference="image.tif")
    run(folder / "labels.tif", "--maps", maps, "--transforms", folder / "t.json")
    table = read_table(folder / "labels_grains.csv")
    assert table.Si_coverage[1] == 0
    assert np.isnan(table.Si_mean[1])


def test_grains_of_two_minerals_are_told_in_the_table_as_in_the_window(files):
    folder, labels, _ = files
    maps = folder / "maps"
    maps.mkdir()
    rng = np.random.default_rng(1)
    halves = np.mgrid[:120, :160][1] % 30 < 12  # grain 1 is cut in two, the others are of one kind
    silicon = np.where((labels == 1) & halves, 40, 4)
    np.savetxt(maps / "Si Ka1.csv", rng.poisson(silicon), delimiter=",", fmt="%d")
    np.savetxt(maps / "Fe Ka1.csv", rng.poisson(44 - silicon), delimiter=",", fmt="%d")
    place = {"Si": Transform(), "Fe": Transform()}
    write_transforms(folder / "t.json", place, reference="labels.tif")
    asked = [folder / "labels.tif", "--maps", maps, "--transforms", folder / "t.json", "--mixed"]
    assert run(*asked).exit_code == 0
    table = read_table(folder / "labels_grains.csv")
    assert table.index[table["mixed"].astype(bool)].tolist() == [1]
    assert 0.4 < table.loc[1, "purity"] < 0.65
    assert (table.loc[2:, "purity"] == 1).all()


def test_mixed_grains_want_maps(files):
    folder, *_ = files
    result = CliRunner().invoke(app, ["measure", str(folder / "labels.tif"), "--mixed"])
    assert result.exit_code == 2
    assert not (folder / "labels_grains.csv").exists()


def test_grid_by_number_is_in_statistics_and_report(files):
    folder, _, _ = files
    stats, page = folder / "stats.json", folder / "report.html"
    options = ("--pixel-size", 1, "--grid", 10, "--stats", stats, "--report", page)
    assert run(folder / "labels.tif", *options).exit_code == 0
    values = json.loads(stats.read_text("utf8"))["values"]["d50_um_grid"]
    assert read_result(page.with_suffix(".json"))["statistics"]["values"]["d50_um_grid"] == values


def test_one_grain_has_no_interval_and_pieces_are_told(tmp_path):
    labels = np.zeros((60, 80), np.int32)
    labels[10:20, 10:20] = labels[30:40, 40:50] = 255
    labels[30, 45] = 0
    write_labels(tmp_path / "labels.tif", labels)
    result = run(tmp_path / "labels.tif")
    assert "nan" not in result.output
    table = read_table(tmp_path / "labels_grains.csv")
    assert table.n_pieces.max() <= 2


def test_outputs_must_differ_from_one_another_and_from_the_inputs(tmp_path, monkeypatch, capsys):
    labels = tmp_path / "masks.tif"
    write_labels(labels, np.ones((9, 9), np.int32))
    before = labels.read_bytes()
    for options, message in (
        (("--stats", "r.json", "--report", "r.html"), "--stats and the JSON of --report"),
        (("-o", "g.csv", "--stats", "g.csv"), "--output and --stats would both"),
        (("-o", "masks.tif"), "--output would overwrite the input"),
        (("--stats", "masks.tif"), "--stats would overwrite the input"),
    ):
        paths = [tmp_path / option if "." in option else option for option in options]
        monkeypatch.setattr("sys.argv", ["grainsmith", "measure", str(labels), *map(str, paths)])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert message in capsys.readouterr().err
    assert labels.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["masks.tif"]
