"""The active layers as a labelled field, and labelled fields as layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Labels

from grainsmith.errors import MismatchError
from grainsmith.io.dataset import Origin, polygons_to_mask
from grainsmith.io.exchange import LabelledField
from grainsmith.ui.layers.geometry import world_matrix
from grainsmith.ui.layers.images import sem_image_of
from grainsmith.ui.layers.labels import labels_options, table_of
from grainsmith.ui.layers.metadata import GrainsMetadata

if TYPE_CHECKING:
    from napari.layers import Image, Shapes

    from grainsmith.ui.session.active_layers import ActiveLayers


def labelled_field(active: ActiveLayers) -> LabelledField:
    """Return the active grains with their image, table and minerals.

    Raises
    ------
    MismatchError
        There are no grains, or their size differs from that of the image.
    """
    grains, image = active.grains, active.image
    if grains is None:
        raise MismatchError("there are no grains yet")
    if grains.multiscale or grains.ndim != 2:
        raise MismatchError(f"'{grains.name}' is not a single label image (rows, columns).")
    table = table_of(grains)
    field = LabelledField(
        labels=np.array(grains.data, np.int32),  # a copy: it is written while editing goes on
        name=grains.name,
        table=table,
        minerals=minerals_in(table),
    )
    if image is None:
        return field
    sem_image = sem_image_of(image)
    if sem_image.image.shape[:2] != field.labels.shape:
        raise MismatchError(
            f"'{grains.name}' is {field.labels.shape}, '{image.name}' is "
            f"{sem_image.image.shape[:2]} (rows, columns). Choose the image of these grains."
        )
    return replace(
        field,
        image=sem_image.image,
        name=image.name,
        pixel_size_um=sem_image.pixel_size_um,
    )


def training_field(active: ActiveLayers, license_name: str) -> tuple[LabelledField, Origin]:
    """Return the active field without its data bar, and its origin.

    Raises
    ------
    MismatchError
        As for `labelled_field`, and without an image.
    """
    field, grains, image = labelled_field(active), active.grains, active.image
    if image is None or grains is None:
        raise MismatchError("a training field needs the image of its grains")
    sem_image, metadata = sem_image_of(image), GrainsMetadata.of(grains)
    rows = sem_image.cropped.shape[0]
    origin = Origin(
        source=sem_image.source,
        pixel_size_source=sem_image.pixel_size_source,
        states=dict(metadata.states),
        model=dict(metadata.model),
        settings=dict(metadata.settings),
        license=license_name,
    )
    cropped = replace(field, labels=field.labels[:rows], image=np.array(sem_image.cropped))
    return cropped, origin


def region_on(shapes: Shapes, image: Image, rows: int) -> Any:
    """Return the mask that shapes cover in the first rows of an image, (rows, X) bool.

    Raises
    ------
    MismatchError
        The layer is empty, or holds other shapes than rectangles and polygons.
    """
    kinds = set(shapes.shape_type)
    if not kinds or kinds - {"rectangle", "polygon"}:
        raise MismatchError(f"'{shapes.name}' must hold rectangles or polygons only.")
    to_pixels = np.linalg.inv(world_matrix(image)) @ world_matrix(shapes)
    outlines = [
        np.asarray(corners) @ to_pixels[:2, :2].T + to_pixels[:2, 2] for corners in shapes.data
    ]
    return polygons_to_mask((rows, image.data.shape[1]), outlines)


def minerals_in(table: pd.DataFrame) -> dict[int, str]:
    """Return the minerals in a grain table, by label."""
    if "mineral" not in table:
        return {}
    pairs = zip(table.index.tolist(), table["mineral"].fillna("").tolist(), strict=True)
    return {int(label): str(name) for label, name in pairs if label and name}


def show_field(viewer: Any, active: ActiveLayers, field: LabelledField, source: str) -> Labels:
    """Show imported grains, on the active image where it has their size; they become active."""
    labels = [int(label) for label in np.unique(field.labels) if label]
    table = pd.DataFrame(index=pd.Index(labels, name="label"))
    if field.minerals:
        table["mineral"] = [field.minerals.get(label, "") for label in labels]
    image = active.image
    if image is not None and image.data.shape[:2] == field.labels.shape:
        options = labels_options(image, name=f"{field.name} imported", table=table, source=source)
    else:
        has_size = field.pixel_size_um > 0
        options = {
            "name": f"{field.name} imported",
            "metadata": GrainsMetadata(source=source).for_layer(),
            "scale": (field.pixel_size_um if has_size else 1.0,) * 2,
            "units": ("um" if has_size else "pixel",) * 2,
            "features": table.rename_axis("index").reset_index(),
        }
    layer = Labels(field.labels, opacity=0.45, **options)
    viewer.add_layer(layer)
    active.grains = layer
    return layer
