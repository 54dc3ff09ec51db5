"""Tune a model to labelled fields; score it before and after on held-out fields and other sets.

    python benchmarks/retrain.py [--set gravel|powder] [--start grains FILE] [--minutes 8] [--json]

Fields that are trained on and fields that are scored never mix, and no checkpoint, threshold or
stop is chosen on the latter (`validation="none"`: the last weights are kept). The embedded model
was trained on the same training fields, never on the held-out ones; `benchmarks/weights/
synthetic.pt` was trained on synthetic fields only. "Forgotten" is the change of AP on held-out
images of the other sets. Seconds are those of the tuning, including the reading of the fields.

Recall and precision of the wider grains are printed beside AP, as which of the smallest pebbles
are labelled is a matter of chance.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from accuracy import DATA, IGNORE_BORDER, VALIDATION, labelled_images

from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_labels
from grainsmith.models.registry import load_model
from grainsmith.score import match_labels, score_labels
from grainsmith.segment import SegmentSettings, draw_grains, predict
from grainsmith.train import TuneSettings, tune

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

SETS = {
    "gravel": ("1_P1060330_1", "2_P1060338_0", "5_P1060351_2", "6_P1060355_0"),
    "powder": ("powder_Sc1_001_001", "powder_Sc1_001_002"),
}
FOLDERS = {"gravel": "gravel_imagegrains_fh", "powder": "sem_ampis_powder"}
SYNTHETIC = Path(__file__).parent / "weights" / "synthetic.pt"
WIDE_PX = 22


@dataclass(frozen=True, slots=True)
class ImageScore:
    """Score of an image, with recall and precision (%) of grains at least `WIDE_PX` wide."""

    ap50: float
    diameter_px: float
    d50_error_pct: float
    wide_recall_pct: float
    wide_precision_pct: float


@dataclass(frozen=True, slots=True)
class Row:
    """Scores of a held-out image with the start model and the tuned model."""

    image: str
    kind: str
    before: ImageScore
    after: ImageScore

    @property
    def gain(self) -> float:
        """Gain of AP@0.5."""
        return self.after.ap50 - self.before.ap50


def training_set(name: str, folder: Path) -> Path:
    """Copy the training fields of a set into a folder."""
    folder.mkdir()
    for stem in SETS[name]:
        for file in (DATA / FOLDERS[name]).glob(f"{stem}_*"):
            shutil.copy(file, folder / file.name)
    return folder


def evaluate(model_name: str) -> dict[str, ImageScore]:
    """Score a model on every held-out image."""
    model, settings = load_model(model_name), SegmentSettings()
    scores = {}
    for set_name, stem, image_path, labels_path in labelled_images():
        if stem not in VALIDATION:
            continue
        image, truth = read_image(image_path).cropped, read_labels(labels_path)
        truth = truth[: image.shape[0]]
        prediction = predict(image, settings, model=model)
        labels = draw_grains(prediction, settings).labels
        score = score_labels(truth, labels, ignore_border=set_name in IGNORE_BORDER)
        scores[stem] = ImageScore(
            score.ap50,
            prediction.diameter_px,
            score.d50_error_pct,
            wide_recall_pct=matched_pct(truth, labels),
            wide_precision_pct=matched_pct(labels, truth),
        )
    return scores


def matched_pct(labels: LabelImage, others: LabelImage) -> float:
    """Return the percentage of the wide grains of a label image that another one matches."""
    least = np.pi / 4 * WIDE_PX**2
    wide = np.flatnonzero(np.bincount(labels.ravel())[1:] >= least) + 1
    matched = match_labels(labels, others)
    return 100 * float(np.mean([label in matched for label in wide])) if len(wide) else float("nan")


def tune_and_score(name: str, start: str, minutes: float, out: Path) -> dict[str, Any]:
    """Tune once and score before and after."""
    folder = training_set(name, out / "set")
    settings = TuneSettings(model=start, minutes=minutes, validation="none")
    clock = time.perf_counter()
    result = tune(folder, settings, out / f"{name}.run")
    seconds = time.perf_counter() - clock
    before, after = evaluate(start), evaluate(str(result.model))
    own = {path.name.removesuffix("_masks.tif") for path in (DATA / FOLDERS[name]).glob("*_masks*")}
    rows = [
        Row(stem, "held out" if stem in own else "other", score, after[stem])
        for stem, score in before.items()
    ]
    held_out = [row for row in rows if row.kind == "held out"]
    return {
        "set": name,
        "start": start,
        "steps": result.steps,
        "seconds": seconds,
        "before": float(np.mean([row.before.ap50 for row in held_out])),
        "after": float(np.mean([row.after.ap50 for row in held_out])),
        "most_forgotten": max(-row.gain for row in rows if row.kind == "other"),
        "images": rows,
    }


def print_table(run: dict[str, Any]) -> None:
    """Print the scores of one run."""
    print(
        f"{run['set']} from {run['start']}: AP@0.5 {run['before']:.3f} > "
        f"{run['after']:.3f}, most forgotten {run['most_forgotten']:+.3f}, "
        f"{run['steps']} steps, {run['seconds']:.0f} s"
    )
    for row in run["images"]:
        print(
            f"  {row.image:22} {row.kind:9} AP50 {row.before.ap50:.3f} > {row.after.ap50:.3f} "
            f"({row.gain:+.3f})  D50 {row.before.d50_error_pct:+5.1f} > "
            f"{row.after.d50_error_pct:+5.1f} %  from {WIDE_PX} px: recall "
            f"{row.before.wide_recall_pct:.0f} > {row.after.wide_recall_pct:.0f} %, precision "
            f"{row.before.wide_precision_pct:.0f} > {row.after.wide_precision_pct:.0f} %"
        )


def main() -> None:
    """Tune, score and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--start", nargs="+", default=["grains", str(SYNTHETIC)])
    parser.add_argument("--minutes", type=float, default=TuneSettings().minutes)
    parser.add_argument("--keep", type=Path, help="folder to keep the tuned models in")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no labelled images in {DATA}: set GRAINSMITH_SHARED_DATA")
    runs = []
    for name in args.set:
        for start in args.start:
            with tempfile.TemporaryDirectory() as folder:
                runs.append(tune_and_score(name, start, args.minutes, Path(folder)))
                if args.keep:
                    args.keep.mkdir(parents=True, exist_ok=True)
                    target = args.keep / f"{name}-from-{Path(start).stem}.pt"
                    shutil.copy(Path(folder) / f"{name}.pt", target)
            if not args.json:
                print_table(runs[-1])
    if args.json:
        print(json.dumps({"runs": runs}, default=asdict))


if __name__ == "__main__":
    main()
