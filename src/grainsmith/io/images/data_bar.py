"""Detect a burnt-in data bar in the pixels of an image.

A data bar differs from a specimen in three ways, and all of them are required: its background is
one flat gray over most of every row, text stands on it, and it begins with a sharp edge across the
whole width. A missed bar costs a few false grains; a false bar costs true grains. The limits are
therefore strict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from grainsmith.data import Image

_Gray = npt.NDArray[np.float32]

_FLAT = 6 / 255
"""Tolerance of a flat gray: JPEG changes gray values by a few steps."""

_FAR = 0.3
"""Text differs from its background by at least this part of the gray range."""

_LOOSE_ROWS = 6
"""Rows below the bar: Zeiss draws it a row or two above the edge."""

_TALLEST = 0.25
"""Largest height of a bar, as a part of the rows."""


def find_data_bar(image: Image) -> int:
    """Return the number of data bar rows at the bottom; 0 without a bar.

    Parameters
    ----------
    image : (Y, X) or (Y, X, 3) array
        Any real dtype.
    """
    rows, columns = image.shape[:2]
    if rows < 64 or columns < 64:
        return 0
    tallest = int(rows * _TALLEST)
    foot = _scaled_gray(image[rows - tallest - 2 :], image)
    for background in _background_candidates(foot):
        top, bottom = _flat_rows(foot, background)
        if max(12, 0.015 * rows) <= bottom - top and len(foot) - top <= tallest:
            bar, above = foot[top:bottom], foot[top - 2 : top]
            if _has_text(bar, background) and _has_edge(bar, above):
                return len(foot) - top
    return 0


def _scaled_gray(part: Image, whole: Image) -> _Gray:
    """Return a part as gray, scaled to 0..1 by the range of every eighth pixel of the whole."""
    low, high = (0.0, 255.0) if whole.dtype == np.uint8 else _range(whole[::8, ::8], part)
    mean = part.mean(axis=-1) if part.ndim == 3 else part
    scaled: _Gray = (np.nan_to_num(mean.astype(np.float32)) - low) / max(high - low, 1e-12)
    return scaled


def _range(*parts: Image) -> tuple[float, float]:
    # Text is brighter or darker than anything else, so the part that holds it is included.
    finite = [np.nan_to_num(part.astype(np.float32)) for part in parts]
    return float(min(part.min() for part in finite)), float(max(part.max() for part in finite))


def _background_candidates(foot: _Gray) -> list[float]:
    """Return the flat grays that a bar at the bottom could have."""
    candidates: list[float] = []
    # The last rows may be a frame, hence also rows a little above them.
    for row in foot[-2:-18:-4]:
        gray = float(np.median(row))
        if (np.abs(row - gray) <= _FLAT).mean() >= 0.5 and not any(
            abs(gray - other) <= _FLAT for other in candidates
        ):
            candidates.append(gray)
    return candidates


def _flat_rows(foot: _Gray, background: float) -> tuple[int, int]:
    """Return (top, bottom) of the lowest run of background rows and frame lines."""
    on_background = (np.abs(foot - background) <= _FLAT).mean(axis=1) >= 0.45
    row_gray = np.median(foot, axis=1, keepdims=True)
    lines = (np.abs(foot - row_gray) <= _FLAT).mean(axis=1) >= 0.95
    flat = on_background | lines
    rows = len(flat)
    bottom = rows - int(np.argmax(flat[::-1]))
    if not flat.any() or rows - bottom > _LOOSE_ROWS:
        return rows, rows
    above = flat[:bottom][::-1]
    return (0 if above.all() else bottom - int(np.argmin(above))), bottom


def _has_text(bar: _Gray, background: float) -> bool:
    ink = np.abs(bar - background) >= _FAR
    flat = np.abs(bar - background) <= _FLAT
    strokes = (ink[:, 1:] != ink[:, :-1]).sum(axis=1)
    text_columns = np.flatnonzero(ink[strokes >= 6].any(axis=0))
    return bool(
        0.004 <= ink.mean() <= 0.45
        and flat.mean() >= 0.6
        and (strokes >= 12).sum() >= 5
        and np.ptp(text_columns) >= 0.15 * bar.shape[1]
    )


def _has_edge(bar: _Gray, above: _Gray) -> bool:
    """Return whether the first row of the bar differs from the image above along its width."""
    step = np.abs(bar[0] - above).min(axis=0) > _FLAT
    return bool(step.mean() >= 0.6)
