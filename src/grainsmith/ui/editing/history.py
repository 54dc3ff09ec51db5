"""One history for a labels layer: brush strokes, grain operations and whole-image work in order.

napari keeps 24 bytes for every pixel that `data_setitem` changes, forgets to tell of its own undo,
and keeps stale pixels when `layer.data` is replaced. So the history of a layer that we edit is kept
here, as runs of equal pixels (see `grainsmith.clean.Change`) within a budget of memory, with what
belongs to a step: states and rows of the table. `layer.undo` and `layer.redo` of that one layer
lead here, whoever calls them: Ctrl+Z, a menu, another plugin.

Every write still goes through `data_setitem` in `block_history()`, undo and redo too: that repaints
only what changed, and everyone who listens to `paint` hears of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from psygnal import Signal

from grainsmith.clean import Change, GrainIndex, difference, pack, refuse_locked, resegment_grains
from grainsmith.errors import MismatchError
from grainsmith.ui.editing.feature_rows import (
    Rows,
    rows_after_edit,
    rows_now,
    rows_renumbered,
    rows_resegmented,
)
from grainsmith.ui.editing.label_writer import Writer
from grainsmith.ui.editing.paint_strokes import change_of_stroke, parted
from grainsmith.ui.editing.step import (
    BY_HAND,
    Step,
    put_states,
    states_after_edit,
    states_renumbered,
)
from grainsmith.ui.editing.undo_stack import UndoStack
from grainsmith.ui.layers.metadata import GrainsMetadata, states_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from napari.layers import Labels

    from grainsmith.clean import CleanResult, Patch
    from grainsmith.clean.patch import Labels as LabelArray

_AGAIN = "Segment again"
_STROKES = {"paint": "Paint", "erase": "Erase", "fill": "Fill", "polygon": "Polygon"}

_OF_LAYER: WeakKeyDictionary[Labels, History] = WeakKeyDictionary()


def history_of(layer: Labels) -> History:
    """Return the history of a layer, the same one to everybody; it begins when first asked for.

    Raises
    ------
    MismatchError
        The labels cannot be edited: a stack, a pyramid, or an array on disk.
    """
    if layer not in _OF_LAYER:
        _OF_LAYER[layer] = History(layer)
    return _OF_LAYER[layer]


def is_kept(layer: Labels) -> bool:
    """Return whether a layer has a history already, which knows all that was done by hand."""
    return layer in _OF_LAYER


def mark_saved(labels: LabelArray) -> None:
    """Note that a layer's array has been saved; nothing happens where no layer has it."""
    for layer, history in list(_OF_LAYER.items()):
        if layer.data is labels:
            history.mark_saved()


