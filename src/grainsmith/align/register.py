"""Place maps on a reference: every pass by one transform, with a verdict for every map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from grainsmith.align.acquisition_groups import PairOffset, find_passes, measure_pair_offsets
from grainsmith.align.coarse_search import (
    Pairs,
    Placement,
    information_surfaces,
    is_convincing,
    search_shifts_and_turns,
    shift_matrix,
)
from grainsmith.align.preprocess import comparison_views
from grainsmith.align.pyramid import build_pyramid
from grainsmith.align.refine import refine_placement
from grainsmith.align.result import RegistrationResult
from grainsmith.align.settings import AlignSettings
from grainsmith.align.simpleitk import refine_affine, refine_bspline, require_simpleitk
from grainsmith.data import no_progress
from grainsmith.parallel import map_threads

if TYPE_CHECKING:
    from collections.abc import Sequence
from typing import TYPE_CHECKING

from grainsmith.align.quality import NO_PEAK, Evidence, Verdicts
from grainsmith.align.refine import NOTICEABLE, evidence_at

if TYPE_CHECKING:
    from grainsmith.align.landmarks import Matrix
    from grainsmith.align.mutual_information import Surface
    from grainsmith.align.pyramid import Pyramid
    from grainsmith.data import Image, OnProgress


_MOST_TELLING = 3  # maps of each of two passes that are compared
_BESIDE_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingImage:
    """An image to be placed.

    Attributes
    ----------
    picture : (Y, X) or (Y, X, 3) array
        In its own pixels; NaN where nothing was measured.
    name : str
        As the table shall call it.
    start : (3, 3) float array
        Where it lies by what its file says: from its pixels to those of the reference.
    """

    picture: Image
    name: str
    start: Matrix


def register_images(
    reference: Image,
    moving: Sequence[MovingImage],
    settings: AlignSettings | None = None,
    *,
    groups: Sequence[str] = (),
    pixel_size_um: float = 0.0,
    on_progress: OnProgress = no_progress,
) -> RegistrationResult:
    """Find where images of one field lie on a reference.

    Images of one pass share a transform, found from the evidence of all of them together; one
    that shows too little to be found by itself goes with its pass. Nothing is resampled, and none
    of the arrays is changed.

    Parameters
    ----------
    reference : (Y, X) or (Y, X, 3) array
        The image that stays: the sharpest, mostly the BSE image without its data bar.
    moving : sequence of MovingImage
        Element maps, or other images of the same field.
    settings : AlignSettings
        What is tried, and what evidence is asked for.
    groups : sequence of str
        The pass of each image, where it is known; empty = found from the images.
    pixel_size_um : float
        Side of a pixel of the reference; 0 = unknown.
    on_progress : callable
        Called as on_progress(done, total); what it raises stops the work.

    Returns
    -------
    Alignment
        One row an image, in their order.

    Raises
    ------
    ValueError
        `groups` has another length than `moving`.
    GrainsmithError
        A refinement is asked for that is not installed.
    """
    settings = settings or AlignSettings()
    require_simpleitk(settings)
    if groups and len(groups) != len(moving):
        raise ValueError(f"groups must name a pass for each of {len(moving)}, got {len(groups)}")
    if not moving:
        return RegistrationResult(rows=(), pixel_size_um=pixel_size_um)
    steps = _Steps(2 * len(moving) + len(moving) * (len(moving) - 1) // 2 + 1, on_progress)
    evidence = [Evidence(pairs=pairs) for pairs in _all_pairs(reference, moving, steps)]

    def look(one: Evidence) -> None:
        one.look(settings)
        steps.one_more()

    map_threads(look, evidence)
    links = measure_pair_offsets([one.pairs[0][1] for one in evidence], settings, steps.one_more)
    if groups:
        names = list(dict.fromkeys(groups))
        passes = np.array([names.index(name) for name in groups])
        found = _locate_all(evidence, passes, settings)
    else:
        passes, found = _passes_found(links, evidence, settings)
        names = [f"pass {number + 1}" for number in range(len(found))]
    steps.one_more()
    shape = (reference.shape[0], reference.shape[1])
    verdicts = Verdicts(shape, links, passes, found, settings)
    rows = [
        verdicts.row(number, names, one.name, one.start, evidence[number])
        for number, one in enumerate(moving)
    ]
    return RegistrationResult(rows=tuple(rows), pixel_size_um=pixel_size_um)


class _Steps:
    """Count the steps of the work; threads may share it."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self._count, self._total, self._on_progress = count(1), total, on_progress

    def one_more(self) -> None:
        self._on_progress(next(self._count), self._total)


