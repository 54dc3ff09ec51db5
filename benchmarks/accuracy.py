"""Score a model on the labelled images, beside Otsu's threshold and a distance watershed.

    python benchmarks/accuracy.py [--model NAME|FILE] [--quick | --validation] [--sets A,B] [--json]

No per-image settings. Images that the embedded model was trained on are marked: their figures show
how well it remembers, not how well it generalises. Of the large sets every n-th image is taken;
--quick takes the images never trained on and a few of the large sets.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_otsu
from skimage.segmentation import watershed

from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_labels
from grainsmith.models.registry import find_model, load_model
from grainsmith.score import match_labels, score_labels
from grainsmith.segment import SegmentSettings, draw_grains, predict
from grainsmith.segment.normalize import to_grey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.data import Image, LabelImage

DATA = Path(os.environ.get("GRAINSMITH_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """A set of labelled images.

    Attributes
    ----------
    ignore_border : bool
        Grains at the border are not labelled.
    partial : bool
        Only part of the grains is labelled: recall counts, AP does not.
    every : int
        Every n-th image is taken.
    quick_every : int
        The same for a quick run; 0 = only images named in `VALIDATION`.
    """

    ignore_border: bool = False
    partial: bool = False
    every: int = 1
    quick_every: int = 0


SETS = {
    "sem_ampis_powder": ImageSet(),
    "sem_ampis_spheroidite": ImageSet(ignore_border=True),
    "gravel_imagegrains_fh": ImageSet(),
    "pebble_segmenteverygrain": ImageSet(ignore_border=True),
    "sem_emps": ImageSet(every=14, quick_every=84),
    "sem_superalloy": ImageSet(every=5),
    "photo_conveyor_rocks": ImageSet(partial=True, every=20, quick_every=80),
    "photo_thinsection_grain_size_sam": ImageSet(partial=True),
    "thinsection_ppl_miocene": ImageSet(),
    "thinsection_ppl_xpl_composite": ImageSet(),
}
VALIDATION = (
    "powder_Sc2_001_001",
    "sph_800C-85H-Q-1",
    "sph_800C-8H-Q-3",
    "3_P1060343_3",
    "7_P1060359_3",
    "torrey_pines",
)
SIZE_CLASSES_PX = (0, 10, 20, 40, 80, 10_000)


def labelled_images(step: str = "all") -> Iterator[tuple[str, str, Path, Path]]:
    """Yield set, stem, image file and labels file; `step` is all, quick or validation."""
    for name, facts in SETS.items():
        every = {"all": facts.every, "quick": facts.quick_every, "validation": 0}[step]
        for k, labels in enumerate(sorted((DATA / name).glob("*_masks.tif"))):
            stem = labels.name.removesuffix("_masks.tif")
            if (every and k % every == 0) or stem in VALIDATION:
                yield name, stem, next((DATA / name).glob(f"{stem}_image.*")), labels


def otsu_watershed(image: Image) -> LabelImage:
    """Segment bright grains by Otsu's threshold and a watershed of the distance map."""
    grey, _ = to_grey(image)
    smooth = gaussian(grey, 1)
    inside = ndimage.binary_opening(smooth > threshold_otsu(smooth), iterations=2)
    depth = gaussian(ndimage.distance_transform_edt(inside), 2)
    peaks = peak_local_max(depth, min_distance=6, labels=inside.astype(int))
    seeds = np.zeros(inside.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-depth, seeds, mask=inside).astype(np.int32)


def recalls(truth: LabelImage, labels: LabelImage) -> dict[str, Any]:
    """Compute recall for all grains, by size class and for the largest 5 % by area."""
    areas = np.bincount(truth.ravel())
    areas[0] = 0
    ids = np.flatnonzero(areas)
    diameters = np.sqrt(areas[ids] * 4 / np.pi)
    found50, found75 = (
        np.isin(ids, list(match_labels(truth, labels, limit=limit))) for limit in (0.5, 0.75)
    )
    order = np.argsort(-areas[ids])
    share = np.cumsum(areas[ids][order]) / max(1, areas.sum())
    largest = order[: int(np.searchsorted(share, 0.05)) + 1]
    by_class = {}
    for low, high in pairwise(SIZE_CLASSES_PX):
        members = (diameters >= low) & (diameters < high)
        if members.any():
            by_class[f"{low}-{high}"] = [int(members.sum()), float(found50[members].mean())]
    return {
        "recall50": float(found50.mean()),
        "recall75": float(found75.mean()),
        "largest_recall75": float(found75[largest].mean()),
        "recall50_by_diameter": by_class,
        "true_median_px": float(np.median(diameters)),
    }


