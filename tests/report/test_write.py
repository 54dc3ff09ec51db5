import html.parser
import json
import re

import numpy as np
import pytest

from grainsmith.errors import MismatchError, ReadError
from grainsmith.measure import measure_grains
from grainsmith.report import read_result, write_report
from grainsmith.report.tables import shape_section, significant
from grainsmith.statistics import (
    FieldGrains,
    StatisticsSettings,
    grain_weights,
    grid_hits,
    summarize,
)

QUICK = StatisticsSettings(n_bootstrap=20)

FACTS = {
    "title": "Sample <7>",
    "source": "field.tif",
    "pixel_size_source": "Zeiss tag",
    "model": "grains",
    "model_sha256": "0123456789abcdef" * 4,
    "edits": 3,
    "notes": ["charging at the top"],
}


@pytest.fixture(scope="module")
def field():
    y, x = np.mgrid[:240, :320]
    labels = (y // 24 * 14 + x // 24 + 1) * ((y % 24 < 22) & (x % 24 < 21))
    image = np.where(labels > 0, 50 + labels, 10).astype(np.uint8)
    labels = labels.astype(np.int32)
    table = measure_grains(labels, pixel_size_um=0.5)
    table["mineral"] = np.where(table.index % 3 == 0, "quartz", "albite")
    return labels, image, table


class Outside(html.parser.HTMLParser):
    """Collects all that a page would fetch."""

    def __init__(self):
        super().__init__()
        self.fetched = []

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "srcset", "data") or (tag == "link" and name == "href"):
                self.fetched.append(value)


def test_page_stands_alone_and_says_everything(field, tmp_path):
    labels, image, table = field
    report = write_report(
        tmp_path / "out" / "report.html",
        labels=labels,
        table=table,
        image=image,
        facts=FACTS,
        settings=QUICK,
    )
    page = report.html.read_text("utf-8")
    outside = Outside()
    outside.feed(page)
    assert len(outside.fetched) == 6
    assert all(uri.startswith("data:image/") for uri in outside.fetched)
    assert "<script" not in page
    assert "Sample &lt;7&gt;" in page
    for said in ("0.5 µm (Zeiss tag)", "field.tif", "grains left out", "quartz", "Folk &amp; Ward"):
        assert said in page
    assert "corrected by hand (3 edits)" in page
    assert "charging at the top" in page
    assert re.search(r"model grains \(SHA-256 0123456789ab\)", page)


def test_result_is_read_back_with_the_numbers_of_the_panel(field, tmp_path):
    labels, _, table = field
    report = write_report(tmp_path / "r.html", labels=labels, table=table, settings=QUICK)
    found = read_result(report.result)
    statistics = summarize(FieldGrains(table=table, height_px=240, width_px=320), QUICK)
    for name, value in statistics.values.value.items():
        stored = found["statistics"]["values"][name]["value"]
        assert stored == value or (stored is None and np.isnan(value))
    assert found["grains"] == len(table)
    assert found["pixel_size_um"] == 0.5
    assert set(found["minerals"]) == {"quartz", "albite"}


def test_without_a_scale_no_micrometre_is_invented(field, tmp_path):
    labels, image, _ = field
    table = measure_grains(labels)
    report = write_report(
        tmp_path / "r.html", labels=labels, table=table, image=image, settings=QUICK
    )
    page = re.sub(r"data:image/[^\"]*", "", report.html.read_text("utf-8"))
    assert "µm" not in page
    assert "The pixel size is unknown" in page
    assert "pixel size unknown" in report.summary


@pytest.mark.parametrize("grains", [0, 1])
def test_hardly_any_grains(grains, tmp_path):
    labels = np.zeros((60, 60), np.int32)
    labels[20:45, 20:45] = grains
    table = measure_grains(labels, pixel_size_um=1.0)
    image = np.zeros((60, 60), np.uint8)
    report = write_report(
        tmp_path / "r.html", labels=labels, table=table, image=image, settings=QUICK
    )
    assert report.summary.startswith(f"{grains} grains")
    assert ("There are no grains to measure" in report.html.read_text("utf-8")) == (grains == 0)


def test_data_bar_is_no_part_of_the_field(field, tmp_path):
    labels, image, _ = field
    table = measure_grains(labels, data_bar_rows=30)
    report = write_report(
        tmp_path / "r.html",
        labels=labels,
        table=table,
        image=image,
        facts={"data_bar_rows": 30},
        settings=QUICK,
    )
    assert "30 rows at the bottom left out" in report.html.read_text("utf-8")


def test_what_does_not_belong_together_is_refused(field, tmp_path):
    labels, image, table = field
    with pytest.raises(MismatchError, match="choose the image of these labels"):
        write_report(tmp_path / "r.html", labels=labels, table=table, image=image[:9])
    with pytest.raises(MismatchError, match="measure again"):
        write_report(tmp_path / "r.html", labels=labels, table=table[:9])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["{}", "[]", "no json", json.dumps({"format": "else"})])
def test_other_files_are_no_results(text, tmp_path):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(ReadError):
        read_result(path)
    with pytest.raises(ReadError, match="does not exist"):
        read_result(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("value", "text"),
    [(83.3016, "83.3"), (0.0012345, "0.00123"), (123456.0, "123000"), (0, "0"), (np.nan, "–")],
)
def test_numbers_are_written_plainly(value, text):
    assert significant(value) == text


def test_grid_by_number_is_in_the_page_and_in_its_numbers(field, tmp_path):
    labels, _, table = field
    report = write_report(
        tmp_path / "r.html", labels=labels, table=table, settings=QUICK, grid_px=10
    )
    grains = FieldGrains(
        table=table,
        height_px=labels.shape[0],
        width_px=labels.shape[1],
        grid_hits=grid_hits(labels, 10),
    )
    expected = summarize(grains, QUICK).values.loc["d50_um_grid"].to_dict()
    assert read_result(report.result)["statistics"]["values"]["d50_um_grid"] == expected
    assert "by grid" in report.html.read_text("utf-8")
    assert "(by grid)" in report.summary


@pytest.mark.parametrize("rule", ["weights", "drop", "guard"])
def test_shape_measures_follow_the_edge_rule(field, rule):
    labels, _, table = field
    marked = table.assign(
        circularity=np.where(table.touches_edge, 0.1, 0.7), below_resolution=False
    )
    grains = FieldGrains(table=marked, height_px=labels.shape[0], width_px=labels.shape[1])
    weights = grain_weights(grains, StatisticsSettings(edge_rule=rule))
    (row,) = [row for row in shape_section(marked, weights).rows if row[0].text == "circularity"]
    assert [cell.text for cell in row[1:4]] == ["0.700"] * 3
    assert row[4].text == str(np.count_nonzero(weights))
