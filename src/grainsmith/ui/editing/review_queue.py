"""The review queue: which grain comes next, and how far the review is. No widgets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grainsmith import clean
from grainsmith.clean import Box, GrainIndex

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from grainsmith.data import OnProgress

_DONE = ("accepted", "rejected")
_MISSED = 0.6  # suspicion of a bare place: after the clearly wrong grains, before the merely odd


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to be looked at: a grain, or a place where one may be missing.

    Attributes
    ----------
    grain : int
        0 for a place without a grain.
    box : Box
        Where it was when the queue was made.
    point : (int, int)
        A pixel (y, x) inside.
    suspicion : float
        0..1.
    reasons : str
        In the user's words.
    """

    grain: int
    box: Box
    point: tuple[int, int]
    suspicion: float
    reasons: str

    @property
    def text(self) -> str:
        """One line for the list."""
        what = f"Grain {self.grain}" if self.grain else "Bare place"
        return f"{what} · {self.suspicion:.2f} · {self.reasons or 'nothing odd'}"


def make_review_queue(
    labels: npt.NDArray[np.int32],
    table: pd.DataFrame | None,
    likeness: npt.NDArray[np.float32] | None,
    *,
    on_progress: OnProgress,
) -> list[Entry]:
    """Rank grains and bare places, the most suspicious first.

    Parameters
    ----------
    labels : (Y, X) int array
    table : DataFrame or None
        Of the grains, by label.
    likeness : (Y', X) array or None
        How much each pixel looks like grain, 0..1.
    on_progress : OnProgress
    """
    index = GrainIndex(labels)
    ranked = clean.rank_suspicious(labels, index, table, on_progress=on_progress)
    odd, reasons = ranked["suspicion"].to_dict(), ranked["reasons"].to_dict()
    entries = [
        Entry(int(grain), index.boxes[grain], (0, 0), float(odd[grain]), str(reasons[grain]))
        for grain in ranked.index
    ]
    for place in clean.find_missed(labels, likeness) if likeness is not None else ():
        reason = f"may be a missed grain of {place.area_px:,} px"
        entries.append(Entry(0, place.box, place.point, _MISSED, reason))
    return sorted(entries, key=lambda entry: -entry.suspicion)


class ReviewQueue:
    """Entries and the place in them.

    Attributes
    ----------
    entries : list of Entry
    at : int
        Place of the present entry; -1 before the first.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.at = -1
        self._passed: set[int] = set()

    @property
    def present(self) -> Entry | None:
        """The entry that is looked at."""
        return self.entries[self.at] if 0 <= self.at < len(self.entries) else None

    def step(self, by: int, index: GrainIndex, states: Mapping[int, str]) -> Entry | None:
        """Go to the next (1) or the previous (-1) entry that still asks for a look.

        What is accepted, rejected or gone is passed over; None at the end of the queue.
        """
        at = self.at + by
        while 0 <= at < len(self.entries):
            entry = self.entries[at]
            done = states.get(entry.grain) in _DONE or entry.grain not in index
            if at not in self._passed and (entry.grain == 0 or not done):
                self.at = at
                return entry
            at += by
        return None

    def settle(self) -> None:
        """Note that the present place without a grain has been looked at."""
        self._passed.add(self.at)

    def progress(self, index: GrainIndex, states: Mapping[int, str]) -> tuple[int, int]:
        """Return how many grains are reviewed, and of how many: "137 of 412"."""
        rejected = sum(1 for state in states.values() if state == "rejected")
        accepted = sum(1 for k, state in states.items() if state == "accepted" and k in index)
        return accepted + rejected, len(index) + rejected
