"""Grey values of every grain: of its core, where no neighbour shines in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.measure._numba import compiled, in_threads

if TYPE_CHECKING:
    from grainsmith.data import Image, LabelImage
    from grainsmith.measure.region_moments import RegionMoments

CORE_PX = 2
"""The core lies deeper than this under the grain's edge, in pixels of the image or map."""

LEAST_CORE = 9
"""A core of fewer pixels says little: then pixels nearer to the edge are taken too."""

_GRAINS_PER_CHUNK = 512


def channels_of(
    image: Image | Mapping[str, npt.NDArray[Any]] | None,
) -> dict[str, npt.NDArray[Any]]:
    """Return the channels of an image by name; an empty dict for no image."""
    if image is None:
        return {}
    if isinstance(image, Mapping):
        return dict(image)
    if image.ndim == 3:
        return {name: image[..., i] for i, name in enumerate(("red", "green", "blue"))}
    return {"image": image}


def intensity_columns(
    labels: LabelImage, scan: RegionMoments, channels: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[np.float64]]:
    """Return mean, median and spread of every channel over the cores of the grains of a scan."""
    columns = {}
    for name, channel in channels.items():
        core = core_values(labels, scan, channel)
        columns[f"mean_{name}"] = core[:, 1]
        columns[f"median_{name}"] = core[:, 2]
        columns[f"spread_{name}"] = core[:, 3]
    return columns


def core_values(
    labels: LabelImage, scan: RegionMoments, channel: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Return pixels, mean, median, spread and standard deviation of every grain's core.

    Parameters
    ----------
    labels, channel : (Y, X) array
        Of one grid; not-a-number in the channel is left out.
    scan : RegionMoments
        The grains of these labels.

    Returns
    -------
    (N, 5) float64 array
        The spread is 1.4826 times the median absolute deviation. NaN without any pixel.
    """
    known = (np.uint8, np.uint16, np.float32, np.float64)
    if channel.dtype not in known:  # each type costs a compilation
        channel = channel.astype(np.float64)
    out = np.full((len(scan), 5), np.nan)

    def measure_chunk(start: int) -> None:
        chunk = slice(start, start + _GRAINS_PER_CHUNK)
        _core_values(labels, scan.ids[chunk], scan.boxes[chunk], channel, out[chunk])

    in_threads(measure_chunk, range(0, len(scan), _GRAINS_PER_CHUNK))
    return out


@compiled
def _core_values(
    labels: npt.NDArray[np.int32],
    ids: npt.NDArray[np.int32],
    boxes: npt.NDArray[np.int64],
    channel: npt.NDArray[Any],
    out: npt.NDArray[np.float64],
) -> None:
    for i in range(len(ids)):
        top, left, bottom, right = boxes[i]
        values = np.empty((bottom - top) * (right - left), np.float64)
        depths = np.empty(len(values), np.uint8)
        found = np.zeros(CORE_PX + 1, np.int64)
        n = 0
        for y in range(top, bottom):
            for x in range(left, right):
                if labels[y, x] == ids[i] and not np.isnan(channel[y, x]):
                    values[n], depths[n] = channel[y, x], _depth(labels, y, x)
                    found[: depths[n] + 1] += 1
                    n += 1
        depth = CORE_PX
        while depth > 0 and found[depth] < LEAST_CORE:
            depth -= 1
        core = values[:n][depths[:n] >= depth]
        out[i, 0] = len(core)
        if len(core):
            middle = np.median(core)
            out[i, 1], out[i, 2] = core.mean(), middle
            out[i, 3] = 1.4826 * np.median(np.abs(core - middle))
            out[i, 4] = core.std()


@compiled
def _depth(labels: npt.NDArray[np.int32], y: int, x: int) -> int:
    # How many pixels (at most 2, Euclidean) lie between this one and the next that is not its own.
    height, width = labels.shape
    own = labels[y, x]
    depth = 2
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            square = dy * dy + dx * dx
            if square > 4:
                continue
            v, u = y + dy, x + dx
            inside = 0 <= v < height and 0 <= u < width
            if inside and labels[v, u] == own:
                continue
            if square <= 1:
                return 0
            depth = 1
    return depth
