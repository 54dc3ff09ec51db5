"""Element maps as images: grey, or one hue from black."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from grainsmith.errors import ReadError
from grainsmith.io.images.reader import SUFFIXES, read_image

CHANNELS = ("auto", "red", "green", "blue", "brightest")
"""What may be taken of a coloured image."""

__all__ = ["CHANNELS", "SUFFIXES", "hue_purity", "read_image_map"]

_PURE = 0.9
_COLOURED = 30  # of 255: less is grey


def read_image_map(
    path: str | Path, *, channel: str = "auto", bar_rows: int | str = "auto"
) -> tuple[npt.NDArray[Any], float, tuple[str, ...]]:
    """Read an image of a map as one channel.

    Parameters
    ----------
    path : str or Path
        TIFF, PNG, JPEG or BMP.
    channel : str
        Of a coloured image: "red", "green", "blue", "brightest" of the three, or "auto": the
        brightest where the image has a single hue.
    bar_rows : int or "auto"
        Rows of a burnt-in bar at the bottom, which are cut off.

    Returns
    -------
    (Y, X) array, float, tuple of str
        Values as in the file, the side of a pixel in µm (0 = unknown), and what was noticed.
        Writing on a coloured map (white on green) becomes NaN.

    Raises
    ------
    ReadError
        The file cannot be read, or has several hues and `channel` does not say which one counts.
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
    colours: npt.NDArray[Any], channel: str, path: Path
) -> tuple[npt.NDArray[Any], str]:
    if channel in ("red", "green", "blue"):
        number = ("red", "green", "blue").index(channel)
        return colours[..., number], f"the {channel} channel of a coloured image"
    brightest = colours.max(-1)
    if channel == "brightest":
        return brightest, "the brightest channel of a coloured image"
    purity, foreign = hue_purity(colours)
    if purity < _PURE:
        raise ReadError(
            f"{path.name} has several hues (purity {purity:.2f}, wanted {_PURE}): an overlay, "
            "or a rainbow palette. Which channel holds the element: red, green, blue or brightest? "
            "Better: export the map in grey or as a table."
        )
    if foreign.any():
        measured = np.where(foreign, np.nan, brightest.astype(np.float32))
        return measured, f"an image of one hue; {int(foreign.sum())} pixels of writing left out"
    return brightest, "an image of one hue"


def hue_purity(colours: npt.NDArray[Any]) -> tuple[float, npt.NDArray[np.bool_]]:
    """Return how nearly an image has one hue, and where something white is written on it.

    Parameters
    ----------
    colours : (Y, X, 3) array
        A coloured image of any dtype.

    Returns
    -------
    float, (Y, X) bool array
        1 = one hue from black; the mean cosine between the colours of the pixels and the hue of
        the bright ones. Writing: bright pixels without colour, where these are few (< 5 %).
    """
    scaled = colours[..., :3].astype(np.float32)
    top = scaled.max()
    scaled *= 255.0 / top if top > 0 else 1.0
    chroma = scaled - scaled.min(-1, keepdims=True)
    strength = np.linalg.norm(chroma, axis=-1)
    coloured = strength > _COLOURED
    if not coloured.any():
        return 1.0, np.zeros(strength.shape, bool)
    hue = chroma[coloured].sum(0)
    hue /= np.linalg.norm(hue)
    purity = float(np.mean(chroma[coloured] @ hue / strength[coloured]))
    white = (scaled.min(-1) > 128) & ~coloured
    written = white if white.mean() < 0.05 else np.zeros_like(white)
    return purity, written
