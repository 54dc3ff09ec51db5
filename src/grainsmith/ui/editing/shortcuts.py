"""Keys of correcting and reviewing: the one table behind bindings, buttons and help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari.settings import get_settings

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Key:
    """A key and its action.

    Attributes
    ----------
    key : str
        As Qt writes it.
    action : str
        Name of the action.
    text : str
        What it does, for the user.
    """

    key: str
    action: str
    text: str


KEYS: tuple[Key, ...] = (
    Key("D", "delete", "Delete the selected grains"),
    Key("Del", "delete", "Delete the selected grains"),
    Key("J", "merge", "Join the selected grains; with fewer than two, by a drawn line"),
    Key("S", "cut", "Split by drawn lines, on and off"),
    Key("W", "split_by_lobes", "Split at the necks: propose, then cut"),
    Key("C", "split_by_chemistry", "Split where two compositions meet, by the element maps"),
    Key("I", "insert", "Insert missed grains by clicks, on and off; the wheel sizes them"),
    Key("Shift+I", "copy", "Copy grains from another visible labels layer by clicks, on and off"),
    Key("H", "fill_holes", "Fill the holes of the selected grains"),
    Key("O", "smooth", "Smooth the outline of the selected grains"),
    Key("U", "grow", "Grow the selected grains by 1 px"),
    Key("Shift+U", "shrink", "Shrink the selected grains by 1 px"),
    Key("T", "keep_largest", "Trim: keep the largest piece of the selected grains"),
    Key("R", "box", "Select by a box, on and off"),
    Key("Shift+R", "lasso", "Select by a lasso, on and off"),
    Key("A", "accept", "Accept and lock the selected grains; again: unlock them"),
    Key("K", "reject", "Reject: delete, and record that it was not a grain"),
    Key("N", "next", "Next grain of the review"),
    Key("Shift+N", "previous", "Previous grain of the review"),
    Key("G", "coverage", "Show what no grain covers, on and off"),
    Key("Q", "stop", "Leave the mode; else select nothing"),
    Key("?", "help", "This list"),
)
"""None of them is bound by napari 0.9 to a labels layer or to the viewer."""

WINDOW_KEYS: tuple[Key, ...] = (
    Key("Ctrl+Z", "undo", "Undo: strokes of the brush and corrections alike"),
    Key("Ctrl+Shift+Z", "redo", "Redo"),
    Key("Esc", "stop", "Leave any mode, also napari's brush; else select nothing"),
)
"""Keys that work with any active layer; napari binds undo and redo to labels layers only."""

_CLICK = ("click", "select a grain; Shift+click selects more")

NAPARI_TOOLS = {"paint": "brush", "polygon": "polygon", "fill": "bucket", "picker": "picker"}
"""Mode of a labels layer -> its name in napari's window."""


def key_of(action: str) -> str:
    """Return the first key of an action, for its button; "" without a key."""
    return next((key.key for key in KEYS if key.action == action), "")


def keys_text() -> str:
    """Return all keys as an HTML table."""
    own = [(key.key, key.text) for key in (*KEYS, *WINDOW_KEYS)]
    napari = [(key, f"{name} of napari") for name, key in napari_keys().items()]
    return f"<table>{_rows(own)}<tr><td>&nbsp;</td></tr>{_rows([_CLICK, *napari])}</table>"


def napari_keys() -> dict[str, str]:
    """Return the key of each of napari's drawing tools, as set in its preferences."""
    bindings = get_settings().shortcuts.shortcuts
    keys = {
        name: bindings.get(f"napari:activate_labels_{mode}_mode", [])
        for mode, name in NAPARI_TOOLS.items()
    }
    return {name: str(bound[0]) for name, bound in keys.items() if bound}


def _rows(pairs: Iterable[tuple[str, str]]) -> str:
    return "".join(
        f"<tr><td><b>{key}</b>&nbsp;&nbsp;</td><td>{text}</td></tr>" for key, text in pairs
    )
