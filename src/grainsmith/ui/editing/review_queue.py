"""The review queue: the order in which grains are reviewed, and the progress of the review."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import grainsmith.clean as clean
from grainsmith.clean import Box, GrainIndex

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from grainsmith.data import OnProgress

_REVIEWED = ("accepted", "rejected")

_MISSED_SUSPICION = 0.6
"""A bare place is ranked after clearly wrong grains and before merely unusual ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A grain to review, or a bare place where one may be missing.

    Attributes
    ----------
    grain : int
        0 for a bare place.
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
        subject = f"Grain {self.grain}" if self.grain else "Bare place"
        return f"{subject} · {self.suspicion:.2f} · {self.reasons or 'nothing unusual'}"


def make_review_queue(
    labels: npt.NDArray[np.int32],
    table: pd.DataFrame | None,
    likeness: npt.NDArray[np.float32] | None,
    *,
    on_progress: OnProgress,
) -> list[Entry]:
    """Rank grains and bare places by suspicion, the highest first.

    Parameters
    ----------
    labels : (Y, X) int array
    table : DataFrame or None
        Of the grains, index `label`.
    likeness : (Y', X) array or None
        How much each pixel looks like grain, 0..1.
    on_progress : OnProgress
    """
    index = GrainIndex(labels)
    ranked = clean.rank_suspicious(labels, index, table, on_progress=on_progress)
    suspicion, reasons = ranked["suspicion"].to_dict(), ranked["reasons"].to_dict()
    entries = [
        Entry(int(grain), index.boxes[grain], (0, 0), float(suspicion[grain]), str(reasons[grain]))
        for grain in ranked.index
    ]
    for place in clean.find_missed(labels, likeness) if likeness is not None else ():
        reason = f"may be a missed grain of {place.area_px:,} px"
        entries.append(Entry(0, place.box, place.point, _MISSED_SUSPICION, reason))
    return sorted(entries, key=lambda entry: -entry.suspicion)


class ReviewQueue:
    """Entries and the position in them.

    Attributes
    ----------
    entries : list of Entry
    position : int
        Of the present entry; -1 before the first.
    """

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.position = -1
        self._dismissed: set[int] = set()

    @property
    def present(self) -> Entry | None:
        """The entry under review; None before the first."""
        return self.entries[self.position] if 0 <= self.position < len(self.entries) else None

    def step(self, by: int, index: GrainIndex, states: Mapping[int, str]) -> Entry | None:
        """Go to the next (1) or the previous (-1) entry that is not yet reviewed.

        Accepted, rejected and deleted grains are skipped; None at the end of the queue.
        """
        position = self.position + by
        while 0 <= position < len(self.entries):
            entry = self.entries[position]
            reviewed = states.get(entry.grain) in _REVIEWED or entry.grain not in index
            if position not in self._dismissed and (entry.grain == 0 or not reviewed):
                self.position = position
                return entry
            position += by
        return None

    def dismiss(self) -> None:
        """Note that the present bare place has been reviewed."""
        self._dismissed.add(self.position)

    def progress(self, index: GrainIndex, states: Mapping[int, str]) -> tuple[int, int]:
        """Return the number of reviewed grains and of all grains: "137 of 412"."""
        rejected = sum(1 for state in states.values() if state == "rejected")
        accepted = sum(
            1 for grain, state in states.items() if state == "accepted" and grain in index
        )
        return accepted + rejected, len(index) + rejected
