"""Page of the panel Train: the training set, which grows field by field."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.layers import Shapes
from qtpy.QtCore import QSize
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import (
    QCheckBox,
    QGridLayout,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

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
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.messages import NO_GRAINS
from grainsmith.ui.session.labelled_field import region_on, training_field
from grainsmith.ui.widgets.controls import button, combo_box, label
from grainsmith.ui.widgets.file_dialogs import ask_folder
from grainsmith.ui.widgets.layouts import rows

if TYPE_CHECKING:
    from grainsmith.io.dataset import Problem, TrainingField

_THUMBNAIL_PX = 56
_WHOLE = "the whole field"
_NO_FOLDER = "Choose a folder for the set first: a new one, or an existing set."


class TrainingSetPanel(Panel):
    """Add the active field; see which fields the set has, their roles and problems."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.dataset = Dataset(folder=Path())
        self._folder = label(_NO_FOLDER)
        self.only_accepted = QCheckBox("Only accepted grains")
        self.only_accepted.setToolTip(
            "Train only on accepted grains (key A in Clean) and a rim of 3 px around them"
        )
        self.region = combo_box(
            "Train only on what these rectangles and polygons cover", minimum_width_px=80
        )
        self.license = QLineEdit()
        self.license.setPlaceholderText("such as CC-BY-4.0")
        self.license.setToolTip("Terms of the image, which are needed when the set is published")
        self._add = button(
            "Add to training set",
            self.add_active_field,
            tip="Store the image, its grains and who drew them; the same image is updated",
            key=MAIN_KEYS["Train"],
            main=True,
        )
        self.rows = QListWidget()
        self.rows.setIconSize(QSize(_THUMBNAIL_PX, _THUMBNAIL_PX))
        self.rows.setMinimumHeight(200)
        self.rows.setWordWrap(True)
        self.role = combo_box(
            "Use of the selected field; validation and test are not trained on",
            minimum_width_px=80,
        )
        self.role.addItems(ROLES)
        self._problems = label("")
        self._lay_out()

    def _lay_out(self) -> None:
        choose = button("Choose folder …", self._ask_folder, tip="A new or an existing set")
        self._split = button(
            "Propose split", self.propose_split, tip="Hold back representative whole fields"
        )
        self._check = button("Check", self.check, tip="Look for problems of the set")
        self._remove = button(
            "Remove", self.remove, tip="Move its files to the folder 'removed'; none is deleted"
        )
        below = QWidget()
        grid = QGridLayout(below)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.addWidget(label("Use selected field for"), 0, 0)
        grid.addWidget(self.role, 0, 1)
        grid.addWidget(self._remove, 1, 1)
        grid.addWidget(self._split, 2, 0)
        grid.addWidget(self._check, 2, 1)
        form = rows(("Trust", self.region), ("", self.only_accepted), ("Licence", self.license))
        self.add(self._folder, choose, form, self._add, self.rows, below, self._problems)

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self.rows.currentRowChanged.connect(self._on_row)
        self.role.activated.connect(self._on_role)

    def refresh(self) -> None:
        """Offer the shapes layers of the viewer."""
        current = self.region.currentText()
        names = [layer.name for layer in self.viewer.layers if isinstance(layer, Shapes)]
        self.region.clear()
        self.region.addItems([_WHOLE, *names])
        self.region.setCurrentText(current if current in names else _WHOLE)

    @property
    def problems(self) -> str:
        """The problems of the set that were found last."""
        return str(self._problems.text())

    @property
    def checking(self) -> bool:
        """Whether the set is being checked."""
        return not self._check.isEnabled()

    # --- the set

    @reports_errors
    def open(self, folder: str) -> None:
        """Show the set in a folder; an empty or new one is a set as well."""
        path = Path(folder)
        self._show(read_dataset(path) if path.is_dir() else Dataset(folder=path))

    @reports_errors
    def add_active_field(self) -> None:
        """Add the active image and grains, in the background."""
        if not self._has_folder():
            return
        if self.roles.grains is None:
            self.show_missing(NO_GRAINS)
            return
        field, origin = training_field(self.roles, self.license.text().strip())
        self.run_job(
            add_field,
            self.dataset.folder,
            field,
            origin,
            only_accepted=self.only_accepted.isChecked(),
            region=self._region(field.labels.shape[0]),
            busy=self._add,
            then=self._show_added,
        )

    def propose_split(self) -> None:
        """Choose which fields are held back."""
        if self._has_folder():
            self.run_job(_split, self.dataset, busy=self._split, then=self._show_and_check)

    def check(self) -> None:
        """Look for problems in the background."""
        if self._has_folder():
            message = self.message
            self.run_job(
                find_problems,
                self.dataset,
                busy=self._check,
                then=self._show_problems,
                title="Checking the fields",
            )
            self.show_message(message)

    def remove(self) -> None:
        """Remove the selected field from the set."""
        field = self._selected()
        if field is not None:
            self.run_job(
                remove_field,
                self.dataset.folder,
                field.name,
                busy=self._remove,
                then=self._show_and_check,
            )

    def _has_folder(self) -> bool:
        if self.dataset.folder == Path():
            self.show_message(_NO_FOLDER)
            return False
        return True

    def _ask_folder(self) -> None:
        folder = ask_folder(self, "Folder of the training set")
        if folder:
            self.open(folder)

    def _region(self, n_rows: int) -> Any:
        name, image = self.region.currentText(), self.roles.image
        if name == _WHOLE or image is None:
            return None
        return region_on(self.viewer.layers[name], image, n_rows)

    # --- what is shown

    def _show_added(self, field: TrainingField) -> None:
        self.open(str(self.dataset.folder))
        self.show_message(f"{field.name}: {field.n_grains} grains, {field.trusted_pct:.0f} % used.")
        self.check()

    def _show_and_check(self, dataset: Dataset) -> None:
        self._show(dataset)
        self.check()

    def _show(self, dataset: Dataset) -> None:
        row = self.rows.currentRow()
        self._problems.setText("")  # may be out of date
        self.dataset = dataset
        self.roles.training_set = str(dataset.folder)
        grains = sum(field.n_grains for field in dataset.fields)
        self._folder.setText(
            f"<b>{dataset.folder.name}</b>: {len(dataset.fields)} fields, {grains:,} grains"
        )
        self._folder.setToolTip(str(dataset.folder / MANIFEST))
        self.rows.clear()
        for field in dataset.fields:
            self.rows.addItem(_item(field))
        self.rows.setCurrentRow(min(max(row, 0), len(dataset.fields) - 1))

    def _show_problems(self, problems: list[Problem]) -> None:
        lines = [f"• {problem.text}" for problem in problems]
        self._problems.setText("\n".join(lines) or "No problems.")

    def _selected(self) -> TrainingField | None:
        row = self.rows.currentRow()
        return self.dataset.fields[row] if 0 <= row < len(self.dataset.fields) else None

    def _on_row(self, _row: int) -> None:
        field = self._selected()
        self.role.setEnabled(field is not None)
        if field is not None:
            self.role.setCurrentText(field.role)

    @reports_errors
    def _on_role(self, _index: int) -> None:
        field = self._selected()
        if field is not None:
            self._show(set_roles(self.dataset.folder, {field.name: self.role.currentText()}))


def _item(field: TrainingField) -> QListWidgetItem:
    item = QListWidgetItem(
        f"{field.name}\n{field.n_grains:,} grains · {field.diameter_px:.0f} px · {field.role}"
    )
    if field.thumbnail.is_file():
        item.setIcon(QIcon(str(field.thumbnail)))
    item.setToolTip(f"{field.trusted_pct:.0f} % used · {field.license or 'no licence given'}")
    return item


def _split(dataset: Dataset) -> Dataset:
    return set_roles(dataset.folder, propose_split(dataset))
