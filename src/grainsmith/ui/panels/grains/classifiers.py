"""Three ways to name grains, each a page of the minerals panel: examples, rules, clusters."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox, QListWidget, QSpinBox, QVBoxLayout, QWidget

from grainsmith.classify.examples import ExampleSettings
from grainsmith.classify.rules import RuleSet, advice_on_elements, read_rules
from grainsmith.errors import GrainsmithError, MismatchError
from grainsmith.pipeline.field.classify import (
    ClassificationResult,
    Classifier,
    cluster_classifier,
    example_classifier,
    rule_classifier,
)
from grainsmith.pipeline.recipe import ClassifySettings
from grainsmith.ui.widgets.controls import button, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_open
from grainsmith.ui.widgets.hints import message_of
from grainsmith.ui.widgets.layouts import labelled_row
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

_LIBRARY = "Mineral library"
_FILE = "Rules file"


class ExamplesPage(QWidget):
    """Name grains by clicked examples."""

    def __init__(self, examples: Callable[[], dict[int, str]]) -> None:
        super().__init__()
        self._examples = examples
        self._list = QListWidget()
        self._list.setMaximumHeight(96)
        self._list.setToolTip("Examples per mineral; three grains of each are a good beginning")
        self._form = Form(
            ExampleSettings, folded=("stranger_pct", "least_probability", "spread_pct")
        )
        self._hint = label("", dim=True)
        remove = button("Remove", self._remove, tip="Remove the examples of the selected mineral")
        _column(self, self._hint, self._list, remove, self._form)

    def show_examples(self) -> None:
        """Show the present examples."""
        by_mineral: dict[str, list[str]] = {}
        for grain, mineral in self._examples().items():
            by_mineral.setdefault(mineral, []).append(str(grain))
        self._list.clear()
        for mineral, grains in by_mineral.items():
            self._list.addItem(f"{mineral}: {', '.join(grains)}")
        if not by_mineral:
            self._hint.setText("Click a grain, choose its mineral above, press Example.")
        elif len(by_mineral) == 1:
            self._hint.setText("Now click a grain of another mineral.")
        else:
            self._hint.setText(f"Examples of {len(by_mineral)} minerals:")

    def classifier(self, _kinds: Collection[str]) -> Classifier:
        """Return the classifier.

        Raises
        ------
        MismatchError
            There are examples of fewer than two minerals.
        """
        examples = dict(self._examples())
        if len(set(examples.values())) < 2:
            raise MismatchError("Click at least one grain each of two minerals, and press Example.")
        return example_classifier(examples, self._form.settings())

    def _remove(self) -> None:
        item = self._list.currentItem()
        if item is not None:
            mineral = item.text().partition(": ")[0]
            examples = self._examples()
            for grain in [grain for grain, name in examples.items() if name == mineral]:
                del examples[grain]
        self.show_examples()


class RulesPage(QWidget):
    """Name grains by a rules file or by the library; with maps of counts, examples calibrate."""

    def __init__(self, examples: Callable[[], dict[int, str]]) -> None:
        super().__init__()
        self._examples = examples
        self._rules: RuleSet | None = None
        self._path = ""
        self._elements: list[str] = []
        self._choice = QComboBox()
        self._choice.addItem(_LIBRARY)
        self._advice = label("", dim=True)
        self._choice.currentIndexChanged.connect(lambda _: self._show_advice())
        open_file = button("Open rules …", self._ask, tip="A YAML file; see the page on minerals")
        standards = label("With maps of counts, the examples serve as standards.", dim=True)
        _column(self, labelled_row((None, self._choice)), open_file, standards, self._advice)

    @property
    def advice(self) -> str:
        """What the mapped elements cannot tell apart, or why a file was refused."""
        return str(self._advice.text())

    def show_elements(self, elements: Sequence[str]) -> None:
        """Show what the mapped elements can tell apart."""
        self._elements = sorted({element for element in elements if element})
        self._show_advice()

    def open(self, path: str | Path) -> None:
        """Choose a rules file; one that cannot be used is explained and changes nothing."""
        try:
            self._rules = read_rules(path)
        except GrainsmithError as error:
            self._advice.setText(message_of(error))
            return
        self._path = str(Path(path).resolve())
        if self._choice.count() == 1:
            self._choice.addItem(_FILE)
        self._choice.setItemText(1, f"{Path(path).name} ({self._rules.units})")
        self._choice.setCurrentIndex(1)
        self._show_advice()

    def settings(self) -> ClassifySettings:
        """Return the rules as a recipe names them."""
        return ClassifySettings(rules=self._path if self._choice.currentIndex() == 1 else "library")

    def show_settings(self, settings: ClassifySettings) -> None:
        """Choose the rules of a recipe; one without minerals leaves the choice as it is."""
        if settings.rules == "library":
            self._choice.setCurrentIndex(0)
        elif settings.rules:
            self.open(settings.rules)

    def classifier(self, kinds: Collection[str]) -> Classifier:
        """Return the classifier.

        Raises
        ------
        MismatchError
            The maps are of several kinds.
        """
        if len(kinds) > 1:
            raise MismatchError(
                f"the maps hold {', '.join(sorted(kinds))}: rules need maps of one kind"
            )
        rules = self._rules if self._choice.currentIndex() == 1 else None
        return rule_classifier(rules, kind=next(iter(kinds)), standards=dict(self._examples()))

    def _show_advice(self) -> None:
        if not self._elements:
            self._advice.setText("")
        elif self._choice.currentIndex() == 1 and self._rules is not None:
            advice = self._rules.advice(self._elements)
            self._advice.setText("; ".join(advice) or "These maps suffice for all rules.")
        else:
            self._advice.setText("; ".join(advice_on_elements(self._elements)))

    def _ask(self) -> None:
        path = ask_file_to_open(self, "Rules", "Rules (*.yaml *.yml)")
        if path:
            self.open(path)


class ClustersPage(QWidget):
    """Group grains of similar composition, and name the groups."""

    def __init__(self, rename: Callable[[str], str]) -> None:
        super().__init__()
        self._rename = rename
        self._max_clusters = QSpinBox()
        self._max_clusters.setRange(2, 40)
        self._max_clusters.setValue(12)
        self._max_clusters.setToolTip("Upper limit; the number of clusters follows from the grains")
        self._cluster = QComboBox()
        self._cluster.setToolTip("Cluster that 'Name it' names")
        self._naming = labelled_row(
            (None, self._cluster),
            (None, button("Name it", self.name_cluster, tip="Give this cluster the mineral above")),
        )
        self._naming.hide()
        hint = label("Group grains of similar composition, then name the groups.", dim=True)
        _column(self, hint, labelled_row(("At most", self._max_clusters)), self._naming)

    @property
    def clusters(self) -> list[str]:
        """The clusters that can be named, each with the mineral that it resembles."""
        return [self._cluster.itemText(row) for row in range(self._cluster.count())]

    def show_clusters(self, named: ClassificationResult) -> None:
        """Offer the clusters of a naming to be named."""
        hints = named.views.get("Clusters look like")
        self._cluster.clear()
        if hints is not None:
            for cluster, guess in hints["looks_like"].items():
                self._cluster.addItem(f"{cluster} (like {guess}?)", cluster)
        self._naming.setVisible(hints is not None)

    def name_cluster(self) -> None:
        """Give the chosen cluster the mineral of the panel."""
        cluster: Any = self._cluster.currentData()
        mineral = self._rename(str(cluster)) if cluster else ""
        if mineral:
            row = self._cluster.currentIndex()
            self._cluster.setItemText(row, f"{cluster} = {mineral}")
            self._cluster.setItemData(row, mineral)

    def classifier(self, _kinds: Collection[str]) -> Classifier:
        """Return the classifier."""
        return cluster_classifier(self._max_clusters.value())


def _column(parent: QWidget, *widgets: QWidget) -> None:
    layout = QVBoxLayout(parent)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    layout.addStretch(1)
