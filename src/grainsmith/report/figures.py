"""Draw the figures of a report as data URIs for an HTML page."""

from __future__ import annotations

import base64
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from skimage.segmentation import find_boundaries

from grainsmith import plots

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    from matplotlib.axes import Axes

    from grainsmith.data import Image, LabelImage
    from grainsmith.statistics import FieldSpread, SizeStatistics

MAX_SIDE_PX = 1200
"""Images are subsampled to this size, so that a report can be sent by e-mail."""

_WHOLE_COLOR = (1.0, 0.83, 0.0)
_CUT_COLOR = (1.0, 0.2, 0.75)


def field_figure(image: Image, *, pixel_size_um: float) -> str:
    """Draw the image with a scale bar as a data URI."""
    step = _step(image.shape)
    return _image_figure(_rescaled(image)[::step, ::step], step * pixel_size_um)


def outline_figure(
    image: Image, labels: LabelImage, table: pd.DataFrame, *, pixel_size_um: float
) -> str:
    """Draw the image with grain outlines, yellow for whole grains and pink for cut ones."""
    step = _step(labels.shape)
    subsampled = labels[::step, ::step]
    image_rgb = _rescaled(image)[::step, ::step].copy()
    edge = find_boundaries(subsampled, mode="inner")
    cut = np.isin(subsampled, table.index[table.touches_edge.to_numpy(dtype=bool)])
    image_rgb[edge & ~cut] = _WHOLE_COLOR
    image_rgb[edge & cut] = _CUT_COLOR
    return _image_figure(image_rgb, step * pixel_size_um)


def outline_png(
    image: Image, labels: LabelImage, table: pd.DataFrame, *, pixel_size_um: float
) -> bytes:
    """Draw the outline figure as the content of a PNG file."""
    uri = outline_figure(image, labels, table, pixel_size_um=pixel_size_um)
    return base64.b64decode(uri.partition(",")[2])


def size_figure(labels: LabelImage, sizes: pd.Series[float], *, unit: str) -> str:
    """Draw the grains coloured by size, with a colour bar, as a data URI."""
    step = _step(labels.shape)
    subsampled = labels[::step, ::step]
    values = np.full(subsampled.shape, np.nan)
    rows = np.searchsorted(sizes.index, subsampled[subsampled > 0])
    values[subsampled > 0] = sizes.to_numpy()[rows]
    figure = _new_figure(subsampled.shape)
    axes = figure.add_axes((0.0, 0.0, 0.85, 1.0))
    axes.set_facecolor("black")
    low, high = np.percentile(sizes, [2, 98]) if len(sizes) else (0, 1)
    mapped = axes.imshow(values, cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    bar = figure.colorbar(mapped, cax=figure.add_axes((0.865, 0.1, 0.015, 0.8)), extend="both")
    bar.set_label({"um": "grain size (µm)", "px": "grain size (px)"}[unit])
    return _png(figure)


def curve_figure(statistics: SizeStatistics) -> str:
    """Draw the cumulative curves with their intervals as a data URI."""
    return _svg(
        lambda axes: plots.draw_curve(
            axes, statistics.curve, unit=statistics.unit, bases=statistics.bases
        )
    )


def field_curves_figure(spread: FieldSpread, statistics: SizeStatistics) -> str:
    """Draw the curves of all fields and of their sample as a data URI."""
    return _svg(
        lambda axes: plots.draw_field_curves(
            axes, spread.curves, statistics.curve, unit=statistics.unit
        )
    )


def sample_curves_figure(samples: Mapping[str, SizeStatistics]) -> str:
    """Draw the curves of several samples with the same unit as a data URI."""
    unit = next(iter(samples.values())).unit
    curves = {name: statistics.curve for name, statistics in samples.items()}
    return _svg(lambda axes: plots.draw_sample_curves(axes, curves, unit=unit))


def histogram_figure(
    values: npt.ArrayLike, name: str, *, log: bool, weights: npt.ArrayLike | None = None
) -> str:
    """Draw the histogram of a column as a data URI."""
    return _svg(
        lambda axes: plots.draw_histogram(axes, values, name=name, log=log, weights=weights)
    )


def rose_figure(angles_deg: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> str:
    """Draw a rose diagram of the long axes as a data URI."""
    return _svg(lambda axes: plots.draw_rose(axes, angles_deg, weights=weights), polar=True)


def _svg(draw: Callable[[Axes], Any], *, polar: bool = False) -> str:
    figure = Figure(figsize=(4.2, 3.4), layout="constrained")
    draw(figure.add_subplot(projection="polar" if polar else None))
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _uri("image/svg+xml", buffer)


def _step(shape: tuple[int, ...]) -> int:
    return max(1, -(-max(shape[:2]) // MAX_SIDE_PX))


def _rescaled(image: Image) -> npt.NDArray[np.float32]:
    # Rescale to 0..1 between the 1st and 99th percentile, as (Y, X, 3).
    low, high = np.percentile(image[::4, ::4], [1, 99])
    grey = np.clip((image - np.float32(low)) / max(float(high - low), 1e-9), 0, 1)
    return grey if image.ndim == 3 else np.repeat(grey[..., None], 3, axis=2)


def _new_figure(shape: tuple[int, ...]) -> Figure:
    width = 7.0
    return Figure(figsize=(width, width * shape[0] / shape[1]), dpi=160)


def _image_figure(image_rgb: npt.NDArray[np.float32], pixel_size_um: float) -> str:
    figure = _new_figure(image_rgb.shape)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.imshow(image_rgb, interpolation="nearest")
    axes.set_axis_off()
    if pixel_size_um:
        _add_scale_bar(axes, image_rgb.shape, pixel_size_um)
    return _png(figure)


def _add_scale_bar(axes: Axes, shape: tuple[int, ...], pixel_size_um: float) -> None:
    length_um = _round_length(0.2 * shape[1] * pixel_size_um)
    length = length_um / pixel_size_um
    left, bottom = 0.03 * shape[1], 0.95 * shape[0]
    box = {"facecolor": "black", "alpha": 0.55, "edgecolor": "none", "pad": 2}
    axes.plot([left, left + length], [bottom, bottom], color="black", linewidth=6)
    axes.plot([left, left + length], [bottom, bottom], color="white", linewidth=3)
    text = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    axes.text(left, bottom - 0.015 * shape[0], text, color="white", va="bottom", bbox=box)
    axes.set_xlim(-0.5, shape[1] - 0.5)
    axes.set_ylim(shape[0] - 0.5, -0.5)


def _round_length(length: float) -> float:
    power = 10.0 ** np.floor(np.log10(length))
    return float(max(step for step in (1, 2, 5) if step * power <= length) * power)


def _png(figure: Figure) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return _uri("image/png", buffer)


def _uri(kind: str, buffer: io.BytesIO) -> str:
    return f"data:{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
