"""Segmentation results as layers, without loss of the user's own work."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels
from pandas.api.types import is_numeric_dtype

from grainsmith.ui.editing.history import has_history, history_of
from grainsmith.ui.editing.napari_compat import clear_native_undo
from grainsmith.ui.editing.step import MANUAL_STATES
from grainsmith.ui.layers.labels import features_of, labels_options
from grainsmith.ui.layers.metadata import GrainsMetadata, states_of

if TYPE_CHECKING:
    import pandas as pd
    from napari.layers import Image

    from grainsmith.data import LabelImage
    from grainsmith.ui.session.active_layers import ActiveLayers

_OPACITY = 0.45
"""The image must be visible through its grains."""


def add_or_update_grains(
    viewer: Any,
    active: ActiveLayers,
    image: Image,
    labels: LabelImage,
    table: pd.DataFrame,
    *,
    amend: bool = False,
    **metadata: Any,
) -> tuple[Labels, str]:
    """Show a segmentation result as a layer, which becomes the active grains.

    An untouched earlier result is replaced. In a corrected one the manual grains stay, and the new
    grains around them are a step that can be undone. A result that was changed otherwise (by a
    script, or by names of minerals) is hidden, and a new layer is added beside it.

    Parameters
    ----------
    viewer : napari viewer
        Where a new layer is added.
    active : ActiveLayers
    image : Image layer
        The image that was segmented.
    labels : (Y, X) int32 array
        In the image's shape; the layer takes it over.
    table : DataFrame
        Index `label`.
    amend : bool
        Replace the last step of this kind, as while a slider moves.
    **metadata
        Metadata of the result (model, settings, prediction, ...).

    Returns
    -------
    layer : Labels
        The layer that shows the result.
    message : str
        What became of the user's work; "" where there was none.
    """
    present = _result_of(active, image)
    if present is not None and is_untouched(present):
        replace_grains(present, labels, table, **metadata)
        active.grains = present
        return present, ""
    if present is not None and _can_merge(present, labels):
        kept = history_of(present).resegment(labels, table, amend=amend)
        GrainsMetadata.update(
            present, **{key: metadata[key] for key in metadata if key != "states"}
        )
        active.grains = present
        grains = "grain of yours was" if len(kept) == 1 else "grains of yours were"
        return present, f"{len(kept):,} {grains} kept; Ctrl+Z brings back what was there."
    metadata["seal"] = _fingerprint(labels)
    options = labels_options(image, name=f"{image.name} grains", table=table, **metadata)
    layer = Labels(labels, opacity=_OPACITY, **options)
    viewer.add_layer(layer)
    active.grains = layer
    history_of(layer).mark_unsaved()  # a result exists in memory only
    if present is None:
        return layer, ""
    present.visible = False
    return layer, f"You had worked on '{present.name}': it is kept as it is (hidden)."


def replace_grains(layer: Labels, labels: LabelImage, table: pd.DataFrame, **metadata: Any) -> None:
    """Replace the grains of an untouched layer."""
    mode = layer.mode
    layer.data = labels
    layer.features = features_of(table)
    clear_native_undo(layer)
    layer.mode = mode
    GrainsMetadata.update(layer, **metadata, seal=_fingerprint(labels))
    history = history_of(layer)
    history.reset()  # its steps belong to grains that are gone; there were no edits to lose
    history.mark_unsaved()


def is_untouched(layer: Labels) -> bool:
    """Return whether a layer is a segmentation result exactly as it was drawn.

    Painting, an accepted or rejected grain, and a name given to a grain are the user's work.
    """
    if any(state != "auto" for state in states_of(layer).values()) or _has_texts(layer):
        return False
    return GrainsMetadata.of(layer).seal == _fingerprint(np.asarray(layer.data))


def _has_texts(layer: Labels) -> bool:
    columns = layer.features.select_dtypes(exclude="number").columns
    return any(not is_numeric_dtype(layer.features[name]) for name in columns)


def _can_merge(layer: Labels, labels: LabelImage) -> bool:
    """Return whether the manual grains are recorded one by one, so that they can be kept."""
    has_manual = bool(set(states_of(layer).values()) & set(MANUAL_STATES))
    same_shape = layer.data.shape == labels.shape
    return has_manual and same_shape and has_history(layer) and not _has_texts(layer)


def _result_of(active: ActiveLayers, image: Image) -> Labels | None:
    """Return the result of this image that is active, or else the last one added."""
    results = [
        layer
        for layer in active.all_grains
        if GrainsMetadata.of(layer).seal and active.belongs(layer, image)
    ]
    if active.grains in results:
        return active.grains
    return results[-1] if results else None


def _fingerprint(labels: LabelImage) -> str:
    content = np.ascontiguousarray(labels)
    return hashlib.blake2b(content.data, digest_size=16).hexdigest()
