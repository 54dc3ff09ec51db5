"""Measure the speed and memory of edits in a real viewer.

    python benchmarks/editing.py [--size 4096] [--edits 1000] [--json]

A field of 32 px grains of two compositions is edited at random with every operation, the brush,
undo and redo, by the same actions as keys and buttons, with the panel open and window events
processed in between. Then operations on the whole image are timed once: a clean-up, and a new
segmentation into the edited grains. Needs a display, such as Xvfb. The clock measures the waiting
time of the user; `cpu` is the processor time, which does not depend on other programs.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import sys
import tempfile
import time
from collections import defaultdict

import napari
import numpy as np
import psutil
from qtpy.QtWidgets import QApplication

from grainsmith.clean import CleanSettings, clean_labels
from grainsmith.data import SemImage
from grainsmith.ui.dock import GrainsmithDock
from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.editing.editor import Editor
from grainsmith.ui.editing.mouse import label_at
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.layers.labels import labels_options
from grainsmith.ui.session import session_of

GRAIN_PX = 32
OPERATIONS = (
    "delete",
    "merge",
    "cut",
    "grow",
    "shrink",
    "smooth",
    "fill_holes",
    "keep_largest",
    "split_at_necks",
    "split_by_chemistry",
    "copy",
    "accept",
    "brush",
    "insert",
    "undo",
    "undo",
    "undo",
    "redo",
)


def field(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return an image and its labels: rounded squares with dark seams, half of each brighter."""
    rng = np.random.default_rng(0)
    count = size // GRAIN_PX
    y, x = np.indices((GRAIN_PX, GRAIN_PX)) - GRAIN_PX / 2 + 0.5
    shape = (np.maximum(abs(x), abs(y)) < 14.5) & (np.hypot(x, y) < 18)
    numbers = np.arange(1, count**2 + 1, dtype=np.int32).reshape(count, count)
    labels = np.kron(numbers, shape.astype(np.int32))
    picture = rng.integers(60, 80, labels.shape, dtype=np.uint8)
    picture[labels > 0] += 100
    picture.reshape(size, count, GRAIN_PX)[:, :, GRAIN_PX // 2 :] += 40
    return picture, labels


def pixel(row: int, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a pixel as `data_setitem` takes it."""
    return np.array([row]), np.array([column])


class Run:
    """A viewer with the panel open, and random corrections in it."""

    def __init__(self, size: int) -> None:
        picture, labels = field(size)
        self.viewer = napari.Viewer()
        data, options, _ = image_layer(SemImage(image=picture), name="field")
        image = self.viewer.add_image(data, **options)
        self.other = self.viewer.add_labels(labels.copy(), name="other solution")
        self.layer = self.viewer.add_labels(labels, **labels_options(image, name="grains"))
        dock = GrainsmithDock(self.viewer)
        self.viewer.window.add_dock_widget(dock, name="Grainsmith")
        dock.show_panel("Clean")
        self.editor = session_of(self.viewer).part(Editor)
        self.failures: list[str] = []
        self.editor.message.connect(self.failures.append)
        self.rng = np.random.default_rng(1)
        self.handle_events()

    def handle_events(self) -> None:
        """Let the window draw."""
        QApplication.processEvents()

    def neighbours(self) -> tuple[int, int]:
        """Return two grains side by side."""
        index = self.editor.history.index
        grains = list(index.boxes)
        while True:
            grain = grains[self.rng.integers(len(grains))]
            box = index.boxes[grain]
            other = label_at(self.editor.layer, ((box.y0 + box.y1) // 2, box.x1 + 6))
            if other and other != grain:
                return grain, other

    def prepare(self, name: str) -> tuple:
        """Choose what the operation needs; not timed, as the user does it before."""
        grain, other = self.neighbours()
        box = self.editor.history.index.boxes[grain]
        middle = (box.x0 + box.x1) / 2
        if name in ("undo", "redo"):
            return ()
        if name == "cut":
            self.editor.select(())
            return ([(box.y0 - 2, middle), (box.y1 + 1, middle + 2)],)
        if name in ("insert", "copy"):
            self.editor.select([grain])
            self.editor.delete()
            self.handle_events()
            return (((box.y0 + box.y1) // 2, int(middle)),)
        if name == "split_at_necks":
            self.prepare_necks(grain, other)
            return ()
        if name == "fill_holes":
            self.layer.data_setitem(pixel((box.y0 + box.y1) // 2, int(middle)), 0)
        if name == "keep_largest":
            self.layer.data_setitem(pixel(box.y0 - 3, box.x0), grain)
        if name == "brush":
            return ((box.y0, box.x1), grain)
        self.editor.select([grain, other] if name == "merge" else [grain])
        return ()

    def prepare_necks(self, grain: int, other: int) -> None:
        """Join two grains, choose them, and see the proposed cut."""
        self.editor.select([grain, other])
        self.editor.merge()
        self.editor.split_by_lobes()
        if self.editor.tool.mode != "seeds":
            return
        box = self.editor.history.index.boxes[grain]
        for x in (box.x0 + 8, box.x1 - 8):  # where no neck was found
            self.editor.on_click(((box.y0 + box.y1) / 2, x), additive=False)

    def act(self, name: str, arguments: tuple) -> None:
        """Do what is timed."""
        if name == "brush":
            self.layer.paint(*arguments)
        elif name == "copy":
            self.editor.copy_from(self.other, *arguments)
        elif name == "split_at_necks":
            self.editor.split_by_lobes()
        else:
            getattr(self.editor, name)(*arguments)

    def whole_image(self) -> dict[str, float]:
        """Return how long work on all grains holds the window up, in ms."""
        history = self.editor.history
        wanted = CleanSettings(min_area_px=50, fill_holes=True)
        cleaned = clean_labels(self.layer.data, wanted, locked=history.locked)
        fresh = np.roll(self.other.data, 5, axis=0)
        took = {}
        for name, act in (
            ("clean_up", lambda: history.apply_cleanup("Clean up", cleaned)),
            ("segment_again", lambda: history.resegment(fresh)),
            ("undo_segment", history.undo),
        ):
            begin = time.perf_counter()
            act()
            took[name] = 1000 * (time.perf_counter() - begin)
            self.handle_events()
        history.undo()
        return took

    def do(self, name: str) -> tuple[float, float]:
        """Do one operation and return how long it took by the clock and of the CPU, in ms."""
        arguments = self.prepare(name)
        self.handle_events()
        begin, cpu = time.perf_counter(), time.thread_time()
        self.act(name, arguments)
        return 1000 * (time.perf_counter() - begin), 1000 * (time.thread_time() - cpu)


def measure(size: int, edits: int) -> dict:
    """Do the edits and return the figures."""
    run = Run(size)
    for name in sorted(set(OPERATIONS)):  # code is compiled and caches filled before the clock runs
        run.do(name)
    gc.collect()
    process = psutil.Process()
    first = run.layer.data.copy()  # our own copy: none of the memory that editing takes
    before = process.memory_info().rss
    start = run.editor.history.position
    times, peak = defaultdict(list), before
    for _ in range(edits):
        name = OPERATIONS[run.rng.integers(len(OPERATIONS))]
        if name == "undo" and run.editor.history.position <= start:
            name = "brush"  # not back beyond the first edit that is measured
        times[name].append(run.do(name))
        run.handle_events()
        peak = max(peak, process.memory_info().rss)
    history = run.editor.history
    kept = history.nbytes
    last = run.layer.data.copy()
    last_position = history.position
    history.go_to(min(start, last_position))
    back = bool((run.layer.data == first).all())
    history.go_to(last_position)
    again = bool((run.layer.data == last).all())
    whole = run.whole_image()
    every, cpu = np.concatenate([np.array(one) for one in times.values()]).T
    result = {
        "size_px": size,
        "grains": len(history.index),
        "edits": edits,
        "median_ms": float(np.median(every)),
        "p99_ms": float(np.percentile(every, 99)),
        "max_ms": float(every.max()),
        "median_cpu_ms": float(np.median(cpu)),
        "max_cpu_ms": float(cpu.max()),
        "memory_growth_mb": (peak - before) / 1e6,
        "history_mb": kept / 1e6,
        "undone_bit_for_bit": back,
        "redone_bit_for_bit": again,
        "operations_ms": {
            name: dict(zip(("median", "cpu"), np.median(one, axis=0).tolist(), strict=True))
            | {"n": len(one), "max": max(clock for clock, _ in one)}
            for name, one in sorted(times.items())
        },
        "whole_image_ms": whole,
        "refused": [said for said in run.failures if "W cuts" not in said],
    }
    # Qt aborts if a thread outlives its window.
    session_of(run.viewer).part(AutosaveManager).flush()
    run.viewer.close()
    return result


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--edits", type=int, default=1000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GRAINSMITH_AUTOSAVE"] = folder
        result = measure(options.size, options.edits)
    if options.json:
        json.dump(result, sys.stdout)
        return
    print(f"{result['grains']:,} grains, {options.edits} edits at {options.size} x {options.size}")
    for name, one in result["operations_ms"].items():
        took = f"median {one['median']:6.1f} ms  max {one['max']:6.1f} ms  cpu {one['cpu']:5.1f} ms"
        print(f"  {name:10s} {one['n']:4d} x  {took}")
    for name in (
        "median_ms",
        "p99_ms",
        "max_ms",
        "median_cpu_ms",
        "max_cpu_ms",
        "memory_growth_mb",
        "history_mb",
    ):
        print(f"{name:18s} {result[name]:.1f}")
    for name, took in result["whole_image_ms"].items():
        print(f"{name:18s} {took:.0f} ms")
    for name in ("undone_bit_for_bit", "redone_bit_for_bit"):
        print(f"{name:18s} {result[name]}")
    print(f"{'refused':18s} {len(result['refused'])}: {sorted(set(result['refused']))[:5]}")


if __name__ == "__main__":
    main()
