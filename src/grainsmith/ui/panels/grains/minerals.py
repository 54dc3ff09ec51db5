"""Panel: name the grains, by clicked examples, by rules or by clusters."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from qtpy.QtWidgets import QComboBox

from grainsmith.classify.clusters import name_clusters
from grainsmith.classify.naming_table import name_manually
from grainsmith.errors import GrainsmithError
from grainsmith.gallery import composite_image
from grainsmith.minerals import colors_of
from grainsmith.pipeline.field.classify import Named, Work, name_grains, summaries
from grainsmith.ui.layers.geometry import pixel_size_um_of, world_matrix
from grainsmith.ui.layers.labels import table_of
from grainsmith.ui.layers.metadata import (
    MapMetadata,
    MineralMapMetadata,
    OverlayMetadata,
    Role,
    examples_of,
)
from grainsmith.ui.layers.mineral_map import mineral_layer_of, show_mineral, show_minerals
from grainsmith.ui.panels.base import Panel, button, label
from grainsmith.ui.panels.grains.classifiers import ClustersWay, ExamplesWay, RulesWay, mineral_box
from grainsmith.ui.panels.messages import NO_GRAINS, NO_MAPS, missing_text
from grainsmith.ui.session.current_grain import CurrentGrain
from grainsmith.ui.session.gallery_field import field_of, maps_of, naming_of, put_columns
from grainsmith.ui.session.panel_settings import panel_settings_of
from grainsmith.ui.widgets.background import run
from grainsmith.ui.widgets.dataframe_table import DataFrameTable
from grainsmith.ui.widgets.layouts import across, one_of

if TYPE_CHECKING:
    from napari.layers import Labels

_ALL = "all minerals"
_TABLE_PX = 270  # a confusion matrix of eight minerals
_WAYS = ("Click examples", "Rules", "Clusters")


class MineralsPanel(Panel):
    """Minerals of the grains: named, shown, corrected and summed up."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._views: dict[str, pd.DataFrame] = {}
        self._named = Named(naming=pd.DataFrame())
        self._picked_line = label("")
        self._mineral = mineral_box()
        self._way = QComboBox()
        self._way.addItems(_WAYS)
        self._examples = ExamplesWay(self._examples_now)
        self._rules = RulesWay(self._examples_now)
        self._clusters = ClustersWay(self._rename_cluster)
        self._pages = one_of(self._way, self._examples, self._rules, self._clusters)
        self._go = button(
            "Name grains",
            self.name_grains,
            tip="Measure the elements of all grains and name them; names given by hand stay",
            key="Ctrl+Shift+M",
            main=True,
        )
        self._told = label("", tip="How far the names can be trusted, and what is missing")
        self._only, self._view, self.frame = QComboBox(), QComboBox(), DataFrameTable()
        self._lay_out()
        self._picked = CurrentGrain(self.viewer, self, self._on_picked)
        self._only.activated.connect(lambda _: self._show_only(self._only.currentText()))
        self._view.activated.connect(lambda _: self._show_view())
        self.frame.setMinimumHeight(_TABLE_PX)
        self.frame.row_chosen.connect(self._on_row)
        rules = self._rules
        panel_settings_of(self.viewer).take_part(
            "classify", self, rules.settings, rules.show_settings
        )

    def _lay_out(self) -> None:
        example = button(
            "Example",
            self.add_example,
            tip="This grain shows what its mineral is like",
            key="Alt+E",
        )
        by_hand = button(
            "By hand", self.set_by_hand, tip="This grain is so, whatever the rest says", key="Alt+H"
        )
        components = button(
            "Show PC 1-3",
            self.show_components,
            tip="Principal components of all maps as colours: what differs in composition differs "
            "in colour, without any name",
        )
        self._results = across(
            ("Show", self._only), ("Table", self._view), (None, self.frame), vertical=True
        )
        self.add(
            self._picked_line,
            self._mineral,
            across((None, example), (None, by_hand)),
            self._way,
            self._pages,
            self._go,
            self._told,
            self._results,
            components,
        )

    # --- what is shown

    def refresh(self) -> None:
        """Show the present grains, and say what is missing."""
        missing = ""
        if self.roles.grains is None:
            missing = missing_text(self.roles, NO_GRAINS)
        elif not self.roles.maps:
            missing = NO_MAPS
        self.show_message(missing)
        self._examples.show_examples()
        self._rules.show_elements([MapMetadata.of(one).element for one in self.roles.maps])
        self._results.setVisible(bool(self._views) and self.roles.grains is not None)
        self._told.setVisible(not self._results.isHidden() and bool(self._told.text()))
        self._on_picked(self._picked.label)

    def _on_picked(self, grain: int) -> None:
        layer = self.roles.grains
        naming = naming_of(layer) if layer is not None else pd.DataFrame()
        if grain not in naming.index:
            text = f"Grain {grain}" if grain and layer is not None else "Click a grain."
        else:
            row = naming.loc[grain].to_dict()
            text = f"Grain {grain}: {row['mineral']}"
            if row["verdict"] in ("named", "unsure", "by hand"):
                sure = "by hand" if row["verdict"] == "by hand" else f"{row['score']:.2f}"
                text += f" ({sure})"
            if row["runner_up"]:
                text += f", or {row['runner_up']} ({row['runner_up_score']:.2f})"
        self._picked_line.setText(text)

    def _show_results(self) -> None:
        grains = self.roles.grains
        if grains is None or not len(self._named.naming):
            return
        naming = naming_of(grains)
        colours = colors_of(sorted(naming["mineral"].unique()), self._named.colours)
        show_minerals(self.viewer, grains, naming, colours)
        own = summaries(
            np.asarray(grains.data),
            table_of(grains),
            naming,
            self._named.densities,
            pixel_size_um_of(grains),
        )
        self._views = {**own, **self._named.views}
        shown = self._view.currentText()
        _fill(self._view, list(self._views), shown)
        _fill(self._only, [_ALL, *colours], _ALL)
        self._results.show()
        self._show_view()
        self._on_picked(self._picked.label)

    def _show_view(self) -> None:
        frame = self._views.get(self._view.currentText(), pd.DataFrame())
        colours = self._layer_colours()
        self.frame.show_frame(frame, colours)

    def _layer_colours(self) -> dict[str, str]:
        grains = self.roles.grains
        layer = mineral_layer_of(self.viewer, grains) if grains is not None else None
        return MineralMapMetadata.of(layer).colors if layer is not None else {}

    def _on_row(self, name: Any) -> None:
        """A mineral in the table is shown alone, a grain is looked at."""
        if isinstance(name, str):
            self._only.setCurrentIndex(max(0, self._only.findText(name)))
            self._show_only(self._only.currentText())
        else:
            self._picked.pick(int(name), centre=True)

    def _show_only(self, mineral: str) -> None:
        grains = self.roles.grains
        layer = mineral_layer_of(self.viewer, grains) if grains is not None else None
        if layer is not None:
            layer.visible = True
            show_mineral(layer, "" if mineral == _ALL else mineral)

    # --- naming

    def _examples_now(self) -> dict[int, str]:
        """The examples of the present grains, kept with their layer."""
        grains = self.roles.grains
        return examples_of(grains) if grains else {}

    def add_example(self) -> None:
        """Take the grain that is looked at as an example of the chosen mineral."""
        grain, mineral = self._picked.label, self._mineral.currentText().strip()
        if not self._is_grain(grain) or not mineral:
            self.show_message("Click a grain and choose its mineral first.")
            return
        self._examples_now()[grain] = mineral
        self._examples.show_examples()
        if self._way.currentText() != "Rules":  # there, examples are standards
            self._way.setCurrentIndex(0)
        self.show_message(f"Grain {grain} is an example of {mineral}.")

    def name_grains(self) -> None:
        """Name all grains in the chosen way."""
        grains = self.roles.grains
        if grains is None or not self.roles.maps:
            self.refresh()
            return
        try:
            way = (self._examples, self._rules, self._clusters)[self._way.currentIndex()]
            kinds = {MapMetadata.of(one).kind for one in self.roles.maps}
            namer = way.namer(kinds)
        except (GrainsmithError, ValueError) as error:
            self.show_message(str(error))
            return
        maps, transforms = maps_of(self.roles)
        work = Work(
            labels=np.asarray(grains.data).copy(),
            table=table_of(grains),
            maps=maps,
            transforms=transforms,
            pixel_size_um=pixel_size_um_of(grains),
        )
        run(
            name_grains,
            work,
            namer,
            busy=self._go,
            then=partial(self._on_named, grains),
            progress=self.progress,
            title="Naming grains",
        )

    def _on_named(self, grains: Labels, result: tuple[pd.DataFrame, Named]) -> None:
        columns, self._named = result
        put_columns(grains, columns)
        self.roles.grains = grains
        self._clusters.show_clusters(self._named)
        self._show_results()
        unsure = [layer.name for layer in self.roles.maps if not MapMetadata.of(layer).is_aligned]
        warning = (
            f"{len(unsure)} maps are not aligned: names may be wrong at rims." if unsure else ""
        )
        self._told.setText("\n".join(line for line in (*self._named.notes, warning) if line))
        self._told.setVisible(bool(self._told.text()))
        self.show_message("")

    def set_by_hand(self) -> None:
        """Name the grain that is looked at; no later naming changes that."""
        grains, grain = self.roles.grains, self._picked.label
        if grains is None or not len(self._named.naming):
            self.show_message("Name the grains first; then single ones can be changed by hand.")
            return
        self._change(partial(name_manually, label=grain, mineral=self._mineral.currentText()))

    def _rename_cluster(self, cluster: str) -> None:
        self._change(partial(name_clusters, names={cluster: self._mineral.currentText().strip()}))
        self._clusters.renamed(cluster, self._mineral.currentText().strip())

    def _change(self, change: Any) -> None:
        grains = self.roles.grains
        if grains is None:
            return
        try:
            put_columns(grains, change(naming_of(grains)))
        except GrainsmithError as error:
            self.show_message(str(error))
            return
        self.show_message("")
        self._show_results()

    def _is_grain(self, grain: int) -> bool:
        grains = self.roles.grains
        return grains is not None and grain > 0 and bool((np.asarray(grains.data) == grain).any())

    def show_components(self) -> None:
        """Add principal components 1-3 of the maps as an image."""
        field = field_of(self.roles)
        if field is None or not field.maps:
            self.refresh()
            return
        first, image = self.roles.maps[0], self.roles.image
        place = {"units": image.units, "affine": world_matrix(first)} if image is not None else {}
        run(
            composite_image,
            field,
            busy=self._go,
            then=lambda picture: self.viewer.add_image(
                picture,
                name="PC 1-3",
                rgb=True,
                metadata=OverlayMetadata().for_layer(Role.CHECK),
                **place,
            ),
        )


def _fill(box: QComboBox, entries: list[str], chosen: str) -> None:
    box.clear()
    box.addItems(entries)
    box.setCurrentIndex(max(0, entries.index(chosen) if chosen in entries else 0))
