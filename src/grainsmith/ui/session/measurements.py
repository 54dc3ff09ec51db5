"""The measures of a labels layer, kept up to date: table and statistics panels share them.

The table itself lives in `layer.features`, beside what others put there. An edit, an undo, or
another plugin that writes into the labels: each shows in the checksums of the tiles, and only the
grains there are measured again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
import pandas as pd
from psygnal import Signal
from qtpy.QtCore import QTimer

from grainsmith.data import no_progress
from grainsmith.measure import measure_grains, measure_maps, tile_checksums, update_grains
from grainsmith.ui.layers.element_maps import element_map_of
from grainsmith.ui.layers.geometry import pixel_size_um_of, transform_of
from grainsmith.ui.layers.labels import features_of, table_of
from grainsmith.ui.layers.metadata import ImageMetadata, states_of
from grainsmith.ui.session.active_layers import active_layers_of
from grainsmith.ui.widgets.background import run_in_background

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari.layers import Image, Labels
    from qtpy.QtWidgets import QWidget

    from grainsmith.data import ElementMap, LabelImage, OnProgress, Transform
    from grainsmith.ui.session.active_layers import ActiveLayers
    from grainsmith.ui.widgets.progress_bar import ProgressBar

_DELAY_MS = 60
"""A stroke of the brush sends many events; the grains are measured once they have stopped."""

AUTOMATIC_PX = 80_000_000
"""Larger label images are measured when they are asked for, not by themselves."""

_MANY = 0.2
"""Where more of the tiles have changed, all is measured anew, in the background."""

_OF_LAYER: WeakKeyDictionary[Labels, Measurements] = WeakKeyDictionary()


def measurements_of(layer: Labels, viewer: Any) -> Measurements:
    """Return the measures of a layer: the same object to every panel."""
    if layer not in _OF_LAYER:
        _OF_LAYER[layer] = Measurements(layer, active_layers_of(viewer))
    return _OF_LAYER[layer]


class Measurements:
    """Measures of one labels layer that follow its edits.

    Attributes
    ----------
    changed : psygnal signal
        Sent without arguments when the table is another one.
    lost : psygnal signal
        Sent without arguments when the labels have changed so much, or in such a way, that all of
        them must be measured anew (see `measure`).
    """

    changed = Signal()
    lost = Signal()

    def __init__(self, layer: Labels, roles: ActiveLayers) -> None:
        self._layer = ref(layer)
        self._roles = roles
        self._own: pd.DataFrame | None = None
        self._maps: pd.DataFrame | None = None
        self._sums = np.empty((0, 0), np.uint64)
        self.running = False
        self._writing = False
        self._timer = QTimer(singleShot=True, interval=_DELAY_MS)
        self._timer.timeout.connect(self.update)
        for event in ("paint", "set_data", "data"):
            layer.events[event].connect(self._on_edit)
        layer.events.features.connect(self._on_features)
        layer.events.scale.connect(self._on_scale)

    @property
    def layer(self) -> Labels | None:
        """The layer, None when it is gone."""
        return self._layer()

    @property
    def known(self) -> bool:
        """Whether all grains have been measured."""
        return self._own is not None

    @property
    def table(self) -> pd.DataFrame:
        """All that is known of the grains, index `label`; `source` says who drew a grain."""
        layer = self.layer
        if layer is None or self._own is None:
            return pd.DataFrame()
        table = table_of(layer)
        source = pd.Series("model", index=table.index, dtype=object)
        states = states_of(layer)
        said = {label: state for label, state in states.items() if state != "auto"}
        source.update(pd.Series(said, dtype=object))
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

    def measure(
        self, *, busy: QWidget, progress: ProgressBar, then: Callable[[], None] | None = None
    ) -> None:
        """Measure all grains in the background."""
        layer = self.layer
        if layer is None or self.running:
            return
        self.running = True

        def take(found: tuple[pd.DataFrame, pd.DataFrame, Any]) -> None:
            self.running = False
            self._own, self._maps, self._sums = found
            self._write()
            self._timer.start()  # what was edited meanwhile
            if then is not None:
                then()

        def stopped() -> None:
            self.running = False

        run_in_background(
            _measure_all,
            np.array(layer.data),
            self._inputs(layer),
            *self._maps_of(),
            busy=busy,
            then=take,
            progress=progress,
            title="Measuring",
            stopped=stopped,
        )

    def update(self) -> None:
        """Measure again the grains whose tiles have changed since the last time."""
        layer = self.layer
        if layer is None or self._own is None or self.running:
            return
        sums = tile_checksums(layer.data)
        tiles = sums != self._sums if sums.shape == self._sums.shape else np.ones((1, 1), bool)
        if not tiles.any():
            self._restore(layer)
            return
        self._timer.stop()
        if tiles.shape != self._sums.shape or (tiles.mean() > _MANY and tiles.size > 400):
            self._lose()
            return
        self._sums = sums
        self._own, ids = update_grains(self._own, layer.data, tiles, **self._inputs(layer))
        maps, transforms = self._maps_of()
        if maps and self._maps is not None:
            rows = measure_maps(layer.data, maps, transforms, only=ids.tolist())
            self._maps = rows.combine_first(self._maps).reindex(self._own.index)
        self._write()

    # --- how

    def _restore(self, layer: Labels) -> None:
        # The labels are those that were measured, but another step of the history has come and gone
        # meanwhile, or somebody has put a table without measures.
        if self._own is not None and not table_of(layer).reindex(columns=self._own.columns).equals(
            self._own
        ):
            self._write()

    def _inputs(self, layer: Labels) -> dict[str, Any]:
        image = self._image_of(layer)
        return {
            "pixel_size_um": pixel_size_um_of(layer),
            "image": None if image is None else _pixels(image),
            "data_bar_rows": 0 if image is None else ImageMetadata.of(image).data_bar_rows,
        }

    def _image_of(self, layer: Labels) -> Image | None:
        fitting = [
            one
            for one in (self._roles.image, *self._roles.pictures)
            if one is not None
            and not one.multiscale
            and one.data.shape[:2] == layer.data.shape
            and self._roles.belongs(layer, one)
        ]
        return fitting[0] if fitting else None

    def _maps_of(self) -> tuple[list[ElementMap], dict[str, Transform]]:
        maps: list[ElementMap] = []
        transforms: dict[str, Transform] = {}
        if self._roles.image is None:
            return maps, transforms
        for layer in self._roles.maps:
            element_map = element_map_of(layer)
            if element_map.element not in transforms:  # of two maps of an element the first counts
                maps.append(element_map)
                transforms[element_map.element] = transform_of(layer, self._roles.image)
        return maps, transforms

    def _write(self) -> None:
        layer = self.layer
        if layer is None or self._own is None:
            return
        parts = [self._own] if self._maps is None else [self._own, self._maps]
        own = pd.concat(parts, axis=1)
        others = table_of(layer)
        others = others.drop(
            columns=[name for name in others if name in own or _is_scale(str(name))]
        )
        others = others[others.index.isin(own.index)]
        self._writing = True
        layer.features = features_of(own.join(others) if len(others.columns) else own)
        self._writing = False
        self.changed.emit()

    def _lose(self) -> None:
        self._own = None
        self.lost.emit()

    def _on_edit(self, _event: object = None) -> None:
        if self._own is not None:
            self._timer.start()

    def _on_features(self, _event: object = None) -> None:
        if self._writing or self._own is None:
            return
        # Whoever wrote (undo, a new segmentation, a mineral's name) may have had no measures.
        layer = self.layer
        if layer is not None and "touches_edge" in layer.features:
            self.changed.emit()
        self._timer.start()

    def _on_scale(self, _event: object = None) -> None:
        if self._own is not None:
            self._lose()


def _is_scale(name: str) -> bool:
    # Micrometres of an older pixel size must not outlive it.
    return name.endswith(("_um", "_um2"))


def _pixels(image: Image) -> Any:
    pixels = np.asarray(image.data)
    return pixels[..., :3] if image.rgb else pixels


def _measure_all(
    labels: LabelImage,
    inputs: dict[str, Any],
    maps: list[ElementMap],
    transforms: dict[str, Transform],
    on_progress: OnProgress = no_progress,
) -> tuple[pd.DataFrame, pd.DataFrame | None, Any]:
    table = measure_grains(labels, on_progress=on_progress, **inputs)
    elements = measure_maps(labels, maps, transforms, on_progress=on_progress) if maps else None
    return table, elements, tile_checksums(labels)
