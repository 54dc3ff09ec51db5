"""Mosaics as layers: pyramids that napari reads piece by piece."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import napari
import numpy as np
from napari.layers import Image, Labels, Layer
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info, show_warning

from grainsmith.errors import GrainsmithError
from grainsmith.io.mosaics.edit_journal import Journal
from grainsmith.io.mosaics.pyramid_cache import needs_pyramid, open_with_pyramid
from grainsmith.io.mosaics.reader import fill_unreadable, open_labels, open_mosaic
from grainsmith.pipeline.mosaic.edit_replay import finish_interrupted
from grainsmith.ui.layers.metadata import MosaicMetadata, Role, role_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from grainsmith.io.mosaics.reader import Mosaic
    from grainsmith.ui.layers.convert import LayerData

_GRAINS = "grains"
"""The labels of a mosaic that can be edited: those that `segment_mosaic` has written."""


def mosaic_layers(path: Path) -> list[LayerData]:
    """Open a mosaic, and the grains that lie in its folder, without loading them.

    A large TIFF without coarser levels opens later, when these are made in the background, and so
    does a mosaic with a write-back that was interrupted: then there is no layer yet.

    They are shown only: the panels work on single images, so the layers have no role there. A
    piece of them is opened for editing by `ui.region`.
    """
    viewer, first = napari.current_viewer(), _to_be_done_first(path)
    if viewer is not None and first:
        show_info(f"{path.name} {first} now, once; then it opens.")
        create_worker(_prepared, path, _connect={"returned": partial(_add, viewer)})
        return []
    if problem := _finished(path):
        show_warning(problem)
    return layers_of_mosaic(open_with_pyramid(path), path)


def layers_of_mosaic(mosaic: Mosaic, path: Path) -> list[LayerData]:
    """Return an opened mosaic and its grains as layers; what is broken in them is shown as 0."""
    mosaic = fill_unreadable(mosaic, _TellOnce())
    size = mosaic.pixel_size_um
    unit = "um" if size > 0 else "pixel"

    def options(shown: Mosaic, name: str, labels: str) -> dict[str, Any]:
        metadata = MosaicMetadata(source=mosaic.source, labels=labels)
        return {
            "name": name,
            "scale": (size or 1.0,) * 2,
            "units": (unit, unit),
            "multiscale": len(shown.levels) > 1,
            "metadata": metadata.for_layer(),
        }

    coarsest = np.asarray(mosaic.levels[-1][:1024, :1024])
    picture = options(mosaic, path.stem, "")
    if coarsest.ndim == 2:
        low, high = (float(n) for n in np.nanpercentile(coarsest, (0.5, 99.5)))
        picture |= {"colormap": "gray", "contrast_limits": (low, max(high, low + 1e-6))}
    layers: list[LayerData] = [(_shown(mosaic), picture, "image")]
    for name, labels in open_labels(path).items():
        if labels.shape != mosaic.shape or labels.levels[0].dtype.kind not in "iu":
            show_warning(
                f"The labels '{name}' of {path.name} are left out: {labels.shape} "
                f"{labels.levels[0].dtype} do not fit the image, {mosaic.shape}"
            )
            continue
        overlay = options(labels, f"{path.stem} {name}", name) | {"opacity": 0.5}
        layers.append((_shown(fill_unreadable(labels, _TellOnce())), overlay, "labels"))
    return layers


def _to_be_done_first(path: Path) -> str:
    """Return what takes too long for the window to wait, "" for nothing."""
    with suppress(GrainsmithError):  # an edit that cannot be read: that is said when it is tried
        if Journal(path).interrupted():
            return "has a write-back that was interrupted: it is finished"
    return "has no coarser levels: they are made" if needs_pyramid(open_mosaic(path)) else ""


def _prepared(path: Path) -> tuple[Path, Mosaic | None, str]:
    problem = _finished(path)
    try:
        return path, open_with_pyramid(path), problem
    except GrainsmithError as error:
        return path, None, f"{problem} {error}".strip()


def _add(viewer: napari.Viewer, prepared: tuple[Path, Mosaic | None, str]) -> None:
    path, mosaic, problem = prepared
    if mosaic is None:
        show_error(problem)
        return
    if problem:
        show_warning(problem)
    for data, options, kind in layers_of_mosaic(mosaic, path):
        viewer.add_layer(Layer.create(data, options, kind))


def editable_mosaic(layers: Iterable[Layer]) -> Labels | None:
    """Return the uppermost mosaic whose grains can be edited, by its labels layer."""
    found = [
        layer
        for layer in layers
        if isinstance(layer, Labels)
        and role_of(layer) == Role.MOSAIC
        and MosaicMetadata.of(layer).labels == _GRAINS
    ]
    return found[-1] if found else None


def image_of_mosaic(grains: Labels, layers: Iterable[Layer]) -> Image | None:
    """Return the image of the mosaic that grains lie on."""
    source = MosaicMetadata.of(grains).source
    found = [
        layer
        for layer in layers
        if isinstance(layer, Image)
        and role_of(layer) == Role.MOSAIC
        and MosaicMetadata.of(layer).source == source
    ]
    return found[-1] if found else None


def read_again(grains: Labels) -> None:
    """Show the grains of a mosaic as they are on disk now."""
    metadata = MosaicMetadata.of(grains)
    # New arrays: what napari has read of the old ones it may remember.
    levels = open_labels(metadata.source)[metadata.labels]
    grains.data = _shown(fill_unreadable(levels, _TellOnce()))


def mosaic_shape(layer: Layer) -> tuple[int, int]:
    """Return the height and width of a mosaic, by its layer."""
    finest = layer.data[0] if layer.multiscale else layer.data
    return finest.shape[0], finest.shape[1]


class _TellOnce:
    """Warns of the first broken piece only: each movement of the view may meet it again."""

    def __init__(self) -> None:
        self._has_told = False

    def __call__(self, problem: str) -> None:
        if not self._has_told:
            self._has_told = True
            show_warning(f"{problem} What is broken is shown as background.")


def _shown(mosaic: Mosaic) -> Any:
    """Return the levels as napari takes them: labels of one level only are no pyramid to it."""
    return list(mosaic.levels) if len(mosaic.levels) > 1 else mosaic.levels[0]


def _finished(path: Path) -> str:
    """Do what was interrupted to its end; return why that failed, "" where it did not."""
    try:
        finish_interrupted(path)
    except GrainsmithError as error:
        return f"An interrupted write-back could not be finished: {error}"
    return ""
