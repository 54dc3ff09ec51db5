"""Register maps to a reference: one transform per pass, one verdict per map."""

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
    search_coarse,
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
from grainsmith.align.quality import NO_PEAK, Evidence, Verdicts
from grainsmith.align.refine import NOTICEABLE, evidence_at

if TYPE_CHECKING:
    from grainsmith.align.landmarks import Matrix
    from grainsmith.align.mutual_information import Surface
    from grainsmith.align.pyramid import Pyramid
    from grainsmith.data import Image, OnProgress


_MAPS_COMPARED = 3  # maps of each of two passes with the most evidence
_OFFSET_PX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MovingImage:
    """Image to register.

    Attributes
    ----------
    image : (Y, X) or (Y, X, 3) array
        Image in its own pixels; NaN = not measured.
    name : str
        Name in the result.
    start : (3, 3) float array
        Initial transform from its pixels to pixels of the reference.
    """

    image: Image
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
    """Register images of one field to a reference.

    Images of one pass share a transform, estimated from their combined evidence; images with too
    little evidence inherit that of their pass. Nothing is resampled, and no array is changed.

    Parameters
    ----------
    reference : (Y, X) or (Y, X, 3) array
        Fixed image, usually the BSE image without its data bar.
    moving : sequence of MovingImage
        Element maps, or other images of the same field.
    settings : AlignSettings
        Search range and required evidence.
    groups : sequence of str
        Pass of each image; empty = determined from the images.
    pixel_size_um : float
        Pixel size of the reference; 0 = unknown.
    on_progress : callable
        Called as on_progress(done, total); an exception stops the work.

    Returns
    -------
    RegistrationResult
        One row per image, in order.

    Raises
    ------
    ValueError
        `groups` and `moving` differ in length.
    GrainsmithError
        The requested refinement is not installed.
    """
    settings = settings or AlignSettings()
    require_simpleitk(settings)
    if groups and len(groups) != len(moving):
        raise ValueError(f"groups must name a pass for each of {len(moving)}, got {len(groups)}")
    if not moving:
        return RegistrationResult(rows=(), pixel_size_um=pixel_size_um)
    steps = _Steps(2 * len(moving) + len(moving) * (len(moving) - 1) // 2 + 1, on_progress)
    evidence = [Evidence(pairs=pairs) for pairs in _all_pairs(reference, moving, steps)]

    def measure(image: Evidence) -> None:
        image.measure(settings)
        steps.advance()

    map_threads(measure, evidence)
    links = measure_pair_offsets([image.pairs[0][1] for image in evidence], settings, steps.advance)
    if groups:
        names = list(dict.fromkeys(groups))
        passes = np.array([names.index(name) for name in groups])
        placements = _locate_all(evidence, passes, settings)
    else:
        passes, placements = _find_passes_and_placements(links, evidence, settings)
        names = [f"pass {number + 1}" for number in range(len(placements))]
    steps.advance()
    shape = (reference.shape[0], reference.shape[1])
    verdicts = Verdicts(shape, links, passes, placements, settings)
    rows = [
        verdicts.row(number, names, image.name, image.start, evidence[number])
        for number, image in enumerate(moving)
    ]
    return RegistrationResult(rows=tuple(rows), pixel_size_um=pixel_size_um)


class _Steps:
    """Thread-safe progress counter."""

    def __init__(self, total: int, on_progress: OnProgress) -> None:
        self._count, self._total, self._on_progress = count(1), total, on_progress

    def advance(self) -> None:
        self._on_progress(next(self._count), self._total)


def _all_pairs(reference: Image, moving: Sequence[MovingImage], steps: _Steps) -> list[Pairs]:
    shape = (reference.shape[0], reference.shape[1])
    fixed = [build_pyramid(view, shape, np.eye(3)) for view in comparison_views(reference)]

    def build(moving_image: MovingImage) -> Pairs:
        views = [
            build_pyramid(view, shape, moving_image.start)
            for view in comparison_views(moving_image.image)
        ]
        steps.advance()
        if len(views) == len(fixed):
            return list(zip(fixed, views, strict=True))
        return [(ours, theirs) for ours in fixed for theirs in views]

    return map_threads(build, moving)


def _find_passes_and_placements(
    links: Sequence[PairOffset], evidence: Sequence[Evidence], settings: AlignSettings
) -> tuple[npt.NDArray[np.int64], dict[int, Placement]]:
    """Determine the pass of each image (-1 = unknown) and the placement of each pass."""
    passes = find_passes(links, len(evidence), settings.same_pass_px)
    # An image without conclusive pairs, but with evidence of its own, is a separate pass.
    for number, image in enumerate(evidence):
        alone = passes[number] < 0 and is_convincing(image.peak, settings)
        if alone or len(evidence) == 1:
            passes[number] = passes.max() + 1
    placements = _locate_all(evidence, passes, settings)
    passes, placements = _merged(evidence, passes, placements, settings)
    placements = _placed_by_others(evidence, passes, placements, settings)
    if len(placements) == 1:  # images without evidence belong to the only pass
        passes = np.where(passes < 0, next(iter(placements)), passes)
    return _renumbered(passes, placements)


def _merged(
    evidence: Sequence[Evidence],
    passes: npt.NDArray[np.int64],
    placements: dict[int, Placement],
    settings: AlignSettings,
) -> tuple[npt.NDArray[np.int64], dict[int, Placement]]:
    """Merge pairs of passes if one fits as well at the placement of the other.

    The offsets of noisy or rotated maps scatter; passes differ only if the evidence does.
    """
    passes, placements = passes.copy(), dict(placements)
    known: dict[tuple[int, int], float] = {}
    while True:
        losses = _losses(evidence, passes, placements, settings, known)
        if not losses or min(losses.values()) >= NOTICEABLE:
            return passes, placements
        number, other = min(losses, key=lambda ends: losses[ends])
        passes[passes == number] = other
        del placements[number]
        known = {ends: loss for ends, loss in known.items() if not {number, other} & set(ends)}
        members = [evidence[n] for n in range(len(passes)) if passes[n] == other]
        placements[other] = _locate(members, settings)


def _placed_by_others(
    evidence: Sequence[Evidence],
    passes: npt.NDArray[np.int64],
    placements: dict[int, Placement],
    settings: AlignSettings,
) -> dict[int, Placement]:
    """Place passes without evidence in the reference by their pairs with placed passes."""
    result = dict(placements)
    only_shifts = replace(settings, model="shift" if settings.model == "auto" else settings.model)
    sure = [n for n, placement in placements.items() if is_convincing(placement.peak, settings)]
    for number in [n for n in placements if n not in sure]:
        for other in sorted(sure, key=lambda n: -placements[n].peak.z):
            pairs = _pairs_between(evidence, passes, other, number)
            if not pairs:
                continue
            between = search_coarse(pairs, information_surfaces(pairs), only_shifts)
            if is_convincing(between.peak, settings):
                between = refine_placement(pairs, between, settings)
                matrix = placements[other].matrix @ between.matrix
                note = "placed by its pairs with the maps of another pass"
                # Without conclusive tiles, a rotation between the passes could not be detected.
                if np.isfinite(between.misfit_px):
                    result[number] = replace(between, matrix=matrix, note=note)
                    break
    return result


def _pairs_between(
    evidence: Sequence[Evidence], passes: npt.NDArray[np.int64], first_pass: int, second_pass: int
) -> list[tuple[Pyramid, Pyramid]]:
    """Return pairs of the maps with the most evidence of two passes."""
    first, second = (
        sorted(
            (image for image, number in zip(evidence, passes, strict=True) if number == wanted),
            key=lambda image: -image.peak.z,
        )[:_MAPS_COMPARED]
        for wanted in (first_pass, second_pass)
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
    placements: dict[int, Placement],
    settings: AlignSettings,
    known: dict[tuple[int, int], float],
) -> dict[tuple[int, int], float]:
    """Compute the evidence in nats that a pass loses at the placement of another one.

    `known` caches the losses; the entry of a pass with itself is its own evidence.
    """
    sure = [n for n, placement in placements.items() if is_convincing(placement.peak, settings)]
    losses = {}
    for number in placements:
        pairs = _pairs_of(evidence, passes, number)
        for other in (n for n in sure if n != number and pairs):
            if (number, number) not in known:
                known[number, number] = evidence_at(pairs, placements[number].matrix)
            if (number, other) not in known:
                known[number, other] = _loss(
                    pairs, known[number, number], placements[other], number in sure
                )
            losses[number, other] = known[number, other]
    return losses


def _loss(pairs: Pairs, own_evidence: float, other: Placement, is_sure: bool) -> float:
    """Compute the evidence lost at another placement; infinite if it is not significant there."""
    # Noise fits anywhere: unsure passes must prefer the placement to its surroundings.
    if not is_sure and not _stands_out(pairs, other.matrix):
        return np.inf
    return own_evidence - evidence_at(pairs, other.matrix)


def _stands_out(pairs: Pairs, matrix: Matrix) -> bool:
    """Return whether the evidence at a transform is higher than at nearby shifts."""
    nearby = [
        evidence_at(pairs, shift_matrix(dy, dx) @ matrix)
        for dy, dx in ((_OFFSET_PX, 0), (-_OFFSET_PX, 0), (0, _OFFSET_PX), (0, -_OFFSET_PX))
    ]
    return evidence_at(pairs, matrix) > max(nearby) + 2 * NOTICEABLE


def _renumbered(
    passes: npt.NDArray[np.int64], placements: dict[int, Placement]
) -> tuple[npt.NDArray[np.int64], dict[int, Placement]]:
    """Renumber the passes in the order of their first images."""
    order = {old: new for new, old in enumerate(dict.fromkeys(int(n) for n in passes if n >= 0))}
    numbers = np.array([order.get(int(number), -1) for number in passes], dtype=np.int64)
    return numbers, {new: placements[old] for old, new in order.items()}


def _pairs_of(
    evidence: Sequence[Evidence], passes: npt.NDArray[np.int64], number: int
) -> list[tuple[Pyramid, Pyramid]]:
    members = [evidence[n] for n in range(len(passes)) if passes[n] == number]
    return [pair for image in members if not image.is_flat for pair in image.pairs]


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
    usable = [image for image in members if not image.is_flat]
    if not usable:
        return Placement(matrix=np.eye(3), peak=NO_PEAK)
    pairs = [pair for image in usable for pair in image.pairs]
    surfaces = [surface for image in usable for surface in image.surfaces]
    return _located(pairs, surfaces, settings)


def _located(pairs: Pairs, surfaces: Sequence[Surface], settings: AlignSettings) -> Placement:
    placement = search_coarse(pairs, surfaces, settings)
    if not is_convincing(placement.peak, settings):
        return placement
    placement = refine_placement(pairs, placement, settings)
    if settings.refine != "none":
        placement = refine_affine(pairs, placement, settings)
    return refine_bspline(pairs, placement) if settings.refine == "bspline" else placement
