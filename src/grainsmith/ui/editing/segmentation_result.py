"""A result becomes a layer, and never at the cost of the user's own work."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from pandas.api.types import is_numeric_dtype

from grainsmith.ui.editing.history import history_of, is_kept
from grainsmith.ui.editing.step import BY_HAND
from grainsmith.ui.layers.labels import features_of, labels_options
from grainsmith.ui.layers.metadata import GrainsMetadata, states_of

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Image, Labels

    from grainsmith.data import LabelImage
    from grainsmith.ui.session.active_layers import ActiveLayers

"""Fact of our own results: the fingerprint of the labels as we drew them."""

_OPACITY = 0.45
"""The image must be seen through its grains."""


def add_or_update_grains(
    viewer: Any,
    roles: ActiveLayers,
    image: Image,
    labels: LabelImage,
    table: pd.DataFrame,
    *,
    amend: bool = False,
    **known: Any,
) -> tuple[Labels, str]:
    """Show grains as a layer, and never at the cost of what the user did.

    Our own result that nobody has touched is replaced. In one that was corrected the new grains
    come round those made or accepted by hand, as a step that can be undone. One that was changed in
    another way (a script, names of minerals) is left alone and hidden, with a new layer beside it.

    Parameters
    ----------
    viewer : napari viewer
        Where the layer goes.
    roles : ActiveLayers
        The new layer becomes the grains.
    image : Image layer
        That they were found in.
    labels : (Y, X) int32 array
        Of the image's shape; becomes the layer's own.
    table : DataFrame
        Index `label`.
    amend : bool
        A slider is being moved: the step is put in place of the last one of its kind.
    **known
        Facts of the result (model, settings, prediction, ...).

    Returns
    -------
    layer : Labels
        That shows them now.
    said : str
        What became of the user's work, in a sentence; "" where there was none.
    """
    present = _own_result(roles, image)
    if present is not None and is_untouched(present):
        replace_grains(present, labels, table, **known)
        roles.grains = present
        return present, ""
    if present is not None and _can_merge(present, labels):
        kept = history_of(present).resegment(labels, table, amend=amend)
        GrainsMetadata.update(present, **{name: known[name] for name in known if name != "states"})
        roles.grains = present
        yours = "grain of yours was" if len(kept) == 1 else "grains of yours were"
        return present, f"{len(kept):,} {yours} kept; Ctrl+Z brings back what was there."
    known["seal"] = _fingerprint(labels)
    options = labels_options(image, name=f"{image.name} grains", table=table, **known)
    layer = viewer.add_labels(labels, opacity=_OPACITY, **options)
    layer = getattr(layer, "__wrapped__", layer)
    roles.grains = layer
    if present is None:
        return layer, ""
    present.visible = False
    return layer, f"You had worked on '{present.name}': it is kept as it is (hidden)."


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
    GrainsMetadata.update(layer, **known, seal=_fingerprint(labels))
    if is_kept(layer):
        # Its steps are of grains that are gone, and it is as new: nothing of the user's is lost.
        history_of(layer).forget()


def is_untouched(layer: Labels) -> bool:
    """Return whether a layer is our own result, just as we drew it.

    Painting, an accepted or rejected grain, and a name given to a grain are the user's work.
    """
    if any(state != "auto" for state in states_of(layer).values()):
        return False
    return not _has_names(layer) and bool(
        GrainsMetadata.of(layer).seal == _fingerprint(np.asarray(layer.data))
    )


def _has_names(layer: Labels) -> bool:
    names = layer.features.select_dtypes(exclude="number").columns
    return any(not is_numeric_dtype(layer.features[name]) for name in names)


def _can_merge(layer: Labels, labels: LabelImage) -> bool:
    """Return whether it is known grain by grain what the user did, so that it can be spared."""
    by_hand = set(states_of(layer).values()) & set(BY_HAND)
    same = layer.data.shape == labels.shape
    return bool(by_hand) and same and is_kept(layer) and not _has_names(layer)


def _own_result(roles: ActiveLayers, image: Image) -> Labels | None:
    """Return the result of this image that is worked on, or the last one made."""
    own = [
        layer
        for layer in roles.all_grains
        if GrainsMetadata.of(layer).seal and roles.belongs(layer, image)
    ]
    if roles.grains in own:
        return roles.grains
    return own[-1] if own else None


def _fingerprint(labels: LabelImage) -> str:
    content = np.ascontiguousarray(labels)
    return hashlib.blake2b(content.data, digest_size=16).hexdigest()
