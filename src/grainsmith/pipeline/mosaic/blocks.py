"""Tasks of the workers of a mosaic: tiles, blocks, labels of a block, grains of a block.

They are pure functions of the files in the staging folder: they write the same files in any order,
on any worker, and when repeated.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.data import no_progress
from grainsmith.io.files.atomic_write import atomic_write, modification_stamp
from grainsmith.io.files.provenance import read_json
from grainsmith.io.mosaics.ome_zarr import open_levels
from grainsmith.io.mosaics.reader import open_mosaic
from grainsmith.measure import measure_grains
from grainsmith.models.registry import find_weights, load_model
from grainsmith.pipeline.mosaic.element_maps import measure_mosaic_maps, placed_maps
from grainsmith.pipeline.mosaic.normalization import (
    normalize_window,
    oriented_shape,
    oriented_window,
    revert_labels,
    source_window,
)
from grainsmith.segment import SegmentSettings, draw_grains
from grainsmith.segment.orientation import Orientation
from grainsmith.segment.tiled import Layout, blend_window, plan, predict_layout_tile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from grainsmith.data import OnProgress
    from grainsmith.io.mosaics.reader import Mosaic
    from grainsmith.models.model import Model
    from grainsmith.pipeline.mosaic.element_maps import PlacedMap
    from grainsmith.segment.tiled import TileId, Window

BlockId = tuple[int, int]
MEASURE_MARGIN_PX = 4
"""Margin around the boxes of measured grains: shape measures look one pixel beyond the box."""
_FACTS = ("confidence", "flow_error", "probability")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Mosaic in segmentation: parameters shared by all workers.

    The network sees the mosaic in its canonical orientation, to which `layout` refers.
    """

    folder: Path
    mosaic: Mosaic
    settings: SegmentSettings
    layout: Layout
    orientation: Orientation
    low: float
    high: float
    diameter_px: float
    halo_px: int
    block_px: int

    def model(self) -> Model:
        """Return the network, cached per process."""
        return model_of(self.settings)

    def blocks(self) -> list[BlockId]:
        """Return all blocks in reading order."""
        rows, columns = (-(-n // self.block_px) for n in self.mosaic.shape)
        return [(i, j) for i in range(rows) for j in range(columns)]

    def core(self, block: BlockId) -> Window:
        """Return the window of the pixels that belong to a block."""
        (rows, columns), side = self.mosaic.shape, self.block_px
        i, j = block
        return i * side, min((i + 1) * side, rows), j * side, min((j + 1) * side, columns)

    def window(self, block: BlockId) -> Window:
        """Return the core of a block with its halo."""
        y0, y1, x0, x1 = self.core(block)
        (rows, columns), halo = self.mosaic.shape, self.halo_px
        return max(0, y0 - halo), min(rows, y1 + halo), max(0, x0 - halo), min(columns, x1 + halo)

    def tile_file(self, tile: TileId) -> Path:
        """Return the file for the prediction of a tile."""
        return self.folder / "tiles" / ("-".join(map(str, tile)) + ".npy")

    def block_file(self, block: BlockId) -> Path:
        """Return the file for the grains of a block before stitching."""
        return self.folder / "blocks" / f"{block[0]}-{block[1]}.npz"

    def oriented_gray(self, window: Window) -> npt.NDArray[np.float32]:
        """Return normalized gray values of a window of the oriented image."""
        before = source_window(self.orientation, window, self.mosaic.shape)
        return self.orientation.apply(normalize_window(self.mosaic, before, self.low, self.high))


def model_of(settings: SegmentSettings) -> Model:
    """Return the network, cached per process until its file changes."""
    path = find_weights(settings.model).path
    return _model(settings.model, settings.device, modification_stamp(path))


@lru_cache(maxsize=2)
def _model(name: str, device: str, _written: tuple[int, int]) -> Model:
    return load_model(name, device=device)


def open_job(folder: str) -> Job:
    """Open a staging folder."""
    # Workers outlive their clients: the folder may have been created again.
    return _open_job(folder, modification_stamp(Path(folder) / "job.json"))


@lru_cache(maxsize=2)
def _open_job(folder: str, _written: tuple[int, int]) -> Job:
    content = read_json(Path(folder) / "job.json")
    settings = SegmentSettings(**content["settings"])
    mosaic = open_mosaic(content["image"])
    model = model_of(settings)
    orientation = Orientation(*content["turn"])
    shape = oriented_shape(orientation, mosaic.shape)
    return Job(
        folder=Path(folder),
        mosaic=mosaic,
        settings=settings,
        layout=plan(shape, model, settings, content["diameter_px"]),
        orientation=orientation,
        low=content["low"],
        high=content["high"],
        diameter_px=content["diameter_px"],
        halo_px=content["halo_px"],
        block_px=content["block_px"],
    )


def compute_tile(item: tuple[str, TileId], on_progress: OnProgress) -> None:
    """Predict a tile unless its file exists."""
    job = open_job(item[0])
    target = job.tile_file(item[1])
    if target.exists():
        return
    prediction = predict_layout_tile(job.layout, item[1], job.model(), job.oriented_gray)
    with atomic_write(target) as temporary:
        np.save(temporary, prediction.astype(np.float16))
    on_progress(1, 1)


def segment_block(item: tuple[str, BlockId], on_progress: OnProgress) -> None:
    """Draw the grains of a block and its halo unless its file exists."""
    job, block = open_job(item[0]), item[1]
    target = job.block_file(block)
    if target.exists():
        return
    window = job.window(block)
    prediction = blend_window(
        job.layout,
        oriented_window(job.orientation, window, job.mosaic.shape),
        lambda tile: np.load(job.tile_file(tile), mmap_mode="r"),
        diameter_px=job.diameter_px,
    )
    grains = draw_grains(prediction, job.settings)
    facts: dict[str, Any] = {name: grains.table[name].to_numpy(float) for name in _FACTS}
    grains_of_block: dict[str, Any] = describe_grains(
        revert_labels(job.orientation, grains.labels), window, job.core(block), job.mosaic.shape
    )
    with atomic_write(target) as temporary:
        np.savez_compressed(temporary, **grains_of_block, **facts)
    on_progress(1, 1)


def describe_grains(
    labels: npt.NDArray[np.int32], window: Window, core: Window, shape: tuple[int, int]
) -> dict[str, npt.NDArray[Any]]:
    """Describe the grains of a window, numbered 1..n, for stitching.

    Returns
    -------
    dict of arrays
        `labels` (the core), `right` and `below` (the column and the row just beyond it), and per
        grain `key` (its first pixel in reading order, counted over the mosaic), `box` (y0, x0, y1,
        x1 in the mosaic) and `whole` (the window's edge does not cut it).
    """
    n = int(labels.max(initial=0))
    y0, y1, x0, x1 = window
    ys, xs = np.nonzero(labels)
    ids = labels[ys, xs] - 1
    box = np.zeros((n, 4), np.int64)
    box[:, :2] = np.iinfo(np.int64).max
    np.minimum.at(box[:, 0], ids, ys)
    np.minimum.at(box[:, 1], ids, xs)
    np.maximum.at(box[:, 2], ids, ys + 1)
    np.maximum.at(box[:, 3], ids, xs + 1)
    box += (y0, x0, y0, x0)
    key = np.full(n, np.iinfo(np.int64).max)
    np.minimum.at(key, ids, (ys + y0) * np.int64(shape[1]) + xs + x0)
    cut = (
        ((box[:, 0] == y0) & (y0 > 0))
        | ((box[:, 1] == x0) & (x0 > 0))
        | ((box[:, 2] == y1) & (y1 < shape[0]))
        | ((box[:, 3] == x1) & (x1 < shape[1]))
    )
    rows = slice(core[0] - y0, core[1] - y0)
    columns = slice(core[2] - x0, core[3] - x0)
    right = labels[rows, core[3] - x0] if core[3] < shape[1] else np.zeros(0, np.int32)
    below = labels[core[1] - y0, columns] if core[1] < shape[0] else np.zeros(0, np.int32)
    return {
        "labels": labels[rows, columns],
        "right": right,
        "below": below,
        "key": key,
        "box": box,
        "whole": ~cut,
    }


def write_block_labels(
    item: tuple[str, BlockId, npt.NDArray[np.int32]], on_progress: OnProgress
) -> None:
    """Write the labels of a block with mosaic numbers."""
    job = open_job(item[0])
    y0, y1, x0, x1 = job.core(item[1])
    with np.load(job.block_file(item[1])) as kept:
        numbered = item[2][kept["labels"]]
    open_levels(job.folder / "out.zarr" / "labels" / "grains", writable=True)[0][y0:y1, x0:x1] = (
        numbered
    )
    on_progress(1, 1)


def measure_block_grains(
    item: tuple[str, Window, npt.NDArray[np.int32]], on_progress: OnProgress
) -> pd.DataFrame:
    """Measure grains in the smallest window that contains them whole."""
    job, ids = open_job(item[0]), item[2]
    window = expand_window(item[1], MEASURE_MARGIN_PX, job.mosaic.shape)
    y0, y1, x0, x1 = window
    levels = open_levels(job.folder / "out.zarr" / "labels" / "grains")
    labels = np.asarray(levels[0][y0:y1, x0:x1])
    placed = placed_maps(str(job.folder / "out.zarr"))
    return measure_inside(labels, window, job.mosaic, ids, placed, on_progress)


def expand_window(window: Window, by_px: int, shape: tuple[int, int]) -> Window:
    """Return a window extended on all sides within the mosaic."""
    y0, y1, x0, x1 = window
    return (
        max(0, y0 - by_px),
        min(shape[0], y1 + by_px),
        max(0, x0 - by_px),
        min(shape[1], x1 + by_px),
    )


def measure_inside(
    labels: npt.NDArray[np.int32],
    window: Window,
    mosaic: Mosaic,
    ids: npt.NDArray[Any],
    placed: Sequence[PlacedMap] = (),
    on_progress: OnProgress = no_progress,
) -> pd.DataFrame:
    """Measure grains of a window with positions in the whole mosaic.

    Parameters
    ----------
    labels : (Y, X) int32 array
        Labels of the window, which contains the measured grains whole.
    window : Window
        In pixels of the mosaic; exceeds the box of every grain by `MEASURE_MARGIN_PX`.
    mosaic : Mosaic
        The image.
    ids : (N,) int array
        Grains to measure.
    placed : sequence of PlacedMap
        Maps to measure.
    on_progress : callable
        Receives (measured grains, all grains).

    Returns
    -------
    DataFrame
        Columns of `measure.measure_grains` and `measure.measure_maps`, positions in the mosaic.
    """
    (y0, _, x0, _), (rows, columns) = window, mosaic.shape
    table = measure_grains(
        labels,
        pixel_size_um=mosaic.pixel_size_um,
        image=mosaic.window(*window),
        only=ids.tolist(),
        on_progress=on_progress,
    )
    for name, shift in (("y_px", y0), ("top_px", y0), ("x_px", x0), ("left_px", x0)):
        table[name] += shift
    table["touches_edge"] = (
        (table["top_px"] == 0)
        | (table["left_px"] == 0)
        | (table["top_px"] + table["height_px"] == rows)
        | (table["left_px"] + table["width_px"] == columns)
    )
    return table.join(measure_mosaic_maps(labels, window, placed, ids)) if placed else table
