"""Flows -> grains, at one scale or two joined, without the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.segment.flows import find_boxes, flow_errors
from grainsmith.segment.normalize import to_image_grid
from grainsmith.segment.stopwatch import Stopwatch
from grainsmith.segment.tidy import fill_label_holes, keep_largest_pieces
from grainsmith.segment.trajectories import gather
from grainsmith.segment.types import LARGE_PX, Grains, Prediction, ScalePrediction, SegmentSettings

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

_Facts = dict[str, npt.NDArray[np.float64]]

_MOSTLY = 0.75
"""Share of a fine grain's area that must lie in a coarse grain which replaces it."""


def draw_grains(prediction: Prediction, settings: SegmentSettings) -> Grains:
    """Draw grains from a prediction with the thresholds of the settings, without the network."""
    if prediction.note:
        return Grains(
            labels=np.zeros(prediction.shape, np.int32), table=_table({}), note=prediction.note
        )
    watch = Stopwatch()
    labels, facts = draw_scale(prediction.fine, prediction.shape, settings, watch)
    if prediction.coarse is not None:
        large, large_facts = draw_scale(prediction.coarse, prediction.shape, settings, watch)
        labels, facts = _join(labels, facts, large, large_facts, LARGE_PX / prediction.scale)
        labels = keep_largest_pieces(labels, min_area_px=settings.min_area_px)
        watch.lap("join")
    labels, order = _renumber(labels)
    table = _table({name: values[order] for name, values in facts.items()})
    note = "" if len(table) else "no grain was found: try a lower probability or a diameter by hand"
    return Grains(labels=labels, table=table, note=note, seconds=watch.seconds)


def draw_scale(
    prediction: ScalePrediction, shape: tuple[int, int], settings: SegmentSettings, watch: Stopwatch
) -> tuple[LabelImage, _Facts]:
    """Labels on the image's grid, and an array per fact whose place k belongs to label k + 1."""
    logits = to_image_grid(prediction.probability, shape, prediction.scale, prediction.offset)
    inside = logits > settings.probability_threshold
    ends = prediction.trajectories.ends(
        prediction.flows, inside, prediction.scale, prediction.offset
    )
    grid = (prediction.probability.shape[0], prediction.probability.shape[1])
    min_points = int(min(10, 10 / prediction.scale**2))
    labels = gather(ends, inside, grid, min_points=max(3, min_points))
    watch.lap("follow")
    labels = keep_largest_pieces(fill_label_holes(labels), min_area_px=settings.min_area_px)
    watch.lap("tidy")
    small, beyond = _on_network_grid(labels, grid, prediction.scale, prediction.offset)
    n = int(labels.max(initial=0))
    error, logit = np.full(n, 2.0), np.full(n, -10.0)
    for seen in (small, _cut_by_an_edge(small, beyond)):
        ids, errors = flow_errors(seen, prediction.flows)
        error[ids - 1] = np.minimum(error[ids - 1], errors)
    sums = np.bincount(small.ravel(), weights=prediction.probability.ravel(), minlength=n + 1)[1:]
    counts = np.bincount(small.ravel(), minlength=n + 1)[1:]
    logit[counts > 0] = sums[counts > 0] / counts[counts > 0]
    if settings.flow_threshold > 0:
        kept = np.append(False, error <= settings.flow_threshold)
        labels = np.where(kept[labels], labels, 0).astype(np.int32)
    probability = 1 / (1 + np.exp(-logit))
    watch.lap("error")
    confidence = probability * np.clip(1 - error, 0, 1)
    return labels, {"confidence": confidence, "flow_error": error, "probability": probability}


def _join(
    fine: LabelImage, fine_facts: _Facts, coarse: LabelImage, coarse_facts: _Facts, large_px: float
) -> tuple[LabelImage, _Facts]:
    """Let grains of the coarse scale win where they explain what the fine scale saw.

    A coarse grain wins if it is large, no fine grain is mostly the same, the fine grains in it are
    pieces (more than one, or hardly any), it is surer than they are, and it cuts none that reaches
    beyond it. It replaces the fine grains that lie mostly in it; all others keep every pixel.
    """
    n_fine = len(fine_facts["confidence"])
    boxes = find_boxes(coarse)
    areas = np.bincount(fine.ravel(), minlength=n_fine + 1)
    fine_boxes = find_boxes(fine)
    box_of_fine = dict(zip(fine_boxes.ids.tolist(), fine_boxes.edges.tolist(), strict=True))
    labels = fine.copy()
    won: list[int] = []
    for label, (y0, y1, x0, x1) in zip(boxes.ids, boxes.edges, strict=True):
        mask = coarse[y0:y1, x0:x1] == label
        area = int(mask.sum())
        if np.sqrt(area * 4 / np.pi) < large_px:
            continue
        pieces = np.bincount(fine[y0:y1, x0:x1][mask], minlength=n_fine + 1)
        if _explains(area, pieces, areas, fine_facts, coarse_facts["confidence"][label - 1]):
            mostly_inside = (pieces > 0) & (pieces >= _MOSTLY * areas)
            for replaced in np.flatnonzero(mostly_inside[1:]) + 1:
                top, bottom, left, right = box_of_fine[int(replaced)]
                window = labels[top:bottom, left:right]
                window[window == replaced] = 0
            window = labels[y0:y1, x0:x1]
            window[mask & (window == 0)] = n_fine + len(won) + 1
            won.append(label)
    taken = np.array(won, int) - 1
    facts = {
        name: np.concatenate([values, coarse_facts[name][taken]])
        for name, values in fine_facts.items()
    }
    return labels, facts


