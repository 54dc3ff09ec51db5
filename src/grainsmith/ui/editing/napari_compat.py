"""Everything that relies on behaviour of napari 0.9 which its documentation does not promise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from napari.layers import Labels

    Pixels = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


class UndoOwner(Protocol):
    """An object that undoes and redoes the edits of a layer."""

    def undo(self) -> None:
        """Undo the last edit."""

    def redo(self) -> None:
        """Redo the edit that was undone last."""


def redirect_undo(layer: Labels, owner: UndoOwner) -> None:
    """Let `undo` and `redo` of one layer, whoever calls them, lead to another object."""
    layer.undo = owner.undo
    layer.redo = owner.redo


def undo_owner(layer: Labels) -> object:
    """Return the object that undoes the edits of a layer; the layer itself by default."""
    return layer.undo.__self__


def clear_native_undo(layer: Labels) -> None:
    """Empty napari's own undo history of a layer.

    Notes
    -----
    A layer clears it on becoming uneditable, which is the only public way. After a replacement of
    `layer.data` the old history would otherwise restore old pixels into the new array.
    """
    mode, editable = layer.mode, layer.editable
    layer.editable = False
    layer.editable = editable
    layer.mode = mode


def pixels_of_atom(atom: Any) -> Pixels:
    """Return rows, columns, old and new labels, (N,) each, of one atom of a `paint` event.

    Parameters
    ----------
    atom : object
        A box with a mask from brush, fill and polygon; a tuple of indices, old and new labels from
        `data_setitem`.
    """
    if not hasattr(atom, "slice_key"):
        (rows, columns), old, new = atom
        return rows, columns, old, np.broadcast_to(new, np.shape(rows))
    box_rows, box_columns = atom.slice_key
    # Without a mask the whole box was painted.
    mask = np.ones(np.shape(atom.old_values), bool) if atom.mask is None else atom.mask
    rows, columns = np.nonzero(mask)
    new = np.broadcast_to(atom.new_value, np.shape(rows))
    return rows + box_rows.start, columns + box_columns.start, np.ravel(atom.old_values), new
