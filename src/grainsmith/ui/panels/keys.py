"""Keys of the main action of each tab; they work from every tab of the dock."""

from __future__ import annotations

MAIN_KEYS = {
    "Open": "Ctrl+Shift+I",
    "Segment": "Ctrl+Shift+G",
    "Align": "Ctrl+Shift+L",
    "Grains": "Ctrl+Shift+N",
    "Table": "Ctrl+Shift+M",
    "Statistics": "Ctrl+Shift+D",
    "Train": "Ctrl+Shift+A",
    "Export": "Ctrl+Shift+E",
    "Batch": "Ctrl+Shift+B",
}
"""Title of the tab -> key. None is bound by napari 0.9 or opens a menu."""
