"""The edit history of a labels layer: strokes, grain operations and whole-image work in order.

napari stores 24 bytes for every pixel that `data_setitem` changes, sends no event on its own undo,
and keeps stale pixels when `layer.data` is replaced. The history of a layer is therefore kept here
as runs of equal pixels (see `grainsmith.clean.Change`) within a memory budget, together with the
states and table rows of each step. `layer.undo` and `layer.redo` lead here, whoever calls them:
Ctrl+Z, a menu, another plugin.

Every write, undo and redo included, goes through `data_setitem` in `block_history()`, which redraws
only the changed pixels and sends `paint` to all listeners.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from napari.layers import Labels
from psygnal import Signal

from grainsmith.clean import Change, GrainIndex, difference, pack, refuse_locked, resegment_grains
from grainsmith.errors import MismatchError
from grainsmith.ui.editing.feature_rows import (
    FeatureRows,
    current_rows,
    rows_after_edit,
    rows_renumbered,
    rows_resegmented,
    texts_of,
)
from grainsmith.ui.editing.label_writer import LabelWriter
from grainsmith.ui.editing.napari_compat import redirect_undo, undo_owner
from grainsmith.ui.editing.paint_strokes import change_of_stroke, split_by_lock
from grainsmith.ui.editing.step import (
    MANUAL_STATES,
    Step,
    renumber_states,
    states_after_edit,
    update_states,
)
from grainsmith.ui.editing.undo_stack import UndoStack
from grainsmith.ui.layers.metadata import GrainsMetadata, states_of
from grainsmith.ui.layers.proxy import unwrap
from grainsmith.ui.session import open_sessions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from grainsmith.clean import CleanResult, Patch
    from grainsmith.clean.patch import Labels as LabelArray

_RESEGMENT = "Segment again"
_STROKE_NAMES = {"paint": "Paint", "erase": "Erase", "fill": "Fill", "polygon": "Polygon"}


def history_of(layer: Labels) -> History:
    """Return the history of a layer, creating it on first use.

    Raises
    ------
    MismatchError
        The labels cannot be edited: a stack, a pyramid, or an array on disk.
    """
    owner = undo_owner(unwrap(layer))
    return owner if isinstance(owner, History) else History(unwrap(layer))


def has_history(layer: Labels) -> bool:
    """Return whether a layer has a history, which then holds all manual edits."""
    return isinstance(undo_owner(unwrap(layer)), History)


def mark_saved(labels: LabelArray) -> None:
    """Mark the layers of all viewers that hold this array as saved."""
    for session in open_sessions():
        for layer in session.layers:
            if isinstance(layer, Labels) and layer.data is labels and has_history(layer):
                history_of(layer).mark_saved()


class History:
    """All edits of a labels layer, and the only way to make more.

    Attributes
    ----------
    edited : psygnal signal
        Sent with the Change after every write to the labels, undo and redo included.
    changed : psygnal signal
        Sent without arguments when steps, position, states or saved state changed.
    message : psygnal signal
        Sent with a sentence for the user, such as why a stroke was undone.
    """

    edited = Signal(object)
    changed = Signal()
    message = Signal(str)

    def __init__(self, layer: Labels) -> None:
        if layer.multiscale or not isinstance(layer.data, np.ndarray):
            raise MismatchError(
                f"'{layer.name}' lies on disk or in several resolutions and cannot be edited. "
                "Duplicate it as one array first."
            )
        self._layer = ref(layer)
        if not layer.data.flags.writeable:
            layer.data = layer.data.copy()
        self._index = GrainIndex(layer.data)
        self._array = layer.data
        self._stack = UndoStack()
        self._writer = LabelWriter(layer)
        self._stroke: Change | None = None
        self._annotated = False
        self._updating_rows = False
        self._texts = texts_of(layer.features)
        layer.events.paint.connect(self._on_paint)
        layer.events.labels_update.connect(self._record_stroke)
        layer.events.data.connect(self._on_data)
        layer.events.features.connect(self._on_features)
        redirect_undo(layer, self)

    @property
    def layer(self) -> Labels:
        """The layer; RuntimeError once it is gone."""
        layer = self._layer()
        if layer is None:
            raise RuntimeError("the layer of this history is gone")
        return layer

    @property
    def index(self) -> GrainIndex:
        """Boxes and areas of the grains, always up to date."""
        self._record_stroke()
        return self._index

    @property
    def steps(self) -> list[Step]:
        """All steps that can be undone or redone, the oldest first."""
        return self._stack.steps

    @property
    def position(self) -> int:
        """Number of steps that are done."""
        return self._stack.position

    @property
    def revision(self) -> int:
        """Number that rises with every edit, undo and redo; compare two to detect an edit."""
        self._record_stroke()
        return self._stack.revision

    @property
    def last(self) -> Step | None:
        """The step that `undo` would undo; None at the first one."""
        self._record_stroke()
        return self.steps[self.position - 1] if self.position else None

    @property
    def nbytes(self) -> int:
        """Approximate memory of the steps in bytes."""
        return self._stack.nbytes

    @property
    def states(self) -> dict[int, str]:
        """States of the grains that are not "auto"; change them by `set_states`."""
        return states_of(self.layer)

    @property
    def locked(self) -> set[int]:
        """The accepted grains, which refuse edits."""
        return {label for label, state in self.states.items() if state == "accepted"}

    @property
    def is_saved(self) -> bool:
        """Whether the labels and their annotations are saved as they are."""
        return self._stack.is_saved and not self._annotated

    @property
    def unsaved_edits(self) -> int:
        """Number of edits since the labels were saved, or since they were made."""
        return self._stack.unsaved_edits

    # --- edits

    def apply(
        self,
        name: str,
        patches: Sequence[Patch],
        *,
        new_state: str = "edited",
        amend: bool = False,
    ) -> set[int]:
        """Apply an edit of grains as one step.

        Parameters
        ----------
        name : str
            What the history list shows, such as "Merge 4, 7".
        patches : sequence of Patch
            No two of them change the same pixel.
        new_state : str
            State of the grains that the edit creates.
        amend : bool
            Join the step with the last one, where that touched the same grains.

        Returns
        -------
        set of int
            The grains that lost or gained pixels.

        Raises
        ------
        MismatchError
            An accepted grain would change.
        """
        self._record_stroke()
        refuse_locked(patches, self.locked)
        touched = self._apply(name, pack(patches, self._array.shape), new_state)
        if amend and touched:
            self._stack.join_last()
            self._notify()
        return touched

    def apply_cleanup(self, name: str, result: CleanResult) -> set[int]:
        """Apply a clean-up of all grains as one step; states and rows follow a renumbering.

        Returns
        -------
        set of int
            The grains that lost or gained pixels.
        """
        self._record_stroke()
        change = difference(self._array, result.labels.astype(self._array.dtype, copy=False))
        if not result.renumbered:
            return self._apply(name, change, "edited")
        numbers = {label: label for label in self._index.boxes if label not in result.removed}
        numbers |= result.renumbered
        repaired = {*result.filled, *result.trimmed} & set(numbers)
        states = renumber_states(self.states, repaired, numbers)
        before = current_rows(self.layer, self._index.boxes)
        self._write(change)
        edited = {numbers[label] for label in repaired}
        after = rows_renumbered(self.layer, self._index, before, numbers, edited)
        self._record(name, change, states, before.with_labels(after.labels), after, numbers)
        return change.touched

    def resegment(
        self, labels: LabelArray, table: pd.DataFrame | None = None, *, amend: bool = False
    ) -> set[int]:
        """Apply a new segmentation as one step; edited, drawn and accepted grains stay.

        Parameters
        ----------
        labels : (Y, X) int array
            The new segmentation, in the layer's shape.
        table : DataFrame, optional
            Of the new grains, index `label`.
        amend : bool
            Replace the last step where that was a new segmentation too, as while a slider moves.

        Returns
        -------
        set of int
            The grains that stayed.
        """
        if amend and self.last is not None and self.last.name == _RESEGMENT:
            self.undo()
        self._record_stroke()
        kept = {
            label
            for label, state in self.states.items()
            if state in MANUAL_STATES and label in self._index
        }
        merged, numbers = resegment_grains(self._array, labels, kept)
        before = current_rows(self.layer, self._index.boxes)
        change = difference(self._array, merged)
        self._write(change)
        states = {label: "auto" for label in self.states if label not in kept}
        after = rows_resegmented(self.layer, self._index, before, kept, table, numbers)
        unchanged = {label: label for label in kept}
        before = before.with_labels(after.labels)
        self._record(_RESEGMENT, change, states, before, after, unchanged)
        return kept

    def set_states(self, name: str, states: Mapping[int, str], *, amend: bool = False) -> None:
        """Set the state of grains as a step; with `amend` joined with the last one."""
        self._record_stroke()
        self._record(name, pack((), self._array.shape), states, FeatureRows(), FeatureRows())
        if amend:
            self._stack.join_last()
            self._notify()

    def undo(self) -> None:
        """Undo the last step; no effect at the first one."""
        self._record_stroke()
        step = self._stack.undo(self.layer)
        if step is not None:
            self._write(step.change.inverse())
            self._update_layer(step.states_before, step.rows_before)

    def redo(self) -> None:
        """Redo the step that was undone last; no effect at the last one."""
        self._record_stroke()
        step = self._stack.redo(self.layer)
        if step is not None:
            self._write(step.change)
            self._update_layer(step.states_after, step.rows_after)

    def go_to(self, position: int) -> None:
        """Undo or redo until `position` steps are done."""
        if not 0 <= position <= len(self.steps):
            raise ValueError(f"position must be 0..{len(self.steps)}, got {position}")
        while self.position > position:
            self.undo()
        while self.position < position:
            self.redo()

    def mark_saved(self) -> None:
        """Note that the present labels are saved, with the names and examples of the grains."""
        self._stack.mark_saved()
        self._annotated = False
        self._notify()

    def mark_unsaved(self, edits: int = 0) -> None:
        """Note that the labels are saved nowhere, as after segmentation or recovery.

        Parameters
        ----------
        edits : int
            Number of edits that were made before this history began.
        """
        self._stack.mark_unsaved(edits)
        self._notify()

    def mark_annotated(self) -> None:
        """Note that names or examples of grains were changed, which is no step of the history."""
        self._annotated = True
        self._notify()

    def reset(self) -> None:
        """Drop all steps and index the labels again, because they were replaced."""
        self._stack.clear()
        self._annotated = False
        self._texts = texts_of(self.layer.features)
        self._stroke = None
        self._array = self.layer.data
        self._index = GrainIndex(self._array)
        self._writer.clear_native_undo()
        self._notify()

    # --- steps

    def _apply(self, name: str, change: Change, new_state: str) -> set[int]:
        if not len(change.start):
            return set()
        self._writer.write(change)
        return self._record_written(name, change, new_state)

    def _record_written(self, name: str, change: Change, new_state: str) -> set[int]:
        """Record a change that the pixels have already; states and rows follow it."""
        existed = {label: label in self._index for label in change.touched}
        before = current_rows(self.layer, existed)
        self._follow(change)
        states = states_after_edit(self.states, existed, self._index, new_state)
        after = rows_after_edit(self.layer, self._index, before)
        self._record(name, change, states, before, after)
        return set(existed)

    def _record(
        self,
        name: str,
        change: Change,
        states: Mapping[int, str],
        before: FeatureRows,
        after: FeatureRows,
        numbers: dict[int, int] | None = None,
    ) -> None:
        """Record a step that sets these states and rows; `numbers` as in `Step`."""
        states_before = {label: self.states.get(label, "auto") for label in states}
        step = Step(name, change, states_before, dict(states), before, after, numbers)
        self._stack.record(step)
        self._update_layer(step.states_after, step.rows_after)

    def _update_layer(self, states: Mapping[int, str], rows: FeatureRows) -> None:
        update_states(self.states, states)
        self._updating_rows = True
        rows.write_to(self.layer)
        self._updating_rows = False
        self._texts = texts_of(self.layer.features)
        self._notify()

    def _notify(self) -> None:
        GrainsMetadata.update(self.layer, unsaved_edits=self.unsaved_edits)
        self.changed.emit()

    def _write(self, change: Change) -> None:
        if len(change.start):
            self._writer.write(change)
            self._follow(change)

    def _follow(self, change: Change) -> None:
        """Update the index after a write, and notify."""
        self._index.update(self._array, change)
        self.edited.emit(change)

    # --- edits made elsewhere

    def _on_paint(self, event: Any) -> None:
        """Note a stroke of napari's tools, to be recorded once its pixels are written."""
        if self._writer.busy or not event.value:
            return
        self._record_stroke()
        self._stroke = change_of_stroke(event.value, self._array)
        # The event comes after a dragged stroke, but before a single dab is painted.
        if self._stroke.is_done_in(self._array):
            self._record_stroke()

    def _record_stroke(self, _event: Any = None) -> None:
        """Record the noted stroke; what it did to locked grains is reverted."""
        change, self._stroke = self._stroke, None
        if change is None:
            return
        change, refused = split_by_lock(change, self.locked)
        if len(refused.start):
            self._writer.write(refused.inverse())
            self.message.emit("Accepted grains are locked and were left as they are. A unlocks.")
        if len(change.start):
            name = _STROKE_NAMES.get(str(self.layer.mode), "Edit")
            self._record_written(name, change, "drawn")

    def _on_features(self, _event: Any) -> None:
        """Note a change of texts, such as minerals; measures can be computed again."""
        if self._updating_rows:
            return
        texts = texts_of(self.layer.features)
        if texts != self._texts:
            self._texts = texts
            self.mark_annotated()

    def _on_data(self, _event: Any) -> None:
        """Record a replaced array as a step, or start over where it does not fit."""
        new, old = self.layer.data, self._array
        if new is old:
            return
        fits = isinstance(new, np.ndarray) and (new.shape, new.dtype) == (old.shape, old.dtype)
        if not fits or not (self.steps or self.unsaved_edits):  # there is no work to protect
            self._start_over()
            return
        self._array = new
        self._writer.clear_native_undo()
        change = difference(old, new)
        if len(change.start):
            self._record_written("Replaced", change, "auto")

    def _start_over(self) -> None:
        """Follow labels that the steps do not fit; unsaved work stays unsaved."""
        was_saved, edits = self.is_saved, self.unsaved_edits
        self.reset()
        if not was_saved:
            self.mark_unsaved()
        if edits:
            self.states.clear()
            self._notify()
            self.message.emit("The labels were replaced: earlier edits cannot be undone.")
