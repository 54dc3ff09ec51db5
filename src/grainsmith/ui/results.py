"""A result becomes a layer, and never at the cost of the user's own work."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from pandas.api.types import is_numeric_dtype

from grainsmith.ui.layers import facts, features_of, labels_options

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Image, Labels

    from grainsmith.data import LabelImage
    from grainsmith.ui.roles import Roles

_SEAL = "drawn"
"""Fact of our own results: the fingerprint of the labels as we drew them."""

_OPACITY = 0.45
"""The picture must be seen through its grains."""


def put_grains(
    viewer: Any,
    roles: Roles,
    image: Image,
    labels: LabelImage,
    table: pd.DataFrame,
    **known: Any,
) -> tuple[Labels, Labels | None]:
    """Show grains as a layer: in place of our own result that nobody has touched, else beside it.

    Parameters
    ----------
    viewer : napari viewer
        Where the layer goes.
    roles : Roles
        The new layer becomes the grains.
    image : Image layer
        That they were found in.
    labels : (Y, X) int32 array
        Of the picture's shape; becomes the layer's own.
    table : DataFrame
        Index `label`.
    **known
        Facts of the result (model, settings, prediction, ...).

    Returns
    -------
    layer : Labels
        That shows them now.
    kept : Labels or None
        The layer that holds the user's work and was therefore left alone (and hidden).
    """
    present = _own_result(roles, image)
    if present is not None and is_untouched(present):
        replace_grains(present, labels, table, **known)
        roles.grains = present
        return present, None
    options = labels_options(image, name=f"{image.name} grains", table=table, **known)
    options["metadata"]["grainsmith"][_SEAL] = _fingerprint(labels)
    layer = viewer.add_labels(labels, opacity=_OPACITY, **options)
    layer = getattr(layer, "__wrapped__", layer)
    roles.grains = layer
    if present is not None:
        present.visible = False
    return layer, present


def replace_grains(layer: Labels, labels: LabelImage, table: pd.DataFrame, **known: Any) -> None:
    """Give an untouched layer other grains."""
    mode = layer.mode
    layer.data = labels
    layer.features = features_of(table)
    # napari 0.9 keeps the steps of the old array and would undo them in the new one; becoming
    # uneditable is what makes it forget them.
    layer.editable = False
    layer.editable = True
    layer.mode = mode
    facts(layer).update(known, **{_SEAL: _fingerprint(labels)})


def is_untouched(layer: Labels) -> bool:
    """Return whether a layer is our own result, just as we drew it.

    Painting, an accepted or rejected grain, and a name given to a grain are the user's work.
    """
    known = facts(layer)
    if any(state != "auto" for state in known.get("states", {}).values()):
        return False
    names = layer.features.select_dtypes(exclude="number").columns
    if any(not is_numeric_dtype(layer.features[name]) for name in names):
        return False
    return bool(known.get(_SEAL, "") == _fingerprint(np.asarray(layer.data)))


def _own_result(roles: Roles, image: Image) -> Labels | None:
    """Return the result of this picture that is worked on, or the last one made."""
    own = [
        layer for layer in roles.all_grains if _SEAL in facts(layer) and roles.belongs(layer, image)
    ]
    if roles.grains in own:
        return roles.grains
    return own[-1] if own else None


def _fingerprint(labels: LabelImage) -> str:
    content = np.ascontiguousarray(labels)
    return hashlib.blake2b(content.data, digest_size=16).hexdigest()
