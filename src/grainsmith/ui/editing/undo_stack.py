"""Steps in their order, how many of them are done, and where the work was saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from grainsmith.ui.editing.step import done_again, joined, may_join, taken_back

if TYPE_CHECKING:
    from napari.layers import Labels

    from grainsmith.ui.editing.step import Step

_BUDGET_BYTES = 256_000_000


class UndoStack:
    """What can be undone and redone, within a budget of memory: the oldest steps go first.

    Attributes
    ----------
    steps : list of Step
        The oldest first.
    position : int
        How many of them are done.
    moves : int
        How often anything was done, undone, redone or forgotten; never falls.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.position = 0
        self.moves = 0
        self._saved = 0
        self._nbytes = 0

    @property
    def unsaved(self) -> int:
        """Number of steps between the work as it is and as it was saved."""
        return abs(self.position - self._saved) if self._saved >= 0 else max(1, self.position)

    def record(self, step: Step) -> None:
        """Add a step that has been done; those that were taken back are gone."""
        self.moves += 1
        if self._saved > self.position:
            self._saved = -1  # what was saved can no longer be reached
        self._nbytes -= sum(gone.nbytes for gone in self.steps[self.position :])
        self._nbytes += step.nbytes
        self.steps[self.position :] = [step]
        self.position += 1
        while self._nbytes > _BUDGET_BYTES and len(self.steps) > 1:
            self._nbytes -= self.steps.pop(0).nbytes
            self.position -= 1
            self._saved = max(-1, self._saved - 1)

    def join_last(self) -> None:
        """Make one step of the last two where the last one touched no other grains."""
        if self.position > 1 and may_join(*self.steps[self.position - 2 : self.position]):
            if self._saved == self.position - 1:
                self._saved = -1  # between the two, which can no longer be reached
            last, first = self.steps.pop(), self.steps.pop()
            both = joined(first, last)
            self.steps.append(both)
            self.position -= 1
            self._nbytes += both.nbytes - first.nbytes - last.nbytes

    @property
    def nbytes(self) -> int:
        """Memory that all steps take, about."""
        return self._nbytes

    def back(self, layer: Labels) -> Step | None:
        """Return the step of a layer to be taken back; None where there is none."""
        if self.position == 0:
            return None
        self.moves += 1
        self.position -= 1
        return self._renewed(self.position, taken_back(self.steps[self.position], layer))

    def forth(self, layer: Labels) -> Step | None:
        """Return the step of a layer to be done again; None where there is none."""
        if self.position == len(self.steps):
            return None
        self.moves += 1
        self.position += 1
        return self._renewed(self.position - 1, done_again(self.steps[self.position - 1], layer))

    def _renewed(self, at: int, step: Step) -> Step:
        self._nbytes += step.nbytes - self.steps[at].nbytes
        self.steps[at] = step
        return step

    def mark_saved(self, *, saved: bool) -> None:
        """Note that the work is saved as it is now, or (False) nowhere."""
        self._saved = self.position if saved else -1

    def clear(self) -> None:
        """Forget all steps; the work counts as saved."""
        self.moves += 1
        self.steps, self.position, self._saved, self._nbytes = [], 0, 0, 0
