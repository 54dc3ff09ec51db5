"""Masks from flows and flow errors: this code beside Cellpose's own functions, on the CPU.

    python benchmarks/flows.py [--json]

Drawn grains with gaps in their numbers give the flows; both sides turn the same flows into masks
and compute the flow error of their masks. (Cellpose numbers its own without gaps, on which its code
relies.) Ratios within one run are what counts: machines are noisy.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from cellpose import dynamics

from grainsmith.score import score_labels
from grainsmith.segment.flows import flow_errors, flows_from_labels
from grainsmith.segment.trajectories import follow, gather

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.data import LabelImage

CASES = ((1024, 400), (2048, 1600))


def drawn_grains(size_px: int, n: int, seed: int = 0) -> LabelImage:
    """Ellipses on a jittered grid, nearly touching, numbered 3, 6, 9, ..."""
    rng = np.random.default_rng(seed)
    per_side = int(np.sqrt(n))
    pitch = size_px / per_side
    labels = np.zeros((size_px, size_px), np.int32)
    for k in range(per_side**2):
        y, x = (np.array(divmod(k, per_side)) + 0.5) * pitch + rng.uniform(-2, 2, 2)
        a, b = pitch * 0.46 * rng.uniform(0.65, 1, 2)
        y0, y1, x0, x1 = (int(np.clip(v, 0, size_px)) for v in (y - a, y + a + 1, x - b, x + b + 1))
        rows, columns = np.mgrid[y0:y1, x0:x1]
        labels[y0:y1, x0:x1][((rows - y) / a) ** 2 + ((columns - x) / b) ** 2 < 1] = 3 * (k + 1)
    return labels


def timed(work: Callable[[], Any], repeats: int) -> tuple[float, Any]:
    """Return the shortest time of some runs, and what the last one gave."""
    times, result = [], None
    for _ in range(repeats):
        clock = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - clock)
    return min(times), result


def compare(size_px: int, n: int) -> dict[str, Any]:
    """Time both sides on one field."""
    truth = drawn_grains(size_px, n)
    flows = flows_from_labels(truth)
    inside = truth > 0
    probability = np.where(inside, 5.0, -5.0).astype(np.float32)
    device = torch.device("cpu")

    def ours() -> LabelImage:
        return gather(follow(flows, inside), inside, truth.shape, min_points=10)

    def theirs() -> LabelImage:
        return dynamics.compute_masks(
            5 * flows, probability, niter=200, flow_threshold=0.0, min_size=15, device=device
        ).astype(np.int32)

    masks_s, masks = timed(ours, 3)
    cellpose_masks_s, cellpose_masks = timed(theirs, 1)
    error_s, _ = timed(lambda: flow_errors(masks, flows), 3)
    cellpose_error_s, _ = timed(
        lambda: dynamics.flow_error(cellpose_masks, 5 * flows, device=device), 1
    )
    return {
        "size_px": size_px,
        "grains": len(np.unique(truth)) - 1,
        "masks_s": masks_s,
        "cellpose_masks_s": cellpose_masks_s,
        "error_s": error_s,
        "cellpose_error_s": cellpose_error_s,
        "times_faster": (cellpose_masks_s + cellpose_error_s) / (masks_s + error_s),
        "ap50_between": score_labels(cellpose_masks, masks).ap50,
        "ap50_truth": score_labels(truth, masks).ap50,
    }


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(os.cpu_count() or 1)
    compare(256, 25)  # compile first
    rows = [compare(*case) for case in CASES]
    if args.json:
        print(json.dumps({"cases": rows}))
        return
    for row in rows:
        print(f"{row['size_px']} x {row['size_px']}, {row['grains']} grains")
        for stage in ("masks", "error"):
            ours, theirs = row[f"{stage}_s"], row[f"cellpose_{stage}_s"]
            print(f"  {stage:6} {ours:7.3f} s   Cellpose {theirs:7.2f} s   x {theirs / ours:.0f}")
        print(f"  together {row['times_faster']:.0f} times faster")
        print(f"  AP@0.5 between both {row['ap50_between']:.4f}, to truth {row['ap50_truth']:.4f}")


if __name__ == "__main__":
    main()
