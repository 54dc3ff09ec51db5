"""Labels from predicted flows, without the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.segment.contrast import faint_grains, grain_contrasts
from grainsmith.segment.flows import flow_errors
from grainsmith.segment.merging import MIN_QUALITY, Candidates, merge_octaves
from grainsmith.segment.normalize import to_image_grid
from grainsmith.segment.stopwatch import Stopwatch
from grainsmith.segment.tidy import fill_label_holes, keep_largest_pieces
from grainsmith.segment.trajectories import gather
from grainsmith.segment.types import (
    NOT_PREDICTED,
    Grains,
    Prediction,
    ScalePrediction,
    SegmentSettings,
)

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

_Facts = dict[str, npt.NDArray[np.float64]]

_FULL_RESOLUTION_SCALE = 0.5
"""Octaves coarser than this are labelled on a coarser grid: the flows hold no more detail."""
_DOUBTFUL_CONFIDENCE = 0.65
"""Mean confidence below which a result is doubtful: 0.83-0.89 is usual on suitable images."""


def draw_grains(prediction: Prediction, settings: SegmentSettings) -> Grains:
    """Derive the grains from a prediction; thresholds can be changed without the network."""
    if prediction.note:
        return Grains(
            labels=np.zeros(prediction.shape, np.int32), table=_table({}), note=prediction.note
        )
    watch = Stopwatch()
    octaves = prediction.octaves if settings.two_scales else prediction.octaves[:1]
    candidates = [draw_octave(octave, prediction.shape, settings, watch) for octave in octaves]
    labels, facts = merge_octaves(
        candidates,
        min_area_px=settings.min_area_px,
        min_quality=MIN_QUALITY if settings.flow_threshold else 0.0,
    )
    watch.lap("merge")
    labels, facts = _renumber(labels, facts)
    gate_note = ""
    if settings.contrast_gate and prediction.grey is not None and len(facts["confidence"]):
        contrasts = grain_contrasts(labels, prediction.grey)
        faint = faint_grains(contrasts)
        if faint.any():
            gate_note = _gate_note(contrasts, faint)
            labels, facts = _renumber(np.where(np.append(False, faint)[labels], 0, labels), facts)
        watch.lap("contrast")
    notes = [gate_note, _doubt(facts)]
    return Grains(
        labels=labels,
        table=_table(facts),
        note="; ".join(note for note in notes if note),
        seconds=watch.seconds,
    )


def draw_octave(
    prediction: ScalePrediction, shape: tuple[int, int], settings: SegmentSettings, watch: Stopwatch
) -> Candidates:
    """Derive the grain candidates of one octave on the image's grid."""
    logits = to_image_grid(prediction.probability, shape, prediction.scale, prediction.offset)
    inside = logits > settings.probability_threshold
    step = _label_step(prediction.scale)
    reduced = _any_of_blocks(inside, step)
    scale = prediction.scale * step
    ends = prediction.trajectories.ends(prediction.flows, reduced, scale, prediction.offset)
    grid = (prediction.probability.shape[0], prediction.probability.shape[1])
    min_points = max(3, int(min(10, 10 / scale**2)))
    labels = gather(ends, reduced, grid, min_points=min_points)
    watch.lap("follow")
    labels = keep_largest_pieces(
        fill_label_holes(labels), min_area_px=max(1, settings.min_area_px // step**2)
    )
    watch.lap("tidy")
    labels, facts = _score(labels, prediction, scale, settings)
    if step > 1:
        labels = _at_full_resolution(labels, reduced, inside, step)
    watch.lap("error")
    seen = logits > NOT_PREDICTED + 1
    return Candidates(
        labels=labels, scale=prediction.scale, facts=facts, seen=None if seen.all() else seen
    )


def _score(
    labels: LabelImage, prediction: ScalePrediction, scale: float, settings: SegmentSettings
) -> tuple[LabelImage, _Facts]:
    """Compute flow error, probability and confidence, and drop grains of high flow error."""
    grid = (prediction.probability.shape[0], prediction.probability.shape[1])
    visible, margin = _on_network_grid(labels, grid, scale, prediction.offset)
    n = int(labels.max(initial=0))
    error, logit = np.full(n, 2.0), np.full(n, -10.0)
    for seen in (visible, _cut_by_an_edge(visible, margin)):
        ids, errors = flow_errors(seen, prediction.flows)
        error[ids - 1] = np.minimum(error[ids - 1], errors)
    flat = visible.ravel()
    sums = np.bincount(flat, weights=prediction.probability.ravel(), minlength=n + 1)[1:]
    counts = np.bincount(flat, minlength=n + 1)[1:]
    logit[counts > 0] = sums[counts > 0] / counts[counts > 0]
    probability = 1 / (1 + np.exp(-logit))
    confidence = probability * np.clip(1 - error, 0, 1)
    facts = {"confidence": confidence, "flow_error": error, "probability": probability}
    if settings.flow_threshold == 0:
        return labels, facts
    kept = np.flatnonzero((error <= settings.flow_threshold) & (counts > 0))
    number = np.zeros(n + 1, np.int32)
    number[kept + 1] = np.arange(1, len(kept) + 1)
    return number[labels], {name: values[kept] for name, values in facts.items()}


def _label_step(scale: float) -> int:
    """Return the side, in image pixels, of the blocks in which an octave is labelled."""
    return max(1, int(2 ** np.floor(np.log2(_FULL_RESOLUTION_SCALE / scale) + 1e-6)))


def _any_of_blocks(mask: npt.NDArray[np.bool_], step: int) -> npt.NDArray[np.bool_]:
    """Reduce a mask by blocks; a block is set if any of its pixels is."""
    if step == 1:
        return mask
    padded = np.pad(mask, [(0, -n % step) for n in mask.shape])
    rows, columns = (n // step for n in padded.shape)
    return np.asarray(padded.reshape(rows, step, columns, step).any(axis=(1, 3)))


def _at_full_resolution(
    labels: LabelImage, reduced: npt.NDArray[np.bool_], inside: npt.NDArray[np.bool_], step: int
) -> LabelImage:
    """Enlarge labels of blocks; the outline against the background follows the full mask."""
    rows, columns = inside.shape
    large = labels.repeat(step, axis=0).repeat(step, axis=1)[:rows, :columns]
    mixed = reduced.repeat(step, axis=0).repeat(step, axis=1)[:rows, :columns]
    return np.where(mixed & ~inside, 0, large).astype(np.int32)


def _on_network_grid(
    labels: LabelImage, grid: tuple[int, int], scale: float, offset: tuple[float, float]
) -> tuple[LabelImage, npt.NDArray[np.bool_]]:
    """Return labels on the network's grid, and the part of it that is mirrored margin.

    Grains cut by an edge continue in the margin; mirror images of other grains are left out.
    """
    positions = [
        np.floor((np.arange(n) + 0.5 - first) / scale).astype(int)
        for n, first in zip(grid, offset, strict=True)
    ]
    rows, columns = (_mirrored(at, n) for at, n in zip(positions, labels.shape, strict=True))
    out = np.ascontiguousarray(labels[np.ix_(rows, columns)])
    margin = np.zeros(grid, bool)
    n_labels = int(labels.max(initial=0)) + 1
    for axis, (at, n) in enumerate(zip(positions, labels.shape, strict=True)):
        for beyond, edge in ((at < 0, 0), (at >= n, n - 1)):
            cut = np.zeros(n_labels, bool)
            cut[labels.take(edge, axis)] = True
            zone = (beyond, slice(None)) if axis == 0 else (slice(None), beyond)
            out[zone] = np.where(cut[out[zone]], out[zone], 0)
            margin[zone] = True
    return out, margin


def _cut_by_an_edge(labels: LabelImage, margin: npt.NDArray[np.bool_]) -> LabelImage:
    """Return the visible part of the grains that are cut by an edge.

    If such a grain and its mirror image meet in a waist, the network takes them for two grains.
    """
    cut = np.zeros(int(labels.max(initial=0)) + 1, bool)
    cut[labels[margin]] = True
    return np.where(cut[labels] & ~margin, labels, 0)


def _mirrored(positions: npt.NDArray[np.intp], length: int) -> npt.NDArray[np.intp]:
    """Map positions outside 0..length - 1 to those of the mirror image."""
    within = positions % (2 * length)
    return np.where(within < length, within, 2 * length - 1 - within)


def _renumber(labels: npt.NDArray[Any], facts: _Facts) -> tuple[LabelImage, _Facts]:
    """Number labels 1..n in reading order and bring their facts into the same order."""
    present, first = np.unique(labels, return_index=True)
    first = first[present > 0]
    present = present[present > 0]
    reading = present[np.argsort(first)]
    number = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    number[reading] = np.arange(1, len(reading) + 1)
    return number[labels], {name: values[reading - 1] for name, values in facts.items()}


def _gate_note(contrasts: npt.NDArray[np.float64], faint: npt.NDArray[np.bool_]) -> str:
    low, high = np.nanmedian(contrasts[faint]), np.nanmedian(contrasts[~faint])
    return (
        f"{int(faint.sum()):,} faint outlines were left out: their contrast is {low / high:.0%} of "
        "that of the others"
    )


def _doubt(facts: _Facts) -> str:
    confidence = facts["confidence"]
    if not len(confidence):
        return "no grain was found: try a lower probability or a diameter by hand"
    mean = float(confidence.mean())
    if mean >= _DOUBTFUL_CONFIDENCE:
        return ""
    return f"the mean confidence is low ({mean:.2f}): check the grains, or try a diameter by hand"


def _table(facts: _Facts) -> pd.DataFrame:
    columns = {
        name: facts.get(name, np.zeros(0)) for name in ("confidence", "flow_error", "probability")
    }
    n = len(columns["confidence"])
    return pd.DataFrame(columns, index=pd.RangeIndex(1, n + 1, name="label"))
