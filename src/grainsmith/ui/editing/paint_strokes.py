"""What napari's own drawing tools did, as a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.clean import Change, from_pixels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.clean.patch import Labels


def change_of_stroke(atoms: Sequence[Any], labels: Labels) -> Change:
    """Return the change that a `paint` event of a labels layer tells of.

    Parameters
    ----------
    atoms : sequence
        The value of the event: boxes with a mask from brush, fill and polygon, tuples of indices,
        old and new labels from `data_setitem`.
    labels : (Y, X) int array
        Of the layer.
    """
    height, width = labels.shape
    parts = [_pixels(atom) for atom in atoms]
    rows, columns, old, new = (np.concatenate(column) for column in zip(*parts, strict=True))
    return from_pixels((height, width), rows, columns, old, new.astype(old.dtype))


def parted(change: Change, locked: set[int]) -> tuple[Change, Change]:
    """Return what a change does to other grains, and what it does to locked ones."""
    hit = np.isin(change.old, sorted(locked)) | np.isin(change.new, sorted(locked))
    return change.chosen(~hit), change.chosen(hit)


def _pixels(atom: Any) -> tuple[Labels, Labels, Labels, Labels]:
    """Return rows, columns, old and new labels of the pixels of one atom, each (N,)."""
    if hasattr(atom, "slice_key"):
        box_rows, box_columns = atom.slice_key
        # Without a mask the whole box was painted.
        mask = np.ones(np.shape(atom.old_values), bool) if atom.mask is None else atom.mask
        rows, columns = np.nonzero(mask)
        rows, columns = rows + box_rows.start, columns + box_columns.start
        old, new = np.ravel(atom.old_values), atom.new_value
    else:
        (rows, columns), old, new = atom
    return rows, columns, old, np.broadcast_to(new, np.shape(rows))
