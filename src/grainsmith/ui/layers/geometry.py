"""Pixel size, position and transform of layers.

World coordinates are micrometres where the pixel size is known (`layer.units` says so) and pixels
of the image otherwise. An alignment lives in `layer.affine`: nothing is resampled.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine
from pint import get_application_registry

from grainsmith.data import Transform
from grainsmith.ui.layers.metadata import (
    ImageMetadata,
    MapMetadata,
    RegistrationMetadata,
    Role,
    role_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    from napari.layers import Image, Layer


def length_um(value: float, unit: Any) -> float:
    """Convert a length to µm; 0 if the unit (of pint, or its name) is not a length."""
    unit = get_application_registry().Unit(unit)
    if not unit.is_compatible_with("um"):
        return 0.0
    return float((value * unit).to("um").magnitude)


def pixel_size_um_of(layer: Layer) -> float:
    """Return the side of a layer's pixel in µm; 0 = unknown."""
    return length_um(float(layer.scale[-1]), layer.units[-1])


def scale_options(pixel_size_um: float) -> dict[str, Any]:
    """Return `scale` and `units` of a new layer; 0 µm = unknown, then pixels."""
    if pixel_size_um > 0:
        return {"scale": (pixel_size_um, pixel_size_um), "units": ("um", "um")}
    return {"scale": (1.0, 1.0), "units": ("pixel", "pixel")}


def place_of(layer: Layer) -> dict[str, Any]:
    """Return the keyword arguments that place another layer exactly on this one."""
    return {
        "scale": tuple(layer.scale),
        "translate": tuple(layer.translate),
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": np.array(layer.affine.affine_matrix),
        "units": tuple(str(unit) for unit in layer.units),
    }


def world_matrix(layer: Layer) -> npt.NDArray[np.float64]:
    """Return the (3, 3) matrix from a layer's pixels (y, x, 1) to world coordinates."""
    matrix: npt.NDArray[np.float64] = layer.affine.affine_matrix @ _matrix_without_affine(layer)
    return matrix


def transform_of(layer: Layer, reference: Image) -> Transform:
    """Return the transform from a layer's pixels to those of an image, as they are shown."""
    registration = MapMetadata.of(layer).registration or RegistrationMetadata()
    return Transform(
        matrix=np.linalg.inv(world_matrix(reference)) @ world_matrix(layer),
        z=registration.z,
        verdict=registration.verdict,
    )


def place_map(layer: Layer, reference: Image, transform: Transform) -> None:
    """Place a map on an image through its affine; the inverse of `transform_of`."""
    layer.units = reference.units
    inverse = np.linalg.inv(_matrix_without_affine(layer))
    layer.affine = world_matrix(reference) @ transform.matrix @ inverse
    registration = MapMetadata.of(layer).registration or RegistrationMetadata()
    registration = replace(registration, verdict=transform.verdict, z=transform.z)
    MapMetadata.update(layer, registration=registration)


def set_pixel_size(
    image: Image, pixel_size_um: float, source: str, layers: Iterable[Layer]
) -> None:
    """Change the pixel size of an image and of everything that lies on it.

    Parameters
    ----------
    image : Image layer
        Its grains keep their place on it, its maps their transform.
    pixel_size_um : float
        0 = unknown: world coordinates are pixels again.
    source : str
        Where the number comes from.
    layers : iterable of layers
        Candidates for lying on the image.
    """
    others = [layer for layer in layers if layer is not image]
    maps = [layer for layer in others if role_of(layer) == Role.MAP]
    transforms = {layer: transform_of(layer, image) for layer in maps}
    overlays = [layer for layer in others if layer not in maps and _covers(layer, image)]
    options = scale_options(pixel_size_um)
    for layer in (image, *overlays):
        old = layer.scale[-1]
        layer.scale, layer.units = options["scale"], options["units"]
        layer.translate = np.asarray(layer.translate) * options["scale"][-1] / old
    for layer, transform in transforms.items():
        place_map(layer, image, transform)
    ImageMetadata.update(image, pixel_size_um=pixel_size_um, pixel_size_source=source)


def _matrix_without_affine(layer: Layer) -> npt.NDArray[np.float64]:
    own = Affine(
        scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear
    )
    matrix: npt.NDArray[np.float64] = own.affine_matrix
    return matrix


def _covers(layer: Layer, image: Image) -> bool:
    return layer.ndim == 2 and np.allclose(world_matrix(layer), world_matrix(image))
