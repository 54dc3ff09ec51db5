"""Apply, undo, save and load the transforms of map layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.align import (
    DisplacementField,
    RegistrationResult,
    initial_transform,
    resample_bspline,
)
from grainsmith.data import Transform
from grainsmith.errors import MismatchError
from grainsmith.io.transforms import read_bends, read_transforms, write_transforms
from grainsmith.ui.layers.element_maps import element_map_of
from grainsmith.ui.layers.geometry import place_map, place_of, transform_of, world_matrix
from grainsmith.ui.layers.images import sem_image_of
from grainsmith.ui.layers.metadata import MapMetadata, RegistrationMetadata

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    from napari.layers import Image

    from grainsmith.ui.layers import LayerData


def start_matrix(layer: Image, reference: Image) -> npt.NDArray[np.float64]:
    """Return the (3, 3) matrix from pixels of a layer to those of the reference before alignment.

    Parameters
    ----------
    layer, reference : Image layer
    """
    metadata = MapMetadata.of(layer)
    if metadata.start is not None and metadata.start_on == reference.name:
        return np.array(metadata.start)
    is_unplaced = np.allclose(world_matrix(layer), np.eye(3)) and metadata.registration is None
    if is_unplaced and not layer.rgb:
        # Another reader opened it: fewer pixels cover the same field.
        return initial_transform(element_map_of(layer), sem_image_of(reference)).matrix
    return transform_of(layer, reference).matrix


def record_start(layer: Image, reference: Image) -> npt.NDArray[np.float64]:
    """Record where a layer lies before alignment in its metadata, and return that matrix."""
    start = start_matrix(layer, reference)
    MapMetadata.update(layer, start=start.tolist(), start_on=reference.name)
    return start


def apply_registration(
    result: RegistrationResult, layers: Sequence[Image], reference: Image
) -> None:
    """Place layers as an alignment found them; their pixels stay as they are."""
    for row, layer in zip(result.rows, layers, strict=True):
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


def nudge(layers: Iterable[Image], reference: Image, dy_px: float, dx_px: float) -> None:
    """Shift layers by pixels of the reference."""
    for layer in layers:
        record_start(layer, reference)
        transform = transform_of(layer, reference)
        matrix = Transform.from_shift(dy_px, dx_px).matrix @ transform.matrix
        place_map(layer, reference, Transform(matrix=matrix, z=transform.z, verdict="by hand"))


def straightened_layer(layer: Image, reference: Image) -> LayerData:
    """Return a resampled copy of a map, without its bend, as a layer.

    Raises
    ------
    MismatchError
        No usable bend is recorded for the map.
    """
    metadata = MapMetadata.of(layer)
    registration = metadata.registration
    if registration is None or registration.bend is None:
        raise MismatchError(
            f"No bend is recorded for '{layer.name}'. Set 'Refine by SimpleITK' to bspline and "
            "align it again."
        )
    try:
        bend = DisplacementField.from_json(registration.bend)
    except (ValueError, KeyError, TypeError) as error:
        raise MismatchError(
            f"The bend recorded for '{layer.name}' cannot be used ({error}). Align it again."
        ) from error
    straightened = replace(
        metadata, registration=replace(registration, bend=None), straightened_from=layer.name
    )
    options = {
        "name": f"{layer.name} straightened",
        "metadata": straightened.for_layer(),
        "colormap": layer.colormap,
        "contrast_limits": layer.contrast_limits,
        "blending": layer.blending,
        **place_of(layer),
    }
    data = resample_bspline(np.asarray(layer.data), transform_of(layer, reference), bend)
    return data, options, "image"


class PlacementHistory:
    """Earlier places of layers, for undo.

    Parameters
    ----------
    limit : int
        Number of steps that are kept.
    """

    def __init__(self, limit: int = 100) -> None:
        self._limit = limit
        self._steps: list[list[tuple[Image, Any, RegistrationMetadata | None]]] = []

    def remember(self, layers: Iterable[Image]) -> None:
        """Record the present places of layers as a step."""
        self._steps.append(
            [
                (layer, np.array(layer.affine.affine_matrix), MapMetadata.of(layer).registration)
                for layer in layers
            ]
        )
        del self._steps[: -self._limit]

    def undo(self) -> int:
        """Restore the places of the last step; return the number of layers."""
        if not self._steps:
            return 0
        step = self._steps.pop()
        for layer, affine, registration in step:
            layer.affine = affine
            MapMetadata.update(layer, registration=registration)
        return len(step)


def save_transforms(path: str, layers: Sequence[Image], reference: Image) -> None:
    """Write the transforms of layers to the reference."""
    rows = {}
    for layer in layers:
        metadata = MapMetadata.of(layer)
        bend = metadata.registration.bend if metadata.registration is not None else None
        rows[layer.name] = {"element": metadata.element, "group": metadata.group, "bend": bend}
    transforms = {layer.name: transform_of(layer, reference) for layer in layers}
    write_transforms(path, transforms, reference=reference.name, rows=rows)


def load_transforms(path: str, layers: Sequence[Image], reference: Image) -> list[str]:
    """Place layers as a file says, by their names or elements.

    A file with a single matrix and no name is applied to a single layer.

    Returns
    -------
    list of str
        Names of the layers that are not in the file.

    Raises
    ------
    ReadError
        The file holds no readable transform.
    MismatchError
        No layer is in the file.
    """
    transforms, bends = read_transforms(path), read_bends(path)
    if "" in transforms and len(layers) == 1:
        transforms = {layers[0].name: transforms[""]}
    name_of = {MapMetadata.of(layer).element: layer.name for layer in layers}
    named = {name_of.get(name, name): transform for name, transform in transforms.items()}
    bends = {name_of.get(name, name): bend for name, bend in bends.items()}
    fitting = [layer for layer in layers if layer.name in named]
    if not fitting:
        raise MismatchError(
            f"{path} has transforms of {', '.join(transforms) or 'no map'}, and none of these maps "
            "is open. To load a single matrix, select one map."
        )
    for layer in fitting:
        record_start(layer, reference)
        place_map(layer, reference, named[layer.name])
        registration = MapMetadata.of(layer).registration or RegistrationMetadata()
        registration = replace(registration, bend=bends.get(layer.name))
        MapMetadata.update(layer, registration=registration)
    return [layer.name for layer in layers if layer not in fitting]
