"""The three ways to name grains, each a page of the minerals panel."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QListWidget,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from grainsmith.classify.examples import ExampleSettings
from grainsmith.classify.rules import RuleSet, advice_on_elements, read_rules
from grainsmith.errors import GrainsmithError, MismatchError
from grainsmith.minerals import LIBRARY
from grainsmith.pipeline.field.classify import Named, Namer, by_clusters, by_examples, by_rules
from grainsmith.pipeline.recipe import ClassifySettings
from grainsmith.ui.panels.base import button, label
from grainsmith.ui.widgets.layouts import across
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_LIBRARY = "Mineral library"
_FILE = "Rules file"


class ExamplesWay(QWidget):
    """Grains that were clicked, by mineral."""

    def __init__(self, examples: Callable[[], dict[int, str]]) -> None:
        super().__init__()
        self._examples = examples
        self._list = QListWidget()
        self._list.setMaximumHeight(96)
        self._list.setToolTip("Examples: three grains per mineral are a good beginning")
        self._form = Form(
            ExampleSettings, folded=("stranger_pct", "least_probability", "spread_pct")
        )
        self._hint = label("", dim=True)
        remove = button("Remove", self._remove, tip="Take the chosen mineral's examples away")
        _column(self, self._hint, self._list, remove, self._form)

    def show_examples(self) -> None:
        """Show the examples as they are now."""
        by_mineral: dict[str, list[str]] = {}
        for grain, mineral in self._examples().items():
            by_mineral.setdefault(mineral, []).append(str(grain))
        self._list.clear()
        for mineral, grains in by_mineral.items():
            self._list.addItem(f"{mineral}: {', '.join(grains)}")
        if not by_mineral:
            self._hint.setText("Click a grain, choose its mineral above, press Example.")
        elif len(by_mineral) == 1:
            self._hint.setText("Now a grain of another mineral.")
        else:
            self._hint.setText(f"Examples of {len(by_mineral)} minerals:")

    def _remove(self) -> None:
        chosen = self._list.currentItem()
        if chosen is not None:
            mineral = chosen.text().partition(": ")[0]
            examples = self._examples()
            for grain in [grain for grain, name in examples.items() if name == mineral]:
                del examples[grain]
        self.show_examples()

    def namer(self, _kinds: Collection[str]) -> Namer:
        """Return how grains are named; MismatchError with fewer than two minerals."""
        examples = dict(self._examples())
        if len(set(examples.values())) < 2:
            raise MismatchError("Click at least one grain each of two minerals, and press Example.")
        return by_examples(examples, self._form.settings())


class RulesWay(QWidget):
    """A rules file, or the library; maps of counts take the examples as standards."""

    def __init__(self, examples: Callable[[], dict[int, str]]) -> None:
        super().__init__()
        self._examples = examples
        self._rules: RuleSet | None = None
        self._path = ""
        self._elements: list[str] = []
        self._choice = QComboBox()
        self._choice.addItem(_LIBRARY)
        self._advice = label("", dim=True)
        self._choice.currentIndexChanged.connect(lambda _: self._show())
        open_file = button("Open rules …", self._ask, tip="A YAML file; see the page on minerals")
        standards = label("Maps of counts: grains given as Example are the standards.", dim=True)
        _column(self, across((None, self._choice)), open_file, standards, self._advice)

    def show_elements(self, elements: Sequence[str]) -> None:
        """Say what the mapped elements can tell apart."""
        self._elements = sorted({element for element in elements if element})
        self._show()

    def open(self, path: str | Path) -> None:
        """Take a rules file; one that cannot be used is explained and changes nothing."""
        try:
            self._rules = read_rules(path)
        except GrainsmithError as error:
            self._advice.setText(str(error))
            return
        self._path = str(Path(path).resolve())
        if self._choice.count() == 1:
            self._choice.addItem(_FILE)
        self._choice.setItemText(1, f"{Path(path).name} ({self._rules.units})")
        self._choice.setCurrentIndex(1)
        self._show()

    def settings(self) -> ClassifySettings:
        """Return the rules as a recipe names them."""
        return ClassifySettings(rules=self._path if self._choice.currentIndex() == 1 else "library")

    def show_settings(self, settings: ClassifySettings) -> None:
        """Choose the rules of a recipe; one without minerals leaves the choice as it is."""
        if settings.rules == "library":
            self._choice.setCurrentIndex(0)
        elif settings.rules:
            self.open(settings.rules)

    def _show(self) -> None:
        if not self._elements:
            self._advice.setText("")
        elif self._choice.currentIndex() == 1 and self._rules is not None:
            advice = self._rules.advice(self._elements)
            self._advice.setText("; ".join(advice) or "All rules can be judged with these maps.")
        else:
            self._advice.setText("; ".join(advice_on_elements(self._elements)))

    def _ask(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Rules", "", "Rules (*.yaml *.yml)")
        if path:
            self.open(path)

    def namer(self, kinds: Collection[str]) -> Namer:
        """Return how grains are named; MismatchError where the maps are of several kinds."""
        if len(kinds) > 1:
            raise MismatchError(
                f"the maps hold {', '.join(sorted(kinds))}: rules need maps of one kind"
            )
        rules = self._rules if self._choice.currentIndex() == 1 else None
        return by_rules(rules, next(iter(kinds)), dict(self._examples()))


class ClustersWay(QWidget):
    """Clusters, and their names."""

    def __init__(self, rename: Callable[[str], None]) -> None:
        super().__init__()
        self._rename = rename
        self._most = QSpinBox()
        self._most.setRange(2, 40)
        self._most.setValue(12)
        self._most.setToolTip("Upper limit; the number is found from the grains")
        self._which = QComboBox()
        self._naming = across(
            (None, self._which),
            (None, button("Name it", self._on_name, tip="Give this cluster the mineral above")),
        )
        self._naming.hide()
        self._hint = label(
            "Grains of like composition are put together; you name the clusters.", dim=True
        )
        _column(self, self._hint, across(("At most", self._most)), self._naming)

    def show_clusters(self, named: Named) -> None:
        """Offer the clusters of a naming to be named."""
        hints = named.views.get("Clusters look like")
        self._which.clear()
        if hints is not None:
            for cluster, guess in hints["looks_like"].items():
                self._which.addItem(f"{cluster} (like {guess}?)", cluster)
        self._naming.setVisible(hints is not None)

    def renamed(self, cluster: str, mineral: str) -> None:
        """Show that a cluster has got its name."""
        place = self._which.findData(cluster)
        if place >= 0:
            self._which.setItemText(place, f"{cluster} = {mineral}")
            self._which.setItemData(place, mineral)

    def _on_name(self) -> None:
        cluster: Any = self._which.currentData()
        if cluster:
            self._rename(str(cluster))

    def namer(self, _kinds: Collection[str]) -> Namer:
        """Return how grains are sorted."""
        return by_clusters(self._most.value())


def mineral_box() -> QComboBox:
    """Return a box with the minerals of the library, in which others can be typed."""
    box = QComboBox()
    box.setEditable(True)
    box.addItems([*LIBRARY, "glass", "epoxy", "pore"])
    box.setToolTip("Mineral of the grain that is looked at; any other name can be typed")
    return box


def _column(whole: QWidget, *widgets: QWidget) -> None:
    lines = QVBoxLayout(whole)
    lines.setContentsMargins(0, 0, 0, 0)
    lines.setSpacing(4)
    for widget in widgets:
        lines.addWidget(widget)
    lines.addStretch(1)
