"""Shell, report, batch, window and Python give the same numbers to the last digit."""

import json

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from grainsmith.cli import app
from grainsmith.data import SemImage
from grainsmith.io.labels.label_image import write_labels
from grainsmith.io.labels.label_metadata import LabelMetadata
from grainsmith.measure import measure_grains
from grainsmith.pipeline.batch.discovery import FieldFiles
from grainsmith.pipeline.batch.outputs import ProcessedField, write_statistics
from grainsmith.pipeline.field.measure import field_of, measure_field
from grainsmith.pipeline.field.segment import SegmentedField
from grainsmith.pipeline.recipe import Recipe, ReportSettings
from grainsmith.report import read_result
from grainsmith.statistics import FieldGrains, StatisticsSettings, summarize

BAR_ROWS, SIZE_UM = 12, 0.4


@pytest.fixture
def labels():
    """Ellipses of many sizes; some are cut by the edge, some by the data bar."""
    rng = np.random.default_rng(5)
    labels = np.zeros((172, 200), np.int32)
    y, x = np.mgrid[: labels.shape[0], : labels.shape[1]]
    for number in range(1, 60):
        cy, cx = rng.uniform(0, 160), rng.uniform(0, 200)
        a, b = rng.uniform(3, 14, 2)
        inside = ((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 < 1
        labels[inside & (labels == 0)] = number
    labels[-BAR_ROWS:] = 0
    return labels


def _cli(tmp_path, path, *options):
    arguments = ["measure", path, "-o", tmp_path / "g.csv", "--stats", tmp_path / "s.json",
                 "--report", tmp_path / "r.html", "--n-bootstrap", 50, *options]  # fmt: skip
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return json.loads((tmp_path / "s.json").read_text())


def _plain(values):
    return json.loads(json.dumps(values, default=float).replace("NaN", "null"))


@pytest.mark.parametrize("edge_rule", ["weights", "guard", "drop", "count all"])
def test_all_ways_give_the_same_numbers(tmp_path, labels, edge_rule):
    settings = StatisticsSettings(edge_rule=edge_rule, n_bootstrap=50)
    grey = np.random.default_rng(0).integers(0, 255, labels.shape).astype(np.uint8)
    image = SemImage(image=grey, pixel_size_um=SIZE_UM, data_bar_rows=BAR_ROWS)
    tifffile.imwrite(tmp_path / "image.tif", grey)

    table = measure_field(labels, image)
    field = field_of(table, labels, data_bar_rows=BAR_ROWS)
    expected = _plain(summarize(field, settings).as_dict())

    # The shell reads pixel size and data bar from the labels alone.
    path = tmp_path / "masks.tif"
    metadata = LabelMetadata(pixel_size_um=SIZE_UM, data_bar_rows=BAR_ROWS, source="image.tif")
    write_labels(path, labels, metadata=metadata)
    shell = _cli(tmp_path, path, "--edge", edge_rule)
    assert all("pieces" in note for note in shell.pop("notes"))
    assert shell == expected
    assert read_result(tmp_path / "r.json")["statistics"] == expected

    # The window measures layers, and takes their visible rows.
    panel_table = measure_grains(labels, pixel_size_um=SIZE_UM, image=grey, data_bar_rows=BAR_ROWS)
    panel_field = FieldGrains(
        table=panel_table, height_px=labels.shape[0] - BAR_ROWS, width_px=labels.shape[1]
    )
    assert _plain(summarize(panel_field, settings).as_dict()) == expected

    # Batch, with and without its report.
    for report in (True, False):
        recipe = Recipe(statistics=settings, report=ReportSettings(report=report))
        found = SegmentedField(image=image, labels=labels, table=table, prediction=_Prediction())
        done = ProcessedField(
            files=FieldFiles(sample="A", field="1"),
            found=found,
            table=table,
            maps=(),
            transforms={},
            notes=[],
        )
        folder = tmp_path / f"batch{report}"
        folder.mkdir()
        write_statistics(done, recipe, folder)
        assert json.loads((folder / "statistics.json").read_text()) == expected


class _Prediction:
    model, fingerprint = "grains", "0" * 64


def test_clean_hands_on_what_the_labels_say(tmp_path, labels):
    path, cleaned = tmp_path / "masks.tif", tmp_path / "cleaned.tif"
    metadata = LabelMetadata(
        pixel_size_um=SIZE_UM, data_bar_rows=BAR_ROWS, source="image.tif", notes=("a note",)
    )
    write_labels(path, labels, metadata=metadata)
    arguments = ["clean", path, "-o", cleaned, "--min-area-um2", 5, "--drop-border"]
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    shell = _cli(tmp_path, cleaned, "--edge", "count all")
    assert shell["unit"] == "um"
    assert shell["left_out"]["n_edge"] == 0
    assert shell["notes"][0] == "a note"
    assert "Grains at the edge were removed" in shell["notes"][1]
    assert read_result(tmp_path / "r.json")["facts"]["data_bar_rows"] == BAR_ROWS
