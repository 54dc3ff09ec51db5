"""Panel: the training set that grows field by field."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Shapes
from qtpy.QtCore import QSize
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QGridLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QSizePolicy,
    QWidget,
)

from grainsmith.errors import GrainsmithError
from grainsmith.io.dataset import (
    MANIFEST,
    ROLES,
    Dataset,
    add_field,
    find_problems,
    propose_split,
    read_dataset,
    remove_field,
    set_roles,
)
from grainsmith.ui.panels.base import Panel, button, label
from grainsmith.ui.panels.messages import NO_GRAINS
from grainsmith.ui.session.labelled_field import region_on, training_field_of
from grainsmith.ui.widgets.background import run
from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    from grainsmith.io.dataset import Problem, TrainingField

_THUMBNAIL_PX = 56
_WHOLE = "the whole field"
_NO_FOLDER = "Choose a folder for the set first: a new one, or one that you have begun."


class TrainingSetPanel(Panel):
    """Add the present field; see what is in the set, what it is for, and what is wrong with it."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.dataset = Dataset(folder=Path())
        self._folder = label(_NO_FOLDER)
        self.only_accepted = QCheckBox("Only accepted grains")
        self.only_accepted.setToolTip(
            "Nothing is learnt but accepted grains (key A in Clean) and a rim of 3 px round them"
        )
        self.region = _combo("Nothing outside these rectangles and polygons is learnt")
        self.licence = QLineEdit()
        self.licence.setPlaceholderText("such as CC-BY-4.0")
        self.licence.setToolTip("Terms of the image: kept with it, asked for when publishing")
        self._add = button(
            "Add to training set",
            self.add_present,
            tip="Store image, grains and who made them; the same image takes its own place",
            key="Ctrl+Shift+A",
            main=True,
        )
        self.rows = QListWidget()
        self.rows.setIconSize(QSize(_THUMBNAIL_PX, _THUMBNAIL_PX))
        self.rows.setMinimumHeight(200)
        self.rows.setWordWrap(True)
        self.role = _combo("What the chosen field is for; never trained on: validation and test")
        self.role.addItems(ROLES)
        self._problems = label("")
        self._lay_out()
        self.rows.currentRowChanged.connect(self._on_row)
        self.role.activated.connect(self._on_role)

    def _lay_out(self) -> None:
        choose = button("Choose folder …", self._ask_folder, tip="A new or a begun training set")
        form = QWidget()
        rows = QFormLayout(form)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.addRow("Trust", self.region)
        rows.addRow("", self.only_accepted)
        rows.addRow("Licence", self.licence)
        below = QWidget()
        grid = QGridLayout(below)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(label("Chosen field is for"), 0, 0)
        grid.addWidget(self.role, 0, 1)
        self._split = button(
            "Propose split", self.propose, tip="Keep whole fields back that stand for the rest"
        )
        self._check = button("Check", self.check, tip="Look for what is wrong with the set")
        self._remove = button(
            "Take out", self.remove, tip="The files go to the folder 'removed'; none is deleted"
        )
        grid.addWidget(self._remove, 1, 1)
        grid.addWidget(self._split, 2, 0)
        grid.addWidget(self._check, 2, 1)
        self.add(self._folder, choose, form, self._add, self.rows, below, self._problems)

    def refresh(self) -> None:
        """Offer the shapes layers that there are now."""
        chosen = self.region.currentText()
        names = [layer.name for layer in self.viewer.layers if isinstance(layer, Shapes)]
        self.region.clear()
        self.region.addItems([_WHOLE, *names])
        self.region.setCurrentText(chosen if chosen in names else _WHOLE)

    # --- the set

    def open(self, folder: str) -> None:
        """Show the set of a folder; an empty or new one is a set as well."""
        try:
            place = Path(folder)
            self._show(read_dataset(place) if place.is_dir() else Dataset(folder=place))
        except GrainsmithError as error:
            self.show_message(message_of(error))

    def add_present(self) -> None:
        """Add the present field, in the background."""
        if not self._has_folder():
            return
        if self.roles.grains is None:
            self.show_missing(NO_GRAINS)
            return
        try:
            field, origin = training_field_of(self.roles, self.licence.text().strip())
            region = self._region(field.labels.shape[0])
        except GrainsmithError as error:
            self.show_message(message_of(error))
            return
        self.show_message("")
        run(
            add_field,
            self.dataset.folder,
            field,
            origin,
            only_accepted=self.only_accepted.isChecked(),
            region=region,
            busy=self._add,
            then=self._show_added,
        )

    def propose(self) -> None:
        """Propose and take a split."""
        if self._has_folder():
            run(_split, self.dataset, busy=self._split, then=self._show_and_check)

    def check(self) -> None:
        """Look for problems, in the background."""
        if self._has_folder():
            run(
                find_problems,
                self.dataset,
                busy=self._check,
                then=self._show_problems,
                progress=self.progress,
                title="Looking at the fields",
            )

    def remove(self) -> None:
        """Take the chosen field out of the set."""
        one = self._chosen()
        if one is not None:
            run(
                remove_field,
                self.dataset.folder,
                one.name,
                busy=self._remove,
                then=self._show_and_check,
            )

    # --- how

    def _has_folder(self) -> bool:
        if self.dataset.folder == Path():
            self.show_message(_NO_FOLDER)
            return False
        return True

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of the training set")
        if folder:
            self.open(folder)

    def _region(self, rows: int) -> Any:
        name, image = self.region.currentText(), self.roles.image
        if name == _WHOLE or image is None:
            return None
        return region_on(self.viewer.layers[name], image, rows)

    def _show_added(self, added: TrainingField) -> None:
        self.open(str(self.dataset.folder))
        self.show_message(
            f"{added.name}: {added.n_grains} grains, {added.trusted_pct:.0f} % trusted."
        )
        self.check()

    def _show_and_check(self, dataset: Dataset) -> None:
        self._show(dataset)
        self.check()

    def _show(self, dataset: Dataset) -> None:
        chosen = self.rows.currentRow()
        self._problems.setText("")  # what was found then need not hold now
        self.dataset = dataset
        self.roles.training_set = str(dataset.folder)
        grains = sum(one.n_grains for one in dataset.fields)
        self._folder.setText(
            f"<b>{dataset.folder.name}</b>: {len(dataset.fields)} fields, {grains:,} grains"
        )
        self._folder.setToolTip(str(dataset.folder / MANIFEST))
        self.rows.clear()
        for one in dataset.fields:
            text = f"{one.name}\n{one.n_grains:,} grains · {one.diameter_px:.0f} px · {one.role}"
            item = QListWidgetItem(text)
            if one.thumbnail.is_file():
                item.setIcon(QIcon(str(one.thumbnail)))
            item.setToolTip(
                f"{one.trusted_pct:.0f} % trusted · {one.license or 'no licence given'}"
            )
            self.rows.addItem(item)
        self.rows.setCurrentRow(min(max(chosen, 0), len(dataset.fields) - 1))

    def _show_problems(self, problems: list[Problem]) -> None:
        self._problems.setText("\n".join(f"• {one.text}" for one in problems) or "No problems.")

    def _chosen(self) -> TrainingField | None:
        row = self.rows.currentRow()
        return self.dataset.fields[row] if 0 <= row < len(self.dataset.fields) else None

    def _on_row(self, _row: int) -> None:
        one = self._chosen()
        self.role.setEnabled(one is not None)
        if one is not None:
            self.role.setCurrentText(one.role)

    def _on_role(self, _index: int) -> None:
        one = self._chosen()
        if one is None:
            return
        try:
            self._show(set_roles(self.dataset.folder, {one.name: self.role.currentText()}))
        except GrainsmithError as error:
            self.show_message(message_of(error))


def _split(dataset: Dataset) -> Dataset:
    return set_roles(dataset.folder, propose_split(dataset))


def _combo(tip: str) -> QComboBox:
    combo = QComboBox()
    combo.setToolTip(tip)
    combo.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    combo.setMinimumWidth(80)
    return combo
