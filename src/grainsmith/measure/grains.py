"""Measure grains: one row per grain, every column named with its unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.data import no_progress
from grainsmith.errors import MismatchError
from grainsmith.measure.intensity import channels_of, intensity_columns
from grainsmith.measure.region_moments import RegionMoments, present_labels, region_moments
from grainsmith.measure.roundness import trace_outlines, wadell_roundness
from grainsmith.measure.shape import (
    MARGIN,
    calipers,
    fill_holes,
    hull_area,
    hull_of_centers,
    inscribed_radius,
    perimeters,
)
from grainsmith.parallel import compiled, map_threads, thread_count

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from grainsmith.data import Image, LabelImage, OnProgress

RESOLUTION_PX = 20.0
"""Grains with a smaller minimum Feret diameter are flagged `below_resolution`.

PebbleCounts reports reliable sizes from a b-axis of 20 px (Purinton & Bookhagen 2019, doi
10.5194/esurf-7-859-2019). Synthetic discs agree: the diameter is off by 6 % at 10 px and by less
than 2 % at 20 px.
"""

_MIN_ROUNDNESS_RADIUS_PX = 5.0  # below this inscribed radius, corners and pixels look alike

_GRAINS_PER_CHUNK = 256

_LENGTHS = (
    "ecd",
    "major",
    "minor",
    "best_long",
    "best_short",
    "rect_long",
    "rect_short",
    "feret_max",
    "feret_min",
    "perimeter",
)


def measure_grains(
    labels: LabelImage,
    *,
    pixel_size_um: float = 0.0,
    image: Image | Mapping[str, npt.NDArray[Any]] | None = None,
    only: Iterable[int] | None = None,
    data_bar_rows: int = 0,
    on_progress: OnProgress = no_progress,
) -> pd.DataFrame:
    """Measure every grain of a label image.

    Parameters
    ----------
    labels : (Y, X) int array
        0 is background; labels need not be consecutive. All pixels with one label are one grain.
    pixel_size_um : float
        Side of a pixel in µm; 0 = unknown, which omits all columns in µm.
    image : (Y, X) or (Y, X, 3) array, or mapping of name to (Y, X) array, optional
        Intensity channels to measure. A grey image is named "image", the channels of a colour
        image "red", "green" and "blue".
    only : iterable of int, optional
        Labels to measure, such as those changed by an edit; all by default. The values are
        bit-identical to those of a full run.
    data_bar_rows : int
        Rows of the data bar at the bottom; a grain that ends there touches the edge.
    on_progress : OnProgress
        Called with (grains done, total).

    Returns
    -------
    DataFrame with index `label`
        y_px, x_px
            Centroid; pixel centres are at integers.
        top_px, left_px, height_px, width_px
            Bounding box.
        area_px, area_um2
            Number of pixels, and their area.
        ecd_px, ecd_um
            Diameter of the circle of equal area (equivalent circle diameter).
        major_*, minor_*
            Axes of the ellipse with the same second moments, each pixel counted as a square.
        rect_long_*, rect_short_*
            Sides of the minimum-area bounding rectangle.
        best_long_*, best_short_*
            Sides of the rectangle for elongated grains (aspect ratio 1.8 or more) that an ellipse
            fits poorly (major axis outside 0.90 to 1.02 of the rectangle), else the axes of the
            ellipse (Sitar & Leary 2023, doi 10.5194/gchron-5-109-2023).
        feret_max_*, feret_min_*
            Maximum and minimum distance between two parallel tangents.
        perimeter_*
            Crofton perimeter in eight directions, holes included.
        aspect_ratio
            major / minor, 1 or more.
        circularity, circularity_iso
            4 pi A / P² (the form factor of ImageJ), and its square root (ISO 9276-6), both
            clipped to 1, which small discs exceed by discretization.
        irn
            4 pi A / P² relative to that of the ellipse (Pokhrel et al. 2024): circularity
            corrected for elongation, which may exceed 1.
        solidity, convexity
            Area divided by the area of the convex hull; perimeter of the hull divided by the
            perimeter.
        roundness_wadell
            Mean corner radius divided by that of the inscribed circle, both of the outer boundary;
            NaN where that circle is less than 10 px across.
        orientation_deg
            Direction of the major axis, counter-clockwise from the x axis, in [0, 180); NaN for
            shapes without a preferred direction.
        n_pieces, n_holes
            Connected pieces (pixels that touch at a corner are connected), and holes in them.
        touches_edge
            Whether the grain is cut off by the image edge or the data bar.
        below_resolution
            Minimum Feret diameter below 20 px: sizes are uncertain by several per cent, shape
            measures by more.
        mean_<channel>, median_<channel>, spread_<channel>
            Intensity of the grain's core: pixels more than 2 px from the edge if at least 9
            remain, else 1 px, else all. The spread is 1.4826 times the median absolute deviation.

    Raises
    ------
    MismatchError
        An image and the labels differ in shape.
    """
    _check(labels, pixel_size_um, data_bar_rows)
    channels = channels_of(image)
    for name, channel in channels.items():
        if channel.shape != labels.shape:
            raise MismatchError(
                f"{name} is {channel.shape} and the labels are {labels.shape} (rows, columns): "
                "choose the image on which the grains were drawn"
            )
    labels = np.ascontiguousarray(labels, dtype=np.int32)
    ids = present_labels(labels) if only is None else np.unique(np.fromiter(only, np.int32))
    regions = region_moments(labels, ids[ids > 0])
    return measure_regions(
        labels,
        regions,
        pixel_size_um=pixel_size_um,
        channels=channels,
        data_bar_rows=data_bar_rows,
        on_progress=on_progress,
    )


def measure_regions(
    labels: LabelImage,
    regions: RegionMoments,
    *,
    pixel_size_um: float,
    channels: Mapping[str, npt.NDArray[Any]],
    data_bar_rows: int,
    on_progress: OnProgress = no_progress,
) -> pd.DataFrame:
    """Measure grains from their region moments; see `measure_grains`."""
    shapes = _shapes(labels, regions, on_progress)
    columns = _position_columns(regions)
    sizes, forms = _form_columns(regions, shapes)
    columns |= {"area_px": regions.area}
    if pixel_size_um:
        columns["area_um2"] = regions.area * pixel_size_um**2
    for name in _LENGTHS:
        columns[f"{name}_px"] = sizes[name]
        if pixel_size_um:
            columns[f"{name}_um"] = sizes[name] * pixel_size_um
    columns |= forms
    columns |= {"n_pieces": shapes.n_pieces, "n_holes": shapes.n_holes}
    field_rows = labels.shape[0] - data_bar_rows
    columns["touches_edge"] = (
        (regions.boxes[:, :2] == 0).any(axis=1)
        | (regions.boxes[:, 2] >= field_rows)
        | (regions.boxes[:, 3] == labels.shape[1])
    )
    columns["below_resolution"] = sizes["feret_min"] < RESOLUTION_PX
    columns |= intensity_columns(labels, regions, channels)
    return pd.DataFrame(columns, index=pd.Index(regions.ids, name="label"))


def _check(labels: LabelImage, pixel_size_um: float, data_bar_rows: int) -> None:
    if labels.ndim != 2 or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be a (Y, X) integer array, got {labels.shape} {labels.dtype}"
        )
    if pixel_size_um < 0:
        raise ValueError(f"pixel_size_um must be 0 (unknown) or more, got {pixel_size_um}")
    if not 0 <= data_bar_rows <= labels.shape[0]:
        raise ValueError(f"data_bar_rows must be 0..{labels.shape[0]}, got {data_bar_rows}")


def _position_columns(regions: RegionMoments) -> dict[str, npt.NDArray[Any]]:
    top, left, bottom, right = regions.boxes.T
    return {
        "y_px": regions.sums[:, 0] / regions.area,
        "x_px": regions.sums[:, 1] / regions.area,
        "top_px": top,
        "left_px": left,
        "height_px": bottom - top,
        "width_px": right - left,
    }


def _form_columns(
    regions: RegionMoments, shapes: _Shapes
) -> tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]:
    perimeter, rect_long, rect_short = shapes.perimeter, shapes.rect_long, shapes.rect_short
    major, minor, orientation = _ellipse(regions)
    elongated = major >= 1.8 * minor
    poor_fit = elongated & ((major > 1.02 * rect_long) | (major < 0.9 * rect_long))
    sizes = {
        "ecd": np.sqrt(regions.area * (4 / np.pi)),
        "major": major,
        "minor": minor,
        "best_long": np.where(poor_fit, rect_long, major),
        "best_short": np.where(poor_fit, rect_short, minor),
        "rect_long": rect_long,
        "rect_short": rect_short,
        "feret_max": shapes.feret_max,
        "feret_min": shapes.feret_min,
        "perimeter": perimeter,
    }
    form_factor = 4 * np.pi * regions.area / perimeter**2
    forms = {
        "aspect_ratio": major / minor,
        "circularity": np.minimum(form_factor, 1),
        "circularity_iso": np.sqrt(np.minimum(form_factor, 1)),
        "irn": form_factor / _ellipse_form_factor(major, minor),
        "solidity": regions.area / shapes.hull_area,
        "convexity": shapes.hull_perimeter / perimeter,
        "roundness_wadell": shapes.roundness,
        "orientation_deg": orientation,
    }
    return sizes, forms


def _ellipse(regions: RegionMoments) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    # Second central moments per pixel; a square pixel adds 1/12 of its own.
    y, x, yy, xx, yx = (regions.sums / regions.area[:, None]).T
    pixel_moment = 1 / 12
    mu_yy, mu_xx, mu_yx = yy - y * y + pixel_moment, xx - x * x + pixel_moment, yx - y * x
    mean, half = (mu_yy + mu_xx) / 2, np.hypot((mu_yy - mu_xx) / 2, mu_yx)
    # Rows increase downwards, angles increase counter-clockwise.
    angle = np.degrees(np.arctan2(-2 * mu_yx, mu_xx - mu_yy) / 2) % 180
    angle = np.where(half > 1e-6 * mean, angle, np.nan)
    return 4 * np.sqrt(mean + half), 4 * np.sqrt(np.maximum(mean - half, pixel_moment)), angle


def _ellipse_form_factor(major: npt.NDArray[Any], minor: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # Ramanujan's first formula for the perimeter.
    a, b = major / 2, minor / 2
    perimeter = np.pi * (3 * (a + b) - np.sqrt((3 * a + b) * (a + 3 * b)))
    factor: npt.NDArray[Any] = 4 * np.pi * (np.pi * a * b) / perimeter**2
    return factor


class _Shapes:
    """Shape measures of all grains that need the mask of each one, in px."""

    def __init__(self, values: npt.NDArray[np.float64]) -> None:
        self.perimeter, self.hull_perimeter, self.hull_area = values.T[:3]
        self.feret_max, self.feret_min, self.rect_long, self.rect_short = values.T[3:7]
        self.roundness = values[:, 7]
        self.n_pieces, self.n_holes = values.T[8:].astype(np.int64)


def _shapes(labels: LabelImage, regions: RegionMoments, on_progress: OnProgress) -> _Shapes:
    out = np.empty((len(regions), 10))
    # One chunk per thread and round, so that an exception in on_progress stops the work at once.
    per_round = _GRAINS_PER_CHUNK * thread_count()

    def measure_chunk(start: int) -> None:
        chunk = slice(start, start + _GRAINS_PER_CHUNK)
        _measure_shapes(labels, regions.ids[chunk], regions.boxes[chunk], out[chunk])

    for start in range(0, len(regions), per_round):
        stop = min(start + per_round, len(regions))
        map_threads(measure_chunk, range(start, stop, _GRAINS_PER_CHUNK))
        on_progress(stop, len(regions))
    return _Shapes(out)


@compiled
def _measure_shapes(
    labels: npt.NDArray[np.int32],
    ids: npt.NDArray[np.int32],
    boxes: npt.NDArray[np.int64],
    out: npt.NDArray[np.float64],
) -> None:
    for i in range(len(ids)):
        top, left, bottom, right = boxes[i]
        mask = np.zeros((bottom - top + 2 * MARGIN, right - left + 2 * MARGIN), np.uint8)
        for y in range(top, bottom):
            for x in range(left, right):
                mask[y - top + MARGIN, x - left + MARGIN] = labels[y, x] == ids[i]
        hull = hull_of_centers(mask)
        out[i, 0], out[i, 1] = perimeters(mask)
        out[i, 2] = hull_area(hull)
        out[i, 3], out[i, 4], out[i, 5], out[i, 6] = calipers(hull)
        outline, n_pieces, n_holes = trace_outlines(mask)
        if n_holes:
            fill_holes(mask)
        radius = inscribed_radius(mask)
        measurable = radius >= _MIN_ROUNDNESS_RADIUS_PX
        out[i, 7] = wadell_roundness(outline, radius) if measurable else np.nan
        out[i, 8], out[i, 9] = n_pieces, n_holes


def pieces_note(table: pd.DataFrame) -> str:
    """Describe the labels that consist of several pieces; "" if there are none.

    Such a label is one row of the table, although a binary or class mask holds many grains.
    """
    if "n_pieces" not in table:
        return ""
    pieces = table["n_pieces"]
    split = pieces[pieces > 1]
    if split.empty:
        return ""
    labels = f"label {split.index[0]} lies" if len(split) == 1 else f"{len(split)} labels lie"
    return (
        f"{labels} in several pieces (up to {split.max()}), each measured as one grain. "
        "Split them if they are separate grains."
    )