def _all_pairs(reference: Image, moving: Sequence[MovingImage], steps: _Steps) -> list[Pairs]:
    shape = (reference.shape[0], reference.shape[1])
    fixed = [build_pyramid(view, shape, np.eye(3)) for view in comparison_views(reference)]

    def one(picture: MovingImage) -> Pairs:
        views = [
            build_pyramid(view, shape, picture.start) for view in comparison_views(picture.picture)
        ]
        steps.one_more()
        if len(views) == len(fixed):
            return list(zip(fixed, views, strict=True))
        return [(ours, theirs) for ours in fixed for theirs in views]

    return map_threads(one, moving)


def _passes_found(
    links: Sequence[PairOffset], evidence: Sequence[Evidence], settings: AlignSettings
) -> tuple[npt.NDArray[np.int64], dict[int, Placement]]:
    """Return the number of the pass of each image (-1 where nothing tells), and their places."""
    passes = find_passes(links, len(evidence), settings.same_pass_px)
    # An image that no other tells of, but the reference does, is a pass of its own.
    for number, one in enumerate(evidence):
        alone = passes[number] < 0 and is_convincing(one.peak, settings)
        if alone or len(evidence) == 1:
            passes[number] = passes.max() + 1
    found = _locate_all(evidence, passes, settings)
    passes, found = _merged(evidence, passes, found, settings)
    found = _placed_by_others(evidence, passes, found, settings)
    if len(found) == 1:  # one that shows nothing belongs to the pass of all the others
        passes = np.where(passes < 0, next(iter(found)), passes)
    return _renumbered(passes, found)


def _merged(
    evidence: Sequence[Evidence],
    passes: npt.NDArray[np.int64],
    found: dict[int, Placement],
    settings: AlignSettings,
) -> tuple[npt.NDArray[np.int64], dict[int, Placement]]:
    """Join passes, two at a time, where one lies as well at the place of the other.

    Offsets of noisy or turned maps scatter; what counts is whether a place is contradicted.
    """
    passes, found = passes.copy(), dict(found)
    known: dict[tuple[int, int], float] = {}
    while True:
        losses = _losses(evidence, passes, found, settings, known)
        if not losses or min(losses.values()) >= NOTICEABLE:
            return passes, found
        number, other = min(losses, key=lambda ends: losses[ends])
        passes[passes == number] = other
        del found[number]
        known = {ends: loss for ends, loss in known.items() if not {number, other} & set(ends)}
        members = [evidence[n] for n in range(len(passes)) if passes[n] == other]
        found[other] = _locate(members, settings)


def _placed_by_others(
    evidence: Sequence[Evidence],
    passes: npt.NDArray[np.int64],
    found: dict[int, Placement],
    settings: AlignSettings,
) -> dict[int, Placement]:
    """Place a pass that the reference does not tell of by the maps of a pass of which it does."""
    result = dict(found)
    only_shifts = replace(settings, model="shift" if settings.model == "auto" else settings.model)
    sure = [number for number, one in found.items() if is_convincing(one.peak, settings)]
    for number in [one for one in found if one not in sure]:
        for other in sorted(sure, key=lambda one: -found[one].peak.z):
            pairs = _pairs_between(evidence, passes, other, number)
            if not pairs:
                continue
            between = search_shifts_and_turns(pairs, information_surfaces(pairs), only_shifts)
            if is_convincing(between.peak, settings):
                between = refine_placement(pairs, between, settings)
                matrix = found[other].matrix @ between.matrix
                note = "placed by its pairs with the maps of another pass"
                # Without a look at the tiles a turn between the passes would go unseen.
                if np.isfinite(between.misfit_px):
                    result[number] = replace(between, matrix=matrix, note=note)
                    break
    return result