def by_area_error_pct(truth: LabelImage, labels: LabelImage, percentile: float) -> float:
    """Compute the error of a percentile of the diameter by area, in per cent."""
    values = []
    for image in (truth, labels):
        areas = np.sort(np.bincount(image.ravel())[1:])
        areas = areas[areas > 0]
        if not len(areas):
            return float("nan")
        place = np.searchsorted(np.cumsum(areas), percentile / 100 * areas.sum())
        values.append(np.sqrt(areas[min(int(place), len(areas) - 1)]))
    return float(100 * (values[1] / values[0] - 1))


def evaluate(model_name: str, *, step: str, sets: tuple[str, ...]) -> list[dict[str, Any]]:
    """Score a model on every labelled image."""
    model = load_model(model_name)
    seen = set(find_model(model_name).card.get("training_images", []))
    rows = []
    for name, stem, image_path, labels_path in labelled_images(step):
        if sets and name not in sets:
            continue
        image, truth = read_image(image_path).cropped, read_labels(labels_path)
        truth = truth[: image.shape[0]]
        wall, processor = time.perf_counter(), time.process_time()
        prediction = predict(image, SegmentSettings(), model=model)
        grains = draw_grains(prediction, SegmentSettings())
        ignore = SETS[name].ignore_border
        rows.append(
            {
                "set": name,
                "image": stem,
                "seen_in_training": stem in seen,
                "seconds": time.perf_counter() - wall,
                "processor_s": time.process_time() - processor,
                "diameter_px": prediction.diameter_px,
                "scale": prediction.scale,
                "confidence": float(grains.table["confidence"].mean()),
                "note": grains.note,
                **asdict(score_labels(truth, grains.labels, ignore_border=ignore)),
                **recalls(truth, grains.labels),
                "d50_area_error_pct": by_area_error_pct(truth, grains.labels, 50),
                "d84_area_error_pct": by_area_error_pct(truth, grains.labels, 84),
                "otsu_ap50": score_labels(truth, otsu_watershed(image), ignore_border=ignore).ap50,
            }
        )
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print a row per image and a mean per set."""
    print(
        f"{'image':22} {'n':>5} {'found':>5} {'AP50':>6} {'AP75':>6} {'R50':>5} {'R75':>5} "
        f"{'R75 5%':>6} {'D50 %':>6} {'D84 %':>6} {'D84a %':>6} {'d':>5} {'true':>5} {'cpu s':>6} "
        f"{'Otsu':>5}"
    )
    for name, facts in SETS.items():
        group = [row for row in rows if row["set"] == name]
        for row in group:
            mark = " (trained on)" if row["seen_in_training"] else ""
            print(
                f"{row['image']:22} {row['n_true']:5} {row['n_pred']:5} {row['ap50']:6.3f} "
                f"{row['ap75']:6.3f} {row['recall50']:5.2f} {row['recall75']:5.2f} "
                f"{row['largest_recall75']:6.2f} {row['d50_error_pct']:+6.1f} "
                f"{row['d84_error_pct']:+6.1f} {row['d84_area_error_pct']:+6.1f} "
                f"{row['diameter_px']:5.0f} {row['true_median_px']:5.0f} "
                f"{row['processor_s']:6.1f} {row['otsu_ap50']:5.2f}{mark}"
            )
        unseen = [row for row in group if not row["seen_in_training"]]
        if unseen:
            keys = ("ap50", "ap75", "recall50", "recall75", "largest_recall75", "otsu_ap50")
            mean = {key: np.nanmean([row[key] for row in unseen]) for key in keys}
            kind = ", labels in part" if facts.partial else ""
            print(
                f"  {name}: AP50 {mean['ap50']:.3f}, AP75 {mean['ap75']:.3f}, recall "
                f"{mean['recall50']:.2f} / {mean['recall75']:.2f}, largest 5 % "
                f"{mean['largest_recall75']:.2f}, Otsu {mean['otsu_ap50']:.3f} "
                f"({len(unseen)} unseen{kind})"
            )


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="grains")
    parser.add_argument("--validation", action="store_true", help="only the validation images")
    parser.add_argument("--quick", action="store_true", help="a subset that takes a few minutes")
    parser.add_argument("--sets", default="", help="names of sets, separated by commas")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no labelled images in {DATA}: set GRAINSMITH_SHARED_DATA")
    step = "validation" if args.validation else "quick" if args.quick else "all"
    sets = tuple(name for name in args.sets.split(",") if name)
    rows = evaluate(args.model, step=step, sets=sets)
    if args.json:
        print(json.dumps({"model": args.model, "images": rows}))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
