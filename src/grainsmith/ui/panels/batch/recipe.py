"""The recipe of a batch: the settings of all tabs, and those that no other tab shows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QVBoxLayout, QWidget

from grainsmith.classify.rules import read_rules
from grainsmith.pipeline.recipe import (
    ClassifySettings,
    OpenSettings,
    Recipe,
    ReportSettings,
    check_recipe,
    read_recipe,
)
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_open, ask_file_to_save
from grainsmith.ui.widgets.layouts import Collapsible, labelled_row
from grainsmith.ui.widgets.lifetime import connect_while_alive
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

_FILES = "Recipes (*.yaml *.yml)"


class RecipePanel(Panel):
    """Save and load a recipe; a folded form with the settings of no other tab."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._settings = self.session.settings
        self._title = label("Recipe: the settings that the tabs show")
        self.name_minerals = QCheckBox("Name minerals")
        self.name_minerals.setToolTip("By rules: examples and clusters are for a single field")
        self.name_minerals.setChecked(True)
        self._rules = label("", dim=True)
        self._units = Form(ClassifySettings, hidden=("rules",))
        self.report_form, self.open_form = Form(ReportSettings), Form(OpenSettings)
        self._lay_out()
        for section, form in (("open", self.open_form), ("report", self.report_form)):
            self._settings.add_section(
                section, form.settings, form.show_settings, closed=self.destroyed
            )

    def _lay_out(self) -> None:
        save = button("Save recipe …", self._ask_save, tip="Save the settings of all tabs")
        load = button("Load recipe …", self._ask_load, tip="Show a recipe in all tabs")
        rules = button("Rules …", self._ask_rules, tip="A YAML file; see the page on minerals")
        content = QWidget()
        layout = QVBoxLayout(content)
        layout.setContentsMargins(8, 2, 0, 2)
        for widget in (
            labelled_row((None, self.name_minerals), (None, rules)),
            self._rules,
            self._units,
            self.report_form,
            self.open_form,
        ):
            layout.addWidget(widget)
        fold = Collapsible("Minerals, reports, scale")
        fold.setDuration(0)
        fold.addWidget(content)
        self.layout().setContentsMargins(0, 0, 0, 0)
        self.add(self._title, labelled_row((None, save), (None, load)), fold)

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        connect_while_alive(self, self._settings.changed, self._show_rules)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Show the rules, which may have been changed in another tab."""
        super().showEvent(event)
        self._show_rules()

    @property
    def rules_text(self) -> str:
        """Which rules name the minerals."""
        return str(self._rules.text())

    def recipe(self) -> Recipe:
        """Return the recipe as shown.

        Raises
        ------
        ValueError
            Settings contradict each other.
        """
        recipe = self._settings.recipe()
        rules = recipe.classify.rules or "library"
        classify = self._units.settings(rules=rules if self.name_minerals.isChecked() else "")
        return replace(recipe, classify=classify)

    def show_recipe(self, recipe: Recipe, name: str = "") -> None:
        """Show a recipe in all tabs; its model and rules must exist."""
        self.name_minerals.setChecked(bool(recipe.classify.rules))
        self._units.show_settings(recipe.classify)
        self._settings.show(recipe)
        if name:
            self._title.setText(f"Recipe: {name}, shown in the tabs; changes there count")

    @reports_errors
    def save(self, path: str) -> None:
        """Save the recipe as shown."""
        self.recipe().write(path if Path(path).suffix else f"{path}.yaml")
        self.show_message(f"Saved: {path}")

    def load(self, path: str) -> None:
        """Read a recipe and show it; one that cannot be used changes nothing."""
        self.run_job(_read, path, busy=self, then=partial(self._take_recipe, Path(path).name))

    @reports_errors
    def name_by(self, path: str) -> None:
        """Name minerals by a rules file; one that cannot be used changes nothing."""
        read_rules(path)
        classify = ClassifySettings(rules=str(Path(path).resolve()))
        self.name_minerals.setChecked(True)
        self._settings.show(replace(self._settings.recipe(), classify=classify))
        self.show_message("")

    @reports_errors
    def _take_recipe(self, name: str, recipe: Recipe) -> None:
        self.show_recipe(recipe, name)
        self.show_message(f"{name} is shown in all tabs.")

    def _show_rules(self, _event: Any = None) -> None:
        # Only this step: settings of other tabs may contradict each other.
        rules = self._settings.of_step("classify").rules or "library"
        library = "the mineral library: for maps in wt% or at%"
        self._rules.setText(f"By {library if rules == 'library' else Path(rules).name}")

    def _ask_save(self) -> None:
        path = ask_file_to_save(self, "Save recipe", "recipe.yaml", _FILES)
        if path:
            self.save(path)

    def _ask_load(self) -> None:
        path = ask_file_to_open(self, "Load recipe", _FILES)
        if path:
            self.load(path)

    def _ask_rules(self) -> None:
        path = ask_file_to_open(self, "Rules", "Rules (*.yaml *.yml)")
        if path:
            self.name_by(path)


def _read(path: str) -> Recipe:
    recipe = read_recipe(path)
    check_recipe(recipe)
    return recipe
