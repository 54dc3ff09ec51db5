"""Mosaics of growing size: seconds per megapixel, memory of a worker, and the one-piece run.

    python benchmarks/mosaic.py [--sizes 5000 10000 20000] [--diameter 30] [--keep FOLDER]
                                [--no-whole] [--json]

A made field of 768 x 768 pixels with its true grains is laid side by side, every second one
mirrored so that grains go on over the joints, until the image is as large as asked for; it is
written as a tiled BigTIFF, piece by piece. Each size is segmented by `segment_mosaic` in a process
of its own, whose wall time, processor time (both without imports and compiling) and greatest memory
are taken. Wanted: seconds per megapixel constant within 15 %, at most 2 GB at every size, and at
the smallest size the labels of the run in one piece (AP@0.9 >= 0.999).

Results are kept in FOLDER/results.json after every size: with --keep a stopped benchmark goes on
where it was, and so does the size in work, whose processor seconds are added up. On a machine that
does other work too, compare the processor seconds: the exit code asks both.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tifffile

from grainsmith.io.files.provenance import read_json, write_json
from grainsmith.io.mosaics.ome_zarr import open_levels
from grainsmith.measure import measure_grains
from grainsmith.pipeline.mosaic.segment import segment_mosaic
from grainsmith.samples import sample_field
from grainsmith.score import score_labels
from grainsmith.segment import SegmentSettings, segment_image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TILE_PX = 512
MOST_SPREAD = 0.15
MOST_BYTES = 2e9
LEAST_AP90 = 0.999


def mirrored(field: npt.NDArray[Any], rows: slice, columns: slice) -> npt.NDArray[Any]:
    """Return a window of the plane that a field fills, every second copy mirrored."""
    places = []
    for span, length in ((rows, field.shape[0]), (columns, field.shape[1])):
        at = np.arange(span.start, span.stop) % (2 * length)
        places.append(np.where(at < length, at, 2 * length - 1 - at))
    return field[np.ix_(*places)]


def write_mosaic(path: Path, field: npt.NDArray[np.uint8], size_px: int) -> None:
    """Write a square tiled BigTIFF, a row of tiles in memory at a time."""

    def tiles() -> Iterator[npt.NDArray[np.uint8]]:
        for y in range(0, size_px, TILE_PX):
            for x in range(0, size_px, TILE_PX):
                yield mirrored(field, slice(y, y + TILE_PX), slice(x, x + TILE_PX))

    # The last tiles of a TIFF reach beyond its image.
    tifffile.imwrite(
        path,
        tiles(),
        shape=(size_px, size_px),
        dtype=np.uint8,
        tile=(TILE_PX, TILE_PX),
        bigtiff=True,
    )


def made_field() -> npt.NDArray[np.uint8]:
    """Return the grey values of the plain sample, 8-bit."""
    return (sample_field("plain").image.image >> 8).astype(np.uint8)


class Spent:
    """Processor seconds and memory of a size, noted as it goes so that a kill loses little."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.before = read_json(path) if path.exists() else {"cpu_seconds": 0.0, "peak_bytes": 0}
        self._noted_s = time.monotonic()
        self._start_s = time.process_time()

    def now(self) -> dict[str, float]:
        """Return what this process and those before it have taken."""
        used_s = time.process_time() - self._start_s
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {
            "cpu_seconds": self.before["cpu_seconds"] + used_s,
            "peak_bytes": max(self.before["peak_bytes"], peak),
        }

    def on_progress(self, done: int, total: int) -> None:
        """Note it every few seconds."""
        if time.monotonic() - self._noted_s > 5:
            self._noted_s = time.monotonic()
            write_json(self._path, {**self.now(), "done": done, "total": total})


def run_one(image: str, output: str, diameter_px: float, results: Any) -> None:
    """Segment a mosaic and say what it took; in a process of its own."""
    # Imports and compiling take the same for every size: they are no part of what is compared.
    grains = segment_image(made_field(), SegmentSettings(diameter_px=diameter_px or 30.0))
    measure_grains(grains.labels, image=made_field())
    start = time.perf_counter()
    spent = Spent(Path(output).with_suffix(".spent.json"))
    found = segment_mosaic(
        image,
        output,
        SegmentSettings(diameter_px=diameter_px),
        resume=True,
        on_progress=spent.on_progress,
    )
    results.put(
        {
            "seconds": time.perf_counter() - start,
            **spent.now(),
            "resumed": spent.before["cpu_seconds"] > 0,
            "n_grains": found.n_grains,
            "diameter_px": found.diameter_px,
        }
    )


def in_process(func: Callable[..., None], *args: Any) -> Any:
    """Return what a function puts into its queue, in a process of its own.

    This one stays small: a process begins with the greatest memory of the one that started it.
    """
    spawn = multiprocessing.get_context("spawn")
    results = spawn.ReviewQueue()
    process = spawn.Process(target=func, args=(*args, results))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(f"{func.__name__}{args} ended with exit code {process.exitcode}")
    return results.get()


