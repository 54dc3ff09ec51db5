"""Element maps of a mosaic: aligned on a coarse level, refined by tiles, read block by block."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.align import AlignSettings, MovingImage, align_maps, register_images
from grainsmith.align.landmarks import fit_points, residuals_px, robust_fit
from grainsmith.data import ElementMap, SemImage, Transform, no_progress
from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import modification_stamp
from grainsmith.io.files.provenance import read_json
from grainsmith.io.mosaics.lazy_maps import open_lazy_maps
from grainsmith.io.transforms import read_transforms, write_transforms
from grainsmith.measure import measure_maps

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from grainsmith.data import OnProgress
    from grainsmith.io.mosaics.lazy_maps import LazyMap
    from grainsmith.io.mosaics.reader import Mosaic
    from grainsmith.segment.tiled import Window

    Matrix = npt.NDArray[np.float64]
    Points = npt.NDArray[np.float64]

TRANSFORMS = "transforms.json"
COARSE_PX = 1536
"""Longest side of the level on which maps are found."""

_TILE_PX = 1024
_TILES = 4
_FEWEST_TILES = 3
_AFFINE_TILES = 6
_MARGIN_PX = 4
_STRIP_PX = 16_000_000


@dataclass(frozen=True, slots=True)
class PlacedMap:
    """A map and where it lies: pixels of the map -> pixels of the mosaic."""

    map: LazyMap
    transform: Transform


def align_mosaic_maps(
    mosaic: Mosaic, maps: Sequence[LazyMap], *, on_progress: OnProgress = no_progress
) -> tuple[list[Transform], list[dict[str, Any]]]:
    """Find where the maps of a mosaic lie on it.

    All are looked at on a coarse level first. Where that finds a map, tiles of the full image
    correct it: each says how far it is off there, and one transform is laid through them all.

    Parameters
    ----------
    mosaic : Mosaic
    maps : sequence of LazyMap
    on_progress : callable
        Told (steps done, steps in all).

    Returns
    -------
    list of Transform, list of dict
        Per map: pixels of the map -> pixels of the mosaic, and its record (group,
        verdict, how many tiles took part, their median distance in px, a note).
    """
    places = _tile_places(mosaic.shape)
    total = len(places) + 1
    on_progress(0, total)
    image, factor = shrunk(mosaic)
    small = [shrunk(lazy_map.mosaic) for lazy_map in maps]
    reference = SemImage(image=image, pixel_size_um=mosaic.pixel_size_um * factor)
    found = align_maps(
        reference,
        [
            ElementMap(
                values=values,
                element=lazy_map.element,
                line=lazy_map.line,
                kind=lazy_map.kind,
                pixel_size_um=lazy_map.mosaic.pixel_size_um * f,
                source=lazy_map.mosaic.source,
            )
            for lazy_map, (values, f) in zip(maps, small, strict=True)
        ],
    )
    full = [
        replace(row.transform, matrix=_finer(factor) @ row.transform.matrix @ _coarser(f))
        for row, (_, f) in zip(found.rows, small, strict=True)
    ]
    on_progress(1, total)
    groups = [row.group for row in found.rows]
    pairs: dict[str, list[tuple[Points, Points]]] = {group: [] for group in groups}
    for done, window in enumerate(places, start=2):
        for group in pairs:
            members = [n for n, member_group in enumerate(groups) if member_group == group]
            pairs[group] += _by_tile(mosaic, window, maps, full, members, factor)
        on_progress(done, total)
    records = []
    for n, row in enumerate(found.rows):
        full[n], facts = _refined(full[n], pairs[row.group], factor)
        records.append(
            {"group": row.group, "z": row.transform.z, "note": row.note, **facts,
             "verdict": full[n].verdict}
        )  # fmt: skip
    return full, records


def shrunk(mosaic: Mosaic) -> tuple[npt.NDArray[Any], int]:
    """Return a grey image or map of at most `COARSE_PX`, by means of blocks, and their side.

    It is read in strips, so memory is that of a strip.
    """
    factor = max(1, -(-max(mosaic.shape) // COARSE_PX))
    rows, columns = mosaic.shape
    height = max(factor, _STRIP_PX // columns // factor * factor)
    parts = []
    for y in range(0, rows, height):
        part = mosaic.window(y, min(y + height, rows), 0, columns).astype(np.float32)
        part = part.mean(axis=2) if part.ndim == 3 else part
        whole = part[: len(part) // factor * factor, : columns // factor * factor]
        by_row = whole.reshape(-1, whole.shape[1] // factor, factor).mean(axis=2)
        parts.append(by_row.reshape(-1, factor, by_row.shape[1]).mean(axis=1))
    return np.concatenate(parts), factor


def _finer(factor: int) -> Matrix:
    """From the centres of blocks to pixels."""
    matrix = np.diag([float(factor), float(factor), 1.0])
    matrix[:2, 2] = (factor - 1) / 2
    return matrix


def _coarser(factor: int) -> Matrix:
    back: Matrix = np.linalg.inv(_finer(factor)).astype(np.float64)
    return back


def _tile_places(shape: tuple[int, int]) -> list[Window]:
    spans = []
    for n in shape:
        side = min(n, _TILE_PX)
        count = min(_TILES, max(1, n // side))
        starts = np.linspace(0, n - side, count).astype(int)
        spans.append([(int(start), int(start) + side) for start in starts])
    return [(*rows, *columns) for rows in spans[0] for columns in spans[1]]


def _by_tile(
    mosaic: Mosaic,
    window: Window,
    maps: Sequence[LazyMap],
    transforms: Sequence[Transform],
    members: list[int],
    factor: int,
) -> list[tuple[Points, Points]]:
    """Return where the middle of a tile lies on the maps of a pass and on the mosaic, if seen.

    The first of the pair is the place by the coarse transform, the second the place found.
    """
    if any(transforms[n].verdict == "unsure" for n in members):
        return []
    moving, starts = [], []
    for n in members:
        part = map_window(transforms[n], window, maps[n].mosaic.shape)
        local = local_transform(transforms[n], window, part)
        values = maps[n].window(*part).values
        moving.append(MovingImage(image=values, name=maps[n].name, start=local.matrix))
        starts.append(local.matrix)
    # A coarse pixel and a half is the most that the coarse level can be wrong by.
    settings = AlignSettings(model="shift", max_shift_px=max(4.0, 1.5 * factor))
    found = register_images(
        mosaic.window(*window), moving, settings, groups=["tile"] * len(members)
    )
    if found.rows[0].transform.verdict not in ("aligned", "inherited"):
        return []
    moved = found.rows[0].transform.matrix @ np.linalg.inv(starts[0])
    middle = np.array([(window[1] - window[0]) / 2, (window[3] - window[2]) / 2])
    corner = np.array([window[0], window[2]])
    there = moved[:2, :2] @ middle + moved[:2, 2]
    return [(middle + corner, there + corner)]


def _refined(
    coarse: Transform, pairs: list[tuple[Points, Points]], factor: int
) -> tuple[Transform, dict[str, Any]]:
    """Lay the simplest transform that serves through the corrections of the tiles."""
    facts: dict[str, Any] = {"n_tiles": len(pairs), "misfit_px": None, "refined": False}
    if len(pairs) < _FEWEST_TILES or coarse.verdict not in ("aligned", "inherited"):
        return coarse, facts
    before, after = (np.array([pair[k] for pair in pairs]) for k in (0, 1))
    model = "affine" if len(pairs) >= _AFFINE_TILES else "similarity"
    try:
        correction, trust = robust_fit(before, after, model)
    except ValueError:  # all tiles on one line
        correction, trust = fit_points(before, after, "shift"), np.ones(len(pairs))
    misfit = float(np.median(residuals_px(before, after, correction)))
    facts["misfit_px"] = misfit
    if misfit > factor or (trust > 0.2).mean() < 0.5:
        return coarse, {**facts, "note": "the tiles contradict each other: the coarse place stays"}
    return replace(coarse, matrix=correction @ coarse.matrix), {**facts, "refined": True}


def map_window(transform: Transform, window: Window, shape: tuple[int, int]) -> Window:
    """Return the part of a map under a window of the mosaic; at least one pixel of it."""
    y0, y1, x0, x1 = window
    corners = transform.inverse().apply([(y, x) for y in (y0, y1 - 1) for x in (x0, x1 - 1)])
    edges: list[int] = []
    for axis, n in enumerate(shape):
        low = int(np.floor(corners[:, axis].min())) - _MARGIN_PX
        high = int(np.ceil(corners[:, axis].max())) + _MARGIN_PX + 1
        low = min(max(low, 0), n - 1)
        edges += [low, max(low + 1, min(high, n))]
    return edges[0], edges[1], edges[2], edges[3]


def local_transform(transform: Transform, window: Window, part: Window) -> Transform:
    """Return a transform between parts: pixels of a map's part -> pixels of the window."""
    into, out = np.eye(3), np.eye(3)
    into[:2, 2] = part[0], part[2]
    out[:2, 2] = -window[0], -window[2]
    return replace(transform, matrix=out @ transform.matrix @ into)


