"""Measure the time from a click to a combo, and of saving 500 combos.

    python benchmarks/combo.py [--json] [--size PX] [--save N]

The field has 4096 x 4096 px and 12 maps. Wall and processor time of a click are reported, because
only the latter is reliable on a busy machine. Imports and compilation are not included.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import resource
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grainsmith.cli.terminal import progress_bar
from grainsmith.data import ElementMap, Transform
from grainsmith.gallery import ComboSettings, draw_combo, make_combo, prepare_field, save_combos

if TYPE_CHECKING:
    from grainsmith.gallery.field import GalleryField

ELEMENTS = ("Si", "Al", "Fe", "Mg", "Ca", "Na", "K", "Ti", "P", "S", "Zr", "Mn")
PITCH_PX = 64


def made_field(size_px: int) -> GalleryField:
    """Round grains on a grid, measured and named; 12 maps in two passes that lie 3 px apart."""
    rng = np.random.default_rng(0)
    offset = np.arange(size_px) % PITCH_PX - PITCH_PX / 2
    inside = offset[:, np.newaxis] ** 2 + offset**2 < (0.42 * PITCH_PX) ** 2
    number = np.arange(size_px) // PITCH_PX
    per_row = number[-1] + 1
    labels = np.where(inside, number[:, np.newaxis] * per_row + number + 1, 0).astype(np.int32)
    image = rng.integers(0, 255, labels.shape, dtype=np.uint8)
    maps, transforms = [], {}
    for place, element in enumerate(ELEMENTS):
        values = rng.integers(0, 9, labels.shape, dtype=np.uint16)
        values[labels % (place + 2) == 0] += 3
        maps.append(ElementMap(values=values, element=element, line="Ka1"))
        transforms[element] = Transform.from_shift(3 * (place % 2), 0, z=20, verdict="aligned")
    table, naming = _measured(maps, int(labels.max()))
    return prepare_field(
        image, labels, maps, transforms, table=table, naming=naming, pixel_size_um=0.5
    )


def _measured(maps: list[ElementMap], n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Sizes, element means and names of all grains, as after *Name*: the bar chart is drawn."""
    rng = np.random.default_rng(2)
    index = pd.RangeIndex(1, n + 1, name="label")
    table = pd.DataFrame({"ecd_um": 0.42 * PITCH_PX, "purity": 1.0}, index=index)
    for one in maps:
        table[f"{one.element}_mean"] = rng.uniform(2, 8, n)
    naming = pd.DataFrame(
        {
            "mineral": rng.choice(["quartz", "albite", "zircon"], n),
            "score": 0.9,
            "runner_up": "apatite",
            "runner_up_score": 0.1,
            "verdict": "named",
        },
        index=index,
    )
    return table, naming


def clicks(field: GalleryField, n: int) -> dict[str, float]:
    """Time from the number of a grain to its image, over n grains at random."""
    grains = np.random.default_rng(1).integers(1, field.labels.max(), n)
    settings = ComboSettings(tile_px=150)
    draw_combo(make_combo(field, int(grains[0]), settings))
    wall, processor = [], []
    for grain in grains:
        start, spent = time.perf_counter(), time.process_time()
        draw_combo(make_combo(field, int(grain), settings))
        wall.append(time.perf_counter() - start)
        processor.append(time.process_time() - spent)
    return {
        "click_median_ms": 1000 * float(np.median(wall)),
        "click_worst_ms": 1000 * float(np.max(wall)),
        "click_cpu_median_ms": 1000 * float(np.median(processor)),
        "click_cpu_worst_ms": 1000 * float(np.max(processor)),
    }


def saving(field: GalleryField, n: int) -> dict[str, float]:
    """Save n combos as PNG with the shell's bar; stop a second run after a tenth, like Cancel."""
    labels = range(1, n + 1)
    with tempfile.TemporaryDirectory() as folder:
        before = _memory_mb()
        start, spent = time.perf_counter(), time.process_time()
        with progress_bar("Saving combos") as on_progress:
            written = save_combos(field, folder, labels, on_progress=on_progress)
        seconds, processor = time.perf_counter() - start, time.process_time() - spent
        size = sum(path.stat().st_size for path in written)

    def stop(done: int, total: int) -> None:
        if done >= total // 10:
            raise KeyboardInterrupt

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with contextlib.suppress(KeyboardInterrupt):
            save_combos(field, folder, labels, on_progress=stop)
        stopped = time.perf_counter() - start
    return {
        "saved": len(written),
        "save_s": seconds,
        "save_cpu_s": processor,
        "saved_mb": size / 1e6,
        "save_memory_mb": _memory_mb() - before,
        "peak_memory_mb": _memory_mb(),
        "stopped_after_s": stopped,
    }


def _memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--save", type=int, default=500)
    chosen = parser.parse_args()
    start = time.perf_counter()
    field = made_field(chosen.size)
    result: dict[str, Any] = {
        "size_px": chosen.size,
        "maps": len(ELEMENTS),
        "grains": int(field.labels.max()),
        "made_s": time.perf_counter() - start,
        **clicks(field, 50),
        **saving(field, chosen.save),
    }
    if chosen.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:22s} {value:10.1f}" if isinstance(value, float) else f"{name:22s} {value:8d}")


if __name__ == "__main__":
    main()
