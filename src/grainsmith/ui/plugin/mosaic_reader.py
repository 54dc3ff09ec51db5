"""Open mosaics; what takes long is done in the background first."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import napari
from napari.layers import Layer
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info, show_warning

from grainsmith.errors import GrainsmithError
from grainsmith.io.mosaics.edit_journal import Journal
from grainsmith.io.mosaics.pyramid_cache import needs_pyramid, open_with_pyramid
from grainsmith.io.mosaics.reader import open_mosaic
from grainsmith.pipeline.mosaic.edit_replay import finish_interrupted
from grainsmith.ui.layers.mosaics import layers_of_mosaic

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.io.mosaics.reader import Mosaic
    from grainsmith.ui.layers import LayerData


def read_mosaic(path: Path) -> list[LayerData]:
    """Open a mosaic and the labels beside it without loading them.

    A large TIFF without coarser levels, and a mosaic with an interrupted write-back, are prepared
    in the background; their layers are added to the viewer later and none are returned.
    """
    viewer, preparation = napari.current_viewer(), _preparation_of(path)
    if viewer is not None and preparation:
        show_info(f"{path.name} {preparation}. This is done once, then it opens.")
        create_worker(_prepare, path, _connect={"returned": partial(_add_layers, viewer)})
        return []
    if problem := _finish_write_back(path):
        show_warning(problem)
    return layers_of_mosaic(open_with_pyramid(path), path)


def _preparation_of(path: Path) -> str:
    """Return what has to be done before a mosaic opens, "" for nothing."""
    with suppress(GrainsmithError):  # an unreadable journal is reported when it is needed
        if Journal(path).interrupted():
            return "has an interrupted write-back that is being finished"
    needs = needs_pyramid(open_mosaic(path))
    return "has no coarser levels; they are being computed" if needs else ""


def _prepare(path: Path) -> tuple[Path, Mosaic | None, str]:
    problem = _finish_write_back(path)
    try:
        return path, open_with_pyramid(path), problem
    except GrainsmithError as error:
        return path, None, f"{problem} {error}".strip()


def _add_layers(viewer: napari.Viewer, prepared: tuple[Path, Mosaic | None, str]) -> None:
    path, mosaic, problem = prepared
    if mosaic is None:
        show_error(problem)
        return
    if problem:
        show_warning(problem)
    for data, options, kind in layers_of_mosaic(mosaic, path):
        viewer.add_layer(Layer.create(data, options, kind))


def _finish_write_back(path: Path) -> str:
    """Finish an interrupted write-back; return why that failed, "" on success."""
    try:
        finish_interrupted(path)
    except GrainsmithError as error:
        return f"An interrupted write-back could not be finished: {error}"
    return ""
