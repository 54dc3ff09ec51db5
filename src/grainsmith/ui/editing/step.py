"""Steps of the edit history, and the states of grains that belong to them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grainsmith.clean import compose
from grainsmith.ui.editing.feature_rows import current_rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari.layers import Labels

    from grainsmith.clean import Change, GrainIndex
    from grainsmith.ui.editing.feature_rows import FeatureRows

STATES = ("auto", "edited", "drawn", "accepted", "rejected")
"""States of a grain; one without an entry is "auto"."""

MANUAL_STATES = ("edited", "drawn", "accepted")
"""States of grains that a new segmentation keeps."""


@dataclass(frozen=True, eq=False)
class Step:
    """One entry of the history.

    Attributes
    ----------
    name : str
        What the history list shows, such as "Merge 4, 7".
    change : Change
        Of the labels.
    states_before, states_after : dict of int to str
        States of the grains whose state may have changed, "auto" included. All states of a field
        with thousands of accepted grains would soon fill the history.
    rows_before, rows_after : FeatureRows
        Rows of the grain table.
    numbers : dict of int to int or None
        Old to new number of the grains that are the same before and after; None where no grain was
        renumbered.
    """

    name: str
    change: Change
    states_before: dict[int, str]
    states_after: dict[int, str]
    rows_before: FeatureRows
    rows_after: FeatureRows
    numbers: dict[int, int] | None = None

    def __post_init__(self) -> None:
        unknown = set(self.states_after.values()) - set(STATES)
        if unknown:
            raise ValueError(f"a state must be one of {', '.join(STATES)}, got {unknown}")

    @property
    def nbytes(self) -> int:
        """Approximate memory in bytes."""
        states = 100 * (len(self.states_before) + len(self.states_after))
        return self.change.nbytes + self.rows_before.nbytes + self.rows_after.nbytes + states + 500


def step_for_undo(step: Step, layer: Labels) -> Step:
    """Return a step that is about to be undone, with the present rows of its grains.

    Grains are measured again and named without a step of their own: a redo must restore the rows
    as they are now, and an undo must keep the names.
    """
    rows = current_rows(layer, step.rows_after.labels)
    if not rows.labels:
        return step
    numbers = step.numbers and {new: old for old, new in step.numbers.items()}
    before = step.rows_before.with_texts_of(rows, numbers)
    return replace(step, rows_before=before, rows_after=rows)


def step_for_redo(step: Step, layer: Labels) -> Step:
    """Return a step that is about to be redone, with the present rows of its grains."""
    rows = current_rows(layer, step.rows_before.labels)
    if not rows.labels:
        return step
    after = step.rows_after.with_texts_of(rows, step.numbers)
    return replace(step, rows_before=rows, rows_after=after)


def can_join(first: Step, second: Step) -> bool:
    """Return whether a step touches no other grains than the one before it."""
    return second.change.touched <= first.change.touched


def join_steps(first: Step, second: Step) -> Step:
    """Return two consecutive steps as one; see `can_join`."""
    return Step(
        first.name,
        compose([first.change, second.change]),
        {**second.states_before, **first.states_before},
        {**first.states_after, **second.states_after},
        first.rows_before,
        second.rows_after if second.rows_after.labels else first.rows_after,
    )


def states_after_edit(
    states: Mapping[int, str], existed: Mapping[int, bool], index: GrainIndex, new_state: str
) -> dict[int, str]:
    """Return the states of touched grains after an edit.

    Parameters
    ----------
    states : mapping of int to str
        Of all grains, before the edit.
    existed : mapping of int to bool
        The touched grains, and whether each existed before.
    index : GrainIndex
        After the edit.
    new_state : str
        State of the grains that the edit created.
    """
    after = {}
    for label, was_present in existed.items():
        if label not in index:
            after[label] = "auto"
        elif not was_present:
            after[label] = new_state
        else:
            after[label] = "drawn" if states.get(label) == "drawn" else "edited"
    return after


def update_states(states: dict[int, str], changes: Mapping[int, str]) -> None:
    """Apply changes to the states of grains in place; an "auto" grain has no entry."""
    for label, state in changes.items():
        if state == "auto":
            states.pop(label, None)
        else:
            states[label] = state


def renumber_states(
    states: Mapping[int, str], repaired: Iterable[int], numbers: Mapping[int, int]
) -> dict[int, str]:
    """Return the states of renumbered grains (old to new); repaired grains become "edited"."""
    before = {**dict.fromkeys(repaired, "edited"), **states}
    after = {new: before[old] for old, new in numbers.items() if old in before}
    return {**dict.fromkeys(states, "auto"), **after}
