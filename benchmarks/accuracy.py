"""How well a model finds grains on the labelled images, beside Otsu + distance watershed.

    python benchmarks/accuracy.py [--model NAME|FILE] [--validation] [--json]

No per-image settings. Images the embedded model was trained on are marked: their figures say how
well it remembers, not how well it generalises.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import asdict
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
from grainsmith.score import score_labels
from grainsmith.segment import SegmentSettings, draw_grains, predict
from grainsmith.segment.normalize import to_grey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.data import Image, LabelImage

DATA = Path(os.environ.get("GRAINSMITH_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
SETS = (
    "sem_ampis_powder",
    "sem_ampis_spheroidite",
    "gravel_imagegrains_fh",
    "pebble_segmenteverygrain",
    "thinsection_ppl_miocene",
    "thinsection_ppl_xpl_composite",
)
IGNORE_BORDER = ("sem_ampis_spheroidite", "pebble_segmenteverygrain")
ROUGH = ("thinsection_ppl_miocene", "thinsection_ppl_xpl_composite")
VALIDATION = (
    "powder_Sc2_001_001",
    "sph_800C-85H-Q-1",
    "sph_800C-8H-Q-3",
    "3_P1060343_3",
    "7_P1060359_3",
    "torrey_pines",
)


def labelled_images() -> Iterator[tuple[str, str, Path, Path]]:
    """Yield set, stem, image file and labels file."""
    for name in SETS:
        for labels in sorted((DATA / name).glob("*_masks.tif")):
            stem = labels.name.removesuffix("_masks.tif")
            yield name, stem, next((DATA / name).glob(f"{stem}_image.*")), labels


def otsu_watershed(image: Image) -> LabelImage:
    """Bright grains by Otsu's threshold, touching ones cut by watershed of the distance map."""
    grey, _ = to_grey(image)
    smooth = gaussian(grey, 1)
    inside = ndimage.binary_opening(smooth > threshold_otsu(smooth), iterations=2)
    depth = gaussian(ndimage.distance_transform_edt(inside), 2)
    peaks = peak_local_max(depth, min_distance=6, labels=inside.astype(int))
    seeds = np.zeros(inside.shape, int)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-depth, seeds, mask=inside).astype(np.int32)


def judge(model_name: str, *, only_validation: bool) -> list[dict[str, Any]]:
    """Score a model on every labelled image."""
    model = load_model(model_name)
    seen = set(find_model(model_name).card.get("training_images", []))
    rows = []
    for name, stem, image_path, labels_path in labelled_images():
        if only_validation and stem not in VALIDATION:
            continue
        image, truth = read_image(image_path).cropped, read_labels(labels_path)
        truth = truth[: image.shape[0]]
        clock = time.perf_counter()
        prediction = predict(image, SegmentSettings(), model=model)
        grains = draw_grains(prediction, SegmentSettings())
        seconds = time.perf_counter() - clock
        ignore = name in IGNORE_BORDER
        rows.append(
            {
                "set": name,
                "image": stem,
                "seen_in_training": stem in seen,
                "diameter_px": prediction.diameter_px,
                **asdict(score_labels(truth, grains.labels, ignore_border=ignore)),
                "seconds": seconds,
                "otsu_ap50": score_labels(truth, otsu_watershed(image), ignore_border=ignore).ap50,
            }
        )
    return rows


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print a row per image and a mean per set."""
    print(
        f"{'image':26} {'n':>5} {'found':>5} {'AP50':>6} {'AP75':>6} {'D50 %':>7} {'D84 %':>7} "
        f"{'diam':>5} {'s':>5} {'Otsu AP50':>9}"
    )
    for name in SETS:
        group = [row for row in rows if row["set"] == name]
        for row in group:
            mark = " (trained on)" if row["seen_in_training"] else ""
            print(
                f"{row['image']:26} {row['n_true']:5} {row['n_pred']:5} {row['ap50']:6.3f} "
                f"{row['ap75']:6.3f} {row['d50_error_pct']:+7.1f} {row['d84_error_pct']:+7.1f} "
                f"{row['diameter_px']:5.0f} {row['seconds']:5.1f} {row['otsu_ap50']:9.3f}{mark}"
            )
        unseen = [row for row in group if not row["seen_in_training"]]
        if unseen:
            mean = {key: np.mean([row[key] for row in unseen]) for key in ("ap50", "otsu_ap50")}
            rough = ", rough labels" if name in ROUGH else ""
            print(
                f"  {name}: AP50 {mean['ap50']:.3f}, Otsu {mean['otsu_ap50']:.3f} (unseen{rough})"
            )


def main() -> None:
    """Judge and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="grains")
    parser.add_argument("--validation", action="store_true", help="only the validation images")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no labelled images in {DATA}: set GRAINSMITH_SHARED_DATA")
    rows = judge(args.model, only_validation=args.validation)
    if args.json:
        print(json.dumps({"model": args.model, "images": rows}))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
