"""Decide for each image whether its registration is reliable."""

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
"""Peak of images without contrast."""

_UNSURE_SHARE = 0.75  # of the required evidence: reported, but maps are not moved
_MAX_RESIDUAL_PX = 1.5  # between the positions of maps and the offsets of their pairs
_MAX_MISFIT_PX = 1.0
_MIN_PAIRS = 2  # that outvote the reference
_CONTRADICTED = "its pairs with other maps contradict it by {:.1f} px"


@dataclass(slots=True)
class Evidence:
    """Evidence of a single image for its registration."""

    pairs: Pairs
    surfaces: list[Surface] = field(default_factory=list)
    peak: Peak = NO_PEAK

    @property
    def is_flat(self) -> bool:
        """Whether the image or the reference has no contrast."""
        return any(a.is_flat or b.is_flat for a, b in self.pairs)

    def measure(self, settings: AlignSettings) -> None:
        """Compute the mutual information for all shifts."""
        if not self.is_flat:
            self.surfaces = information_surfaces(self.pairs)
            limit = shift_in_blocks(settings.max_shift_px, self.pairs[0][0].steps[1][0])
            self.peak = combined_peak(self.surfaces, limit)[0]


class Verdicts:
    """Check the placements of all passes against each other, and decide on each image.

    Parameters
    ----------
    shape : (int, int)
        Shape of the reference.
    links : sequence of PairOffset
        Measured offsets between pairs of images.
    passes : (N,) int array
        Pass of each image; -1 = unknown.
    placements : dict of int to Placement
        Placement of each pass.
    settings : AlignSettings
        Required evidence.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        links: Sequence[PairOffset],
        passes: npt.NDArray[np.int64],
        placements: dict[int, Placement],
        settings: AlignSettings,
    ) -> None:
        self._shape, self._settings, self._passes = shape, settings, passes
        self._links = [link for link in links if link.holds]
        self._placements = dict(placements)
        self._notes = {number: placement.note for number, placement in placements.items()}
        self._verdicts = {n: self._verdict(placement) for n, placement in placements.items()}
        self._check_pairs()
        self._check_rotation()

    def row(
        self, number: int, names: Sequence[str], name: str, start: Matrix, evidence: Evidence
    ) -> MapRegistration:
        """Return the result of one image.

        Parameters
        ----------
        number : int
            Index of the image.
        names : sequence of str
            Names of the passes.
        name : str
            Name of the image.
        start : (3, 3) float array
            Initial transform.
        evidence : Evidence
            Evidence of the image itself.
        """
        group = int(self._passes[number])
        known = self._placements.get(group)
        residual = self._residual_px(number)
        contradicted = residual > self._max_residual_px(number)
        verdict = "unsure" if contradicted else self._verdict_of(number, evidence)
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
            residual_px=residual,
            misfit_px=known.misfit_px if moves and known else float("nan"),
            bend=known.bend if moves and known else None,
            note=_CONTRADICTED.format(residual)
            if contradicted
            else self._notes.get(group, "") or _note(verdict, evidence, known),
        )

    def _verdict(self, placement: Placement) -> str:
        if is_convincing(placement.peak, self._settings):
            return "aligned"
        lower = replace(
            self._settings,
            accept_z=max(5.0, self._settings.accept_z * _UNSURE_SHARE),
            accept_ratio=max(1.5, self._settings.accept_ratio * _UNSURE_SHARE),
        )
        return "unsure" if is_convincing(placement.peak, lower) else "not aligned"

    def _verdict_of(self, number: int, evidence: Evidence) -> str:
        group = int(self._passes[number])
        verdict = self._verdicts.get(group, "not aligned")
        alone = int(np.count_nonzero(self._passes == group)) == 1
        speaks = is_convincing(evidence.peak, self._settings) or any(
            number in (link.first, link.second) for link in self._links
        )
        return "inherited" if verdict == "aligned" and not (speaks or alone) else verdict

    def _shift_of(self, number: int) -> npt.NDArray[np.float64]:
        """Return the shift of the centre of the field by a pass, (dy, dx)."""
        centre = (np.array(self._shape, dtype=float) - 1) / 2
        matrix = self._placements[number].matrix
        return np.asarray(matrix[:2, :2] @ centre + matrix[:2, 2] - centre)

    def _between(self, ours: int, theirs: int) -> Points:
        """Return the shifts between two passes by their pairs: (N, 3), with z."""
        rows = [
            sign * np.array([link.dy_px, link.dx_px, sign * link.z])
            for link in self._links
            for a, b, sign in ((link.first, link.second, 1), (link.second, link.first, -1))
            if self._passes[a] == ours and self._passes[b] == theirs
        ]
        return np.array(rows, dtype=float).reshape(-1, 3)

    def _sure(self) -> list[int]:
        return [number for number, verdict in self._verdicts.items() if verdict == "aligned"]

    def _check_pairs(self) -> None:
        """Mark the weaker of two passes as unsure if their pairs contradict their placements."""
        sure = self._sure()
        for first, second in ((a, b) for a in sure for b in sure if a < b):
            rows = self._between(first, second)
            if len(rows) < _MIN_PAIRS:
                continue
            apart = self._shift_of(second) - self._shift_of(first)
            gap = float(np.hypot(*(np.median(rows[:, :2], axis=0) - apart)))
            turned = self._corners_px(self._placements[first], self._placements[second])
            # Pairs measure shifts only, which are uncertain by the relative rotation.
            if gap > _MAX_RESIDUAL_PX + turned:
                weaker = min(first, second, key=lambda number: self._placements[number].peak.z)
                self._verdicts[weaker] = "unsure"
                self._notes[weaker] = _CONTRADICTED.format(gap)

    def _check_rotation(self) -> None:
        """Mark unverified shifts as unsure if another pass is rotated."""
        straight = Placement(matrix=np.eye(3), peak=NO_PEAK)
        turned = [self._corners_px(self._placements[number], straight) for number in self._sure()]
        for number in self._sure():
            unchecked = np.isnan(self._placements[number].misfit_px)
            if unchecked and self._settings.model == "auto" and max(turned) > _MAX_MISFIT_PX:
                self._verdicts[number] = "unsure"
                self._notes[number] = "shows too little to tell whether it is rotated like others"

    def _corners_px(self, first: Placement, second: Placement) -> float:
        """Return the difference of two placements at the corners, without their shift."""
        difference = first.matrix[:2, :2] - second.matrix[:2, :2]
        half = np.array(self._shape, dtype=float) / 2
        return float(np.hypot(*(np.abs(difference) @ half)))

    def _max_residual_px(self, number: int) -> float:
        """Return the residual up to which pairs agree with the placements."""
        links = [link for link in self._links if number in (link.first, link.second)]
        if len(links) < _MIN_PAIRS:
            return np.inf
        passes = [int(self._passes[end]) for link in links for end in (link.first, link.second)]
        placements = [self._placements[n] for n in passes if n in self._placements]
        own = self._placements.get(int(self._passes[number]))
        # Pairs measure shifts only, which are uncertain by the relative rotation.
        return _MAX_RESIDUAL_PX + max(
            (self._corners_px(own, other) for other in placements if own is not None), default=0.0
        )

    def _residual_px(self, number: int) -> float:
        """Return the median residual between the pairs of a map and the placements."""
        gaps = []
        for link in self._links:
            ends = (link.first, link.second)
            if number in ends and all(self._passes[end] in self._placements for end in ends):
                ours, theirs = (self._shift_of(int(self._passes[end])) for end in ends)
                gaps.append(np.hypot(*(theirs - ours - (link.dy_px, link.dx_px))))
        return float(np.median(gaps)) if gaps else float("nan")


def _note(verdict: str, evidence: Evidence, placement: Placement | None) -> str:
    if placement is None:
        return "its pass is unknown: choose one"
    if evidence.is_flat:
        return "has no contrast"
    if verdict == "inherited":
        return "shows too little by itself: moved with its pass"
    if verdict != "aligned":
        factor = evidence.pairs[0][0].steps[1][0]
        dy, dx = placement.peak.dy_px * factor, placement.peak.dx_px * factor
        return f"weak evidence for ({dy:+.0f}, {dx:+.0f}) px: not moved; correct it by hand"
    if placement.misfit_px > _MAX_MISFIT_PX:
        return f"its tiles are off by {placement.misfit_px:.1f} px: noise, or distortion"
    return ""
