"""Make the image of docs/train.md: the curves of a run, and its judgement.

Run it under Xvfb: xvfb-run -a -s "-screen 0 1600x1000x24" python tools/make_train_screenshots.py
FOLDER. Three fields cut from the hard sample, with their true grains, tuned for three minutes.
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
import tifffile
from PIL import Image
from qtpy.QtWidgets import QApplication

from grainsmith.io.dataset import Origin, add_field
from grainsmith.io.exchange import LabelledField
from grainsmith.samples import sample_field
from grainsmith.ui.dock import GrainsmithDock

SIDE_PX = 320
MINUTES = 3.0
LONGEST_S = 900


def make_set(place: Path) -> Path:
    """Cut three fields, the last one to validate on; return where the last one lies."""
    made = sample_field("hard", seed=4)
    path = place
    for k, (y, x, role) in enumerate(
        ((0, 0, "train"), (0, SIDE_PX, "train"), (SIDE_PX, 0, "validation")), 1
    ):
        cut = (slice(y, y + SIDE_PX), slice(x, x + SIDE_PX))
        image, labels = made.image.image[cut], made.labels[cut]
        path = place / f"field_{k}.tif"
        tifffile.imwrite(path, image)
        field = LabelledField(labels=labels, name=path.stem, image=image, role=role)
        add_field(place / "sand", field, Origin(source=str(path)))
    return path


def wait(there: Any) -> None:
    """Let the window work until something has come."""
    give_up = time.monotonic() + LONGEST_S
    while not there():
        QApplication.processEvents()
        time.sleep(0.02)
        if time.monotonic() > give_up:
            raise SystemExit("nothing came in a quarter of an hour")


def shoot(viewer: napari.Viewer, path: Path) -> None:
    """Take an image of the window."""
    until = time.monotonic() + 1
    wait(lambda: time.monotonic() > until)
    window = viewer.screenshot(canvas_only=False, flash=False)
    Image.fromarray(np.ascontiguousarray(window[:, 330:, :3])).save(path, optimize=True)


def main() -> None:
    """Train, judge, and take the image."""
    place = Path(tempfile.mkdtemp())
    os.environ["GRAINSMITH_MODELS"] = str(place / "models")
    os.environ["GRAINSMITH_AUTOSAVE"] = str(place / "autosave")
    last = make_set(place)
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1480, 960)
    viewer.open(last, plugin="grainsmith")
    dock = GrainsmithDock(viewer)
    viewer.window.add_dock_widget(dock, name="Grainsmith")
    pages = dock.show_panel("Train")
    pages.setCurrentIndex(1)
    train = pages.tuning
    train.open(str(place / "sand"))
    train.form["minutes"].value = MINUTES
    train.train()
    wait(lambda: train.evaluation.isVisibleTo(train))
    train.evaluation.show_grains.setChecked(True)
    wait(lambda: any("gained" in one.name for one in viewer.layers))
    shoot(viewer, Path(sys.argv[1]) / "train.png")
    viewer.close()


if __name__ == "__main__":
    main()
