"""Tune a model to labelled fields; judge before and after on held-out ones and on everything else.

    python benchmarks/retrain.py [--set gravel|powder] [--start grains FILE] [--minutes 8] [--json]

The fields that are tuned to and those that are judged on never mix; no checkpoint, threshold or
stop is chosen on the latter (`validation="none"`: the last weights are kept). The embedded model
was trained on the same training fields, never on the held-out ones; `benchmarks/weights/
synthetic.pt` has seen made fields only. "Forgotten" is the change on held-out images of the other
sets. Seconds are those of the tuning, reading of the fields included.

Beside AP stands how many of the true grains of some width were found, and how many of the drawn
ones are true: what an annotator has labelled of the smallest pebbles is a matter of chance.
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
class Judged:
    """What was found on an image; of grains at least `WIDE_PX` wide, found and right ones in %."""

    ap50: float
    diameter_px: float
    d50_error_pct: float
    wide_found_pct: float
    wide_right_pct: float


@dataclass(frozen=True, slots=True)
class Row:
    """A held-out image under the start and the tuned model."""

    image: str
    kind: str
    before: Judged
    after: Judged

    @property
    def gain(self) -> float:
        """Of AP@0.5."""
        return self.after.ap50 - self.before.ap50


def training_set(name: str, folder: Path) -> Path:
    """Copy the training fields of a set into a folder as a user would have them."""
    folder.mkdir()
    for stem in SETS[name]:
        for file in (DATA / FOLDERS[name]).glob(f"{stem}_*"):
            shutil.copy(file, folder / file.name)
    return folder


def judge(model_name: str) -> dict[str, Judged]:
    """Judge a model on every held-out image."""
    model, settings = load_model(model_name), SegmentSettings()
    found = {}
    for set_name, stem, image_path, labels_path in labelled_images():
        if stem not in VALIDATION:
            continue
        image, truth = read_image(image_path).cropped, read_labels(labels_path)
        truth = truth[: image.shape[0]]
        prediction = predict(image, settings, model=model)
        labels = draw_grains(prediction, settings).labels
        score = score_labels(truth, labels, ignore_border=set_name in IGNORE_BORDER)
        found[stem] = Judged(
            score.ap50,
            prediction.diameter_px,
            score.d50_error_pct,
            wide_found_pct=matched_pct(truth, labels),
            wide_right_pct=matched_pct(labels, truth),
        )
    return found


def matched_pct(labels: LabelImage, others: LabelImage) -> float:
    """Return the percentage of the wide grains of a label image that the other one has too."""
    least = np.pi / 4 * WIDE_PX**2
    wide = np.flatnonzero(np.bincount(labels.ravel())[1:] >= least) + 1
    matched = match_labels(labels, others)
    return 100 * float(np.mean([one in matched for one in wide])) if len(wide) else float("nan")


def tuned(name: str, start: str, minutes: float, out: Path) -> dict[str, Any]:
    """Tune once and judge before and after."""
    folder = training_set(name, out / "set")
    settings = TuneSettings(model=start, minutes=minutes, validation="none")
    clock = time.perf_counter()
    ended = tune(folder, settings, out / f"{name}.run")
    seconds = time.perf_counter() - clock
    before, after = judge(start), judge(str(ended.model))
    own = {path.name.removesuffix("_masks.tif") for path in (DATA / FOLDERS[name]).glob("*_masks*")}
    rows = [
        Row(stem, "held out" if stem in own else "other", then, after[stem])
        for stem, then in before.items()
    ]
    held = [one for one in rows if one.kind == "held out"]
    return {
        "set": name,
        "start": start,
        "steps": ended.steps,
        "seconds": seconds,
        "before": float(np.mean([one.before.ap50 for one in held])),
        "after": float(np.mean([one.after.ap50 for one in held])),
        "most_forgotten": max(-one.gain for one in rows if one.kind == "other"),
        "images": rows,
    }


def print_table(found: dict[str, Any]) -> None:
    """Print one training."""
    print(
        f"{found['set']} from {found['start']}: AP@0.5 {found['before']:.3f} > "
        f"{found['after']:.3f}, most forgotten {found['most_forgotten']:+.3f}, "
        f"{found['steps']} steps, {found['seconds']:.0f} s"
    )
    for one in found["images"]:
        print(
            f"  {one.image:22} {one.kind:9} AP50 {one.before.ap50:.3f} > {one.after.ap50:.3f} "
            f"({one.gain:+.3f})  D50 {one.before.d50_error_pct:+5.1f} > "
            f"{one.after.d50_error_pct:+5.1f} %  from {WIDE_PX} px: found "
            f"{one.before.wide_found_pct:.0f} > {one.after.wide_found_pct:.0f} %, right "
            f"{one.before.wide_right_pct:.0f} > {one.after.wide_right_pct:.0f} %"
        )


def main() -> None:
    """Tune, judge and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--set", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--start", nargs="+", default=["grains", str(SYNTHETIC)])
    parser.add_argument("--minutes", type=float, default=TuneSettings().minutes)
    parser.add_argument("--keep", type=Path, help="folder for the tuned models; else thrown away")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no labelled images in {DATA}: set GRAINSMITH_SHARED_DATA")
    runs = []
    for name in args.set:
        for start in args.start:
            with tempfile.TemporaryDirectory() as folder:
                runs.append(tuned(name, start, args.minutes, Path(folder)))
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
