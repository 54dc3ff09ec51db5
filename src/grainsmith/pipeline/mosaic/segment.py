"""Segment a mosaic block by block into an OME-Zarr with labels and a table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

import grainsmith
from grainsmith.data import no_progress
from grainsmith.errors import Hint, MismatchError, WriteError
from grainsmith.io.files.atomic_write import modification_stamp
from grainsmith.io.files.provenance import read_json, write_json
from grainsmith.io.mosaics.lazy_maps import open_lazy_maps
from grainsmith.io.mosaics.ome_zarr import (
    build_coarser_levels,
    create_pyramid,
    open_levels,
    write_labels_group,
)
from grainsmith.io.mosaics.reader import open_mosaic
from grainsmith.models.registry import find_weights, fingerprint_of, load_model
from grainsmith.pipeline.executors.base import for_each
from grainsmith.pipeline.executors.types import Scheduler
from grainsmith.pipeline.mosaic.blocks import (
    compute_tile,
    measure_block_grains,
    open_job,
    segment_block,
    write_block_labels,
)
from grainsmith.pipeline.mosaic.element_maps import TRANSFORMS, align_mosaic_maps, write_placed_maps
from grainsmith.pipeline.mosaic.normalization import (
    canonical_orientation,
    gray_limits,
    typical_diameter,
)
from grainsmith.pipeline.mosaic.staging import (
    check_disk_space,
    check_target_is_new,
    resumable_error,
    staging_folder,
)
from grainsmith.pipeline.mosaic.stitching import stitch
from grainsmith.pipeline.mosaic.summary import FACTS, write_summary
from grainsmith.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grainsmith.data import OnProgress
    from grainsmith.io.mosaics.lazy_maps import LazyMap
    from grainsmith.io.mosaics.reader import Mosaic
    from grainsmith.pipeline.mosaic.blocks import Job
    from grainsmith.pipeline.mosaic.stitching import StitchedGrains
    from grainsmith.segment import SegmentSettings

BLOCK_PX = 2048
_HALO_DIAMETERS = 8.0
_HALO_PX = (128, 512)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentedMosaic:
    """Result of `segment_mosaic`.

    Attributes
    ----------
    folder : str
        The OME-Zarr: image, `labels/grains`, `grains.csv`, `grains.json`, `statistics.json`,
        `recipe.yaml`.
    n_grains : int
    diameter_px : float
        Diameter of the smaller grains of the whole mosaic.
    halo_px : int
        Overlap of blocks on each side.
    black, white : float
        Gray values normalized to 0 and 1 in the whole mosaic.
    pixel_size_um : float
    """

    folder: str
    n_grains: int
    diameter_px: float
    halo_px: int
    black: float
    white: float
    pixel_size_um: float


def segment_mosaic(
    image: str | Path,
    output: str | Path,
    settings: SegmentSettings,
    *,
    maps: Sequence[str | Path] = (),
    scheduler: str = "none",
    resume: bool = False,
    block_px: int = BLOCK_PX,
    halo_px: int = 0,
    on_progress: OnProgress = no_progress,
    on_message: Callable[[str], None] | None = None,
) -> SegmentedMosaic:
    """Find the grains of a mosaic block by block.

    Parameters
    ----------
    image : path
        Any file that `open_mosaic` opens.
    output : path
        New folder. Its name ends in `.part` until it is complete.
    settings : SegmentSettings
    maps : sequence of paths
        Element maps, as `open_lazy_maps` takes them.
    scheduler : str
        none, local, local:N or tcp://HOST:PORT.
    resume : bool
        Continue an interrupted run of the same image, maps, settings, model and version of
        Grainsmith.
    block_px : int
        Side of a block, a multiple of 512.
    halo_px : int
        Overlap of blocks on each side; 0 = eight diameters, between 128 and 512.
    on_progress : callable
        Receives (finished steps, all steps); an exception in it stops the work.
    on_message : callable, optional
        Receives messages for the user.

    Raises
    ------
    GrainsmithError
        No scheduler answers at the address.
    ReadError
        The image is not a mosaic, or a part of it cannot be read.
    WriteError
        The output exists, another run is writing it, the folder is read-only or the disk full.
    MismatchError
        The interrupted run had other parameters.
    """
    target = Path(output)
    Scheduler.parse(scheduler).check()
    if block_px % 512 or block_px <= 0:
        raise ValueError(f"block_px must be a multiple of 512, got {block_px}")
    check_target_is_new(target)
    mosaic = open_mosaic(image)
    opened = open_lazy_maps(maps) if maps else ()
    wanted = _wanted(mosaic, settings, opened, block_px, halo_px)
    with staging_folder(target) as folder:
        _begin(folder, mosaic, settings, wanted, resume=resume)
        job = open_job(str(folder))
        check_disk_space(folder, job)
        try:
            return _work(job, target, _Maps(opened, maps), scheduler, on_progress, on_message)
        except (OSError, WriteError) as error:
            raise resumable_error(folder, error) from error


@dataclass(frozen=True, slots=True)
class _Maps:
    opened: tuple[LazyMap, ...]
    paths: Sequence[str | Path]


def _work(
    job: Job,
    target: Path,
    maps: _Maps,
    scheduler: str,
    on_progress: OnProgress,
    on_message: Callable[[str], None] | None,
) -> SegmentedMosaic:
    folder = str(job.folder)
    tiles, blocks = job.layout.ids(), job.blocks()
    total = len(tiles) + 3 * len(blocks) + bool(maps.paths)
    steps = _Steps(total, scheduler, on_progress, on_message)
    # Finished blocks no longer need their tiles.
    drawn = all(job.block_file(block).exists() for block in blocks)
    steps.run(compute_tile, [] if drawn else [(folder, tile) for tile in tiles])
    steps.run(segment_block, [(folder, block) for block in blocks])
    stitched = stitch({block: np.load(job.block_file(block)) for block in blocks})
    _create(job)
    steps.run(write_block_labels, [(folder, block, stitched.numbers[block]) for block in blocks])
    build_coarser_levels(open_levels(job.folder / "out.zarr" / "labels" / "grains", writable=True),
                 labels=True)  # fmt: skip
    _place(job, maps, steps, on_message)
    table = _table(job, stitched, steps)
    return _finish(job, target, table)


class _Steps:
    """Runs several functions over items with one common progress."""

    def __init__(
        self,
        total: int,
        scheduler: str,
        on_progress: OnProgress,
        on_message: Callable[[str], None] | None,
    ) -> None:
        self._total, self._done = total, 0
        self._scheduler, self._on_progress, self._on_message = scheduler, on_progress, on_message

    def run(self, func: Callable[..., Any], items: Sequence[Any]) -> list[Any]:
        """Return the results in the order of the items; raise the first error."""
        results: list[Any] = [None] * len(items)
        for result in for_each(
            func,
            items,
            scheduler=self._scheduler,
            on_progress=lambda done, _total: self._on_progress(self._done + done, self._total),
            on_message=self._on_message,
        ):
            results[result.number] = result.result()
        self._done += len(items)
        return results

    def run_here(self, done: int, total: int) -> None:
        """Report progress of one step that runs in this process."""
        if done == total:
            self._done += 1
        self._on_progress(self._done, self._total)


def _wanted(
    mosaic: Mosaic,
    settings: SegmentSettings,
    maps: Sequence[LazyMap],
    block_px: int,
    halo_px: int,
) -> dict[str, Any]:
    """Return the parameters that must be equal to resume a run."""

    def file_state(source: str) -> list[Any]:
        path = Path(source).resolve()
        return [str(path), *modification_stamp(path)]

    image, *written = file_state(mosaic.source)
    return {
        "image": image,
        "image_written": written,
        "shape": list(mosaic.shape),
        "settings": asdict(settings),
        "model": fingerprint_of(find_weights(settings.model)),
        "maps": [file_state(element_map.mosaic.source) for element_map in maps],
        "block_px": block_px,
        "halo_asked_px": halo_px,
        "version_of_grainsmith": grainsmith.__version__,
    }


def _begin(
    folder: Path,
    mosaic: Mosaic,
    settings: SegmentSettings,
    wanted: dict[str, Any],
    *,
    resume: bool,
) -> None:
    """Write the parameters of all workers, or check those of the interrupted run."""
    if (folder / "job.json").exists():
        if not resume:
            raise WriteError(f"{folder} holds an unfinished result", hint=Hint.RESUME_OR_REMOVE)
        begun = read_json(folder / "job.json")
        different = [name for name, value in wanted.items() if begun.get(name) != value]
        if different:
            raise MismatchError(
                f"{folder} was started with another {_joined_names(different)}: "
                "use the same, or remove the folder"
            )
        return
    low, high = gray_limits(mosaic)
    orientation = canonical_orientation(mosaic, low, high)
    diameter_px = settings.diameter_px
    if not diameter_px:
        model = load_model(settings.model, device=settings.device)
        diameter_px = typical_diameter(
            mosaic, model, settings, orientation=orientation, low=low, high=high
        )
    halo = int(np.clip(np.ceil(_HALO_DIAMETERS * diameter_px), *_HALO_PX))
    parameters = {
        "low": low,
        "high": high,
        "turn": [orientation.upside_down, orientation.left_right, orientation.exchanged],
        "diameter_px": diameter_px,
        "halo_px": wanted["halo_asked_px"] or halo,
    }
    write_json(folder / "job.json", {**wanted, **parameters})


def _joined_names(names: Sequence[str]) -> str:
    return ", ".join(name.removesuffix("_px").replace("_", " ") for name in names)


def _create(job: Job) -> None:
    """Create the OME-Zarr with the image and empty labels, unless an earlier run did."""
    out, mosaic = job.folder / "out.zarr", job.mosaic
    labels = out / "labels" / "grains"
    same: dict[str, Any] = {"pixel_size_um": mosaic.pixel_size_um}
    first = mosaic.levels[0]
    if not (job.folder / "picture.done").exists():
        levels = create_pyramid(
            out, name=Path(mosaic.source).stem, shape=first.shape, dtype=first.dtype, **same
        )
        for block in job.blocks():
            y0, y1, x0, x1 = job.core(block)
            levels[0][y0:y1, x0:x1] = mosaic.window(y0, y1, x0, x1)
        build_coarser_levels(levels, labels=False)
        (job.folder / "picture.done").touch()
    write_labels_group(out, ["grains"])
    create_pyramid(labels, name="grains", shape=mosaic.shape, dtype=np.int32, labels=True, **same)


def _place(job: Job, maps: _Maps, steps: _Steps, on_message: Callable[[str], None] | None) -> None:
    """Align the maps, unless an earlier run did."""
    out = job.folder / "out.zarr"
    if not maps.paths or (out / TRANSFORMS).exists():
        return
    mosaic = open_mosaic(out)
    transforms, records = align_mosaic_maps(mosaic, maps.opened, on_progress=steps.run_here)
    write_placed_maps(out, maps.opened, transforms, records, maps.paths)
    for element_map, row in zip(maps.opened, records, strict=True):
        if on_message:
            refined = f", refined by {row['n_tiles']} tiles" if row["refined"] else ""
            note = f" · {row['note']}" if row["note"] else ""
            on_message(f"{element_map.name}: {row['verdict']}{refined}{note}")


def _table(job: Job, stitched: StitchedGrains, steps: _Steps) -> pd.DataFrame:
    blocks = job.blocks()
    items = []
    facts = np.zeros((len(stitched.owner), 3))
    for place, block in enumerate(blocks):
        mine = np.flatnonzero(stitched.owner == place)
        if not len(mine):
            continue
        box = stitched.boxes[mine]
        y0, x0 = (int(n) for n in box[:, :2].min(axis=0))
        y1, x1 = (int(n) for n in box[:, 2:].max(axis=0))
        items.append((str(job.folder), (y0, y1, x0, x1), (mine + 1).astype(np.int32)))
        with np.load(job.block_file(block)) as kept:
            values = np.stack(
                [kept[n] for n in ("confidence", "flow_error", "probability")], axis=1
            )
            facts[mine] = values[stitched.local[mine] - 1]
    tables = steps.run(measure_block_grains, items)
    if not tables:
        return pd.DataFrame(index=pd.Index([], name="label"))
    table = pd.concat(tables).sort_index()
    places: npt.NDArray[Any] = table.index.to_numpy() - 1
    for column, name in enumerate(("confidence", "flow_error", "probability")):
        table[name] = facts[places, column]
    table["source"] = "model"
    return table


def _finish(job: Job, target: Path, table: pd.DataFrame) -> SegmentedMosaic:
    """Write the table, and rename the result to its final name."""
    out = job.folder / "out.zarr"
    result = SegmentedMosaic(
        folder=str(target),
        n_grains=len(table),
        diameter_px=job.diameter_px,
        halo_px=job.halo_px,
        black=job.low,
        white=job.high,
        pixel_size_um=job.mosaic.pixel_size_um,
    )
    model = job.model()
    write_json(
        out / FACTS,
        {
            **asdict(result),
            "image": job.mosaic.source,
            "settings": {"segment": asdict(job.settings)},
            "model": {"name": model.name, "sha256": model.fingerprint},
        },
    )
    Recipe(segment=job.settings).write(out / "recipe.yaml")
    write_summary(out, table, job.mosaic.shape, next_label=len(table) + 1, hand_edited=0)
    try:
        out.rename(target)
    except OSError as error:
        raise WriteError(f"{target} could not be created: {error.strerror or error}") from error
    return result
