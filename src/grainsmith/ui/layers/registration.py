"""The places of map layers: what an alignment moves, how it is undone, saved and loaded."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.align import (
    AlignSettings,
    DisplacementField,
    MovingImage,
    RegistrationResult,
    initial_transform,
    register_images,
    require_simpleitk,
    resample_bspline,
)
from grainsmith.data import Transform, no_progress
from grainsmith.errors import MismatchError
from grainsmith.io.transforms import read_bends, read_transforms, write_transforms
from grainsmith.ui.layers.convert import (
    element_map_of,
    pixel_size_um_of,
    place_map,
    place_of,
    sem_image_of,
    transform_of,
    world_matrix,
)
from grainsmith.ui.layers.metadata import MapMetadata, RegistrationMetadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari.layers import Image

    from grainsmith.ui.layers.convert import LayerData


def start_matrix(layer: Image, reference: Image) -> Any:
    """Return where a layer lies by its file: (3, 3), from its pixels to those of the reference."""
    metadata = MapMetadata.of(layer)
    if metadata.start is not None and metadata.start_on == reference.name:
        return np.array(metadata.start)
    lies_plain = np.allclose(world_matrix(layer), np.eye(3))
    if lies_plain and not layer.rgb and metadata.registration is None:
        # Opened by another reader: fewer pixels cover the same field.
        return initial_transform(element_map_of(layer), sem_image_of(reference)).matrix
    return transform_of(layer, reference).matrix


def keep_start(layer: Image, reference: Image) -> Any:
    """Remember where a layer lies by its file, before anything moves it, and return it."""
    start = start_matrix(layer, reference)
    MapMetadata.update(layer, start=start.tolist(), start_on=reference.name)
    return start


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that an alignment needs, taken from the layers before the thread starts."""

    reference: Any
    moving: tuple[MovingImage, ...]
    groups: tuple[str, ...]
    pixel_size_um: float
    settings: AlignSettings


def job_of(
    reference: Image, layers: Sequence[Image], groups: Sequence[str], settings: AlignSettings
) -> Job:
    """Return the work that aligns layers to a reference.

    Raises
    ------
    MismatchError
        A layer is a stack or a pyramid.
    GrainsmithError
        A refinement is asked for that is not installed.
    """
    require_simpleitk(settings)
    still = sem_image_of(reference)
    moving = []
    for layer in layers:
        if layer.multiscale or layer.ndim != 2:
            raise MismatchError(f"'{layer.name}' is a stack or a pyramid: split it first.")
        start = keep_start(layer, reference)
        moving.append(MovingImage(picture=np.asarray(layer.data), name=layer.name, start=start))
    return Job(
        reference=still.cropped,
        moving=tuple(moving),
        groups=tuple(groups),
        pixel_size_um=pixel_size_um_of(reference),
        settings=settings,
    )


def do(job: Job, *, on_progress: Callable[[int, int], None] = no_progress) -> RegistrationResult:
    """Align; touches no layer, so that a thread may do it."""
    return register_images(
        job.reference,
        job.moving,
        job.settings,
        groups=job.groups,
        pixel_size_um=job.pixel_size_um,
        on_progress=on_progress,
    )


def apply(alignment: RegistrationResult, layers: Sequence[Image], reference: Image) -> None:
    """Lay layers where an alignment found them; their data stay as they are."""
    for row, layer in zip(alignment.rows, layers, strict=True):
        place_map(layer, reference, row.transform)
        registration = RegistrationMetadata(
            verdict=row.transform.verdict,
            z=row.transform.z,
            group_z=row.group_z,
            residual_px=row.residual_px,
            model=row.model,
            note=row.note,
            bend=None if row.bend is None else row.bend.to_json(),
        )
        MapMetadata.update(layer, group=row.group, registration=registration)


