"""What the layers hold, as a field that can be written; and a field that was read, as layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grainsmith.errors import MismatchError
from grainsmith.io.dataset import Origin, polygons_to_mask
from grainsmith.io.exchange import LabelledField
from grainsmith.ui.layers.geometry import world_matrix
from grainsmith.ui.layers.images import sem_image_of
from grainsmith.ui.layers.labels import labels_options, table_of
from grainsmith.ui.layers.metadata import GrainsMetadata

if TYPE_CHECKING:
    from napari.layers import Image, Labels, Shapes

    from grainsmith.ui.session.active_layers import ActiveLayers


def field_of(roles: ActiveLayers) -> LabelledField:
    """Return the present grains with their image, table and minerals.

    Raises
    ------
    MismatchError
        There are no grains, or they are of another size than the image.
    """
    grains, image = roles.grains, roles.image
    if grains is None:
        raise MismatchError("there are no grains yet")
    if grains.multiscale or grains.ndim != 2:
        raise MismatchError(f"'{grains.name}' is no single label image (rows, columns)")
    table = table_of(grains)
    field = LabelledField(
        labels=np.array(grains.data, np.int32),  # a copy: it is written while you go on
        name=grains.name,
        table=table,
        minerals=minerals_in(table),
    )
    if image is None:
        return field
    picture = sem_image_of(image)
    if picture.image.shape[:2] != field.labels.shape:
        raise MismatchError(
            f"'{grains.name}' is {field.labels.shape}, '{image.name}' {picture.image.shape[:2]} "
            "(rows, columns): choose the image of these grains in the line at the top"
        )
    return replace(
        field,
        image=picture.image,
        name=image.name,
        pixel_size_um=picture.pixel_size_um,
    )


def training_field_of(roles: ActiveLayers, licence: str) -> tuple[LabelledField, Origin]:
    """Return the field without its data bar, and where it comes from.

    Raises
    ------
    MismatchError
        As `field_of`, and where there is no image.
    """
    field, grains, image = field_of(roles), roles.grains, roles.image
    if image is None or grains is None:
        raise MismatchError("a training field needs the image of its grains")
    picture, metadata = sem_image_of(image), GrainsMetadata.of(grains)
    rows = picture.cropped.shape[0]
    origin = Origin(
        source=picture.source,
        pixel_size_source=picture.pixel_size_source,
        states=dict(metadata.states),
        model=dict(metadata.model),
        settings=dict(metadata.settings),
        license=licence,
    )
    cut = replace(field, labels=field.labels[:rows], image=np.array(picture.cropped))
    return cut, origin


def region_on(shapes: Shapes, image: Image, rows: int) -> Any:
    """Return what shapes cover of an image's first rows, (rows, X) bool.

    Raises
    ------
    MismatchError
        There is an ellipse or a line, or nothing at all.
    """
    kinds = set(shapes.shape_type)
    if not kinds or kinds - {"rectangle", "polygon"}:
        raise MismatchError(f"'{shapes.name}' must hold rectangles or polygons only")
    to_pixels = np.linalg.inv(world_matrix(image)) @ world_matrix(shapes)
    corners = [np.asarray(one) @ to_pixels[:2, :2].T + to_pixels[:2, 2] for one in shapes.data]
    return polygons_to_mask((rows, image.data.shape[1]), corners)


def minerals_in(table: pd.DataFrame) -> dict[int, str]:
    """Return the minerals that a grain table names."""
    if "mineral" not in table:
        return {}
    named = zip(table.index.tolist(), table["mineral"].fillna("").tolist(), strict=True)
    return {int(label): str(name) for label, name in named if label and name}


def show_field(viewer: Any, roles: ActiveLayers, field: LabelledField, source: str) -> Labels:
    """Show grains that were read, on the image of their size; they become the grains."""
    numbers = [int(label) for label in np.unique(field.labels) if label]
    table = pd.DataFrame(index=pd.Index(numbers, name="label"))
    if field.minerals:
        table["mineral"] = [field.minerals.get(number, "") for number in numbers]
    image = roles.image
    if image is not None and image.data.shape[:2] == field.labels.shape:
        options = labels_options(image, name=f"{field.name} imported", table=table, source=source)
    else:
        scale = (field.pixel_size_um,) * 2 if field.pixel_size_um > 0 else (1.0, 1.0)
        units = ("um", "um") if field.pixel_size_um > 0 else ("pixel", "pixel")
        options = {
            "name": f"{field.name} imported",
            "metadata": GrainsMetadata(source=source).for_layer(),
            "scale": scale,
            "units": units,
            "features": table.rename_axis("index").reset_index(),
        }
    layer = viewer.add_labels(field.labels, opacity=0.45, **options)
    layer = getattr(layer, "__wrapped__", layer)
    roles.grains = layer
    return layer
