"""Make the images of docs/clean.md: split preview, clean-up, review, history, coverage, keys.

Run it under Xvfb: xvfb-run -a -s "-screen 0 1600x1000x24" python tools/make_clean_screenshots.py
FOLDER. The sample and its true grains, with errors planted: two pairs joined, two grains missing.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import napari
import numpy as np
from PIL import Image
from qtpy.QtGui import QImage
from qtpy.QtWidgets import QApplication, QMessageBox

import grainsmith.clean as clean
from grainsmith.ui.editing.editor import Editor
from grainsmith.ui.editing.overlays import PREVIEW
from grainsmith.ui.layers.camera import zoom_to
from grainsmith.ui.layers.labels import labels_options
from grainsmith.ui.session import session_of


class Studio:
    """A viewer with the panel Clean over a sample with planted errors."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.viewer = napari.Viewer(show=True)
        self.viewer.window.resize(1280, 860)
        self.viewer.open_sample("grainsmith", "plain")
        picture, truth = self.viewer.layers["plain sample"], self.viewer.layers["true grains"]
        labels, self.pairs = planted(truth.data)
        options = labels_options(picture, name="grains")
        layer = self.viewer.add_labels(labels, opacity=0.45, **options)
        session_of(self.viewer).active.grains = layer
        for other in [one for one in self.viewer.layers if one not in (picture, layer)]:
            self.viewer.layers.remove(other)
        _, widget = self.viewer.window.add_plugin_dock_widget("grainsmith", "Grainsmith")
        self.panel = widget.show_panel("Clean")
        self.editor = session_of(self.viewer).part(Editor)
        self.settle()
        self.viewer.reset_view()

    def settle(self, seconds: float = 1.0) -> None:
        """Let the window draw."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            QApplication.processEvents()
            time.sleep(0.02)

    def wait(self, there: Any) -> None:
        """Wait for work in the background."""
        give_up = time.monotonic() + 120
        while not there():
            self.settle(0.1)
            if time.monotonic() > give_up:
                raise SystemExit("nothing came within two minutes")

    def show(self, grain: int) -> None:
        """Bring a grain and its surroundings into view."""
        zoom_to(self.viewer, self.editor.layer, self.editor.history.index.box(grain))

    def shoot(self, name: str) -> None:
        """Take an image of the window."""
        self.settle()
        window = self.viewer.screenshot(canvas_only=False, flash=False)
        self.keep(window[:, 330:, :3], name)

    def keep(self, picture: np.ndarray, name: str) -> None:
        """Save an image in as few colours as it needs."""
        few = Image.fromarray(np.ascontiguousarray(picture)).quantize(256, dither=0)
        few.save(self.folder / f"clean_{name}.png", optimize=True)


def planted(truth: np.ndarray) -> tuple[np.ndarray, list[tuple[int, np.ndarray]]]:
    """Return grains with errors, and the joined ones with the two ends of the line between them."""
    labels, pairs = truth.copy(), []
    index = clean.GrainIndex(truth)
    inner = [k for k, box in index.boxes.items() if min(box[:2]) > 40 and max(box[2:]) < 470]
    large = sorted(inner, key=lambda k: -index.areas_px[k])
    for grain in large:
        y, x = (np.add(index.boxes[grain][:2], index.boxes[grain][2:]) / 2).tolist()
        for other in large:
            box = index.boxes[other]
            at = np.add(box[:2], box[2:]) / 2 - (y, x)
            if other != grain and np.hypot(*at) < 34 and len(pairs) < 2:
                patches = clean.merge(labels, clean.GrainIndex(labels), [grain, other])
                clean.apply_patches(labels, patches)
                middle, across = np.add((y, x), at / 2), np.array([-at[1], at[0]]) / np.hypot(*at)
                pairs.append((grain, np.array([middle - 22 * across, middle + 22 * across])))
                break
    joined = {grain for grain, _ in pairs}
    for grain in [k for k in large if k not in joined and k in np.unique(labels)][4:6]:
        labels[labels == grain] = 0
    return labels, pairs


def main() -> None:
    """Walk through the panel and take the images."""
    os.environ["GRAINSMITH_AUTOSAVE"] = tempfile.mkdtemp()
    studio = Studio(Path(sys.argv[1]))
    editor, panel = studio.editor, studio.panel
    (joined, line), (other, _) = studio.pairs
    studio.show(joined)
    editor.set_mode("cut")
    points = np.linspace(line[0], line[1], 12)
    editor.on_stroke([tuple(point) for point in points], done=False)
    studio.shoot("split")
    editor.on_stroke([tuple(point) for point in points], done=True)
    editor.set_mode("choose")
    editor.select([other])
    editor.split_by_lobes()
    editor.split_by_lobes()
    editor.select([joined])
    editor.smooth()
    editor.accept()
    editor.layer.paint((60, 60), joined)
    editor.undo()
    panel.tabs.setCurrentWidget(panel.clean_up)
    editor.select(())
    zoom_to(studio.viewer, editor.layer, clean.Box(20, 20, 150, 150))
    panel.clean_up.form["min_area_um2"].value = 200
    panel.clean_up.form["drop_border"].value = True
    panel.clean_up.preview()
    studio.wait(lambda: editor.overlays.is_shown(PREVIEW))
    studio.shoot("up")
    panel.clean_up.form["drop_border"].value = False
    panel.tabs.setCurrentWidget(panel.review)
    panel.review.find()
    studio.wait(lambda: bool(panel.review.queue.entries))
    panel.review.next()
    panel.review.next()
    studio.shoot("review")
    panel.review.toggle_coverage()
    studio.shoot("coverage")
    panel.review.toggle_coverage()
    panel.tabs.setCurrentWidget(panel.history)
    studio.shoot("history")
    panel.show_help()
    studio.settle()
    box = panel.findChild(QMessageBox).grab().toImage().convertToFormat(QImage.Format_RGB888)
    rows = np.frombuffer(box.constBits().asarray(box.sizeInBytes()), np.uint8)
    rows = rows.reshape(box.height(), box.bytesPerLine())[:, : 3 * box.width()]
    studio.keep(rows.reshape(box.height(), box.width(), 3), "keys")
    studio.viewer.close()


if __name__ == "__main__":
    main()
