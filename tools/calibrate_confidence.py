"""Compare the confidence of grains with their IoU, and fit one to the other.

    python tools/calibrate_confidence.py --data ../shared/data --out build/confidence.csv

Images that validate (see `embedded_sets.py`) are segmented without any setting. Each grain drawn
gets the IoU with the true grain that it overlaps most, 0 without one; grains that lie mostly where
labels are not trusted are left out. The script prints the reliability table, the calibration error
(the mean difference of confidence and IoU over the bins, weighted by grains), and an increasing
map from confidence to expected IoU with its error on each set when fitted on the others. The CSV
file holds one row per grain.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from embedded_sets import labeled_images, read_pair
from embedded_validation import images_by_set
from sklearn.isotonic import IsotonicRegression

from grainsmith.models.registry import load_model
from grainsmith.segment import SegmentSettings, segment_image

if TYPE_CHECKING:
    import numpy.typing as npt

    from grainsmith.data import LabelImage

_BINS = np.linspace(0, 1, 11)
_KNOTS = np.linspace(0.1, 0.95, 18)


def best_iou(truth: LabelImage, labels: LabelImage) -> npt.NDArray[np.float64]:
    """Return the highest IoU of each label 1..n with any true grain: (n,)."""
    n_true, n_labels = int(truth.max(initial=0)), int(labels.max(initial=0))
    pairs = np.bincount(
        labels.ravel().astype(np.int64) * (n_true + 1) + truth.ravel(),
        minlength=(n_labels + 1) * (n_true + 1),
    ).reshape(n_labels + 1, n_true + 1)
    union = pairs.sum(axis=1, keepdims=True) + pairs.sum(axis=0, keepdims=True) - pairs
    iou = pairs / np.maximum(union, 1)
    best: npt.NDArray[np.float64] = iou[1:, 1:].max(axis=1, initial=0)
    return best


def calibration_error(
    confidence: npt.NDArray[np.float64], iou: npt.NDArray[np.float64]
) -> tuple[float, list[tuple[float, float, float, int]]]:
    """Return the calibration error and (lower limit, mean confidence, mean IoU, grains) per bin."""
    bins = np.clip(np.digitize(confidence, _BINS) - 1, 0, len(_BINS) - 2)
    rows = []
    for k in np.unique(bins):
        inside = bins == k
        mean_confidence, mean_iou = confidence[inside].mean(), iou[inside].mean()
        rows.append((float(_BINS[k]), float(mean_confidence), float(mean_iou), int(inside.sum())))
    error = sum(abs(a - b) * n for _, a, b, n in rows) / len(confidence)
    return error, rows


def fitted(confidence: npt.NDArray[np.float64], iou: npt.NDArray[np.float64]) -> IsotonicRegression:
    """Fit an increasing map from confidence to IoU."""
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(confidence, iou)


def main() -> None:
    """Segment, compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with the labelled sets")
    parser.add_argument("--out", type=Path, required=True, help="CSV file, one row per grain")
    parser.add_argument("--model", default="grains")
    parser.add_argument("--per-set", type=int, default=8, help="images of each set")
    args = parser.parse_args()
    rows = grain_rows(args.data, args.model, args.per_set)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with args.out.open("w", encoding="utf8", newline="") as file:
        csv.writer(file).writerows([("set", "image", "confidence", "iou"), *rows])
    print_report(rows)


def grain_rows(data: Path, model_name: str, per_set: int) -> list[tuple[str, str, float, float]]:
    """Return set, image, confidence and IoU of every grain drawn on validation images."""
    model = load_model(model_name)
    rows = []
    members = [image for image in labeled_images(data) if image.validates]
    for name, group in images_by_set(members, per_set).items():
        for member in group:
            image, truth, weight = read_pair(member)
            grains = segment_image(image, SegmentSettings(), model=model)
            trusted = np.bincount(grains.labels.ravel(), weights=(weight > 0).ravel())[1:]
            areas = np.bincount(grains.labels.ravel())[1:]
            iou = best_iou(truth, grains.labels)
            for k in np.flatnonzero(trusted > areas / 2):
                confidence = float(grains.table["confidence"].iloc[k])
                rows.append((name, member.stem, round(confidence, 4), round(float(iou[k]), 4)))
            print(f"{name} {member.stem}: {len(areas)} grains", flush=True)
    return rows


def print_report(rows: list[tuple[str, str, float, float]]) -> None:
    """Print reliability, the fitted map and its error on sets that were left out of the fit."""
    sets = np.array([row[0] for row in rows])
    confidence, iou = (np.array([row[k] for row in rows]) for k in (2, 3))
    error, table = calibration_error(confidence, iou)
    print(f"calibration error {error:.3f} of {len(rows)} grains")
    print("  from  confidence  IoU    grains")
    for low, mean_confidence, mean_iou, n in table:
        print(f"  {low:.1f}   {mean_confidence:.3f}       {mean_iou:.3f}  {n:6}")
    knots = fitted(confidence, iou).predict(_KNOTS)
    pairs = zip(_KNOTS, knots, strict=True)
    print("map: " + ", ".join(f"{x:.2f} {y:.3f}" for x, y in pairs))
    for name in dict.fromkeys(sets):
        own = sets == name
        if own.all():
            continue
        mapped = fitted(confidence[~own], iou[~own]).predict(confidence[own])
        before, _ = calibration_error(confidence[own], iou[own])
        after, _ = calibration_error(mapped, iou[own])
        print(f"  {name}: error {before:.3f}, with the map of the other sets {after:.3f}")


if __name__ == "__main__":
    main()