class History:
    """What was done to a labels layer, and the only way to do more.

    Attributes
    ----------
    edited : psygnal signal
        Sent with the Change after every write to the labels, undo and redo included.
    changed : psygnal signal
        Sent without arguments when steps, position, states or saved state changed.
    told : psygnal signal
        Sent with a sentence for the user, such as why a stroke was taken back.
    """

    edited = Signal(object)
    changed = Signal()
    told = Signal(str)

    def __init__(self, layer: Labels) -> None:
        if layer.multiscale or not isinstance(layer.data, np.ndarray):
            raise MismatchError(
                f"'{layer.name}' lies on disk or in several resolutions and cannot be edited; "
                "duplicate it as one array first"
            )
        self._layer = ref(layer)
        if not layer.data.flags.writeable:
            layer.data = layer.data.copy()
        self._index = GrainIndex(layer.data)
        self._array = layer.data
        self._timeline = UndoStack()
        self._writer = Writer(layer)
        self._stroke: Change | None = None
        layer.events.paint.connect(self._on_paint)
        layer.events.labels_update.connect(self._take_in_stroke)
        layer.events.data.connect(self._on_data)
        layer.undo = self.undo
        layer.redo = self.redo

    @property
    def layer(self) -> Labels:
        """The layer that this is the history of."""
        layer = self._layer()
        if layer is None:
            raise RuntimeError("the layer of this history is gone")
        return layer

    @property
    def index(self) -> GrainIndex:
        """Boxes and areas of the grains, always up to date."""
        self._take_in_stroke()
        return self._index

    @property
    def steps(self) -> list[Step]:
        """All steps that can be undone or redone, the oldest first."""
        return self._timeline.steps

    @property
    def position(self) -> int:
        """How many of the steps are done."""
        return self._timeline.position

    @property
    def moves(self) -> int:
        """How often anything was done, undone, redone or forgotten: equal while nothing was."""
        self._take_in_stroke()
        return self._timeline.moves

    @property
    def last(self) -> Step | None:
        """The step that an undo would take back; None where there is none."""
        self._take_in_stroke()
        return self.steps[self.position - 1] if self.position else None

    @property
    def nbytes(self) -> int:
        """Memory that the steps take, about."""
        return self._timeline.nbytes

    @property
    def states(self) -> dict[int, str]:
        """State of the grains that have one other than "auto"; read it, set it by `set_states`."""
        return states_of(self.layer)

    @property
    def locked(self) -> set[int]:
        """The accepted grains, which refuse edits."""
        return {label for label, state in self.states.items() if state == "accepted"}

    @property
    def unsaved(self) -> int:
        """Number of steps between the labels as they are and as they were saved."""
        return self._timeline.unsaved

    # --- doing

    def apply(
        self, name: str, patches: Sequence[Patch], *, born: str = "edited", amend: bool = False
    ) -> set[int]:
        """Do an edit of grains as one step.

        Parameters
        ----------
        name : str
            What the history list shows, such as "Merge 4, 7".
        patches : sequence of Patch
            Of which no two change the same pixel.
        born : str
            State of the grains that come into being.
        amend : bool
            Make one step of it and the last one, where that touched the same grains.

        Returns
        -------
        set of int
            The grains that lost or gained pixels.

        Raises
        ------
        MismatchError
            An accepted grain would change.
        """
        self._take_in_stroke()
        refuse_locked(patches, self.locked)
        touched = self._do(name, pack(patches, self._array.shape), born)
        if amend and touched:
            self._timeline.join_last()
            self._tell()
        return touched

    def clean(self, name: str, cleaned: CleanResult) -> set[int]:
        """Do a clean-up of all grains as one step; states and rows follow a renumbering."""
        self._take_in_stroke()
        change = difference(self._array, cleaned.labels.astype(self._array.dtype, copy=False))
        if not cleaned.renumbered:
            return self._do(name, change, "edited")
        numbers = {label: label for label in self._index.boxes if label not in cleaned.removed}
        numbers |= cleaned.renumbered
        mended = {*cleaned.filled, *cleaned.trimmed} & set(numbers)
        states = states_renumbered(self.states, mended, numbers)
        before = rows_now(self.layer, self._index.boxes)
        self._write(change)
        edited = {numbers[label] for label in mended}
        after = rows_renumbered(self.layer, self._index, before, numbers, edited)
        self._record(name, change, states, before.said_of(after.labels), after, numbers)
        return change.touched

    def resegment(
        self, labels: LabelArray, table: pd.DataFrame | None = None, *, amend: bool = False
    ) -> set[int]:
        """Take a new segmentation as one step; what was edited, drawn or accepted stays.

        Parameters
        ----------
        labels : (Y, X) int array
            The new segmentation, of the layer's shape.
        table : DataFrame, optional
            Of the new grains, index `label`.
        amend : bool
            In place of the last step where that was a new segmentation too (a slider moves).

        Returns
        -------
        set of int
            The grains that were kept.
        """
        if amend and self.last is not None and self.last.name == _AGAIN:
            self.undo()
        self._take_in_stroke()
        kept = {k for k, s in self.states.items() if s in BY_HAND and k in self._index}
        renewed, numbers = resegment_grains(self._array, labels, kept)
        before = rows_now(self.layer, self._index.boxes)
        change = difference(self._array, renewed)
        self._write(change)
        states = {label: "auto" for label in self.states if label not in kept}
        after = rows_resegmented(self.layer, self._index, before, kept, table, numbers)
        same = {label: label for label in kept}
        self._record(_AGAIN, change, states, before.said_of(after.labels), after, same)
        return kept

    def set_states(self, name: str, states: Mapping[int, str], *, amend: bool = False) -> None:
        """Give grains a state as a step that can be undone (part of the last one: `amend`)."""
        self._take_in_stroke()
        self._record(name, pack((), self._array.shape), states, Rows(), Rows())
        if amend:
            self._timeline.join_last()
            self._tell()

    def undo(self) -> None:
        """Take the last step back; nothing happens where there is none."""
        self._take_in_stroke()
        step = self._timeline.back(self.layer)
        if step is not None:
            self._write(step.change.inverse())
            self._show(step.states_before, step.rows_before)

    def redo(self) -> None:
        """Do the step again that was taken back last; nothing happens where there is none."""
        self._take_in_stroke()
        step = self._timeline.forth(self.layer)
        if step is not None:
            self._write(step.change)
            self._show(step.states_after, step.rows_after)

    def go_to(self, position: int) -> None:
        """Undo or redo until `position` steps are done."""
        if not 0 <= position <= len(self.steps):
            raise ValueError(f"position must be 0..{len(self.steps)}, got {position}")
        while self.position > position:
            self.undo()
        while self.position < position:
            self.redo()

    def mark_saved(self) -> None:
        """Note that the labels are saved as they are now."""
        self._timeline.mark_saved(saved=True)
        self._tell()

    def mark_unsaved(self) -> None:
        """Note that the labels are saved nowhere, e.g. after a recovery."""
        self._timeline.mark_saved(saved=False)
        self._tell()

    def forget(self) -> None:
        """Forget all steps and look at the labels anew: they are not what they were."""
        self._timeline.clear()
        self._stroke = None
        self._array = self.layer.data
        self._index = GrainIndex(self._array)
        self._writer.forget_native()
        self._tell()

    # --- how

    def _do(self, name: str, change: Change, born: str) -> set[int]:
        if not len(change.start):
            return set()
        self._writer.write(change)
        return self._take_in(name, change, born)

    def _take_in(self, name: str, change: Change, born: str) -> set[int]:
        """Record a change that is in the pixels already, with states and rows that follow it."""
        existed = {label: label in self._index for label in change.touched}
        before = rows_now(self.layer, existed)
        self._follow(change)
        states = states_after_edit(self.states, existed, self._index, born)
        after = rows_after_edit(self.layer, self._index, before)
        self._record(name, change, states, before, after)
        return set(existed)

    def _record(
        self,
        name: str,
        change: Change,
        states: Mapping[int, str],
        before: Rows,
        after: Rows,
        numbers: dict[int, int] | None = None,
    ) -> None:
        """Record a step that gives these grains these states and rows; `numbers` as in `Step`."""
        were = {label: self.states.get(label, "auto") for label in states}
        step = Step(name, change, were, dict(states), before, after, numbers)
        self._timeline.record(step)
        self._show(step.states_after, step.rows_after)

    def _show(self, states: Mapping[int, str], rows: Rows) -> None:
        put_states(states, self.states)
        rows.put_into(self.layer)
        self._tell()

    def _tell(self) -> None:
        GrainsMetadata.update(self.layer, unsaved_edits=self.unsaved)
        self.changed.emit()

    def _write(self, change: Change) -> None:
        """Set pixels, and let index and listeners follow."""
        if len(change.start):
            self._writer.write(change)
            self._follow(change)

    def _follow(self, change: Change) -> None:
        self._index.update(self._array, change)
        self.edited.emit(change)

    # --- what others do

    def _on_paint(self, event: Any) -> None:
        """Note a stroke of napari's tools; it is taken in once its pixels are written."""
        if self._writer.busy or not event.value:
            return
        self._take_in_stroke()
        self._stroke = change_of_stroke(event.value, self._array)
        # A dragged stroke is told of when it is finished, a single dab before it is painted.
        if self._stroke.is_done_in(self._array):
            self._take_in_stroke()

    def _take_in_stroke(self, _event: Any = None) -> None:
        """Record the noted stroke, but for what it did to locked grains: that is taken back."""
        change, self._stroke = self._stroke, None
        if change is None:
            return
        change, refused = parted(change, self.locked)
        if len(refused.start):
            self._writer.write(refused.inverse())
            self.told.emit("Accepted grains are locked: they were left as they are (key A unlocks)")
        if len(change.start):
            self._take_in(_STROKES.get(str(self.layer.mode), "Edit"), change, "drawn")

    def _on_data(self, _event: Any) -> None:
        """Take a replaced array into the history, or begin anew where it does not fit."""
        new, old = self.layer.data, self._array
        if new is old:
            return
        same = isinstance(new, np.ndarray) and (new.shape, new.dtype) == (old.shape, old.dtype)
        if not same or not (self.steps or self.unsaved):  # else nobody's work is to be protected
            self._begin_anew()
            return
        self._array = new
        self._writer.forget_native()
        change = difference(old, new)
        if len(change.start):
            self._take_in("Replaced", change, "auto")

    def _begin_anew(self) -> None:
        """Follow labels that the steps do not fit; what was unsaved is so still, and is told."""
        unsaved = self.unsaved
        self.forget()
        if unsaved:
            self.states.clear()
            self.mark_unsaved()
            self.told.emit("The labels were exchanged for others: what was done cannot be undone")
