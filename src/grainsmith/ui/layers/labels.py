"""Labels layers of grains, and the grain table in their features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from grainsmith.ui.layers.geometry import place_of
from grainsmith.ui.layers.label_colors import grain_colormap
from grainsmith.ui.layers.metadata import GrainsMetadata

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Image, Labels


def labels_options(
    image: Image, *, name: str, table: pd.DataFrame | None = None, **metadata: Any
) -> dict[str, Any]:
    """Return the keyword arguments of a labels layer that lies on an image.

    Parameters
    ----------
    image : Image layer
        Gives scale, units, translate and affine.
    name : str
        Name of the new layer.
    table : DataFrame
        One row per grain, index `label`.
    **metadata
        Further fields of `GrainsMetadata` (model, settings, prediction, ...).
    """
    options: dict[str, Any] = {
        "name": name,
        "metadata": GrainsMetadata(image=image.name, **metadata).for_layer(),
        "colormap": grain_colormap(),
        **place_of(image),
    }
    if table is not None:
        options["features"] = features_of(table)
    return options


def attach_to_image(grains: Labels, image: Image) -> None:
    """Place labels from a file on the image of their shape, unless they belong to one already."""
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
    """Return a grain table as features of a napari layer.

    Notes
    -----
    napari finds a label by the column `index`; without it, row i is shown for label i.
    """
    rows = table.rename_axis("index").reset_index()
    return rows.rename(columns={"label": "index"}) if "index" not in rows else rows


def table_of(layer: Labels) -> pd.DataFrame:
    """Return a layer's grain table, index `label`."""
    rows: pd.DataFrame = layer.features.copy()
    if "index" not in rows:
        rows.insert(0, "index", range(len(rows)))
    return rows.set_index("index").rename_axis("label")
