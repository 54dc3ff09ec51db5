"""Plot grain tables and statistics on matplotlib axes, for panels, reports and notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection

_BLUE, _ORANGE, _GREEN = "#3b82c4", "#d2691e", "#3c9a41"
"""Legible on white and on dark."""

BASIS_COLORS = {"number": _BLUE, "area": _ORANGE, "grid": _GREEN}
"""Colour of each frequency basis in all plots."""

_UNIT = {"um": "µm", "px": "px"}

_GRID_ALPHA, _TERNARY_GRID_ALPHA = 0.4, 0.15
_ROSE_BINS = 18

_SMOOTH = 15
"""Window of the moving average of the training loss, in steps."""


def draw_curve(axes: Axes, curve: pd.DataFrame, *, unit: str, bases: Sequence[str]) -> None:
    """Draw cumulative curves with 95 % intervals.

    Parameters
    ----------
    axes : Axes
    curve : DataFrame
        `SizeStatistics.curve`.
    unit : "um" or "px"
    bases : sequence of str
        Bases to draw: "number", "area", "grid".
    """
    sizes = curve[f"size_{unit}"]
    for basis in bases:
        color = BASIS_COLORS[basis]
        low, high = curve[f"low_pct_{basis}"], curve[f"high_pct_{basis}"]
        axes.fill_between(sizes, low, high, color=color, alpha=0.2, linewidth=0)
        axes.plot(sizes, curve[f"finer_pct_{basis}"], color=color, label=f"by {basis}")
    _finish_curves(axes, unit)


def draw_field_curves(axes: Axes, curves: pd.DataFrame, pooled: pd.DataFrame, *, unit: str) -> None:
    """Draw the curves by number of all fields (thin) and of the pooled sample.

    Parameters
    ----------
    axes : Axes
    curves : DataFrame
        `FieldSpread.curves`.
    pooled : DataFrame
        `SizeStatistics.curve`.
    unit : "um" or "px"
    """
    sizes = curves[f"size_{unit}"]
    for number, name in enumerate(curves.columns[1:]):
        label = "one field" if number == 0 else None
        axes.plot(sizes, curves[name], color="0.55", linewidth=0.6, alpha=0.7, label=label)
    color = BASIS_COLORS["number"]
    axes.plot(
        pooled[f"size_{unit}"], pooled["finer_pct_number"], color=color, linewidth=2, label="all"
    )
    _finish_curves(axes, unit)


def draw_sample_curves(axes: Axes, curves: Mapping[str, pd.DataFrame], *, unit: str) -> None:
    """Draw the curves by number of several samples with 95 % intervals.

    Parameters
    ----------
    axes : Axes
    curves : mapping of str to DataFrame
        Sample -> `SizeStatistics.curve`.
    unit : "um" or "px"
    """
    for number, (name, curve) in enumerate(curves.items()):
        sizes, color = curve[f"size_{unit}"], f"C{number % 10}"
        low, high = curve["low_pct_number"], curve["high_pct_number"]
        axes.fill_between(sizes, low, high, color=color, alpha=0.15, linewidth=0)
        axes.plot(sizes, curve["finer_pct_number"], color=color, label=name)
    _finish_curves(axes, unit)


def draw_histogram(
    axes: Axes,
    values: npt.ArrayLike,
    *,
    name: str,
    log: bool = False,
    color: str = _BLUE,
    weights: npt.ArrayLike | None = None,
) -> None:
    """Draw a histogram of one column; NaN is ignored.

    Parameters
    ----------
    axes : Axes
    values : (N,) array
    name : str
        Axis label, with unit.
    log : bool
        Logarithmic classes; only values above 0 are used.
    color : str
    weights : (N,) array, optional
        Weight of each value, such as that of the edge rule; 1 by default.
    """
    finite, weight = _finite(values, weights)
    if log:
        finite, weight = finite[finite > 0], weight[finite > 0]
    if len(finite):
        axes.hist(
            finite,
            bins=_class_limits(finite, log=log).tolist(),
            weights=weight,
            color=color,
            edgecolor=axes.get_facecolor(),
        )
    if log:
        _log_size_axis(axes)
    axes.set_xlabel(name)
    axes.set_ylabel("grains")


def draw_rose(
    axes: Axes,
    angles_deg: npt.ArrayLike,
    *,
    name: str = "",
    weights: npt.ArrayLike | None = None,
) -> None:
    """Draw a rose diagram of axial data, in which opposite sectors are equal.

    The area of a sector, not its radius, is proportional to its count.

    Parameters
    ----------
    axes : PolarAxes
    angles_deg : (N,) array
        Counter-clockwise from the right; angles 180 apart are equivalent.
    name : str
        Title.
    weights : (N,) array, optional
        Weight of each angle, such as that of the edge rule; 1 by default.
    """
    finite, weight = _finite(angles_deg, weights)
    angles = np.radians(finite) % np.pi
    counts, edges = np.histogram(angles, bins=_ROSE_BINS, range=(0, np.pi), weights=weight)
    width = np.pi / _ROSE_BINS
    for turn in (0.0, np.pi):
        axes.bar(
            edges[:-1] + width / 2 + turn,
            np.sqrt(counts),
            width=width,
            color=_BLUE,
            edgecolor=axes.get_facecolor(),
            linewidth=0.6,
        )
    axes.set_yticks([])
    axes.set_xticks(np.radians(np.arange(0, 360, 45)))
    axes.set_title(name, fontsize="medium")


def draw_scatter(
    axes: Axes, table: pd.DataFrame, x: str, y: str, *, colors: Any = _BLUE
) -> PathCollection:
    """Draw two columns of the grain table against each other.

    Returns
    -------
    PathCollection
        The offsets are the rows of the table, in order.
    """
    points = axes.scatter(table[x], table[y], s=14, c=colors, alpha=0.7, linewidths=0)
    axes.set_xlabel(readable(x))
    axes.set_ylabel(readable(y))
    _draw_grid(axes)
    return points


def draw_ternary(
    axes: Axes, shares: Mapping[str, npt.ArrayLike], *, names: Sequence[str] = ()
) -> None:
    """Draw a ternary plot, such as quartz - feldspar - lithics.

    Parameters
    ----------
    axes : Axes
    shares : mapping of three corners to (N,) arrays
        Top, left and right corner, in this order; amounts are normalized to 100 % per point.
    names : sequence of str
        Labels of the points.

    Raises
    ------
    ValueError
        The number of corners is not three.
    """
    if len(shares) != 3:
        raise ValueError(f"a ternary plot has three corners, got {list(shares)}")
    amounts = np.array([np.atleast_1d(value) for value in shares.values()], dtype=float)
    total = amounts.sum(axis=0)
    top, _, right = np.divide(amounts, total, out=np.full_like(amounts, np.nan), where=total > 0)
    height = np.sqrt(3) / 2
    for k in range(1, 10):
        _ternary_grid_lines(axes, k / 10, height)
    axes.plot(
        [0, 1, 0.5, 0],
        [0, 0, height, 0],
        color=axes.spines["bottom"].get_edgecolor(),
        linewidth=1.2,
    )
    places = ((0.5, height + 0.03, "bottom"), (-0.03, -0.03, "top"), (1.03, -0.03, "top"))
    for (x, y, va), corner in zip(places, shares, strict=True):
        axes.text(x, y, corner, ha="center", va=va)
    axes.scatter(right + top / 2, top * height, s=40, color=_BLUE, zorder=3)
    for x, y, name in zip(right + top / 2, top * height, names, strict=False):
        axes.annotate(name, (x, y), xytext=(6, 4), textcoords="offset points")
    axes.set_aspect("equal")
    axes.set_xlim(-0.15, 1.15)
    axes.set_ylim(-0.12, height + 0.12)
    axes.set_axis_off()


def draw_losses(axes: Axes, events: Sequence[Mapping[str, Any]]) -> None:
    """Draw training and validation losses against training steps.

    Parameters
    ----------
    axes : Axes
    events : sequence of mapping
        Events of kind "step" and "validation" with `step` and `loss`.
    """
    for kind, color, name in (
        ("step", "0.6", "training"),
        ("validation", "#d2691e", "validation"),
    ):
        points = _points(events, kind, "loss")
        if kind == "step" and len(points) > _SMOOTH:
            # Losses of single batches scatter too much to show a trend.
            mean = np.convolve(points[:, 1], np.ones(_SMOOTH) / _SMOOTH, mode="valid")
            points = np.column_stack([points[_SMOOTH - 1 :, 0], mean])
        if len(points):
            marker = "o" if kind == "validation" else ""
            axes.plot(*points.T, color=color, marker=marker, markersize=4, label=name)
            axes.legend(frameon=False, fontsize=8)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")


def draw_scores(axes: Axes, events: Sequence[Mapping[str, Any]]) -> None:
    """Draw validation AP@0.5 (left) and D50 error (right) against training steps.

    Parameters
    ----------
    axes : Axes
    events : sequence of mapping
        Events of kind "validation" with `step`, `ap50`, `d50_error_pct` and `best`.
    """
    other = axes.twinx()
    sides = ((axes, "ap50", _BLUE, "AP@0.5"), (other, "d50_error_pct", _GREEN, "D50 error"))
    for side, key, color, name in sides:
        points = _points(events, "validation", key)
        if len(points):
            side.plot(*points.T, color=color, marker="o", markersize=4)
        side.set_ylabel(f"{name} (%)" if side is other else name, color=color, fontsize=9)
        side.tick_params(axis="y", colors=color, labelsize=8)
    best = [event for event in events if event["kind"] == "validation" and event["best"]]
    if best:
        axes.axvline(best[-1]["step"], color="0.6", linestyle=":")
    axes.set_ylim(0, 1)
    other.set_ylim(bottom=0)
    axes.set_xlabel("step (dotted: best model, kept)")


def readable(column: str) -> str:
    """Format a column name for display: "feret_max_um" -> "feret max (µm)".

    >>> readable("area_um2"), readable("orientation_deg"), readable("touches_edge")
    ('area (µm²)', 'orientation (°)', 'touches edge')
    """
    units = {"um": "µm", "um2": "µm²", "px": "px", "deg": "°", "pct": "%", "phi": "φ"}
    stem, _, last = column.rpartition("_")
    if stem and last in units:
        return f"{stem.replace('_', ' ')} ({units[last]})"
    return column.replace("_", " ")


def _points(events: Sequence[Mapping[str, Any]], kind: str, key: str) -> npt.NDArray[np.float64]:
    points = [
        (event["step"], event[key])
        for event in events
        if event["kind"] == kind and event[key] is not None
    ]
    return np.array(points, dtype=np.float64).reshape(-1, 2)


def _finite(
    values: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the finite values of positive weight, and their weights."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    weight = np.ones(len(numbers)) if weights is None else np.asarray(weights, dtype=np.float64)
    used = np.isfinite(numbers) & (weight > 0)
    return numbers[used], weight[used]


def _class_limits(values: npt.NDArray[np.float64], *, log: bool) -> npt.NDArray[np.float64]:
    # Freedman-Diaconis rule, limited to 8 to 60 classes.
    scaled = np.log(values) if log else values
    low, high = float(scaled.min()), float(scaled.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    width = 2 * np.subtract(*np.percentile(scaled, [75, 25])) / len(values) ** (1 / 3)
    count = int(np.clip((high - low) / width if width > 0 else 8, 8, 60))
    limits: npt.NDArray[np.float64] = np.linspace(low, high, count + 1)
    return np.exp(limits) if log else limits


def _log_size_axis(axes: Axes) -> None:
    # Plain numbers at 1, 2 and 5; powers of ten are too sparse within a decade.
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _finish_curves(axes: Axes, unit: str) -> None:
    _log_size_axis(axes)
    axes.set_ylim(0, 100)
    axes.set_xlabel(f"grain size ({_UNIT[unit]})")
    axes.set_ylabel("finer (%)")
    _draw_grid(axes)
    axes.legend(loc="upper left", frameon=False)


def _draw_grid(axes: Axes) -> None:
    axes.grid(visible=True, alpha=_GRID_ALPHA, linewidth=0.6)


def _ternary_grid_lines(axes: Axes, share: float, height: float) -> None:
    rest = 1 - share
    lines = (
        [(share / 2, share * height), (1 - share / 2, share * height)],
        [(share, 0), (share / 2, share * height)],
        [(rest, 0), (rest + share / 2, share * height)],
    )
    color = axes.spines["bottom"].get_edgecolor()
    for (x0, y0), (x1, y1) in lines:
        axes.plot(
            [x0, x1], [y0, y1], color=color, alpha=_TERNARY_GRID_ALPHA, linewidth=0.6, zorder=1
        )
