"""Measure the intensity of grain cores, where neighbours contribute least."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.parallel import compiled, map_threads

if TYPE_CHECKING:
    from grainsmith.data import Image, LabelImage
    from grainsmith.measure.region_moments import RegionMoments

CORE_PX = 2
"""Distance of the core from the grain boundary, in pixels of the image or map."""

MIN_CORE_PIXELS = 9
"""With fewer core pixels, pixels nearer to the boundary are included."""

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
    labels: LabelImage, regions: RegionMoments, channels: Mapping[str, npt.NDArray[Any]]
) -> dict[str, npt.NDArray[np.float64]]:
    """Compute mean, median and spread of every channel over the grain cores."""
    columns = {}
    for name, channel in channels.items():
        core = core_values(labels, regions, channel)
        columns[f"mean_{name}"] = core[:, 1]
        columns[f"median_{name}"] = core[:, 2]
        columns[f"spread_{name}"] = core[:, 3]
    return columns


def core_values(
    labels: LabelImage, regions: RegionMoments, channel: npt.NDArray[Any]
) -> npt.NDArray[np.float64]:
    """Compute pixel count, mean, median, spread and standard deviation of grain cores.

    Parameters
    ----------
    labels, channel : (Y, X) array
        On the same grid; NaN in the channel is ignored.
    regions : RegionMoments
        The grains of these labels.

    Returns
    -------
    (N, 5) float64 array
        The spread is 1.4826 times the median absolute deviation. NaN for grains without pixels.
    """
    compiled_dtypes = (np.uint8, np.uint16, np.float32, np.float64)
    if channel.dtype not in compiled_dtypes:  # each dtype costs a compilation
        channel = channel.astype(np.float64)
    out = np.full((len(regions), 5), np.nan)

    def measure_chunk(start: int) -> None:
        chunk = slice(start, start + _GRAINS_PER_CHUNK)
        _core_values(labels, regions.ids[chunk], regions.boxes[chunk], channel, out[chunk])

    map_threads(measure_chunk, range(0, len(regions), _GRAINS_PER_CHUNK))
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
        pixels_at_depth = np.zeros(CORE_PX + 1, np.int64)
        n = 0
        for y in range(top, bottom):
            for x in range(left, right):
                if labels[y, x] == ids[i] and not np.isnan(channel[y, x]):
                    values[n], depths[n] = channel[y, x], depth_in_region(labels, y, x)
                    pixels_at_depth[: depths[n] + 1] += 1
                    n += 1
        depth = CORE_PX
        while depth > 0 and pixels_at_depth[depth] < MIN_CORE_PIXELS:
            depth -= 1
        core = values[:n][depths[:n] >= depth]
        out[i, 0] = len(core)
        if len(core):
            middle = np.median(core)
            out[i, 1], out[i, 2] = core.mean(), middle
            out[i, 3] = 1.4826 * np.median(np.abs(core - middle))
            out[i, 4] = core.std()


@compiled
def depth_in_region(labels: npt.NDArray[np.int32], y: int, x: int) -> int:
    """Compute the Euclidean depth of a pixel below the boundary of its label, at most 2."""
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
