"""A recipe over a sample: no engine, one worker, two workers; how quick, and whether the same.

    python benchmarks/batch.py [--fields 60] [--workers 2] [--diameter 0] [--keep FOLDER] [--json]

Fields of 1024 x 1024 with ten element maps are made by code (every one with another seed), then the
whole recipe is run on them: without an engine (a field uses all cores), with one worker and with
several (each worker keeps to one core). Wanted: two workers are at least 1.7 times as fast as one,
and the tables of all runs are equal, byte for byte after sorting. The times are those of the whole
command: starting the workers, pooling and reports included. On a busy machine only the ratio of
runs right after each other says something.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import tifffile

from grainsmith.io.images.reader import write_image
from grainsmith.pipeline.batch.discovery import find_fields
from grainsmith.pipeline.batch.runner import run_batch
from grainsmith.pipeline.recipe import ClassifySettings, Recipe
from grainsmith.samples import sample_field
from grainsmith.segment import SegmentSettings

RULES = """\
units: relative
minerals:
  quartz: {range: {Si: [70, 100]}}
  K-feldspar: {range: {K: [12, 40], Si: [40, 75]}}
  albite: {range: {Na: [12, 40], Si: [40, 75]}}
  biotite: {range: {Mg: [12, 45], K: [5, 25]}}
  almandine: {range: {Fe: [20, 50], Al: [15, 40]}}
  apatite: {range: {Ca: [45, 75], P: [20, 50]}}
  ilmenite: {range: {Ti: [35, 65], Fe: [35, 65]}}
  zircon: {range: {Zr: [35, 65], Si: [35, 65]}}
"""


def make_fields(folder: Path, count: int) -> None:
    """Write fields of three samples, a folder each."""
    for number in range(count):
        made = sample_field("hard", seed=1000 + number)
        place = folder / f"sample {number % 3 + 1}" / f"{number:03d}"
        place.mkdir(parents=True)
        image = made.image
        write_image(place / "BSE.tif", image.image, pixel_size_um=image.pixel_size_um)
        for one in made.maps:
            tifffile.imwrite(place / f"{one.name}.tif", one.values)


def sorted_tables(out: Path) -> dict[str, str]:
    """Return the SHA-256 of the sorted lines of every grain table."""
    return {
        str(path.relative_to(out)): hashlib.sha256(
            b"\n".join(sorted(path.read_bytes().splitlines()))
        ).hexdigest()
        for path in sorted(out.rglob("grains.csv"))
    }


def main() -> int:
    """Run the benchmark; exit code 1 where the tables differ or a field failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=60)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--diameter", type=float, default=0.0, help="of the grains in px; 0 = estimated"
    )
    parser.add_argument("--keep", type=Path, default=None, help="keep inputs and results here")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    root = asked.keep or Path(tempfile.mkdtemp(prefix="grainsmith-batch-"))
    try:
        found = measure(root, asked.fields, asked.workers, asked.diameter)
    finally:
        if asked.keep is None:
            shutil.rmtree(root)
    if asked.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    return 0 if found["tables_equal"] and not found["failed"] else 1


def measure(root: Path, count: int, workers: int, diameter_px: float) -> dict[str, Any]:
    """Make the fields, run the batches and compare what they wrote."""
    make_fields(root / "fields", count)
    (root / "rules.yaml").write_text(RULES)
    recipe = Recipe(
        segment=SegmentSettings(diameter_px=diameter_px),
        classify=ClassifySettings(rules=str(root / "rules.yaml")),
    )
    fields = find_fields([root / "fields"])
    seconds, tables, failed = {}, {}, 0
    # The first field of a process compiles or loads what is compiled: not of the first run alone.
    run_batch(fields[:1], recipe, root / "warm-up")
    for name, scheduler in (
        ("one worker", "local:1"),
        (f"{workers} workers", f"local:{workers}"),
        ("no engine", "none"),
    ):
        start = time.perf_counter()
        result = run_batch(fields, recipe, root / name, scheduler=scheduler)
        seconds[name] = round(time.perf_counter() - start, 2)
        tables[name] = sorted_tables(root / name)
        failed += result.count("failed")
        print(f"{name}: {seconds[name]:.1f} s", file=sys.stderr)
    first = next(iter(tables.values()))
    return {
        "fields": count,
        "seconds": seconds,
        "times_faster": round(seconds["one worker"] / seconds[f"{workers} workers"], 2),
        "tables": len(first),
        "tables_equal": all(one == first for one in tables.values()),
        "failed": failed,
    }


def show(found: dict[str, Any]) -> None:
    """Print what people read."""
    for name, value in found["seconds"].items():
        per_field = value / found["fields"]
        print(f"{name:12} {value:8.1f} s, {per_field:6.2f} s a field of 1024 x 1024")
    print(f"several workers are {found['times_faster']:.2f} times as fast as one (wanted: 1.7)")
    same = "equal" if found["tables_equal"] else "DIFFERENT"
    print(
        f"{found['tables']} tables: {same}, byte for byte after sorting; failed {found['failed']}"
    )


if __name__ == "__main__":
    sys.exit(main())
