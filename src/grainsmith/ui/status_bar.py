"""The status line: what has been reached, in the user's words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.pipeline.field.measure import quick_median_px
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
        bar = 0 if image is None else ImageMetadata.of(image).data_bar_rows
        parts += _grains_parts(grains, bar)
    if image is not None:
        parts.append(_scale_part(image))
    return " · ".join(parts)


def _grains_parts(grains: Labels, data_bar_rows: int) -> list[str]:
    labels = np.asarray(grains.data)
    if labels.size > _COUNTED_PX:
        number, median = len(grains.features), math.nan
    else:
        bar = data_bar_rows if data_bar_rows < labels.shape[0] else 0
        number, median = quick_median_px(labels, data_bar_rows=bar)
    parts = [f"{number:,} grain{'s' if number != 1 else ''}"]
    if math.isfinite(median):
        parts.append(f"D50 {_length(median, pixel_size_um_of(grains))} (by number)")
    edited = GrainsMetadata.of(grains).unsaved_edits
    if edited is None:
        edited = sum(state in ("edited", "drawn") for state in states_of(grains).values())
    return [*parts, f"{edited} edit{'s' if edited != 1 else ''} unsaved"] if edited else parts


def _length(length_px: float, pixel_size_um: float) -> str:
    return f"{length_px * pixel_size_um:.3g} µm" if pixel_size_um > 0 else f"{length_px:.3g} px"


def _scale_part(image: Image) -> str:
    size, source = pixel_size_um_of(image), ImageMetadata.of(image).pixel_size_source
    if size > 0:
        # Without its details, which the tab Open shows.
        return f"{size:.4g} µm/px" + (f" ({source.split(' (')[0]})" if source else "")
    return "no pixel size: lengths are in pixels"
