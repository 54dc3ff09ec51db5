"""Measure how many synthetic training fields of 256 x 256 px one core generates per second.

python benchmarks/samples.py [--fields N] [--json]
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from grainsmith.samples import training_field


def main() -> None:
    """Generate fields in one thread and print their number per second of processor time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    for seed in range(20):  # compile
        training_field((0, seed), 256)
    seconds = []
    for seed in range(args.fields):
        clock = time.process_time()
        training_field((1, seed), 256)
        seconds.append(time.process_time() - clock)
    results = {
        "fields_per_second": len(seconds) / sum(seconds),
        "median_ms": 1e3 * float(np.median(seconds)),
        "slowest_ms": 1e3 * max(seconds),
    }
    if args.json:
        print(json.dumps(results))
    else:
        print("  ".join(f"{name} {value:.1f}" for name, value in results.items()))


if __name__ == "__main__":
    main()