def _pairs_between(
    evidence: Sequence[Evidence], passes: npt.NDArray[np.int64], ours: int, theirs: int
) -> list[tuple[Pyramid, Pyramid]]:
    """Return pairs of the most telling maps of two passes."""
    first, second = (
        sorted(
            (one for one, number in zip(evidence, passes, strict=True) if number == wanted),
            key=lambda one: -one.peak.z,
        )[:_MOST_TELLING]
        for wanted in (ours, theirs)
    )
    return [
        (a.pairs[0][1], b.pairs[0][1])
        for a in first
        for b in second
        if not (a.pairs[0][1].is_flat or b.pairs[0][1].is_flat)
    ]


def _losses(
    evidence: Sequence[Evidence],
    passes: npt.NDArray[np.int64],
    found: dict[int, Placement],
    settings: AlignSettings,
    known: dict[tuple[int, int], float],
) -> dict[tuple[int, int], float]:
    """Return how much evidence a pass loses at the place of another one, in nats.

    What is `known` of two passes is not asked again; of a pass with itself that is its evidence.
    """
    sure = [number for number, one in found.items() if is_convincing(one.peak, settings)]
    losses = {}
    for number in found:
        pairs = _pairs_of(evidence, passes, number)
        for other in (one for one in sure if one != number and pairs):
            if (number, number) not in known:
                known[number, number] = evidence_at(pairs, found[number].matrix)
            if (number, other) not in known:
                known[number, other] = _loss(
                    pairs, known[number, number], found[other], number in sure
                )
            losses[number, other] = known[number, other]
    return losses


def _loss(pairs: Pairs, own: float, there: Placement, is_sure: bool) -> float:
    """Return how much less than their own images tell there; infinite where they tell nothing."""
    # Noise fits anywhere: what does not convince must tell that place from near by.
    if not is_sure and not _stands_out(pairs, there.matrix):
        return np.inf
    return own - evidence_at(pairs, there.matrix)


def _stands_out(pairs: Pairs, matrix: Matrix) -> bool:
    """Return whether images tell more at a place than a little beside it."""
    beside = [
        evidence_at(pairs, shift_matrix(dy, dx) @ matrix)
        for dy, dx in ((_BESIDE_PX, 0), (-_BESIDE_PX, 0), (0, _BESIDE_PX), (0, -_BESIDE_PX))
    ]
    return evidence_at(pairs, matrix) > max(beside) + 2 * NOTICEABLE


def _renumbered(
    passes: npt.NDArray[np.int64], found: dict[int, Placement]
) -> tuple[npt.NDArray[np.int64], dict[int, Placement]]:
    """Number the passes in the order of their first images."""
    order = {old: new for new, old in enumerate(dict.fromkeys(int(n) for n in passes if n >= 0))}
    numbers = np.array([order.get(int(number), -1) for number in passes], dtype=np.int64)
    return numbers, {new: found[old] for old, new in order.items()}


def _pairs_of(
    evidence: Sequence[Evidence], passes: npt.NDArray[np.int64], number: int
) -> list[tuple[Pyramid, Pyramid]]:
    members = [evidence[n] for n in range(len(passes)) if passes[n] == number]
    return [pair for one in members if not one.is_flat for pair in one.pairs]


def _locate_all(
    evidence: Sequence[Evidence], passes: npt.NDArray[np.int64], settings: AlignSettings
) -> dict[int, Placement]:
    return {
        int(number): _locate(
            [evidence[n] for n in range(len(passes)) if passes[n] == number], settings
        )
        for number in np.unique(passes[passes >= 0])
    }


def _locate(members: Sequence[Evidence], settings: AlignSettings) -> Placement:
    telling = [one for one in members if not one.is_flat]
    if not telling:
        return Placement(matrix=np.eye(3), peak=NO_PEAK)
    pairs = [pair for one in telling for pair in one.pairs]
    surfaces = [surface for one in telling for surface in one.surfaces]
    return _located(pairs, surfaces, settings)


def _located(pairs: Pairs, surfaces: Sequence[Surface], settings: AlignSettings) -> Placement:
    found = search_shifts_and_turns(pairs, surfaces, settings)
    if not is_convincing(found.peak, settings):
        return found
    found = refine_placement(pairs, found, settings)
    if settings.refine != "none":
        found = refine_affine(pairs, found, settings)
    return refine_bspline(pairs, found) if settings.refine == "bspline" else found
