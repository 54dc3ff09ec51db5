"""Columns of the grain table in a labels layer, and what the gallery needs of all layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.gallery import prepare_field
from grainsmith.ui.layers.element_maps import element_map_of
from grainsmith.ui.layers.geometry import pixel_size_um_of, transform_of
from grainsmith.ui.layers.labels import features_of, table_of

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Labels

    from grainsmith.data import ElementMap, Transform
    from grainsmith.gallery import GalleryField
    from grainsmith.ui.session.active_layers import ActiveLayers

NAMING = ("mineral", "score", "runner_up", "runner_up_score", "verdict")


def naming_of(grains: Labels) -> pd.DataFrame:
    """Return the minerals in a layer's table, without grains that have none; may be empty."""
    table = table_of(grains)
    if any(column not in table for column in NAMING):
        return table.iloc[:0]
    named = table["mineral"].fillna("").astype(str) != ""
    return table.loc[named, list(NAMING)]


def put_columns(grains: Labels, columns: pd.DataFrame) -> None:
    """Put columns, index `label`, into a layer's table; rows of other grains get a gap."""
    table = table_of(grains)
    kept = table.drop(columns=[name for name in columns if name in table])
    merged = kept.join(columns, how="outer") if len(kept.columns) else columns
    for name in ("mineral", "runner_up", "verdict"):
        if name in merged:
            merged[name] = merged[name].fillna("").astype(str)
    if "mixed" in merged:
        merged["mixed"] = merged["mixed"].fillna(False).astype(bool)
    grains.features = features_of(merged.rename_axis("label"))


def maps_of(roles: ActiveLayers) -> tuple[list[ElementMap], dict[str, Transform]]:
    """Return the element maps of a viewer and where they lie on its image.

    Of two maps of one element the first counts: a column of the table can hold one only.
    """
    maps, transforms = [], {}
    for layer in roles.maps:
        element_map = element_map_of(layer)
        if element_map.element not in transforms and roles.image is not None:
            maps.append(element_map)
            transforms[element_map.element] = transform_of(layer, roles.image)
    return maps, transforms


def field_of(roles: ActiveLayers) -> GalleryField | None:
    """Return everything that images of grains are made from; None without image or grains."""
    image, grains = roles.image, roles.grains
    if image is None or grains is None:
        return None
    maps, transforms = maps_of(roles)
    return prepare_field(
        np.asarray(image.data),
        np.asarray(grains.data),
        maps,
        transforms,
        table=table_of(grains),
        naming=naming_of(grains),
        pixel_size_um=pixel_size_um_of(image),
    )
