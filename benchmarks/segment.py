"""Seconds and peak memory from file to labels, beside Cellpose on the same cores.

    python benchmarks/segment.py [--cellpose3 FOLDER] [--json]

The fields are drawn: 400 grains on 1024 x 1024, 1,600 on 2048 x 2048. Each runs in a process of its
own, whose peak memory (Python and libraries included) is printed; compiling and loading the weights
are not counted. Cellpose-SAM is timed with random weights, one tile in its own number format and in
32-bit floats, the faster counts, times the number of tiles that its own code cuts. With --cellpose3
(a folder made by `pip install --no-deps --target FOLDER cellpose==3.1.1.3`) its full-size network
runs `CellposeModel.eval` on the same image, also with random weights: the network and its tiling.
Random weights give no flows to follow, so its mask-making (`resize_and_compute_masks`, with its
usual flow check) is timed on the true flows of the drawn grains, and both are added.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

CASES = ((1024, 400), (2048, 1600))


def write_field(path: Path, size_px: int, n: int) -> None:
    """Write a noisy image of drawn grains, and beside it their true flows."""
    import tifffile
    from flows import drawn_grains

    from grainsmith.segment.flows import flows_from_labels

    rng = np.random.default_rng(1)
    labels = drawn_grains(size_px, n)
    grey = np.where(labels > 0, 90 + 100 * rng.random(labels.max() + 1)[labels], 25)
    tifffile.imwrite(path, np.clip(grey + 8 * rng.standard_normal(grey.shape), 0, 255).astype("u1"))
    inside = np.where(labels > 0, 5.0, -5.0)[None]
    np.save(path.with_suffix(".npy"), np.concatenate([5 * flows_from_labels(labels), inside]))


def our_run(path: Path) -> dict[str, Any]:
    """Segment a file once to warm up, once to count."""
    from grainsmith.io.images.reader import read_image
    from grainsmith.models.registry import load_model
    from grainsmith.segment import SegmentSettings, draw_grains, predict

    settings, model = SegmentSettings(), load_model("grains")
    predict(read_image(path).cropped[:256, :256], settings, model=model)
    draw_grains(predict(read_image(path).cropped[:256, :256], settings, model=model), settings)
    clock = time.perf_counter()
    image = read_image(path).cropped
    read_s = time.perf_counter() - clock
    prediction = predict(image, settings, model=model)
    grains = draw_grains(prediction, settings)
    total = time.perf_counter() - clock
    stages = {"read": read_s, **prediction.seconds, **grains.seconds, "total": total}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"grains": len(grains.table), "seconds": stages, "peak_mb": peak}


def sam_run(size_px: int) -> dict[str, Any]:
    """Time one tile of Cellpose-SAM with random weights, and count the tiles of its own code."""
    import torch
    from cellpose.transforms import make_tiles
    from cellpose.vit import CPSAM

    torch.set_num_threads(os.cpu_count() or 1)
    tile_s = []
    for dtype in (torch.bfloat16, torch.float32):
        net = CPSAM(dtype=dtype).to(dtype).eval()
        tile = torch.rand(1, 3, 256, 256).to(dtype)
        with torch.inference_mode():
            net(tile)
            clock = time.perf_counter()
            net(tile)
            tile_s.append(time.perf_counter() - clock)
        del net
    tiles = make_tiles(np.zeros((3, size_px, size_px), np.float32), bsize=256, tile_overlap=0.1)[0]
    n = int(np.prod(tiles.shape[:2])) if tiles.ndim == 5 else len(tiles)
    return {"tile_s": min(tile_s), "tiles": n, "seconds": min(tile_s) * n}


def cellpose3_run(path: Path) -> dict[str, Any]:
    """Run Cellpose 3's full-size network with random weights over a file, then make its masks."""
    import tifffile
    import torch
    from cellpose.dynamics import resize_and_compute_masks
    from cellpose.models import CellposeModel
    from cellpose.resnet_torch import CPnet

    torch.set_num_threads(os.cpu_count() or 1)
    weights = path.with_name("random_cellpose3.pt")
    CPnet([2, 32, 64, 128, 256], nout=3, sz=3, diam_mean=30.0).save_model(str(weights))
    model = CellposeModel(gpu=False, pretrained_model=str(weights))
    image = tifffile.imread(path)
    diameter = 0.8 * image.shape[0] / np.sqrt(1600 if image.shape[0] == 2048 else 400)
    clock = time.perf_counter()
    model.eval(image, diameter=diameter, channels=[0, 0], compute_masks=False)
    network_s = time.perf_counter() - clock
    said = np.load(path.with_suffix(".npy")).astype(np.float32)
    clock = time.perf_counter()
    resize_and_compute_masks(said[:2], said[2], device=torch.device("cpu"))
    masks_s = time.perf_counter() - clock
    return {"network_s": network_s, "masks_s": masks_s, "seconds": network_s + masks_s}


def in_process(mode: str, argument: str, extra_path: str = "") -> dict[str, Any]:
    """Run one of the above in a fresh process."""
    environment = dict(os.environ)
    if extra_path:
        environment["PYTHONPATH"] = extra_path + os.pathsep + environment.get("PYTHONPATH", "")
    command = [sys.executable, __file__, "--child", mode, argument]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{mode} failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(size_px: int, n: int, folder: Path, cellpose3: str) -> dict[str, Any]:
    """Time all sides on one field."""
    path = folder / f"field_{size_px}.tif"
    write_field(path, size_px, n)
    ours = in_process("ours", str(path))
    sam = in_process("sam", str(size_px))
    row = {"size_px": size_px, "drawn_grains": n, "ours": ours, "cellpose_sam": sam}
    row["times_faster_than_sam"] = sam["seconds"] / ours["seconds"]["total"]
    if cellpose3:
        row["cellpose3"] = in_process("cellpose3", str(path), cellpose3)
        row["times_faster_than_cellpose3"] = row["cellpose3"]["seconds"] / ours["seconds"]["total"]
    return row


def show(row: dict[str, Any]) -> None:
    """Print one field's figures."""
    ours, sam = row["ours"], row["cellpose_sam"]
    print(
        f"{row['size_px']} x {row['size_px']}: {ours['grains']} grains, "
        f"peak memory {ours['peak_mb']:.0f} MB"
    )
    print("  " + "  ".join(f"{name} {s:.2f}" for name, s in ours["seconds"].items()) + "  (s)")
    print(
        f"  Cellpose-SAM (random weights): {sam['tile_s']:.1f} s a tile x {sam['tiles']} tiles = "
        f"{sam['seconds']:.0f} s, {row['times_faster_than_sam']:.0f} times ours"
    )
    if "cellpose3" in row:
        print(
            f"  Cellpose 3.1.1.3, full size (random weights): "
            f"network {row['cellpose3']['network_s']:.1f} s + masks (of the true flows) "
            f"{row['cellpose3']['masks_s']:.1f} s, "
            f"{row['times_faster_than_cellpose3']:.1f} times ours"
        )


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cellpose3", default="", help="folder that holds cellpose 3.1.1.3")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        mode, argument = args.child
        runs = {
            "ours": lambda: our_run(Path(argument)),
            "sam": lambda: sam_run(int(argument)),
            "cellpose3": lambda: cellpose3_run(Path(argument)),
        }
        print(json.dumps(runs[mode]()))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [compare(*case, Path(folder), args.cellpose3) for case in CASES]
    if args.json:
        print(json.dumps({"cases": rows}))
    else:
        for row in rows:
            show(row)


if __name__ == "__main__":
    main()
