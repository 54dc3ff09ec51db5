"""Measurements of a labels layer that follow its edits, shared by table and statistics panels.

The table itself lives in `layer.features`, beside columns of other origin. An edit, an undo or
another plugin that writes into the labels shows in the checksums of the tiles, and only the grains
there are measured again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
import pandas as pd
from psygnal import Signal
from qtpy.QtCore import QTimer

from grainsmith.data import no_progress
from grainsmith.measure import measure_grains, measure_maps, tile_checksums, update_grains
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.labels import features_of, table_of
from grainsmith.ui.layers.metadata import GrainsMetadata, ImageMetadata, states_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Labels

    from grainsmith.data import ElementMap, LabelImage, OnProgress, Transform
    from grainsmith.ui.session.active_layers import ActiveLayers

    Result = tuple[pd.DataFrame, pd.DataFrame | None, Any]

_DELAY_MS = 60
"""A stroke of the brush sends many events; the grains are measured once they have stopped."""

AUTOMATIC_PX = 80_000_000
"""Larger label images are measured only on request."""

_MAX_CHANGED = 0.2
"""If a larger fraction of the tiles has changed, all grains are measured in the background."""

_FEW_TILES = 400
"""So few tiles are always measured at once."""


class Measurements:
    """Measurements of one labels layer that follow its edits.

    Attributes
    ----------
    changed : psygnal signal
        Sent without arguments when the table has changed.
    lost : psygnal signal
        Sent without arguments when the labels have changed so much, or in such a way, that all
        grains must be measured again (see `measure`).
    """

    changed = Signal()
    lost = Signal()

    def __init__(self, layer: Labels, active: ActiveLayers) -> None:
        self._layer = ref(layer)
        self._active = active
        self._shapes: pd.DataFrame | None = None
        self._elements: pd.DataFrame | None = None
        self._checksums = np.empty((0, 0), np.uint64)
        self._job: _MeasureJob | None = None
        self._writing = False
        self._timer = QTimer(singleShot=True, interval=_DELAY_MS)
        self._timer.timeout.connect(self.update)
        for event in ("paint", "set_data", "data"):
            layer.events[event].connect(self._on_edited)
        layer.events.features.connect(self._on_features)
        layer.events.scale.connect(self._on_scale)

    @property
    def layer(self) -> Labels | None:
        """The layer; None when it is gone."""
        return self._layer()

    @property
    def is_complete(self) -> bool:
        """Whether all grains have been measured."""
        return self._shapes is not None

    @property
    def running(self) -> bool:
        """Whether all grains are being measured in the background."""
        return self._job is not None and not self._job.done

    @property
    def table(self) -> pd.DataFrame:
        """All columns of all grains, index `label`; `source` says what drew a grain."""
        layer = self.layer
        if layer is None or self._shapes is None:
            return pd.DataFrame()
        table = table_of(layer)
        origin = "file" if GrainsMetadata.of(layer).is_from_file else "model"
        source = pd.Series(origin, index=table.index, dtype=object)
        manual = {label: state for label, state in states_of(layer).items() if state != "auto"}
        source.update(pd.Series(manual, dtype=object))
        table.insert(0, "source", source)
        return table

    @property
    def field_shape(self) -> tuple[int, int]:
        """Height and width of the field in pixels, without the data bar."""
        layer = self.layer
        if layer is None:
            return 0, 0
        height, width = layer.data.shape
        return height - self._inputs(layer)["data_bar_rows"], width

    def measure(self, start: Callable[..., None]) -> None:
        """Measure all grains in the background.

        Parameters
        ----------
        start : callable
            Starts a function in a thread; called as ``start(function, *arguments, then=slot)``.
        """
        layer = self.layer
        if layer is None or self.running:
            return
        # A job whose panel was closed meanwhile never returns a result; `running` must end with it.
        self._job = _MeasureJob()
        inputs, maps = self._inputs(layer), self._active.element_maps()
        start(self._job, np.array(layer.data), inputs, *maps, then=self._on_measured)

    def update(self) -> None:
        """Measure the grains again whose tiles have changed since the last time."""
        layer = self.layer
        if layer is None or self._shapes is None or self.running:
            return
        checksums = tile_checksums(layer.data)
        same_shape = checksums.shape == self._checksums.shape
        changed = checksums != self._checksums if same_shape else np.ones((1, 1), bool)
        if not changed.any():
            self._restore(layer)
            return
        self._timer.stop()
        if not same_shape or (changed.mean() > _MAX_CHANGED and changed.size > _FEW_TILES):
            self._lose()
            return
        self._checksums = checksums
        self._shapes, ids = update_grains(self._shapes, layer.data, changed, **self._inputs(layer))
        maps, transforms = self._active.element_maps()
        if maps and self._elements is not None:
            rows = measure_maps(layer.data, maps, transforms, only=ids.tolist())
            self._elements = rows.combine_first(self._elements).reindex(self._shapes.index)
        self._write()

    # --- helpers

    def _on_measured(self, result: Result) -> None:
        self._job = None
        self._shapes, self._elements, self._checksums = result
        self._write()
        self._timer.start()  # for what was edited meanwhile

    def _restore(self, layer: Labels) -> None:
        """Write the measures again where undo and redo, or a foreign table, have replaced them."""
        if self._shapes is None:
            return
        present = table_of(layer).reindex(columns=self._shapes.columns)
        if not present.equals(self._shapes):
            self._write()

    def _inputs(self, layer: Labels) -> dict[str, Any]:
        image = self._image_of(layer)
        return {
            "pixel_size_um": pixel_size_um_of(layer),
            "image": None if image is None else _pixels(image),
            "data_bar_rows": 0 if image is None else ImageMetadata.of(image).data_bar_rows,
        }

    def _image_of(self, layer: Labels) -> Image | None:
        for image in (self._active.image, *self._active.images):
            if (
                image is not None
                and not image.multiscale
                and image.data.shape[:2] == layer.data.shape
                and self._active.belongs(layer, image)
            ):
                return image
        return None

    def _write(self) -> None:
        layer = self.layer
        if layer is None or self._shapes is None:
            return
        parts = [part for part in (self._shapes, self._elements) if part is not None]
        measures = pd.concat(parts, axis=1)
        others = table_of(layer)
        others = others.drop(
            columns=[name for name in others if name in measures or _has_length_unit(str(name))]
        )
        others = others[others.index.isin(measures.index)]
        self._writing = True
        layer.features = features_of(measures.join(others) if len(others.columns) else measures)
        self._writing = False
        self.changed.emit()

    def _lose(self) -> None:
        self._shapes = None
        self.lost.emit()

    # --- events of the layer

    def _on_edited(self, _event: object) -> None:
        if self._shapes is not None:
            self._timer.start()

    def _on_features(self, _event: object) -> None:
        """Follow a table written elsewhere: by undo, a segmentation, a mineral's name."""
        if self._writing or self._shapes is None:
            return
        layer = self.layer
        if layer is not None and "touches_edge" in layer.features:  # it has measures
            self.changed.emit()
        self._timer.start()

    def _on_scale(self, _event: object) -> None:
        if self._shapes is not None:
            self._lose()


class _MeasureJob:
    """Measures all grains in a thread, and knows when it has ended.

    Attributes
    ----------
    done : bool
        Whether it has returned, failed or been cancelled.
    """

    def __init__(self) -> None:
        self.done = False

    def __call__(
        self,
        labels: LabelImage,
        inputs: dict[str, Any],
        maps: list[ElementMap],
        transforms: dict[str, Transform],
        on_progress: OnProgress = no_progress,
    ) -> Result:
        try:
            shapes = measure_grains(labels, on_progress=on_progress, **inputs)
            elements = None
            if maps:
                elements = measure_maps(labels, maps, transforms, on_progress=on_progress)
            return shapes, elements, tile_checksums(labels)
        finally:
            self.done = True


def _has_length_unit(name: str) -> bool:
    """Return whether a column holds micrometres, which must not outlive a change of scale."""
    return name.endswith(("_um", "_um2"))


def _pixels(image: Image) -> Any:
    pixels = np.asarray(image.data)
    return pixels[..., :3] if image.rgb else pixels
