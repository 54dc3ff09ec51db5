"""Measure the speed of grain measurement, compared with scikit-image, and after one edit.

    python benchmarks/measure.py [--size 4096] [--grains 16384] [--json]

Both compute area, centroid, box, ellipse axes, orientation, hull, Feret diameter, Crofton
perimeter, and mean and median intensity; Grainsmith also computes both Feret diameters, the
bounding rectangle, convexity, Wadell roundness, pieces, holes and spread. On a busy machine compare
the processor times: Grainsmith uses all cores, scikit-image one. Peak memory is relative to that of
the process before (Linux and macOS).
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.spatial import cKDTree
from skimage.measure import regionprops_table

from grainsmith.measure import measure_grains, tile_checksums, update_grains

if TYPE_CHECKING:
    from collections.abc import Callable

_SKIMAGE_PROPERTIES = (
    "label",
    "area",
    "centroid",
    "bbox",
    "axis_major_length",
    "axis_minor_length",
    "orientation",
    "solidity",
    "feret_diameter_max",
    "perimeter_crofton",
    "intensity_mean",
    "intensity_median",
)


def grains_field(size_px: int, grains: int) -> np.ndarray:
    """Return a (size, size) field of touching polygons with gaps of 2 px."""
    rng = np.random.default_rng(0)
    n = round(grains**0.5)
    y, x = np.mgrid[:n, :n]
    places = np.stack([y, x], axis=-1).reshape(-1, 2) + 0.5 + rng.uniform(-0.35, 0.35, (n * n, 2))
    tree = cKDTree(places * size_px / n)
    labels = np.zeros((size_px, size_px), np.int32)
    for top in range(0, size_px, 256):
        rows = np.arange(top, min(top + 256, size_px))
        points = np.stack(np.meshgrid(rows, np.arange(size_px), indexing="ij"), axis=-1)
        distance, nearest = tree.query(points, k=2)
        inside = distance[..., 1] - distance[..., 0] > 2
        labels[rows] = np.where(inside, nearest[..., 0] + 1, 0)
    return labels


def timed(func: Callable[[], Any]) -> tuple[float, float, Any]:
    """Return wall time and processor time in seconds, and the result."""
    started, worked = time.perf_counter(), time.process_time()
    result = func()
    return time.perf_counter() - started, time.process_time() - worked, result


def peak_mb() -> float:
    """Return the greatest memory that the process ever held, in MB."""
    scale = 1e6 if sys.platform == "darwin" else 1e3
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def time_edit(labels: np.ndarray, image: np.ndarray) -> dict[str, float]:
    """Return the milliseconds that the table needs after one grain was edited, over 9 edits."""
    table, sums = measure_grains(labels, image=image), tile_checksums(labels)
    finding, measuring = [], []
    for k in range(9):
        y, x = 300 + 40 * k, 400 + 30 * k
        labels[y : y + 15, x : x + 15] = labels[y + 7, x + 7]
        seconds, _, new = timed(lambda: tile_checksums(labels))
        finding.append(seconds)
        changed = new != sums
        seconds, _, (table, _) = timed(
            lambda changed=changed, table=table: update_grains(table, labels, changed, image=image)
        )
        measuring.append(seconds)
        sums = new
    return {
        "edit_find_ms": 1e3 * float(np.median(finding)),
        "edit_measure_ms": 1e3 * float(np.median(measuring)),
        "edit_total_ms": 1e3 * float(np.median(np.add(finding, measuring))),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--grains", type=int, default=16_384)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    # In a process of its own, so that its memory does not hide ours.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        labels = pool.submit(grains_field, options.size, options.grains).result()
    image = np.random.default_rng(1).integers(0, 255, labels.shape).astype(np.uint8)
    small = np.ascontiguousarray(labels[:200, :200])
    compiling, _, _ = timed(lambda: measure_grains(small, image=image[:200, :200]))
    before = peak_mb()
    ours, ours_cpu, table = timed(lambda: measure_grains(labels, image=image))
    ours_mb = peak_mb() - before
    before = peak_mb()
    theirs, theirs_cpu, _ = timed(
        lambda: regionprops_table(labels, image, properties=_SKIMAGE_PROPERTIES)
    )
    results = {
        "grains": len(table),
        "size_px": options.size,
        "first_call_s": compiling,
        "ours_s": ours,
        "regionprops_table_s": theirs,
        "ratio": theirs / ours,
        "ours_cpu_s": ours_cpu,
        "regionprops_table_cpu_s": theirs_cpu,
        "ratio_cpu": theirs_cpu / ours_cpu,
        "ours_peak_mb_above_input": ours_mb,
        "regionprops_peak_mb_above_ours": peak_mb() - before,
        **time_edit(labels, image),
    }
    if options.json:
        print(json.dumps(results))
        return
    for name, value in results.items():
        print(f"{name:32s}{value:12,.2f}" if isinstance(value, float) else f"{name:32s}{value:12,}")


if __name__ == "__main__":
    main()
