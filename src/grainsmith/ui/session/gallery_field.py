"""The minerals in a grain table, and the field that images of single grains are drawn from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.gallery import prepare_field
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.labels import features_of, table_of

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Labels

    from grainsmith.gallery import GalleryField
    from grainsmith.ui.session.active_layers import ActiveLayers

NAMING = ("mineral", "score", "runner_up", "runner_up_score", "verdict")
"""Columns of a grain table that name minerals."""


def naming_of(grains: Labels) -> pd.DataFrame:
    """Return the named grains of a layer with the columns `NAMING`; empty without any."""
    rows = named_rows(grains.features)
    return table_of(grains).iloc[:0] if rows is None else rows


def named_rows(features: pd.DataFrame | None) -> pd.DataFrame | None:
    """Return the named rows of a layer's features, index `label`; None without names."""
    if features is None or any(column not in features for column in ("index", *NAMING)):
        return None
    has_mineral = features["mineral"].fillna("").astype(str) != ""
    rows = features.loc[has_mineral, ["index", *NAMING]]
    return rows.set_index("index").rename_axis("label")


def put_columns(grains: Labels, columns: pd.DataFrame) -> None:
    """Write columns, index `label`, into a layer's table; grains without a value get a gap."""
    table = table_of(grains)
    others = table.drop(columns=[name for name in columns if name in table])
    merged = others.join(columns, how="outer") if len(others.columns) else columns
    for name in ("mineral", "runner_up", "verdict"):
        if name in merged:
            merged[name] = merged[name].fillna("").astype(str)
    if "mixed" in merged:
        merged["mixed"] = merged["mixed"].fillna(False).astype(bool)
    grains.features = features_of(merged.rename_axis("label"))


def gallery_field(active: ActiveLayers) -> GalleryField | None:
    """Return the field that images of grains are drawn from; None without image or grains."""
    image, grains = active.image, active.grains
    if image is None or grains is None:
        return None
    maps, transforms = active.element_maps()
    return prepare_field(
        np.asarray(image.data),
        np.asarray(grains.data),
        maps,
        transforms,
        table=table_of(grains),
        naming=naming_of(grains),
        pixel_size_um=pixel_size_um_of(image),
    )
