"""Whether the same image, cropped by 2 px, flipped or turned, gives the same grains.

    python benchmarks/invariance.py [--model NAME|FILE] [--json]

AP@0.5 between the grains of the image and those of the changed image, moved back. Cropping cuts
other pieces off the grains at the edge, so it is also given for the grains that touch no edge.
"""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

import numpy as np
from accuracy import DATA, VALIDATION, labelled_images

from grainsmith.io.images.reader import read_image
from grainsmith.models.registry import load_model
from grainsmith.score import score_labels
from grainsmith.segment import SegmentSettings, segment_image

if TYPE_CHECKING:
    from collections.abc import Callable

CHANGES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any], slice]] = {
    "crop 2 px": (lambda a: a[2:, 2:], lambda a: a, slice(2, None)),
    "flip": (lambda a: a[:, ::-1], lambda a: a[:, ::-1], slice(None)),
    "turn 90": (lambda a: np.rot90(a), lambda a: np.rot90(a, -1), slice(None)),
    "turn 180": (lambda a: np.rot90(a, 2), lambda a: np.rot90(a, -2), slice(None)),
}


def compare(model_name: str) -> list[dict[str, Any]]:
    """Score every change of every SEM validation image."""
    model, settings, rows = load_model(model_name), SegmentSettings(), []
    for name, stem, path, _ in labelled_images():
        if stem not in VALIDATION or not name.startswith("sem_"):
            continue
        image = read_image(path).cropped
        plain = segment_image(image, settings, model=model).labels
        row: dict[str, Any] = {"image": stem}
        for change, (do, undo, kept) in CHANGES.items():
            changed = np.ascontiguousarray(do(image))
            back = undo(segment_image(changed, settings, model=model).labels)
            pair = (np.ascontiguousarray(plain[kept, kept]), np.ascontiguousarray(back))
            row[change] = score_labels(*pair).ap50
            if kept.start:
                row[f"{change} inside"] = score_labels(*pair, ignore_border=True).ap50
        rows.append(row)
    return rows


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="grains")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit(f"no labelled images in {DATA}: set GRAINSMITH_SHARED_DATA")
    rows = compare(args.model)
    if args.json:
        print(json.dumps({"model": args.model, "images": rows}))
        return
    changes = [name for name in rows[0] if name != "image"]
    print(f"{'image':24}" + "".join(f"{change:>18}" for change in changes))
    for row in rows:
        print(f"{row['image']:24}" + "".join(f"{row[change]:18.3f}" for change in changes))


if __name__ == "__main__":
    main()
