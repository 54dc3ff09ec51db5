"""The statistics panel in a real viewer."""

import numpy as np
import pytest

pytest.importorskip("napari")

from tests.fixtures.layers import add_grains, add_image

from grainsmith.measure import measure_grains
from grainsmith.report import read_result
from grainsmith.statistics import FieldGrains, StatisticsSettings, summarize
from grainsmith.ui.layers.labels import features_of, table_of
from grainsmith.ui.panels.messages import NO_GRAINS
from grainsmith.ui.panels.statistics import StatisticsPanel, report_facts
from grainsmith.ui.session import session_of

WAIT_MS = 120_000


def labels_of(seed=0, shape=(240, 320)):
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, 1, (70, 2)) * shape
    y, x = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1])
    nearest = distance.argmin(axis=-1) + 1
    return np.where(distance.min(axis=-1) < 16, nearest, 0).astype(np.int32)


@pytest.fixture
def grains(viewer):
    pixels = np.random.default_rng(0).integers(0, 255, (240, 320)).astype(np.uint8)
    image = add_image(viewer, pixels, pixel_size_um=0.5, pixel_size_source="a tag", source="f.tif")
    model = {"name": "grains", "sha256": "ab" * 32}
    return add_grains(viewer, image, labels_of(), model=model, states={3: "edited"})


@pytest.fixture
def panel(viewer, grains, qtbot):
    widget = StatisticsPanel(viewer)
    widget._form["n_bootstrap"].value = 40
    viewer.window.add_dock_widget(widget, name="Statistics")
    qtbot.waitUntil(lambda: widget.statistics is not None, timeout=WAIT_MS)
    return widget


def test_numbers_are_those_of_the_library_to_the_last_digit(panel):
    table = measure_grains(labels_of(), pixel_size_um=0.5)
    settings = StatisticsSettings(n_bootstrap=40)
    expected = summarize(FieldGrains(table=table, height_px=240, width_px=320), settings)
    assert panel.statistics.values.equals(expected.values)
    shown = panel.summary
    assert f"{expected.n} grains count" in shown
    assert f"D50 by number {expected.values.value.d50_um_number:.3g} µm" in shown
    assert expected.words["sorting_area"] in shown


def test_another_edge_rule_and_an_edit_give_other_statistics(panel, grains, qtbot):
    first = panel.statistics
    panel._form["edge_rule"].value = "count all"
    qtbot.waitUntil(lambda: panel.statistics.settings.edge_rule == "count all", timeout=WAIT_MS)
    assert panel.statistics.n > first.n
    n = panel.statistics.n
    inner = int(np.argmax(np.bincount(grains.data.ravel())[1:])) + 1
    with grains.block_history():
        grains.data_setitem(np.nonzero(grains.data == inner), 0)
    qtbot.waitUntil(lambda: panel.statistics.n == n - 1, timeout=WAIT_MS)
    grains.undo()
    qtbot.waitUntil(lambda: panel.statistics.n == n, timeout=WAIT_MS)


@pytest.mark.parametrize(
    "kind", ["Cumulative curve", "Histogram", "Rose of long axes", "Scatter", "Ternary"]
)
def test_every_plot_is_drawn(kind, panel, tmp_path):
    panel.show_plot(kind)
    axes = panel.plot.figure.axes[0]
    assert axes.lines or axes.patches or axes.collections
    panel.save_plot(str(tmp_path / "plot.svg"))
    assert (tmp_path / "plot.svg").stat().st_size > 1000


def test_lasso_chooses_grains_and_marks_their_points(panel):
    panel.show_plot("Scatter")
    points = panel.plot._points
    x, y = np.asarray(points.get_offsets()).T
    middle = np.median(x)
    around = [(middle, y.min() - 1), (x.max() + 1, y.min() - 1)]
    around += [(x.max() + 1, y.max() + 1), (middle, y.max() + 1)]
    panel.plot._lasso.onselect(around)
    expected = panel._labels[x > middle].tolist()
    assert sorted(session_of(panel.viewer).selection.labels) == sorted(expected)
    np.testing.assert_array_equal(points.get_facecolor()[:, 3] == 1, x > middle)
    marks = next(layer for layer in panel.viewer.layers if layer.name == "chosen grains")
    assert (marks.data > 0).sum() == np.isin(panel.roles.grains.data, expected).sum()


def test_one_mineral_alone_and_the_triangle(panel, grains, qtbot):
    table = table_of(grains)
    table["mineral"] = np.where(table.index % 2, "quartz", "albite")
    grains.features = features_of(table)
    qtbot.waitUntil(lambda: panel._mineral.count() == 3, timeout=WAIT_MS)
    panel.show_mineral("quartz")
    quartz = (table.index % 2 == 1) & ~table.touches_edge
    qtbot.waitUntil(lambda: panel.statistics.n == quartz.sum(), timeout=WAIT_MS)
    panel.show_mineral("all grains")
    panel.show_plot("Ternary")
    texts = [text.get_text() for text in panel.plot.figure.axes[0].texts]
    assert {"quartz", "feldspar", "other", "by number", "by area"} <= set(texts)


def test_report_says_where_the_grains_come_from(panel, tmp_path, qtbot):
    page = tmp_path / "report.html"
    panel.report(str(page))
    qtbot.waitUntil(lambda: panel.message.startswith("Report: "), timeout=WAIT_MS)
    found = read_result(page.with_suffix(".json"))
    assert found["facts"]["model"] == "grains"
    assert found["facts"]["edits"] == 1
    assert found["facts"]["pixel_size_source"] == "a tag"


def test_empty_viewer_and_no_grains_are_no_crash(viewer, qtbot):
    widget = StatisticsPanel(viewer)
    viewer.window.add_dock_widget(widget)
    assert widget.message == NO_GRAINS
    widget.compute()
    widget.report()
    layer = viewer.add_labels(np.zeros((60, 60), np.int32))
    qtbot.waitUntil(lambda: widget.statistics is not None, timeout=WAIT_MS)
    assert "0 grains count" in widget.summary
    for kind in ("Histogram", "Rose of long axes", "Scatter", "Ternary", "Cumulative curve"):
        widget.show_plot(kind)
    assert report_facts(getattr(layer, "__wrapped__", layer), None)["edits"] == 0
