"""Values of the library <-> layers of napari, both ways. The only place that knows our metadata.

World coordinates are micrometres where the pixel size is known (`layer.units` says so) and pixels
of the image where it is not. An alignment lives in `layer.affine`: nothing is ever resampled.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.transforms import Affine
from pint import get_application_registry

from grainsmith.data import ElementMap, SemImage, Transform
from grainsmith.errors import MismatchError
from grainsmith.ui.layers.metadata import (
    GrainsMetadata,
    ImageMetadata,
    MapMetadata,
    RegistrationMetadata,
    Role,
    role_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt
    import pandas as pd
    from napari.layers import Image, Labels, Layer


LayerData = tuple[Any, dict[str, Any], str]
"""(data, keyword arguments, kind of layer), as napari takes it from readers and samples."""


def pixel_size_um_of(layer: Layer) -> float:
    """Return the side of a layer's pixel in µm; 0 where its units are no lengths."""
    return length_um(float(layer.scale[-1]), layer.units[-1])


def length_um(value: float, unit: Any) -> float:
    """Return a length in µm; 0 where the unit (of pint, or its name) is none of length."""
    known = get_application_registry().Unit(unit)
    if not known.is_compatible_with("um"):
        return 0.0
    return float((value * known).to("um").magnitude)


def place_of(layer: Layer) -> dict[str, Any]:
    """Return the keyword arguments that put another layer exactly where this one is."""
    return {
        "scale": tuple(layer.scale),
        "translate": tuple(layer.translate),
        "rotate": layer.rotate,
        "shear": layer.shear,
        "affine": np.array(layer.affine.affine_matrix),
        "units": tuple(str(unit) for unit in layer.units),
    }


# --- images


def image_layer(image: SemImage, *, name: str = "", role: Role = Role.IMAGE) -> LayerData:
    """Return an image as the layer that `sem_image_of` reads back."""
    field = image.cropped
    metadata = ImageMetadata(
        source=image.source,
        pixel_size_um=image.pixel_size_um,
        pixel_size_source=image.pixel_size_source,
        data_bar_rows=image.data_bar_rows,
        notes=image.notes,
    )
    options: dict[str, Any] = {
        "name": name or Path(image.source).stem or "image",
        "metadata": metadata.for_layer(role),
        **_scale(image.pixel_size_um),
    }
    if field.ndim == 2:
        options["contrast_limits"] = _contrast(field)
        options["colormap"] = "gray"
    return image.image, options, "image"


def sem_image_of(layer: Image) -> SemImage:
    """Return the image of an image layer, whoever opened it.

    Raises
    ------
    MismatchError
        The layer is a stack or a pyramid.
    """
    if layer.multiscale or layer.ndim != 2:
        raise MismatchError(
            f"'{layer.name}' has {layer.data[0].ndim if layer.multiscale else layer.ndim} axes or "
            "several resolutions: one image is wanted. Right-click the layer and split the stack."
        )
    metadata = ImageMetadata.of(layer)
    pixels = np.asarray(layer.data)
    return SemImage(
        image=pixels[..., :3] if layer.rgb else pixels,
        pixel_size_um=pixel_size_um_of(layer),
        pixel_size_source=metadata.pixel_size_source,
        data_bar_rows=metadata.data_bar_rows,
        source=metadata.source or layer.name,
        notes=metadata.notes,
    )


def set_pixel_size(
    image: Image, pixel_size_um: float, source: str, layers: Iterable[Layer]
) -> None:
    """Give an image another pixel size, and take along all that lies on it.

    Parameters
    ----------
    image : Image layer
        Its grains keep its place, its maps their transform.
    pixel_size_um : float
        0 makes it unknown: pixels again.
    source : str
        Where the number comes from.
    layers : iterable of layers
        Those that may lie on the image.
    """
    others = [layer for layer in layers if layer is not image]
    transforms = {
        layer: transform_of(layer, image) for layer in others if role_of(layer) == Role.MAP
    }
    riding = [layer for layer in others if layer not in transforms and _same_place(layer, image)]
    scale = _scale(pixel_size_um)
    for layer in (image, *riding):
        was = layer.scale[-1]
        layer.scale, layer.units = scale["scale"], scale["units"]
        layer.translate = np.asarray(layer.translate) * scale["scale"][-1] / was
    for layer, transform in transforms.items():
        place_map(layer, image, transform)
    ImageMetadata.update(image, pixel_size_um=pixel_size_um, pixel_size_source=source)


# --- grains


def labels_options(
    image: Image, *, name: str, table: pd.DataFrame | None = None, **metadata: Any
) -> dict[str, Any]:
    """Return the keyword arguments of a labels layer that lies on an image.

    Parameters
    ----------
    image : Image layer
        Gives scale, units, translate and affine.
    name : str
        Of the new layer.
    table : DataFrame
        One row per grain, index `label`.
    **metadata
        Further fields of `GrainsMetadata` (model, settings, prediction, ...).
    """
    options: dict[str, Any] = {
        "name": name,
        "metadata": GrainsMetadata(image=image.name, **metadata).for_layer(),
        **place_of(image),
    }
    if table is not None:
        options["features"] = features_of(table)
    return options


