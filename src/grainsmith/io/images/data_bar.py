"""Find a burnt-in data bar in the image itself, where no tag tells of it.

A drawn bar differs from a specimen in three ways, and must do so in all of them: its background
is one flat grey over most of every row, writing stands on it, and it begins with a sharp edge
across the whole width. A missed bar costs a few false grains in it; a bar that is none costs true
ones, so the limits are strict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from grainsmith.data import Image

_Grey = npt.NDArray[np.float32]

_FLAT = 6 / 255
"""Two greys nearer than this are one: JPEG moves flat grey by a few steps."""

_FAR = 0.3
"""Writing differs from its background by at least this part of the range of greys."""

_LOOSE_ROWS = 6
"""Zeiss draws its bar a row or two above the edge."""

_TALLEST = 0.25
"""A bar takes at most this part of the rows."""


def find_data_bar(image: Image) -> int:
    """Return how many rows at the bottom are a data bar; 0 where none is seen.

    Parameters
    ----------
    image : (Y, X) or (Y, X, 3) array
        Any real dtype.
    """
    rows, columns = image.shape[:2]
    if rows < 64 or columns < 64:
        return 0
    tallest = int(rows * _TALLEST)
    foot = _scaled_grey(image[rows - tallest - 2 :], image)
    for background in _background_candidates(foot):
        top, bottom = _flat_rows(foot, background)
        if max(12, 0.015 * rows) <= bottom - top and len(foot) - top <= tallest:
            bar, above = foot[top:bottom], foot[top - 2 : top]
            if _is_written_on(bar, background) and _has_edge(bar, above):
                return len(foot) - top
    return 0


def _scaled_grey(part: Image, whole: Image) -> _Grey:
    """Return a part as grey, 0..1 in the range of the whole; every eighth pixel of that will do."""
    low, high = (0.0, 255.0) if whole.dtype == np.uint8 else _range(whole[::8, ::8], part)
    mean = part.mean(axis=-1) if part.ndim == 3 else part
    scaled: _Grey = (np.nan_to_num(mean.astype(np.float32)) - low) / max(high - low, 1e-12)
    return scaled


def _range(*parts: Image) -> tuple[float, float]:
    # The writing is brighter or darker than anything else: the part that holds it counts as well.
    plain = [np.nan_to_num(part.astype(np.float32)) for part in parts]
    return float(min(one.min() for one in plain)), float(max(one.max() for one in plain))


def _background_candidates(foot: _Grey) -> list[float]:
    """Return the flat greys that a bar at the very bottom could have."""
    candidates: list[float] = []
    # The last rows may be a frame; look also a little above them.
    for row in foot[-2:-18:-4]:
        grey = float(np.median(row))
        if (np.abs(row - grey) <= _FLAT).mean() >= 0.5 and not any(
            abs(grey - other) <= _FLAT for other in candidates
        ):
            candidates.append(grey)
    return candidates


def _flat_rows(foot: _Grey, background: float) -> tuple[int, int]:
    """Return (top, bottom) of the lowest run of rows of the background or of frame lines."""
    on_background = (np.abs(foot - background) <= _FLAT).mean(axis=1) >= 0.45
    one_grey = np.median(foot, axis=1, keepdims=True)
    lines = (np.abs(foot - one_grey) <= _FLAT).mean(axis=1) >= 0.95
    flat = on_background | lines
    rows = len(flat)
    bottom = rows - int(np.argmax(flat[::-1]))
    if not flat.any() or rows - bottom > _LOOSE_ROWS:
        return rows, rows
    above = flat[:bottom][::-1]
    return (0 if above.all() else bottom - int(np.argmin(above))), bottom


def _is_written_on(bar: _Grey, background: float) -> bool:
    ink = np.abs(bar - background) >= _FAR
    flat = np.abs(bar - background) <= _FLAT
    strokes = (ink[:, 1:] != ink[:, :-1]).sum(axis=1)
    written_columns = np.flatnonzero(ink[strokes >= 6].any(axis=0))
    return bool(
        0.004 <= ink.mean() <= 0.45
        and flat.mean() >= 0.6
        and (strokes >= 12).sum() >= 5
        and np.ptp(written_columns) >= 0.15 * bar.shape[1]
    )


def _has_edge(bar: _Grey, above: _Grey) -> bool:
    """Return whether the bar's first row differs from the image above nearly all along."""
    step = np.abs(bar[0] - above).min(axis=0) > _FLAT
    return bool(step.mean() >= 0.6)
