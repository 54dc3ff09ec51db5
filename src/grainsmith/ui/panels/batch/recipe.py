"""The recipe of a batch: the settings that the other tabs show, and those that only it has."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from grainsmith.classify.rules import read_rules
from grainsmith.errors import GrainsmithError
from grainsmith.pipeline.recipe import (
    ClassifySettings,
    OpenSettings,
    Recipe,
    ReportSettings,
    check_recipe,
    read_recipe,
)
from grainsmith.ui.session.active_layers import connect_while_alive
from grainsmith.ui.session.panel_settings import panel_settings_of
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_open, ask_file_to_save
from grainsmith.ui.widgets.hints import message_of
from grainsmith.ui.widgets.layouts import Collapsible, labelled_row
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from qtpy.QtGui import QShowEvent

_FILES = "Recipes (*.yaml *.yml)"


class RecipePart(QWidget):
    """Save, load, and a fold with what no other tab shows."""

    told = Signal(str)
    """What the user should know."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._shown = panel_settings_of(viewer)
        self._what = label("Recipe: the settings that the tabs show")
        self._named = QCheckBox("Name minerals")
        self._named.setToolTip("By rules: examples and clusters hold for one field only")
        self._named.setChecked(True)
        self._rules = label("", dim=True)
        self._units = Form(ClassifySettings, hidden=("rules",))
        self._report, self._open = Form(ReportSettings), Form(OpenSettings)
        self._lay_out()
        self._shown.take_part("open", self, self._open.settings, self._open.show_settings)
        self._shown.take_part("report", self, self._report.settings, self._report.show_settings)
        connect_while_alive(self, self._shown.changed, self._show_rules)

    def _lay_out(self) -> None:
        save = button(
            "Save recipe …", self._ask_save, tip="Write the settings of all tabs as one file"
        )
        load = button(
            "Load recipe …", self._ask_load, tip="Show the settings of a recipe in all tabs"
        )
        rules = button("Rules …", self._ask_rules, tip="A YAML file; see the page on minerals")
        inside = QWidget()
        lines = QVBoxLayout(inside)
        lines.setContentsMargins(8, 2, 0, 2)
        for widget in (
            labelled_row((None, self._named), (None, rules)),
            self._rules,
            self._units,
            self._report,
            self._open,
        ):
            lines.addWidget(widget)
        fold = Collapsible("Minerals, reports, scale")
        fold.addWidget(inside)
        whole = QVBoxLayout(self)
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(4)
        for widget in (self._what, labelled_row((None, save), (None, load)), fold):
            whole.addWidget(widget)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """The rules may have been changed in another tab."""
        super().showEvent(event)
        self._show_rules()

    def recipe(self) -> Recipe:
        """Return the recipe as shown; raises ValueError where settings clash."""
        recipe = self._shown.recipe()
        rules = recipe.classify.rules or "library"
        classify = self._units.settings(rules=rules if self._named.isChecked() else "")
        return replace(recipe, classify=classify)

    def show_recipe(self, recipe: Recipe, name: str = "") -> None:
        """Show a recipe, whose model and rules are there, in all tabs."""
        self._named.setChecked(bool(recipe.classify.rules))
        self._units.show_settings(recipe.classify)
        self._shown.show(recipe)
        if name:
            self._what.setText(f"Recipe: {name}, shown in the tabs; changes there count")

    def save(self, path: str) -> None:
        """Write the recipe as shown."""
        self.recipe().write(path if Path(path).suffix else f"{path}.yaml")

    def load(self, path: str) -> None:
        """Read a recipe and show it; one that cannot be used changes nothing."""
        self.told.emit("")
        run_in_background(
            said, _read, path, busy=self, then=partial(self._on_read, Path(path).name)
        )

    def _on_read(self, name: str, recipe: Recipe | str) -> None:
        if isinstance(recipe, str):
            self.told.emit(recipe)
            return
        self.show_recipe(recipe, name)
        self.told.emit(f"{name} is shown in all tabs.")

    def name_by(self, path: str) -> None:
        """Name minerals by a rules file; one that cannot be used changes nothing.

        Raises
        ------
        GrainsmithError
        """
        read_rules(path)
        rules = ClassifySettings(rules=str(Path(path).resolve()))
        self._named.setChecked(True)
        self._shown.show(replace(self._shown.recipe(), classify=rules))

    def _show_rules(self) -> None:
        # Of all settings only these: those of other tabs may clash, which is said when they count.
        rules = self._shown.of_step("classify").rules or "library"
        said = "the mineral library: for maps in wt% or at%" if rules == "library" else ""
        self._rules.setText(f"By {said or Path(rules).name}")

    # --- asking

    def _ask_save(self) -> None:
        path = ask_file_to_save(self, "Save recipe", "recipe.yaml", _FILES)
        if path:
            self.told.emit(said(self.save, path) or f"Saved: {path}")

    def _ask_load(self) -> None:
        path = ask_file_to_open(self, "Load recipe", _FILES)
        if path:
            self.load(path)

    def _ask_rules(self) -> None:
        path = ask_file_to_open(self, "Rules", "Rules (*.yaml *.yml)")
        if path:
            self.told.emit(said(self.name_by, path) or "")


def said(work: Callable[..., Any], *args: Any) -> Any:
    """Do it; a failure that the user can mend comes back as text: the panel says it itself."""
    try:
        return work(*args)
    except (GrainsmithError, ValueError, OSError) as error:
        return message_of(error)


def _read(path: str) -> Recipe:
    recipe = read_recipe(path)
    check_recipe(recipe)
    return recipe