def _explains(
    area: int,
    pieces: npt.NDArray[np.intp],
    areas: npt.NDArray[np.intp],
    fine_facts: _Facts,
    confidence: float,
) -> bool:
    ids = np.flatnonzero(pieces[1:]) + 1
    shared = pieces[ids]
    real = shared > 0.02 * area
    ids, shared = ids[real], shared[real]
    if len(ids) == 0:
        return bool(confidence > 0.5)
    iou = shared / (areas[ids] + area - shared)
    reaching_out = shared < _MOSTLY * areas[ids]
    if iou.max() > 0.5 or (shared * reaching_out).sum() > 0.1 * area:
        return False
    pieces_confidence = float(np.average(fine_facts["confidence"][ids - 1], weights=shared))
    covered = shared.sum() / area
    return bool(confidence > 0.5 and confidence > pieces_confidence * covered)


def _on_network_grid(
    labels: LabelImage, grid: tuple[int, int], scale: float, offset: tuple[float, float]
) -> tuple[LabelImage, npt.NDArray[np.bool_]]:
    """Return labels on the network's grid, and what of it lies beyond the image.

    What an edge cuts goes on beyond it; mirror images of other grains are not these grains.
    """
    places = [
        np.floor((np.arange(n) + 0.5 - first) / scale).astype(int)
        for n, first in zip(grid, offset, strict=True)
    ]
    rows, columns = (_mirrored(at, n) for at, n in zip(places, labels.shape, strict=True))
    out = np.ascontiguousarray(labels[np.ix_(rows, columns)])
    outside = np.zeros(grid, bool)
    n_places = int(labels.max(initial=0)) + 1
    for axis, (at, n) in enumerate(zip(places, labels.shape, strict=True)):
        for beyond, edge in ((at < 0, 0), (at >= n, n - 1)):
            cut = np.zeros(n_places, bool)
            cut[labels.take(edge, axis)] = True
            zone = (beyond, slice(None)) if axis == 0 else (slice(None), beyond)
            out[zone] = np.where(cut[out[zone]], out[zone], 0)
            outside[zone] = True
    return out, outside


def _cut_by_an_edge(labels: LabelImage, beyond: npt.NDArray[np.bool_]) -> LabelImage:
    """Return only what the image shows of the grains that go on beyond it.

    Where such a grain and its mirror image meet in a waist, the network takes them for two.
    """
    cut = np.zeros(int(labels.max(initial=0)) + 1, bool)
    cut[labels[beyond]] = True
    return np.where(cut[labels] & ~beyond, labels, 0)


def _mirrored(places: npt.NDArray[np.intp], length: int) -> npt.NDArray[np.intp]:
    """Return places within a length for those that may lie beyond it, where it is mirrored."""
    within = places % (2 * length)
    return np.where(within < length, within, 2 * length - 1 - within)


def _renumber(labels: LabelImage) -> tuple[LabelImage, npt.NDArray[Any]]:
    """Numbers 1..n in reading order, and for each the place of its facts."""
    present, first = np.unique(labels, return_index=True)
    first = first[present > 0]
    present = present[present > 0]
    reading = present[np.argsort(first)]
    number = np.zeros(int(labels.max(initial=0)) + 1, np.int32)
    number[reading] = np.arange(1, len(reading) + 1)
    return number[labels], reading - 1


def _table(facts: _Facts) -> pd.DataFrame:
    columns = {
        name: facts.get(name, np.zeros(0)) for name in ("confidence", "flow_error", "probability")
    }
    n = len(columns["confidence"])
    return pd.DataFrame(columns, index=pd.RangeIndex(1, n + 1, name="label"))
