"""Mosaics as multiscale layers: unreadable blocks, and what panels show beside them."""

import numpy as np
import pytest
from tests.pipeline.mosaics import discs, made_mosaic

from grainsmith.pipeline.mosaic import summary
from grainsmith.ui.dock import GrainsmithDock
from grainsmith.ui.layers import mosaics
from grainsmith.ui.panels.open import OpenPanel
from grainsmith.ui.panels.segment import SegmentPanel
from grainsmith.ui.panels.table import TablePanel
from grainsmith.ui.session import session_of

pytest.importorskip("zarr")


@pytest.fixture
def mosaic(tmp_path, monkeypatch):
    monkeypatch.setattr(summary, "_RESAMPLINGS", (3, 3))
    made_mosaic(tmp_path / "m.zarr", discs((1200, 1100)))
    return tmp_path / "m.zarr"


@pytest.mark.parametrize("part", ["labels/grains", "."])
def test_unreadable_block_is_shown_as_background_with_one_warning(
    viewer, mosaic, monkeypatch, part
):
    warnings = []
    monkeypatch.setattr(mosaics, "show_warning", warnings.append)
    chunk = mosaic / part / "0" / "c" / "1" / "0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    viewer.open(str(mosaic), plugin="grainsmith")
    image, grains = viewer.layers
    layer, other = (image, grains) if part == "." else (grains, image)
    for _ in range(2):
        shown = np.asarray(layer.data[0])
        assert not shown[512:1024, :512].any()
        assert shown[512:1024, 512:].any()
        assert np.asarray(other.data[0])[512:1024, :512].any()
    assert len(warnings) == 1
    assert str(mosaic) in warnings[0]
    assert warnings[0].endswith(
        "Copy or export it again. What cannot be read is shown as background."
    )


def test_panels_and_status_bar_explain_what_to_do_with_a_mosaic(viewer, qtbot, mosaic):
    dock = GrainsmithDock(viewer)
    qtbot.addWidget(dock)
    panels = [SegmentPanel(viewer), TablePanel(viewer), OpenPanel(viewer)]
    for panel in panels:
        qtbot.addWidget(panel)

    def messages():
        segment, table, opened = panels
        return [segment.message, table.message, opened.description]

    qtbot.waitUntil(lambda: "No image yet" in dock.status)
    assert all("No " in message for message in messages())
    viewer.open(str(mosaic), plugin="grainsmith")
    prompt = "A mosaic is open: zoom in"
    qtbot.waitUntil(lambda: dock.status.startswith(prompt))
    assert all(message.startswith(prompt) for message in messages())
    assert not session_of(viewer).active.images  # it cannot be the active image
    viewer.layers.remove("m grains")
    qtbot.waitUntil(lambda: "A mosaic without grains is open" in dock.status)
    viewer.add_image(np.ones((40, 40)), name="image")
    assert messages()[0] == ""
    assert messages()[1].startswith("No grains yet")
