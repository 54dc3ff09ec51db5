"""The status line: what has been reached, in the user's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.metadata import GrainsMetadata, ImageMetadata, states_of

if TYPE_CHECKING:
    from napari.layers import Image, Labels

_COUNTED_PX = 16_000_000
"""A larger label image is not counted on every edit; its table says how many grains there were."""


def status_text(image: Image | None, grains: Labels | None) -> str:
    """Return one line, such as "412 grains · D50 83 µm (by number) · 0.62 µm/px (Zeiss tag)".

    It is empty where there is nothing.

    Parameters
    ----------
    image, grains : layer or None
        The layers in these roles.
    """
    parts: list[str] = []
    if grains is not None:
        parts += _grains_parts(grains)
    if image is not None:
        parts.append(_scale_part(image))
    return " · ".join(parts)


def _grains_parts(grains: Labels) -> list[str]:
    counts = _counts(grains)
    number = len(counts) if len(counts) else len(grains.features)
    parts = [f"{number:,} grain{'s' if number != 1 else ''}"]
    if len(counts):
        parts.append(f"D50 {_median_diameter(counts, pixel_size_um_of(grains))} (by number)")
    edited = GrainsMetadata.of(grains).unsaved_edits
    if edited is None:
        edited = sum(state in ("edited", "drawn") for state in states_of(grains).values())
    return [*parts, f"{edited} edit{'s' if edited != 1 else ''} unsaved"] if edited else parts


def _counts(grains: Labels) -> np.ndarray:
    """Return the areas of all grains in pixels; empty for images too large to be counted now."""
    labels = np.asarray(grains.data)
    if labels.size > _COUNTED_PX:
        return np.empty(0, int)
    areas = np.bincount(labels.ravel())[1:]
    return areas[areas > 0]


def _median_diameter(areas_px: np.ndarray, pixel_size_um: float) -> str:
    # Diameter of the circle of the same area.
    diameter = float(np.median(np.sqrt(areas_px * 4 / np.pi)))
    if pixel_size_um > 0:
        return f"{diameter * pixel_size_um:.3g} µm"
    return f"{diameter:.3g} px"


def _scale_part(image: Image) -> str:
    size, source = pixel_size_um_of(image), ImageMetadata.of(image).pixel_size_source
    if size > 0:
        # Without its details, which the tab Open shows.
        return f"{size:.4g} µm/px" + (f" ({source.split(' (')[0]})" if source else "")
    return "no pixel size: lengths are in pixels"
