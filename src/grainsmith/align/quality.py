"""From what was found for each pass to a verdict for each image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.align.coarse_search import (
    Pairs,
    Placement,
    combined_peak,
    information_surfaces,
    is_convincing,
    shift_in_blocks,
)
from grainsmith.align.mutual_information import Peak
from grainsmith.align.result import MapRegistration
from grainsmith.data import Transform

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.align.acquisition_groups import PairOffset
    from grainsmith.align.landmarks import Matrix, Points
    from grainsmith.align.mutual_information import Surface
    from grainsmith.align.settings import AlignSettings

NO_PEAK = Peak(dy_px=0.0, dx_px=0.0, z=0.0, runner_up=0.0, at_edge=False)
"""Of images that show nothing."""

_UNSURE_SHARE = 0.75  # of the evidence asked for: enough to tell the user, not to move a map
_CLOSES_WITHIN_PX = 1.5
_SEEN_PX = 1.0


@dataclass(slots=True)
class Evidence:
    """What one image shows of the reference, by itself."""

    pairs: Pairs
    surfaces: list[Surface] = field(default_factory=list)
    peak: Peak = NO_PEAK

    @property
    def is_flat(self) -> bool:
        """True where there is nothing to be seen in it, or in the reference."""
        return any(a.is_flat or b.is_flat for a, b in self.pairs)

    def look(self, settings: AlignSettings) -> None:
        """Try all shifts."""
        if not self.is_flat:
            self.surfaces = information_surfaces(self.pairs)
            limit = shift_in_blocks(settings.max_shift_px, self.pairs[0][0].steps[1][0])
            self.peak = combined_peak(self.surfaces, limit)[0]


class Verdicts:
    """Weigh the places of all passes against one another, then say what becomes of each image.

    Parameters
    ----------
    shape : (int, int)
        Of the reference.
    links : sequence of PairOffset
        What the pairs of images say.
    passes : (N,) int array
        The number of the pass of each image; -1 where nothing tells.
    found : dict of int to Found
        Where each pass lies.
    settings : AlignSettings
        What evidence counts.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        links: Sequence[PairOffset],
        passes: npt.NDArray[np.int64],
        found: dict[int, Placement],
        settings: AlignSettings,
    ) -> None:
        self._shape, self._settings, self._passes = shape, settings, passes
        self._links = [link for link in links if link.holds]
        self._found = dict(found)
        self._notes = {number: one.note for number, one in found.items()}
        self._verdicts = {number: self._verdict(one) for number, one in found.items()}
        self._doubt_what_does_not_close()
        self._doubt_what_may_be_turned()

    def row(
        self, number: int, names: Sequence[str], name: str, start: Matrix, evidence: Evidence
    ) -> MapRegistration:
        """Return the row of one image.

        Parameters
        ----------
        number : int
            Of the image.
        names : sequence of str
            Of the passes.
        name : str
            Of the image.
        start : (3, 3) float array
            Where it lay.
        evidence : Evidence
            What it shows by itself.
        """
        group = int(self._passes[number])
        known = self._found.get(group)
        verdict = self._verdict_of(number, evidence)
        moves = verdict in ("aligned", "inherited") and known is not None
        matrix = known.matrix if moves and known else np.eye(3)
        alone = int(np.count_nonzero(self._passes == group)) == 1
        own_z = max(evidence.peak.z, known.peak.z) if alone and known else evidence.peak.z
        return MapRegistration(
            name=name,
            group=names[group] if known else "",
            transform=Transform(matrix=matrix @ start, z=own_z, verdict=verdict),
            moved=matrix,
            shape=self._shape,
            model=known.model if moves and known else "",
            group_z=known.peak.z if known else 0.0,
            residual_px=self._residual_px(number),
            misfit_px=known.misfit_px if moves and known else float("nan"),
            bend=known.bend if moves and known else None,
            note=self._notes.get(group, "") or _note(verdict, evidence, known),
        )

    def _verdict(self, found: Placement) -> str:
        if is_convincing(found.peak, self._settings):
            return "aligned"
        lower = replace(
            self._settings,
            accept_z=max(5.0, self._settings.accept_z * _UNSURE_SHARE),
            accept_ratio=max(1.5, self._settings.accept_ratio * _UNSURE_SHARE),
        )
        return "unsure" if is_convincing(found.peak, lower) else "not aligned"

    def _verdict_of(self, number: int, evidence: Evidence) -> str:
        group = int(self._passes[number])
        verdict = self._verdicts.get(group, "not aligned")
        alone = int(np.count_nonzero(self._passes == group)) == 1
        speaks = is_convincing(evidence.peak, self._settings) or any(
            number in (link.first, link.second) for link in self._links
        )
        return "inherited" if verdict == "aligned" and not (speaks or alone) else verdict

    def _shift_of(self, number: int) -> npt.NDArray[np.float64]:
        """Return how far a pass moves the middle of the field, (dy, dx)."""
        centre = (np.array(self._shape, dtype=float) - 1) / 2
        matrix = self._found[number].matrix
        return np.asarray(matrix[:2, :2] @ centre + matrix[:2, 2] - centre)

    def _between(self, ours: int, theirs: int) -> Points:
        """Return the shifts of one pass against another, by their pairs: (N, 3) with z."""
        rows = [
            sign * np.array([link.dy_px, link.dx_px, sign * link.z])
            for link in self._links
            for a, b, sign in ((link.first, link.second, 1), (link.second, link.first, -1))
            if self._passes[a] == ours and self._passes[b] == theirs
        ]
        return np.array(rows, dtype=float).reshape(-1, 3)

    def _sure(self) -> list[int]:
        return [number for number, verdict in self._verdicts.items() if verdict == "aligned"]

    def _doubt_what_does_not_close(self) -> None:
        """Doubt the weaker of two passes whose pairs contradict their places."""
        sure = self._sure()
        for first, second in ((a, b) for a in sure for b in sure if a < b):
            rows = self._between(first, second)
            if len(rows) < 2:
                continue
            apart = self._shift_of(second) - self._shift_of(first)
            gap = float(np.hypot(*(np.median(rows[:, :2], axis=0) - apart)))
            turned = self._corners_px(self._found[first], self._found[second])
            # Pairs know shifts only: of passes that are turned they tell no better than the turn.
            if gap > _CLOSES_WITHIN_PX + turned:
                weaker = min(first, second, key=lambda number: self._found[number].peak.z)
                self._verdicts[weaker] = "unsure"
                self._notes[weaker] = f"its pairs with other maps contradict it by {gap:.1f} px"

    def _doubt_what_may_be_turned(self) -> None:
        """Doubt a plain shift that no tile could check where another pass is turned."""
        straight = Placement(matrix=np.eye(3), peak=NO_PEAK)
        turned = [self._corners_px(self._found[number], straight) for number in self._sure()]
        for number in self._sure():
            unchecked = np.isnan(self._found[number].misfit_px)
            if unchecked and self._settings.model == "auto" and max(turned) > _SEEN_PX:
                self._verdicts[number] = "unsure"
                self._notes[number] = "shows too little to tell whether it is turned as others are"

    def _corners_px(self, first: Placement, second: Placement) -> float:
        """Return how far two places differ at the corners of the field, their shift apart."""
        difference = first.matrix[:2, :2] - second.matrix[:2, :2]
        half = np.array(self._shape, dtype=float) / 2
        return float(np.hypot(*(np.abs(difference) @ half)))

    def _residual_px(self, number: int) -> float:
        """Return the median contradiction of the pairs of a map with the places given."""
        gaps = []
        for link in self._links:
            ends = (link.first, link.second)
            if number in ends and all(self._passes[end] in self._found for end in ends):
                ours, theirs = (self._shift_of(int(self._passes[end])) for end in ends)
                gaps.append(np.hypot(*(theirs - ours - (link.dy_px, link.dx_px))))
        return float(np.median(gaps)) if gaps else float("nan")


def _note(verdict: str, evidence: Evidence, found: Placement | None) -> str:
    if found is None:
        return "its pass could not be told: choose one"
    if evidence.is_flat:
        return "shows nothing"
    if verdict == "inherited":
        return "shows too little by itself: goes with its pass"
    if verdict != "aligned":
        factor = evidence.pairs[0][0].steps[1][0]
        dy, dx = found.peak.dy_px * factor, found.peak.dx_px * factor
        return f"weak evidence for ({dy:+.0f}, {dx:+.0f}) px: not moved; nudge it, or set points"
    if found.misfit_px > _SEEN_PX:
        return (
            f"its tiles are off by {found.misfit_px:.1f} px: noise, or a misfit that is not rigid"
        )
    return ""
