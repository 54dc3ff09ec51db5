"""Make docs/images/segment.png: the sample, segmented by one press of the button.

Run it under Xvfb: xvfb-run -a -s "-screen 0 1600x1000x24" python tools/make_screenshot.py FILE
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import napari
from qtpy.QtWidgets import QApplication


def main() -> None:
    """Open the sample, press Find grains, wait, take the image."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1500, 900)
    viewer.open_sample("grainsmith", "plain")
    _, widget = viewer.window.add_plugin_dock_widget("grainsmith", "Grainsmith")
    panel = widget.show_panel("Segment")
    panel.find()
    give_up = time.monotonic() + 120
    while not any("grains" in layer.name and layer.visible for layer in viewer.layers):
        QApplication.processEvents()
        if time.monotonic() > give_up:
            raise SystemExit("no grains after two minutes")
    for _ in range(20):
        QApplication.processEvents()
        time.sleep(0.05)
    viewer.reset_view()
    QApplication.processEvents()
    viewer.screenshot(str(Path(sys.argv[1])), canvas_only=False, flash=False)
    viewer.close()


if __name__ == "__main__":
    main()
