"""Read element maps stored as images: gray, or one hue that rises from black."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grainsmith.errors import ReadError
from grainsmith.io.images.reader import SUFFIXES, read_image

CHANNELS = ("auto", "red", "green", "blue", "brightest")
"""Channel of a color image that holds the map."""

__all__ = ["CHANNELS", "SUFFIXES", "hue_purity", "read_image_map"]

_MIN_PURITY = 0.9
_COLORED = 30  # of 255: less is gray
_LIT = 60  # of 255: darker pixels have no reliable hue
_COLLINEAR = 0.97
"""Cosine from which a color is a brighter or darker shade of the hue."""

_MAX_TEXT_SHARE = 0.05


def read_image_map(
    path: str | Path, *, channel: str = "auto", bar_rows: int | str = "auto"
) -> tuple[npt.NDArray[Any], float, tuple[str, ...]]:
    """Read an image of a map as one channel.

    Parameters
    ----------
    path : str or Path
        TIFF, PNG, JPEG, BMP, GIF or WebP.
    channel : str
        For a color image: "red", "green", "blue", "brightest" of the three, or "auto": the
        brightest if the image has a single hue that rises from black.
    bar_rows : int or "auto"
        Rows of a burnt-in bar at the bottom, which are cropped.

    Returns
    -------
    (Y, X) array, float, tuple of str
        Values as in the file, the side of a pixel in µm (0 = unknown), and notes. Text on a color
        map (white on green) becomes NaN.

    Raises
    ------
    ReadError
        The file cannot be read, or its color scale does not rise from black in one hue and
        `channel` is "auto".
    ValueError
        `channel` is unknown.
    """
    if channel not in CHANNELS:
        raise ValueError(f"channel must be one of {', '.join(CHANNELS)}, got {channel!r}")
    image = read_image(path, crop_databar=bar_rows if bar_rows == "auto" else int(bar_rows))
    values, notes = image.cropped, []
    if image.data_bar_rows:
        notes.append(f"{image.data_bar_rows} rows of a bar at the bottom were cut off")
    if values.ndim == 3:
        values, note = _one_channel(values, channel, Path(path))
        notes.append(note)
    return values, image.pixel_size_um, tuple(notes)


def _one_channel(
    colors: npt.NDArray[Any], channel: str, path: Path
) -> tuple[npt.NDArray[Any], str]:
    if channel in ("red", "green", "blue"):
        number = ("red", "green", "blue").index(channel)
        return colors[..., number], f"the {channel} channel of a color image"
    brightest = colors.max(-1)
    if channel == "brightest":
        return brightest, "the brightest channel of a color image"
    purity, text = hue_purity(colors)
    if purity < _MIN_PURITY:
        raise ReadError(
            f"{path.name} has no color scale that rises from black in one hue (purity "
            f"{purity:.2f}, at least {_MIN_PURITY} is needed): an overlay, or a scale such as "
            "rainbow or white to green. Which channel holds the element: red, green, blue or "
            "brightest? Better: export the map in gray or as a table."
        )
    if text.any():
        measured = np.where(text, np.nan, brightest.astype(np.float32))
        return measured, f"an image of one hue; {int(text.sum())} pixels of text left out"
    return brightest, "an image of one hue"


def hue_purity(colors: npt.NDArray[Any]) -> tuple[float, npt.NDArray[np.bool_]]:
    """Compute how nearly all colors are shades of one hue, and detect white text.

    Parameters
    ----------
    colors : (Y, X, 3) array
        Color image of any dtype.

    Returns
    -------
    purity : float
        Share of the lit pixels whose color is proportional to the mean color; 1 = one hue that
        rises from black. Scales that begin with white or change their hue have a low purity.
    text : (Y, X) bool array
        Bright pixels without color, if these are few (< 5 %).
    """
    scaled = colors[..., :3].astype(np.float32)
    largest = scaled.max()
    scaled *= 255.0 / largest if largest > 0 else 1.0
    chroma = np.linalg.norm(scaled - scaled.min(-1, keepdims=True), axis=-1)
    colored = chroma > _COLORED
    if not colored.any():
        return 1.0, np.zeros(chroma.shape, bool)
    white = (scaled.min(-1) > 128) & ~colored
    text = white if white.mean() < _MAX_TEXT_SHARE else np.zeros_like(white)
    # The rim of white text is neither white nor pure.
    strength = np.linalg.norm(scaled, axis=-1)
    lit = (strength > _LIT) & ~text
    hue = scaled[lit & colored].sum(0) if (lit & colored).any() else scaled[colored].sum(0)
    hue /= np.linalg.norm(hue)
    cosine = scaled[lit] @ hue / strength[lit]
    return float(np.mean(cosine > _COLLINEAR)) if lit.any() else 1.0, text
