"""Recall of synthetic grains of very different sizes in one field.

    python benchmarks/size_ladder.py [--side 2048] [--model NAME|FILE] [--json]

Bright ellipses of 6 to 800 px on a dark, noisy background, each class covering about the same area
(as far as it fits), sparse or dense. Prints the recall at IoU 0.75 of every size class, and which
scale was the finest.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage

from grainsmith.models.registry import load_model
from grainsmith.score import match_labels
from grainsmith.segment import SegmentSettings, draw_grains, predict

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

DIAMETERS_PX = (800, 400, 200, 100, 50, 25, 12, 6)
_MOST_PER_CLASS = 300
_TRIES = 40


def ladder(
    side_px: int, *, gap_px: int, share: float, seed: int = 0
) -> tuple[LabelImage, dict[int, list[int]]]:
    """Place ellipses of every class at random free places, largest first.

    Returns
    -------
    labels : (Y, X) int32 array
    members : dict of int to list of int
        Labels by the diameter of their class.
    """
    rng = np.random.default_rng(seed)
    labels = np.zeros((side_px, side_px), np.int32)
    members: dict[int, list[int]] = {}
    number = 0
    for diameter in DIAMETERS_PX:
        if diameter > side_px / 2:
            continue
        members[diameter] = []
        wanted = share * side_px**2 / len(DIAMETERS_PX) / (np.pi / 4 * diameter**2)
        for _ in range(int(np.clip(wanted, 1, _MOST_PER_CLASS))):
            number += 1
            if _place(rng, labels, diameter, gap_px, number):
                members[diameter].append(number)
    return labels, members


def _place(
    rng: np.random.Generator, labels: LabelImage, diameter: float, gap_px: int, number: int
) -> bool:
    ratio = rng.uniform(1, 1.5)
    a, b = diameter / 2 * np.sqrt(ratio), diameter / 2 / np.sqrt(ratio)
    angle = rng.uniform(0, np.pi)
    reach = int(np.ceil(a)) + gap_px + 1
    rows, columns = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    along = rows * np.cos(angle) + columns * np.sin(angle)
    across = columns * np.cos(angle) - rows * np.sin(angle)
    mask = (along / a) ** 2 + (across / b) ** 2 <= 1
    zone = (along / (a + gap_px)) ** 2 + (across / (b + gap_px)) ** 2 <= 1
    for _ in range(_TRIES):
        y, x = rng.integers(reach, len(labels) - reach, 2)
        window = labels[y - reach : y + reach + 1, x - reach : x + reach + 1]
        if not window[zone].any():
            window[mask] = number
            return True
    return False


def image_of(labels: LabelImage, seed: int = 0) -> np.ndarray:
    """Draw the grains with brightnesses of their own, blur and noise."""
    rng = np.random.default_rng(seed)
    brightness = rng.uniform(120, 220, int(labels.max()) + 1)
    brightness[0] = 40
    image = ndimage.gaussian_filter(brightness[labels], 0.8) + rng.normal(0, 6, labels.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def evaluate(model_name: str, side_px: int) -> list[dict[str, Any]]:
    """Segment a sparse and a dense ladder."""
    model, rows = load_model(model_name), []
    for kind, gap_px, share in (("sparse", 4, 0.25), ("dense", 1, 0.6)):
        labels, members = ladder(side_px, gap_px=gap_px, share=share)
        prediction = predict(image_of(labels), SegmentSettings(), model=model)
        grains = draw_grains(prediction, SegmentSettings())
        found = set(match_labels(labels, grains.labels, limit=0.75))
        recall = {
            diameter: [len(ids), len(found & set(ids)) / max(1, len(ids))]
            for diameter, ids in members.items()
        }
        rows.append({"kind": kind, "finest_scale": prediction.scale, "recall75": recall})
    return rows


def main() -> None:
    """Evaluate and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="grains")
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    rows = evaluate(args.model, args.side)
    if args.json:
        print(json.dumps({"side_px": args.side, "fields": rows}))
        return
    for row in rows:
        print(f"{row['kind']}, {args.side} x {args.side}, finest scale {row['finest_scale']:g}")
        for diameter, (n, recall) in row["recall75"].items():
            print(f"  {diameter:4} px: {n:4} grains, recall at IoU 0.75 {recall:.2f}")


if __name__ == "__main__":
    main()
