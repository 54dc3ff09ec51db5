"""Measure time, file size and fidelity of a round trip through every exchange format.

    python benchmarks/export.py [--json]

A synthetic field of some 270 grains is repeated four times side by side. Each grain is compared
with itself after the round trip (IoU); `png` and label images serve as reference for the polygons.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from grainsmith.io.exchange import FORMATS, LabelledField, export_fields, import_fields
from grainsmith.samples import sample_field


def made_field() -> LabelledField:
    """The plain sample, 2 x 2 times, with minerals."""
    sample = sample_field("plain")
    step = int(sample.labels.max())
    parts = [np.where(sample.labels > 0, sample.labels + k * step, 0) for k in range(4)]
    labels = np.block([parts[:2], parts[2:]]).astype(np.int32)
    named = sample.minerals.iloc[:, 0].to_dict()
    return LabelledField(
        labels=labels,
        name="field",
        minerals={label + k * step: str(name) for label, name in named.items() for k in range(4)},
        image=np.tile(sample.image.image, (2, 2)),
        pixel_size_um=sample.image.pixel_size_um,
    )


def lowest_iou(truth: np.ndarray, back: np.ndarray) -> float:
    """Lowest IoU of a grain with the label that covers most of it."""
    pairs, counts = np.unique(np.stack([truth, back], -1)[truth > 0], axis=0, return_counts=True)
    sizes, others = np.bincount(truth.ravel()), np.bincount(back.ravel())
    iou = counts / (sizes[pairs[:, 0]] + others[pairs[:, 1]] - counts)
    best = np.zeros(len(sizes))
    np.maximum.at(best, pairs[:, 0], np.where(pairs[:, 1] > 0, iou, 0))
    return float(best[np.unique(truth[truth > 0])].min())


def measure(name: str, field: LabelledField, folder: Path) -> dict[str, Any]:
    """Write and read one format."""
    form = FORMATS[name]
    path = folder / f"out{form.suffix or name}"
    started = time.perf_counter()
    export_fields(path, [field], name)
    written = time.perf_counter()
    (back,) = import_fields(path, name, shape=field.labels.shape, trust_pickle=True)
    done = time.perf_counter()
    files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
    return {
        "format": name,
        "write_s": round(written - started, 3),
        "read_s": round(done - written, 3),
        "mb": round(sum(one.stat().st_size for one in files) / 1e6, 2),
        "lowest_iou": lowest_iou(field.labels, back.labels),
        "minerals_kept": len(back.minerals) == len(field.minerals),
    }


def main() -> None:
    """Measure all formats and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    field = made_field()
    with tempfile.TemporaryDirectory() as folder:
        measure("geojson", field, Path(folder) / "warm")  # compiles
        rows = [measure(name, field, Path(folder) / name) for name in FORMATS]
    facts = {"grains": len(np.unique(field.labels)) - 1, "shape": list(field.labels.shape)}
    if as_json:
        print(json.dumps({**facts, "formats": rows}))
        return
    print(f"{facts['grains']} grains, {facts['shape'][1]} x {facts['shape'][0]} px")
    print(f"{'format':10} {'write s':>8} {'read s':>8} {'MB':>7} {'lowest IoU':>11}  minerals")
    for row in rows:
        print(
            f"{row['format']:10} {row['write_s']:8.3f} {row['read_s']:8.3f} {row['mb']:7.2f} "
            f"{row['lowest_iou']:11.4f}  {'kept' if row['minerals_kept'] else '-'}"
        )


if __name__ == "__main__":
    main()
