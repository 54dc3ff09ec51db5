"""How long the grains take to be drawn again when a threshold moves, without the network.

    python benchmarks/redraw.py [--json]

A drawn field of 1024 x 1024 with 400 grains gives the flows (true ones, with noise). The first
drawing follows all paths; later ones only gather them anew. Both wall and processor time are
printed: on a busy machine only the second means something.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import replace

import numpy as np

SIZE_PX, GRAINS = 1024, 400
THRESHOLDS = (0.5, -0.5, 1.0, 2.0, -1.0, 0.2)


def make_prediction():
    """Return what a good network would say of a drawn field."""
    from flows import drawn_grains

    from grainsmith.segment import Prediction, ScalePrediction
    from grainsmith.segment.flows import flows_from_labels

    rng = np.random.default_rng(1)
    labels = drawn_grains(SIZE_PX, GRAINS)
    flows = flows_from_labels(labels) + rng.normal(0, 0.1, (2, *labels.shape))
    logit = np.where(labels > 0, 3.0, -3.0) + rng.normal(0, 1.0, labels.shape)
    scale = ScalePrediction(
        flows=flows.astype(np.float32), probability=logit.astype(np.float32), scale=1.0
    )
    return Prediction(
        octaves=(scale,),
        shape=labels.shape,
        diameter_px=30.0,
        estimated=False,
        model="drawn",
        fingerprint="",
        seconds={},
    )


def timed(prediction, settings):
    """Return wall and processor seconds of one drawing, and the number of grains."""
    from grainsmith.segment import draw_grains

    wall, processor = time.perf_counter(), time.process_time()
    grains = draw_grains(prediction, settings)
    return time.perf_counter() - wall, time.process_time() - processor, len(grains.table)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    as_json = parser.parse_args().json
    from grainsmith.segment import SegmentSettings

    settings = SegmentSettings()
    timed(make_prediction(), settings)  # compiles
    prediction = make_prediction()
    first = timed(prediction, settings)
    again = [timed(prediction, replace(settings, probability_threshold=t)) for t in THRESHOLDS]
    result = {
        "size_px": SIZE_PX,
        "grains": first[2],
        "first_wall_s": first[0],
        "first_processor_s": first[1],
        "again_wall_s": statistics.median(wall for wall, _, _ in again),
        "again_processor_s": statistics.median(processor for _, processor, _ in again),
        "again_worst_wall_s": max(wall for wall, _, _ in again),
    }
    if as_json:
        print(json.dumps(result))
        return
    print(f"{SIZE_PX} x {SIZE_PX}, {result['grains']} grains      wall   processor")
    print(f"first drawing          {first[0]:8.3f} s {first[1]:8.3f} s")
    print(
        f"again, median of {len(again)}     {result['again_wall_s']:8.3f} s "
        f"{result['again_processor_s']:8.3f} s"
    )
    print(f"again, worst           {result['again_worst_wall_s']:8.3f} s")


if __name__ == "__main__":
    main()