def adopt(grains: Labels, image: Image) -> None:
    """Lay opened grains on the image of their shape, unless somebody has placed them already."""
    metadata = GrainsMetadata.of(grains)
    fits = grains.data.shape == image.data.shape[:2]
    if metadata.source is None or metadata.image or not fits:
        return
    GrainsMetadata.update(grains, image=image.name)
    place = place_of(image)
    grains.units = place.pop("units")
    for name, value in place.items():
        setattr(grains, name, value)


def features_of(table: pd.DataFrame) -> pd.DataFrame:
    """Return a grain table as napari's features; row 0 is the background.

    Notes
    -----
    napari looks a grain up in the column `index`; without it row i is shown for label i.
    """
    rows = table.rename_axis("index").reset_index()
    return rows.rename(columns={"label": "index"}) if "index" not in rows else rows


def table_of(layer: Labels) -> pd.DataFrame:
    """Return a layer's grain table with the index `label`."""
    rows: pd.DataFrame = layer.features.copy()
    if "index" not in rows:
        rows.insert(0, "index", range(len(rows)))
    return rows.set_index("index").rename_axis("label")


# --- maps


def map_layer(
    element_map: ElementMap, reference: Image, transform: Transform, **metadata: Any
) -> LayerData:
    """Return an element map as the layer that `element_map_of` reads back.

    Parameters
    ----------
    element_map : ElementMap
        In its native pixels.
    reference : Image layer
        The image that it lies on.
    transform : Transform
        Pixels of the map -> pixels of the image.
    **metadata
        Further fields of `MapMetadata`.
    """
    options = {
        "name": element_map.name,
        "metadata": MapMetadata(
            element=element_map.element,
            line=element_map.line,
            kind=element_map.kind,
            pixel_size_um=element_map.pixel_size_um,
            source=element_map.source,
            window=element_map.window,
            registration=RegistrationMetadata(verdict=transform.verdict, z=transform.z),
            **metadata,
        ).for_layer(),
        "blending": "additive",
        "units": tuple(str(unit) for unit in reference.units),
        "affine": world_matrix(reference) @ transform.matrix,
    }
    return element_map.values, options, "image"


def element_map_of(layer: Image) -> ElementMap:
    """Return the element map of a map layer."""
    metadata = MapMetadata.of(layer)
    return ElementMap(
        values=np.asarray(layer.data),
        element=metadata.element or layer.name,
        line=metadata.line,
        kind=metadata.kind,
        pixel_size_um=metadata.pixel_size_um,
        source=metadata.source,
        window=metadata.window,
    )


def transform_of(layer: Layer, reference: Image) -> Transform:
    """Return where a layer lies on an image, by what is on the screen."""
    registration = MapMetadata.of(layer).registration or RegistrationMetadata()
    return Transform(
        matrix=np.linalg.inv(world_matrix(reference)) @ world_matrix(layer),
        z=registration.z,
        verdict=registration.verdict,
    )


def place_map(layer: Layer, reference: Image, transform: Transform) -> None:
    """Lay a map on an image through its affine; the inverse of `transform_of`."""
    own = _own_matrix(layer)
    layer.units = reference.units
    layer.affine = world_matrix(reference) @ transform.matrix @ np.linalg.inv(own)
    registration = MapMetadata.of(layer).registration or RegistrationMetadata()
    registration = replace(registration, verdict=transform.verdict, z=transform.z)
    MapMetadata.update(layer, registration=registration)


def world_matrix(layer: Layer) -> npt.NDArray[np.float64]:
    """Return the (3, 3) matrix that takes a layer's pixels (y, x, 1) to world coordinates."""
    matrix: npt.NDArray[np.float64] = layer.affine.affine_matrix @ _own_matrix(layer)
    return matrix


def _own_matrix(layer: Layer) -> npt.NDArray[np.float64]:
    own = Affine(
        scale=layer.scale, translate=layer.translate, rotate=layer.rotate, shear=layer.shear
    )
    matrix: npt.NDArray[np.float64] = own.affine_matrix
    return matrix


def _same_place(layer: Layer, image: Image) -> bool:
    return layer.ndim == 2 and np.allclose(world_matrix(layer), world_matrix(image))


def _scale(pixel_size_um: float) -> dict[str, Any]:
    if pixel_size_um > 0:
        return {"scale": (pixel_size_um, pixel_size_um), "units": ("um", "um")}
    return {"scale": (1.0, 1.0), "units": ("pixel", "pixel")}


def _contrast(field: npt.NDArray[Any]) -> tuple[float, float]:
    # One bright speck must not make the whole image black; every 4th pixel says enough.
    sample = field[::4, ::4]
    finite = sample[np.isfinite(sample)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, (0.1, 99.9))
    return (float(low), float(high)) if high > low else (float(low), float(low) + 1.0)