def measure(root: Path, size_px: int, diameter_px: float) -> dict[str, Any]:
    """Make and segment one size."""
    image, output = root / f"{size_px}.tif", root / f"{size_px}.zarr"
    if not image.exists():
        write_mosaic(image, made_field(), size_px)
    shutil.rmtree(output, ignore_errors=True)
    found = in_process(run_one, str(image), str(output), diameter_px)
    return {"size_px": size_px, **found}


def against_one_piece(root: str, size_px: int, diameter_px: float, results: Any) -> None:
    """Give AP@0.9 of the mosaic's grains, those of a run in one piece being the truth."""
    labels = np.asarray(open_levels(Path(root) / f"{size_px}.zarr" / "labels" / "grains")[0][:])
    settings = SegmentSettings(diameter_px=diameter_px)
    whole = segment_image(tifffile.imread(Path(root) / f"{size_px}.tif"), settings)
    results.put(float(score_labels(whole.labels, labels).ap90))


def main() -> int:
    """Run the benchmark; exit code 1 where something that is wanted is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[5000, 10000, 20000])
    parser.add_argument(
        "--diameter", type=float, default=30.0, help="of the grains in px; 0 = estimated"
    )
    parser.add_argument("--keep", type=Path, default=None, help="keep mosaics and results here")
    parser.add_argument("--no-whole", action="store_true", help="leave the one-piece run out")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    root = asked.keep or Path(tempfile.mkdtemp(prefix="grainsmith-mosaic-"))
    root.mkdir(parents=True, exist_ok=True)
    try:
        runs = _all(root, asked.sizes, asked.diameter, whole=not asked.no_whole)
    finally:
        if asked.keep is None:
            shutil.rmtree(root)
    if asked.json:
        print(json.dumps(runs, indent=2))
    else:
        show(runs)
    return 0 if good(runs, whole=not asked.no_whole) else 1


def _all(root: Path, sizes: list[int], diameter_px: float, *, whole: bool) -> list[dict[str, Any]]:
    kept = root / "results.json"
    runs = read_json(kept)["runs"] if kept.exists() else []
    for size_px in sizes:
        found = next((one for one in runs if one["size_px"] == size_px), None)
        if found is None:
            found = measure(root, size_px, diameter_px)
            runs.append(found)
            write_json(kept, {"runs": runs})
        if whole and size_px == min(sizes) and "ap90" not in found:
            found["ap90"] = in_process(against_one_piece, str(root), size_px, found["diameter_px"])
            write_json(kept, {"runs": runs})
    return [one for one in runs if one["size_px"] in sizes]


def per_megapixel(run: dict[str, Any], of: str) -> float:
    """Return seconds (or processor seconds) per megapixel."""
    return float(run[of] / (run["size_px"] ** 2 / 1e6))


def spread(runs: list[dict[str, Any]], of: str) -> float:
    """Return how much larger the greatest seconds per megapixel are than the least.

    Of a resumed run only the processor seconds are known whole; NaN below two runs.
    """
    whole = [run for run in runs if of == "cpu_seconds" or not run["resumed"]]
    each = [per_megapixel(run, of) for run in whole]
    return max(each) / min(each) - 1 if len(each) > 1 else math.nan


def good(runs: list[dict[str, Any]], *, whole: bool) -> bool:
    """Return whether nothing that is wanted is missed; what was not measured is not judged.

    Parameters
    ----------
    runs : list of dict
    whole : bool
        The smallest was to be compared with a run in one piece.
    """
    spreads = [spread(runs, of) for of in ("seconds", "cpu_seconds")]
    smallest = min(runs, key=lambda run: run["size_px"])
    return (
        not any(one > MOST_SPREAD for one in spreads)
        and all(run["peak_bytes"] <= MOST_BYTES for run in runs)
        and (not whole or smallest.get("ap90", 0.0) >= LEAST_AP90)
    )


def _percent(share: float) -> str:
    return "not known: too few whole runs" if math.isnan(share) else f"within {100 * share:.0f} %"


def show(runs: list[dict[str, Any]]) -> None:
    """Print what people read."""
    for run in runs:
        print(
            f"{run['size_px']:6} px  {run['n_grains']:7} grains  {run['seconds']:7.0f} s  "
            f"{per_megapixel(run, 'seconds'):5.2f} s/Mpx  "
            f"{per_megapixel(run, 'cpu_seconds'):5.2f} processor s/Mpx  "
            f"{run['peak_bytes'] / 1e6:6.0f} MB"
            + (f"  AP@0.9 against one piece {run['ap90']:.4f}" if "ap90" in run else "")
            + ("  (resumed: the seconds are those of the last part)" if run["resumed"] else "")
        )
    print(
        f"seconds per megapixel of each other: {_percent(spread(runs, 'seconds'))}; "
        f"processor seconds: {_percent(spread(runs, 'cpu_seconds'))} (wanted: 15)"
    )


if __name__ == "__main__":
    sys.exit(main())