def measure_mosaic_maps(
    labels: npt.NDArray[np.int32],
    window: Window,
    placed: Sequence[PlacedMap],
    ids: npt.NDArray[Any],
) -> pd.DataFrame:
    """Read the maps in some grains of a window, as if in the whole mosaic.

    Parameters
    ----------
    labels : (Y, X) int32 array
        Of the window, in which those grains lie whole.
    window : Window
    placed : sequence of PlacedMap
    ids : (N,) int array
    """
    maps, transforms = [], []
    for placed_map in placed:
        part = map_window(placed_map.transform, window, placed_map.map.mosaic.shape)
        maps.append(placed_map.map.window(*part))
        transforms.append(local_transform(placed_map.transform, window, part))
    return measure_maps(labels, maps, transforms, only=ids.tolist())


def write_placed_maps(
    folder: str | Path,
    maps: Sequence[LazyMap],
    transforms: Sequence[Transform],
    records: Sequence[dict[str, Any]],
    paths: Sequence[str | Path],
) -> None:
    """Note in the folder of a mosaic which maps it has and where they lie."""
    names = [lazy_map.name for lazy_map in maps]
    sources = [str(Path(path).resolve()) for path in paths]
    write_transforms(
        Path(folder) / TRANSFORMS,
        dict(zip(names, transforms, strict=True)),
        reference="mosaic",
        rows={name: {**row, "sources": sources} for name, row in zip(names, records, strict=True)},
    )


def placed_maps(folder: str) -> tuple[PlacedMap, ...]:
    """Open the maps that `write_placed_maps` has recorded; () if there are none.

    Raises
    ------
    ReadError
        They have gone, or are others now.
    """
    path = Path(folder) / TRANSFORMS
    return _placed_maps(folder, modification_stamp(path)) if path.exists() else ()


@lru_cache(maxsize=2)
def _placed_maps(folder: str, _written: tuple[int, int]) -> tuple[PlacedMap, ...]:
    path = Path(folder) / TRANSFORMS
    transforms = read_transforms(path)
    opened = {
        lazy_map.name: lazy_map
        for lazy_map in open_lazy_maps(read_json(path)["maps"][0]["sources"])
    }
    missing = set(transforms) - set(opened)
    if missing:
        raise ReadError(f"{folder}: the map of {sorted(missing)[0]} is not there any more")
    return tuple(PlacedMap(opened[name], transform) for name, transform in transforms.items())
