"""Strokes of napari's drawing tools as changes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.clean import Change, from_pixels
from grainsmith.ui.editing.napari_compat import pixels_of_atom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.clean.patch import Labels


def change_of_stroke(atoms: Sequence[Any], labels: Labels) -> Change:
    """Return the change that a `paint` event of a labels layer describes.

    Parameters
    ----------
    atoms : sequence
        Value of the event.
    labels : (Y, X) int array
        Data of the layer.
    """
    height, width = labels.shape
    parts = [pixels_of_atom(atom) for atom in atoms]
    rows, columns, old, new = (np.concatenate(column) for column in zip(*parts, strict=True))
    return from_pixels((height, width), rows, columns, old, new.astype(old.dtype))


def split_by_lock(change: Change, locked: set[int]) -> tuple[Change, Change]:
    """Split a change into that of the unlocked and that of the locked grains."""
    is_locked = np.isin(change.old, sorted(locked)) | np.isin(change.new, sorted(locked))
    return change.chosen(~is_locked), change.chosen(is_locked)
