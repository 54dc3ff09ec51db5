"""Register element maps and other images of a field by mutual information.

All maps of an acquisition pass share one transform, estimated from their combined mutual
information over all shifts. Nothing is resampled, and maps with too little evidence are not moved.
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
    """Register element maps to the image of their field.

    Parameters
    ----------
    reference : SemImage or ElementMap
        Fixed image; its data bar is not used.
    maps : sequence of ElementMap or SemImage
        Element maps, or other images of the field. Maps with fewer pixels than the reference cover
        the same field unless their files state otherwise.
    settings : AlignSettings
        Search range and required evidence.
    groups : sequence of str
        Acquisition pass of each map; empty = determined from the maps.
    on_progress : callable
        Called as on_progress(done, total); an exception stops the work.

    Returns
    -------
    RegistrationResult
        One row per map, in order; `transform.matrix` maps pixels of the map to pixels of the
        reference.
    """
    fixed = _image_of(reference)
    moving_images = [
        MovingImage(
            image=_image_of(moving),
            name=_name(moving),
            start=initial_transform(moving, reference).matrix,
        )
        for moving in maps
    ]
    return register_images(
        fixed,
        moving_images,
        settings,
        groups=groups,
        pixel_size_um=reference.pixel_size_um,
        on_progress=on_progress,
    )


def initial_transform(
    element_map: ElementMap | SemImage, reference: SemImage | ElementMap
) -> Transform:
    """Compute the transform of a map from file metadata, before registration.

    This is the window of the map in the image, if known. Otherwise the upper left corners coincide,
    and the scale is the ratio of the pixel sizes if both are known, else that of the widths.

    Parameters
    ----------
    element_map : ElementMap or SemImage
        The map, or another image of the field.
    reference : SemImage or ElementMap
        Image of the field; its data bar is not part of the field.

    Returns
    -------
    Transform
        Verdict "not aligned". Pixel centres are at integers: a map of n pixels over an image of N
        has its first centre at (N / n - 1) / 2.
    """
    shape, field = _image_of(element_map).shape, _image_of(reference).shape
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
    """Return the outer edge of a map and the size of its pixels, in pixels of the reference."""
    field = _image_of(reference).shape
    if isinstance(element_map, ElementMap) and element_map.window:
        share = element_map.window[2 + axis]
        return element_map.window[axis] * field[axis], share * by_count
    if element_map.pixel_size_um > 0 and reference.pixel_size_um > 0:
        return 0.0, element_map.pixel_size_um / reference.pixel_size_um
    return 0.0, field[1] / _image_of(element_map).shape[1]


def _image_of(reference: SemImage | ElementMap) -> Image:
    return reference.values if isinstance(reference, ElementMap) else reference.cropped


def _name(image: SemImage | ElementMap) -> str:
    return image.name if isinstance(image, ElementMap) else Path(image.source).name


make_callable(__name__)
