"""Align element maps and other images of one field: found by evidence, never silent.

The transform of a map is found from the maps of its acquisition pass together, by the mutual
information of every shift; nothing is resampled, and what shows too little is not moved by what it
shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grainsmith._callable_package import make_callable
from grainsmith.align.bspline import DisplacementField, resample_bspline
from grainsmith.align.landmarks import (
    MODELS,
    POINTS_NEEDED,
    fit_points,
    leave_one_out_px,
    residuals_px,
    turn_zoom_and_shear,
)
from grainsmith.align.preprocess import sharpness
from grainsmith.align.register import MovingImage, register_images
from grainsmith.align.result import VERDICTS, MapRegistration, RegistrationResult
from grainsmith.align.settings import AlignSettings
from grainsmith.align.simpleitk import require_simpleitk
from grainsmith.data import ElementMap, Transform, no_progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.data import Image, OnProgress, SemImage

__all__ = [
    "MODELS",
    "POINTS_NEEDED",
    "VERDICTS",
    "AlignSettings",
    "DisplacementField",
    "MapRegistration",
    "MovingImage",
    "RegistrationResult",
    "align_maps",
    "fit_points",
    "initial_transform",
    "leave_one_out_px",
    "register_images",
    "require_simpleitk",
    "resample_bspline",
    "residuals_px",
    "sharpness",
    "turn_zoom_and_shear",
]


def align_maps(
    reference: SemImage | ElementMap,
    maps: Sequence[ElementMap | SemImage],
    settings: AlignSettings | None = None,
    *,
    groups: Sequence[str] = (),
    on_progress: OnProgress = no_progress,
) -> RegistrationResult:
    """Find where element maps lie on the image of their field.

    Parameters
    ----------
    reference : SemImage or ElementMap
        The image that stays. The data bar of an image takes no part.
    maps : sequence of ElementMap or SemImage
        Element maps, or other images of the field. A map with fewer pixels than the reference
        covers the same field, unless it says otherwise.
    settings : AlignSettings
        What is tried, and what evidence is asked for.
    groups : sequence of str
        The acquisition pass of each map; empty = found from the maps.
    on_progress : callable
        Called as on_progress(done, total); what it raises stops the work.

    Returns
    -------
    Alignment
        One row a map, in their order; `transform.matrix` takes pixels of the map to those of the
        reference.
    """
    still = _picture_of(reference)
    moving = [
        MovingImage(
            picture=_picture_of(one),
            name=_name(one),
            start=initial_transform(one, reference).matrix,
        )
        for one in maps
    ]
    return register_images(
        still,
        moving,
        settings,
        groups=groups,
        pixel_size_um=reference.pixel_size_um,
        on_progress=on_progress,
    )


def initial_transform(
    element_map: ElementMap | SemImage, reference: SemImage | ElementMap
) -> Transform:
    """Return where a map lies before anything is aligned, by what the files say.

    That is its window in the image where it has one; else the upper left corners meet, and the
    ratio of the pixel sizes counts where both are known, that of the widths of the field elsewhere.

    Parameters
    ----------
    element_map : ElementMap or SemImage
        The map, or another image of the field.
    reference : SemImage or ElementMap
        The image it lies on; the data bar is no part of the field.

    Returns
    -------
    Transform
        Not aligned. Pixel centres are at whole numbers: a map of n pixels over an image of N has
        its first centre at (N / n - 1) / 2.
    """
    shape, field = _picture_of(element_map).shape, _picture_of(reference).shape
    matrix = np.eye(3)
    for axis in (0, 1):
        first, step = _window(element_map, reference, field[axis] / shape[axis], axis)
        matrix[axis, axis] = step
        matrix[axis, 2] = first + (step - 1) / 2
    return Transform(matrix=matrix)


def _window(
    element_map: ElementMap | SemImage,
    reference: SemImage | ElementMap,
    by_count: float,
    axis: int,
) -> tuple[float, float]:
    """Return the outer edge of a map and the step of its pixels, in pixels of the reference."""
    field = _picture_of(reference).shape
    if isinstance(element_map, ElementMap) and element_map.window:
        share = element_map.window[2 + axis]
        return element_map.window[axis] * field[axis], share * by_count
    if element_map.pixel_size_um > 0 and reference.pixel_size_um > 0:
        return 0.0, element_map.pixel_size_um / reference.pixel_size_um
    return 0.0, field[1] / _picture_of(element_map).shape[1]


def _picture_of(reference: SemImage | ElementMap) -> Image:
    return reference.values if isinstance(reference, ElementMap) else reference.cropped


def _name(picture: SemImage | ElementMap) -> str:
    return picture.name if isinstance(picture, ElementMap) else Path(picture.source).name


make_callable(__name__)
