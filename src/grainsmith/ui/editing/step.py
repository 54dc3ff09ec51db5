"""What a history is made of."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from grainsmith.clean import compose
from grainsmith.ui.editing.feature_rows import rows_now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari.layers import Labels

    from grainsmith.clean import Change, GrainIndex
    from grainsmith.ui.editing.feature_rows import Rows

STATES = ("auto", "edited", "drawn", "accepted", "rejected")
"""What a grain can be; one without an entry is "auto"."""

BY_HAND = ("edited", "drawn", "accepted")
"""States that a new segmentation respects."""


@dataclass(frozen=True, eq=False)
class Step:
    """One entry of the history: what it is called and what it changed.

    States are those of the grains whose state may have changed, "auto" where there is none: all
    states of a field with thousands of accepted grains would soon fill the history. `numbers` are
    the old and the new ones of the grains that are the same before and after; None where no grain
    got another number.
    """

    name: str
    change: Change
    states_before: dict[int, str]
    states_after: dict[int, str]
    rows_before: Rows
    rows_after: Rows
    numbers: dict[int, int] | None = None

    def __post_init__(self) -> None:
        unknown = set(self.states_after.values()) - set(STATES)
        if unknown:
            raise ValueError(f"a state must be one of {', '.join(STATES)}, got {unknown}")

    @property
    def nbytes(self) -> int:
        """Memory that it takes, about."""
        states = 100 * (len(self.states_before) + len(self.states_after))
        return self.change.nbytes + self.rows_before.nbytes + self.rows_after.nbytes + states + 500


def taken_back(step: Step, layer: Labels) -> Step:
    """Return a step that is about to be undone, with what its rows have become since it was done.

    Rows are measured anew and minerals are given by hand without a step of the history: a redo
    shall bring back the rows as they are now, and an undo shall leave the words as they are.
    """
    now = rows_now(layer, step.rows_after.labels)
    if not now.labels:
        return step
    numbers = step.numbers and {new: old for old, new in step.numbers.items()}
    before = step.rows_before.with_words_of(now, numbers)
    return replace(step, rows_before=before, rows_after=now)


def done_again(step: Step, layer: Labels) -> Step:
    """Return a step that is about to be redone, with what its rows have become meanwhile."""
    now = rows_now(layer, step.rows_before.labels)
    if not now.labels:
        return step
    after = step.rows_after.with_words_of(now, step.numbers)
    return replace(step, rows_before=now, rows_after=after)


def may_join(first: Step, second: Step) -> bool:
    """Say whether a step touches no other grains than the one before it."""
    return second.change.touched <= first.change.touched


def joined(first: Step, second: Step) -> Step:
    """Return two steps in a row as one; see `may_join`."""
    return Step(
        first.name,
        compose([first.change, second.change]),
        {**second.states_before, **first.states_before},
        {**first.states_after, **second.states_after},
        first.rows_before,
        second.rows_after if second.rows_after.labels else first.rows_after,
    )


def states_after_edit(
    states: Mapping[int, str], existed: Mapping[int, bool], index: GrainIndex, born: str
) -> dict[int, str]:
    """Return the states that touched grains have after an edit.

    Parameters
    ----------
    states : mapping of int to str
        Of all grains, before it.
    existed : mapping of int to bool
        The touched grains, and whether each was there before.
    index : GrainIndex
        After it.
    born : str
        State of the grains that came into being.
    """
    after = {}
    for label, was in existed.items():
        if label not in index:
            after[label] = "auto"
        elif not was:
            after[label] = born
        else:
            after[label] = "drawn" if states.get(label) == "drawn" else "edited"
    return after


def put_states(states: Mapping[int, str], present: dict[int, str]) -> None:
    """Give grains these states among those present; one that is "auto" has no entry."""
    for label, state in states.items():
        if state == "auto":
            present.pop(label, None)
        else:
            present[label] = state


def states_renumbered(
    states: Mapping[int, str], mended: Iterable[int], numbers: Mapping[int, int]
) -> dict[int, str]:
    """Return the states of grains that have new numbers (old to new); mended ones are "edited"."""
    known = {**dict.fromkeys(mended, "edited"), **states}
    new = {number: known[old] for old, number in numbers.items() if old in known}
    return {**dict.fromkeys(states, "auto"), **new}
