"""The help lists the keys that are bound, those of napari included."""

import numpy as np
import pytest
from napari.layers import Labels
from napari.settings import get_settings
from napari.utils.key_bindings import KeyBinding

from grainsmith.ui.editing.shortcuts import (
    KEYS,
    NAPARI_TOOLS,
    WINDOW_KEYS,
    keys_text,
    napari_keys,
)


@pytest.mark.parametrize("mode", NAPARI_TOOLS)
def test_listed_key_starts_the_tool_of_napari(viewer, mode):
    layer = viewer.add_labels(np.eye(5, dtype=int))
    key = napari_keys()[NAPARI_TOOLS[mode]]
    Labels.class_keymap[KeyBinding.from_str(key)](getattr(layer, "__wrapped__", layer))
    assert layer.mode == {"picker": "pick"}.get(mode, mode)


def test_help_lists_all_keys(viewer):
    text = keys_text()
    for key in (*KEYS, *WINDOW_KEYS):
        assert f"<b>{key.key}</b>&nbsp;&nbsp;</td><td>{key.text}<" in text
    for tool, key in napari_keys().items():
        assert f"<b>{key}</b>&nbsp;&nbsp;</td><td>{tool} of napari<" in text


def test_help_follows_the_preferences_of_napari(viewer, monkeypatch):
    shortcuts = get_settings().shortcuts
    changed = {
        **shortcuts.shortcuts,
        "napari:activate_labels_paint_mode": [KeyBinding.from_str("Shift-B")],
        "napari:activate_labels_fill_mode": [],
    }
    monkeypatch.setattr(shortcuts, "shortcuts", changed)
    assert napari_keys()["brush"] == "Shift+B"
    assert "bucket" not in napari_keys()
