"""Panel: name the minerals of the grains by examples, rules or clusters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from qtpy.QtWidgets import QComboBox

from grainsmith.classify.clusters import name_clusters
from grainsmith.classify.naming_table import name_manually
from grainsmith.gallery import composite_image
from grainsmith.minerals import colors_of
from grainsmith.pipeline.field.classify import (
    ClassificationInput,
    ClassificationResult,
    classify_grains,
    summaries,
)
from grainsmith.ui.editing.history import history_of
from grainsmith.ui.editing.mouse import GrainMouse
from grainsmith.ui.layers.camera import center_on
from grainsmith.ui.layers.geometry import pixel_size_um_of, world_matrix
from grainsmith.ui.layers.labels import table_of
from grainsmith.ui.layers.metadata import (
    ImageMetadata,
    MapMetadata,
    MineralMapMetadata,
    OverlayMetadata,
    Role,
    examples_of,
)
from grainsmith.ui.layers.mineral_map import mineral_layer_of, show_mineral, show_minerals
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.panels.grains.classifiers import ClustersPage, ExamplesPage, RulesPage
from grainsmith.ui.panels.grains.mineral_edit import MineralEdit
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.messages import NO_GRAINS, NO_MAPS
from grainsmith.ui.session.gallery_field import gallery_field, naming_of, put_columns
from grainsmith.ui.widgets.controls import button, fill_combo, label
from grainsmith.ui.widgets.dataframe_table import DataFrameTable
from grainsmith.ui.widgets.layouts import labelled_row, pages_of, rows
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from napari.layers import Labels

_ALL = "all minerals"
_TABLE_PX = 270  # a confusion matrix of eight minerals
_METHODS = ("Click examples", "Rules", "Clusters")
_CERTAIN = ("named", "unsure", "by hand")


class MineralsPanel(Panel):
    """Name the grains, show and correct their minerals, and sum them up."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.views: dict[str, pd.DataFrame] = {}
        self._result = ClassificationResult(naming=pd.DataFrame())
        self._grain_line = label("", lines=2)
        self.mineral = MineralEdit()
        self.method = QComboBox()
        self.method.setToolTip("How the grains are named")
        self.method.addItems(_METHODS)
        self.examples = ExamplesPage(self._examples_of_grains)
        self.rules = RulesPage(self._examples_of_grains)
        self.clusters = ClustersPage(self._rename_cluster)
        self._name = button(
            "Name grains",
            self.name_grains,
            tip="Measure the elements of all grains and name them; names given by hand stay",
            key=MAIN_KEYS["Grains"],
            main=True,
        )
        self._notes = label("", tip="How far the names can be trusted, and what is missing")
        self._shown_mineral, self._view = QComboBox(), QComboBox()
        self._shown_mineral.setToolTip("Show one mineral alone in the image")
        self._view.setToolTip("Which table is shown below")
        self.table = DataFrameTable()
        self.table.setMinimumHeight(_TABLE_PX)
        self._lay_out()
        self.session.settings.add_section(
            "classify", self.rules.settings, self.rules.show_settings, closed=self.destroyed
        )

    def _lay_out(self) -> None:
        example = button(
            "Example",
            self.add_example,
            tip="Take the current grain as an example of this mineral",
            key="Alt+E",
        )
        by_hand = button(
            "By hand",
            self.name_by_hand,
            tip="Name the current grain; no later naming changes it",
            key="Alt+M",
        )
        components = button(
            "Show PC 1-3",
            self.show_components,
            tip="Show the first three principal components of the maps as an RGB image: what "
            "differs in composition differs in colour",
        )
        self._results = rows(
            ("Show", self._shown_mineral),
            ("Table", self._view),
            (None, self.table),
        )
        self.add(
            self._grain_line,
            self.mineral,
            labelled_row((None, example), (None, by_hand)),
            self.method,
            pages_of(self.method, self.examples, self.rules, self.clusters),
            self._name,
            self._notes,
            self._results,
            components,
        )

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self._shown_mineral.activated.connect(
            lambda _: self._show_only(self._shown_mineral.currentText())
        )
        self._view.activated.connect(lambda _: self._show_view())
        self.table.row_chosen.connect(self._on_row)
        connect_while_alive(self, self.session.selection.current_changed, self._on_grain)
        connect_while_alive(self, self.session.part(GrainMouse).clicked, self._on_clicked)

    def refresh(self) -> None:
        """Show the grains and their examples, or what is missing."""
        missing = ""
        if self.roles.grains is None:
            missing = NO_GRAINS
        elif not self.roles.maps:
            missing = NO_MAPS
        self.show_missing(missing)
        self.examples.show_examples()
        self.rules.show_elements([MapMetadata.of(layer).element for layer in self.roles.maps])
        self._results.setVisible(bool(self.views) and self.roles.grains is not None)
        self._notes.setVisible(not self._results.isHidden() and bool(self._notes.text()))
        self._show_grain(self.grain)

    # --- what is shown

    @property
    def grain(self) -> int:
        """The current grain; 0 for none."""
        return self.session.selection.current

    @property
    def grain_text(self) -> str:
        """The line about the current grain."""
        return str(self._grain_line.text())

    @property
    def notes(self) -> str:
        """How far the names can be trusted."""
        return str(self._notes.text())

    @property
    def running(self) -> bool:
        """Whether grains are being named."""
        return not self._name.isEnabled()

    def show_view(self, name: str) -> None:
        """Show one of the tables in `views`."""
        self._view.setCurrentText(name)
        self._show_view()

    def _on_clicked(self, grain: int, _additive: bool) -> None:
        if grain and self.isVisible():
            self.session.selection.set_current(grain)

    def _on_grain(self, grain: int) -> None:
        if self.isVisible():
            self.session.selection.select([grain] if grain else [])
        self._show_grain(grain)

    def _show_grain(self, grain: int) -> None:
        layer = self.roles.grains
        naming = naming_of(layer) if layer is not None else pd.DataFrame()
        if grain not in naming.index:
            self._grain_line.setText(
                f"Grain {grain}" if grain and layer is not None else "Click a grain."
            )
            return
        row = naming.loc[grain].to_dict()
        text = f"Grain {grain}: {row['mineral']}"
        if row["verdict"] in _CERTAIN:
            score = "by hand" if row["verdict"] == "by hand" else f"{row['score']:.2f}"
            text += f" ({score})"
        if row["runner_up"]:
            text += f", or {row['runner_up']} ({row['runner_up_score']:.2f})"
        self._grain_line.setText(text)

    def _field_shape(self, grains: Labels) -> tuple[int, int]:
        """Return height and width of the field in px, without the data bar."""
        image = self.roles.image
        bar = 0 if image is None else ImageMetadata.of(image).data_bar_rows
        height, width = grains.data.shape
        return height - bar, width

    def _show_results(self) -> None:
        grains = self.roles.grains
        if grains is None or not len(self._result.naming):
            return
        naming = naming_of(grains)
        colors = colors_of(sorted(naming["mineral"].unique()), self._result.colors)
        show_minerals(self.viewer, grains, naming, colors)
        own = summaries(
            np.asarray(grains.data),
            table_of(grains),
            naming,
            self._result.densities,
            pixel_size_um_of(grains),
            field_shape=self._field_shape(grains),
        )
        self.views = {**own, **self._result.views}
        fill_combo(self._view, [(name, None) for name in self.views], self._view.currentText())
        fill_combo(self._shown_mineral, [(name, None) for name in (_ALL, *colors)], _ALL)
        self.mineral.add_names(colors)
        self._results.show()
        self._show_view()
        self._show_grain(self.grain)

    def _show_view(self) -> None:
        table = self.views.get(self._view.currentText(), pd.DataFrame())
        layer = self._mineral_layer()
        self.table.show_frame(
            table, MineralMapMetadata.of(layer).colors if layer is not None else {}
        )

    def _mineral_layer(self) -> Labels | None:
        grains = self.roles.grains
        return mineral_layer_of(self.viewer, grains) if grains is not None else None

    def _on_row(self, name: Any) -> None:
        """Show a mineral alone, or go to a grain."""
        if isinstance(name, str):
            row = max(0, self._shown_mineral.findText(name))
            self._shown_mineral.setCurrentIndex(row)
            self._show_only(self._shown_mineral.currentText())
        else:
            self.session.selection.set_current(int(name))
            if self.roles.grains is not None:
                center_on(self.viewer, self.roles.grains, int(name))

    def _show_only(self, mineral: str) -> None:
        layer = self._mineral_layer()
        if layer is not None:
            layer.visible = True
            show_mineral(layer, "" if mineral == _ALL else mineral)

    # --- naming

    def add_example(self) -> None:
        """Take the current grain as an example of the chosen mineral."""
        if not self._has_grain(self.grain):
            self.show_message("Click a grain and choose its mineral first.")
            return
        mineral = self.mineral.mineral()
        if not mineral:
            return
        self._examples_of_grains()[self.grain] = mineral
        if self.roles.grains is not None:
            history_of(self.roles.grains).mark_annotated()
        self.examples.show_examples()
        if self.method.currentText() != "Rules":  # there the examples are standards
            self.method.setCurrentIndex(0)
        self.show_message(f"Grain {self.grain} is an example of {mineral}.")

    @reports_errors
    def name_grains(self) -> None:
        """Name all grains by the chosen method."""
        grains = self.roles.grains
        if grains is None or not self.roles.maps:
            self.refresh()
            return
        page = (self.examples, self.rules, self.clusters)[self.method.currentIndex()]
        kinds = {MapMetadata.of(layer).kind for layer in self.roles.maps}
        classifier = page.classifier(kinds)
        maps, transforms = self.roles.element_maps()
        work = ClassificationInput(
            labels=np.asarray(grains.data).copy(),
            table=table_of(grains),
            maps=maps,
            transforms=transforms,
            pixel_size_um=pixel_size_um_of(grains),
        )
        self.run_job(
            classify_grains,
            work,
            classifier,
            busy=self._name,
            then=partial(self._take_names, grains),
            title="Naming grains",
        )

    def _take_names(
        self, grains: Labels, result: tuple[pd.DataFrame, ClassificationResult]
    ) -> None:
        columns, self._result = result
        put_columns(grains, columns)
        self.roles.grains = grains
        self.clusters.show_clusters(self._result)
        self._show_results()
        unaligned = [layer for layer in self.roles.maps if not MapMetadata.of(layer).is_aligned]
        warning = (
            f"{len(unaligned)} maps are not aligned: names may be wrong near the outlines."
            if unaligned
            else ""
        )
        self._notes.setText("\n".join(line for line in (*self._result.notes, warning) if line))
        self._notes.setVisible(bool(self._notes.text()))

    def name_by_hand(self) -> None:
        """Name the current grain; no later naming changes it."""
        if self.roles.grains is None or not len(self._result.naming):
            self.show_message("Name the grains first; then correct single ones by hand.")
            return
        mineral = self.mineral.mineral()
        if mineral:
            self._change_names(partial(name_manually, label=self.grain, mineral=mineral))

    def _rename_cluster(self, cluster: str) -> str:
        mineral = self.mineral.mineral()
        if mineral:
            self._change_names(partial(name_clusters, names={cluster: mineral}))
        return mineral

    @reports_errors
    def _change_names(self, change: Callable[[pd.DataFrame], pd.DataFrame]) -> None:
        grains = self.roles.grains
        if grains is None:
            return
        put_columns(grains, change(naming_of(grains)))
        self.show_message("")
        self._show_results()

    def _examples_of_grains(self) -> dict[int, str]:
        """Return the examples of the active grains, which are kept with their layer."""
        grains = self.roles.grains
        return examples_of(grains) if grains is not None else {}

    def _has_grain(self, grain: int) -> bool:
        grains = self.roles.grains
        return grains is not None and grain > 0 and bool((np.asarray(grains.data) == grain).any())

    # --- principal components

    def show_components(self) -> None:
        """Add the first three principal components of the maps as an RGB image."""
        field = gallery_field(self.roles)
        if field is None or not field.maps:
            self.refresh()
            return
        self.run_job(composite_image, field, busy=self._name, then=self._add_components)

    def _add_components(self, components: npt.NDArray[np.uint8]) -> None:
        image = self.roles.image
        place: dict[str, Any] = {}
        if image is not None and self.roles.maps:
            place = {"units": image.units, "affine": world_matrix(self.roles.maps[0])}
        self.viewer.add_image(
            components,
            name="PC 1-3",
            rgb=True,
            metadata=OverlayMetadata().for_layer(Role.CHECK),
            **place,
        )
