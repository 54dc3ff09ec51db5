"""The input of an alignment, taken from the layers before the background thread starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.align import (
    AlignSettings,
    MovingImage,
    RegistrationResult,
    register_images,
    require_simpleitk,
)
from grainsmith.data import no_progress
from grainsmith.errors import MismatchError
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.images import sem_image_of
from grainsmith.ui.layers.registration import record_start

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.layers import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignmentJob:
    """Arrays and settings of an alignment."""

    reference: Any
    moving: tuple[MovingImage, ...]
    groups: tuple[str, ...]
    pixel_size_um: float
    settings: AlignSettings


def alignment_job(
    reference: Image, layers: Sequence[Image], groups: Sequence[str], settings: AlignSettings
) -> AlignmentJob:
    """Collect what is needed to align layers to a reference.

    Raises
    ------
    MismatchError
        A layer is a stack or a pyramid.
    GrainsmithError
        The refinement of the settings is not installed.
    """
    require_simpleitk(settings)
    image = sem_image_of(reference)
    moving = []
    for layer in layers:
        if layer.multiscale or layer.ndim != 2:
            raise MismatchError(f"'{layer.name}' is a stack or a pyramid. Split it first.")
        start = record_start(layer, reference)
        moving.append(MovingImage(image=np.asarray(layer.data), name=layer.name, start=start))
    return AlignmentJob(
        reference=image.cropped,
        moving=tuple(moving),
        groups=tuple(groups),
        pixel_size_um=pixel_size_um_of(reference),
        settings=settings,
    )


def run_alignment(
    job: AlignmentJob, *, on_progress: Callable[[int, int], None] = no_progress
) -> RegistrationResult:
    """Align without touching a layer, so that it can run in a thread."""
    return register_images(
        job.reference,
        job.moving,
        job.settings,
        groups=job.groups,
        pixel_size_um=job.pixel_size_um,
        on_progress=on_progress,
    )
