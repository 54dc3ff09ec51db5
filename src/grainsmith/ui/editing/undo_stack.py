"""The undo stack: steps in their order, how many of them are done, and where they were saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grainsmith.ui.editing.step import can_join, join_steps, step_for_redo, step_for_undo

if TYPE_CHECKING:
    from napari.layers import Labels

    from grainsmith.ui.editing.step import Step

_BUDGET_BYTES = 256_000_000


class UndoStack:
    """Steps that can be undone and redone; beyond a memory budget the oldest are dropped.

    Attributes
    ----------
    steps : list of Step
        The oldest first.
    position : int
        Number of steps that are done.
    revision : int
        Rises with every step that is done, undone, redone or dropped.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.position = 0
        self.revision = 0
        self._saved = 0
        self._earlier_edits = 0
        self._min_unsaved = 0
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        """Approximate memory of all steps in bytes."""
        return self._nbytes

    @property
    def is_saved(self) -> bool:
        """Whether the present labels are saved."""
        return self._saved == self.position

    @property
    def unsaved_edits(self) -> int:
        """Number of edits between the present and the saved labels, or since the beginning."""
        if self._saved >= 0:
            return abs(self.position - self._saved)
        return max(self._min_unsaved, self._earlier_edits + self.position)

    def record(self, step: Step) -> None:
        """Add a step that has been done; undone steps are dropped."""
        self.revision += 1
        if self._saved > self.position:
            self._lose_saved()
        self._nbytes -= sum(undone.nbytes for undone in self.steps[self.position :])
        self._nbytes += step.nbytes
        self.steps[self.position :] = [step]
        self.position += 1
        while self._nbytes > _BUDGET_BYTES and len(self.steps) > 1:
            self._drop_oldest()

    def join_last(self) -> None:
        """Join the last two steps where the last one touched no other grains."""
        if self.position < 2 or not can_join(*self.steps[self.position - 2 : self.position]):
            return
        if self._saved == self.position - 1:
            self._lose_saved()
        second, first = self.steps.pop(), self.steps.pop()
        joined = join_steps(first, second)
        self.steps.append(joined)
        self.position -= 1
        self._nbytes += joined.nbytes - first.nbytes - second.nbytes

    def undo(self, layer: Labels) -> Step | None:
        """Step back and return the step to undo in the layer; None at the first one."""
        if self.position == 0:
            return None
        self.revision += 1
        self.position -= 1
        return self._replace(self.position, step_for_undo(self.steps[self.position], layer))

    def redo(self, layer: Labels) -> Step | None:
        """Step forward and return the step to redo in the layer; None at the last one."""
        if self.position == len(self.steps):
            return None
        self.revision += 1
        self.position += 1
        return self._replace(self.position - 1, step_for_redo(self.steps[self.position - 1], layer))

    def mark_saved(self) -> None:
        """Note that the present labels are saved."""
        self._saved, self._earlier_edits, self._min_unsaved = self.position, 0, 0

    def mark_unsaved(self, edits: int = 0) -> None:
        """Note that no labels are saved; `edits` were made before the first step."""
        self._saved, self._earlier_edits, self._min_unsaved = -1, edits, 0

    def clear(self) -> None:
        """Drop all steps; the labels count as saved."""
        self.revision += 1
        self.steps, self.position, self._nbytes = [], 0, 0
        self.mark_saved()

    def _drop_oldest(self) -> None:
        self._nbytes -= self.steps.pop(0).nbytes
        self.position -= 1
        if self._saved <= 0:
            self._earlier_edits += 1
        self._saved = max(-1, self._saved - 1)

    def _lose_saved(self) -> None:
        """Note that no undo or redo leads back to the saved labels."""
        self._saved, self._min_unsaved = -1, 1

    def _replace(self, position: int, step: Step) -> Step:
        self._nbytes += step.nbytes - self.steps[position].nbytes
        self.steps[position] = step
        return step