def straight_copy(layer: Image, reference: Image) -> LayerData:
    """Return a bent map's straightened copy as a layer; the map itself stays as it is.

    Raises
    ------
    MismatchError
        No bend was found for it.
    """
    metadata = MapMetadata.of(layer)
    registration = metadata.registration
    if registration is None or registration.bend is None:
        raise MismatchError(
            f"No bend is recorded for '{layer.name}'. Choose bspline at 'Refine by SimpleITK' in "
            "the settings and align: where the tiles are off, what is bent is recorded."
        )
    try:
        known_bend = DisplacementField.from_json(registration.bend)
    except (ValueError, KeyError, TypeError) as error:
        raise MismatchError(
            f"The bend recorded for '{layer.name}' cannot be used ({error}): align it again."
        ) from error
    data = resample_bspline(np.asarray(layer.data), transform_of(layer, reference), known_bend)
    name = f"{layer.name} straightened"
    options = {
        "name": name,
        "metadata": replace(
            metadata, registration=replace(registration, bend=None), straightened_from=layer.name
        ).for_layer(),
        "colormap": layer.colormap,
        "contrast_limits": layer.contrast_limits,
        "blending": layer.blending,
        **place_of(layer),
    }
    return data, options, "image"


@dataclass
class Undo:
    """Earlier places of layers, the last one first."""

    _steps: list[list[tuple[Image, Any, RegistrationMetadata | None]]] = field(default_factory=list)
    limit: int = 100

    def remember(self, layers: Iterable[Image]) -> None:
        """Keep the present places."""
        self._steps.append(
            [
                (one, np.array(one.affine.affine_matrix), MapMetadata.of(one).registration)
                for one in layers
            ]
        )
        del self._steps[: -self.limit]

    def back(self) -> int:
        """Give the last change back; returns how many layers it concerned."""
        if not self._steps:
            return 0
        step = self._steps.pop()
        for layer, affine, registration in step:
            layer.affine = affine
            MapMetadata.update(layer, registration=registration)
        return len(step)


def nudge(layers: Iterable[Image], reference: Image, dy_px: float, dx_px: float) -> None:
    """Move layers by pixels of the reference."""
    for layer in layers:
        keep_start(layer, reference)
        now = transform_of(layer, reference)
        moved = Transform.from_shift(dy_px, dx_px).matrix @ now.matrix
        place_map(layer, reference, Transform(matrix=moved, z=now.z, verdict="by hand"))


def save(path: str, layers: Sequence[Image], reference: Image) -> None:
    """Write where layers lie on the reference."""
    rows = {}
    for layer in layers:
        metadata = MapMetadata.of(layer)
        bend = metadata.registration.bend if metadata.registration is not None else None
        rows[layer.name] = {"element": metadata.element, "group": metadata.group, "bend": bend}
    transforms = {one.name: transform_of(one, reference) for one in layers}
    write_transforms(path, transforms, reference=reference.name, rows=rows)


def load(path: str, layers: Sequence[Image], reference: Image) -> list[str]:
    """Lay layers where a file says; returns the names of those that it says nothing of.

    A file of one matrix without a name counts for a single layer.

    Raises
    ------
    ReadError
        The file holds no transform that is understood.
    MismatchError
        It fits none of the layers.
    """
    found, bends = read_transforms(path), read_bends(path)
    if "" in found and len(layers) == 1:
        found = {layers[0].name: found[""]}
    elements = {MapMetadata.of(one).element: one.name for one in layers}
    named = {elements.get(name, name): transform for name, transform in found.items()}
    bends = {elements.get(name, name): bend for name, bend in bends.items()}
    fitting = [one for one in layers if one.name in named]
    if not fitting:
        raise MismatchError(
            f"{path} tells of {', '.join(found) or 'no map'}, and none of these is open. "
            "Select one map to load a bare matrix."
        )
    for one in fitting:
        keep_start(one, reference)
        place_map(one, reference, named[one.name])
        registration = MapMetadata.of(one).registration or RegistrationMetadata()
        MapMetadata.update(one, registration=replace(registration, bend=bends.get(one.name)))
    return [one.name for one in layers if one not in fitting]
