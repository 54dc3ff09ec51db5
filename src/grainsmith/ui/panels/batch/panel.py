"""Panel: run one recipe over many fields, on this machine or a cluster, and resume it."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Qt, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QLineEdit,
    QSizePolicy,
    QSpinBox,
    QWidget,
)

from grainsmith.pipeline.batch.discovery import checked, find_fields, read_sheet
from grainsmith.pipeline.batch.manifest import holds_results
from grainsmith.pipeline.batch.runner import ProgressEstimator, run_batch
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.panels.batch.field_list import FieldList
from grainsmith.ui.panels.batch.recipe import RecipePanel
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.messages import error_text
from grainsmith.ui.widgets.background import USER_ERRORS, run_in_background
from grainsmith.ui.widgets.controls import button, duration_text, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_open, ask_folder
from grainsmith.ui.widgets.layouts import labelled_row, pages_of, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grainsmith.pipeline.batch.discovery import FieldFiles
    from grainsmith.pipeline.batch.runner import BatchResult, FieldState

_NO_FIELDS = (
    "Add a folder of fields: one folder per field with its maps, or images whose maps begin with "
    "their names. Or open a sheet."
)
_LINK_COLOR = "#4a90d9"
"""Legible on napari's dark and light themes."""

_ENGINES = ("here, one after another", "processes of this machine", "a dask cluster")


class _RunSignals(QObject):
    """Signals from the working thread to the window."""

    state = Signal(object)
    notice = Signal(str)


class BatchPanel(Panel):
    """Fields, output folder, recipe and engine; then the progress of the fields."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.fields: tuple[FieldFiles, ...] = ()
        self.out = ""
        self._folders: list[str] = []
        self._sheet_fields: tuple[FieldFiles, ...] = ()
        self._input_path: Path | None = None
        self._out_is_chosen = False
        self._last_output = ("", False)
        self._estimator: ProgressEstimator | None = None
        self.signals = _RunSignals()
        self._fields_line = label(_NO_FIELDS)
        self._out_line = label("", dim=True)
        self.resume = QCheckBox("Go on with the results that are there")
        self.resume.setToolTip("Fields whose files and recipe are unchanged are not repeated")
        self.engine = QComboBox()
        self.engine.addItems(_ENGINES)
        self.engine.setToolTip("Where the fields are processed; the results are the same")
        self.workers, self.address = _workers_box(), _address_line()
        self.recipe = RecipePanel(self.viewer)
        self._run = button(
            "Run batch",
            self.start,
            tip="Run all steps on every field; finished fields stay whatever happens",
            key=MAIN_KEYS["Batch"],
            main=True,
        )
        self.list = FieldList()
        self._time_left = label("")
        self._dashboard = label("")
        self._dashboard.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self._dashboard.setOpenExternalLinks(True)
        self._lay_out()
        self._show_fields()

    def _lay_out(self) -> None:
        self._add = button("Add folder …", self._ask_folder, tip="A folder of fields or samples")
        sheet = button(
            "Sheet …", self._ask_sheet, tip="CSV: sample, field, image, maps, pixel_size_um"
        )
        self._clear = button("Clear", self.clear, tip="Remove all fields from the list")
        choose_out = button("Results in …", self._ask_out, tip="Folder for all results")
        self._setup = rows(
            (None, self._fields_line),
            (None, labelled_row((None, self._add), (None, sheet), (None, self._clear))),
            (None, choose_out),
            (None, self._out_line),
            (None, self.resume),
            (None, labelled_row(("Run", self.engine))),
            (None, pages_of(self.engine, QWidget(), self.workers, self.address)),
            (None, self.recipe),
            (None, self._run),
        )
        report = button(
            "Open report", self.open_report, tip="Of the selected field or sample, in the browser"
        )
        folder = button("Open folder", self._open_folder, tip="Open the folder of the results")
        self.add(
            self._setup,
            self._time_left,
            self._dashboard,
            self.list,
            labelled_row((None, report), (None, folder)),
        )
        self.layout().setStretch(0, 1000)  # the list takes the remaining height

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self.list.report_wanted.connect(self.open_report)
        self.signals.state.connect(self._show_state)
        self.signals.notice.connect(self._show_notice)

    @property
    def summary(self) -> str:
        """How many fields and samples there are."""
        return str(self._fields_line.text())

    @property
    def time_left(self) -> str:
        """The time left, as shown; "" when hidden."""
        return "" if self._time_left.isHidden() else str(self._time_left.text())

    @property
    def running(self) -> bool:
        """Whether a batch runs or fields are being found."""
        return not self._setup.isEnabled()

    # --- fields

    def add_folder(self, path: str) -> None:
        """Find the fields of a folder and add them."""
        folders = [*self._folders, path]
        self._find(
            partial(_all_fields, self._sheet_fields, folders),
            partial(self._take_folders, folders),
            input_path=self._input_path or Path(path),
        )

    def open_sheet(self, path: str) -> None:
        """Replace the fields by those of a sheet."""
        self._find(partial(read_sheet, path), self._take_sheet, input_path=Path(path))

    def clear(self) -> None:
        """Remove all fields from the list."""
        self._folders, self._sheet_fields, self.fields = [], (), ()
        self.out, self._out_is_chosen, self._input_path = "", False, None
        self._show_fields()

    def put_results(self, folder: str) -> None:
        """Choose the folder of the results."""
        self.out, self._out_is_chosen = folder, True
        self._show_out()

    def _find(
        self,
        find: Callable[[], Sequence[FieldFiles]],
        take: Callable[[tuple[FieldFiles, ...]], None],
        *,
        input_path: Path,
    ) -> None:
        self.run_job(find, busy=self._setup, then=partial(self._take_fields, take, input_path))

    def _take_folders(self, folders: list[str], _fields: tuple[FieldFiles, ...]) -> None:
        self._folders = folders

    def _take_sheet(self, fields: tuple[FieldFiles, ...]) -> None:
        self._folders, self._sheet_fields = [], fields

    def _take_fields(
        self,
        take: Callable[[tuple[FieldFiles, ...]], None],
        input_path: Path,
        fields: tuple[FieldFiles, ...],
    ) -> None:
        take(fields)
        self.fields, self._input_path = fields, input_path
        if not self._out_is_chosen:
            self.out = str(input_path.absolute().with_name(f"{input_path.stem}-grainsmith"))
        self._show_fields()

    def _show_fields(self) -> None:
        samples = len({field.sample for field in self.fields})
        bad = sum(field.problem is not None for field in self.fields)
        text = f"{_count(len(self.fields), 'field')} of {_count(samples, 'sample')}"
        problems = f"; {bad} cannot be processed, the reasons are below" if bad else ""
        self._fields_line.setText(f"{text}{problems}." if self.fields else _NO_FIELDS)
        self._clear.setEnabled(bool(self.fields))
        self._time_left.hide()
        self._dashboard.hide()
        self.list.setVisible(bool(self.fields))
        self.list.show_fields(self.fields)
        self._show_out()

    def _show_out(self) -> None:
        self._out_line.setText(self.out)
        self._out_line.setVisible(bool(self.out))
        has_results = bool(self.out) and holds_results(self.out)
        if self._last_output != (self.out, has_results):  # otherwise the user's choice stays
            self._last_output = (self.out, has_results)
            self.resume.setChecked(has_results)
        self.resume.setVisible(has_results)

    # --- a run

    def scheduler(self) -> str:
        """Return the scheduler as `run_batch` takes it."""
        engine = self.engine.currentIndex()
        if engine == 1:
            count = self.workers.value()
            return f"local:{count}" if count else "local"
        return self.address.text().strip() or "tcp://" if engine else "none"

    @reports_errors
    def start(self) -> None:
        """Run all steps on every field."""
        if not self.fields:
            self.show_message(_NO_FIELDS)
            return
        recipe = self.recipe.recipe()
        self.show_message("")
        self._dashboard.hide()
        self._time_left.setText("")
        self._time_left.show()
        self.list.begin()
        self._estimator = ProgressEstimator(len(self.fields))
        run_in_background(
            run_batch,
            self.fields,
            recipe,
            self.out,
            scheduler=self.scheduler(),
            resume=self.resume.isChecked(),
            on_state=self.signals.state.emit,
            on_message=self.signals.notice.emit,
            busy=self._setup,
            then=self.take_result,
            progress=self.progress,
            title="Fields",
            stopped=self._on_cancelled,
            failed=self._on_failed,
        )

    def take_result(self, result: BatchResult) -> None:
        """Show the result of a batch."""
        done, failed = result.count("done", "done before"), result.count("failed")
        lines = [f"{done} of {_count(len(self.fields), 'field')} done."]
        if failed or result.problems:
            lines.append("Failures are in red, and in errors.csv with their reasons.")
        if result.stopped:
            lines.append(f"Ended early: {error_text(result.stopped).rstrip('.')}.")
        self._end(result)
        self.show_message("\n".join(lines))

    def _show_state(self, state: FieldState) -> None:
        if self._estimator is None:
            return  # sent before the end, received after it
        self.list.show_state(state)
        self._estimator.note(state)
        left_s = self._estimator.seconds_left()
        self._time_left.setText("" if math.isnan(left_s) else f"About {duration_text(left_s)} left")

    def _show_notice(self, text: str) -> None:
        title, _, address = text.partition(" http")
        link = f'<a style="color: {_LINK_COLOR}" href="http{address}">http{address}</a>'
        self._dashboard.setText(f"{title} {link}" if address else text)
        self._dashboard.show()

    def _on_cancelled(self) -> None:
        self._end(None)
        remedy = " Finished fields stay; Run batch goes on." if holds_results(self.out) else ""
        self.show_message(f"Cancelled.{remedy}")

    def _on_failed(self, error: Exception) -> None:
        self._end(None)
        if isinstance(error, USER_ERRORS):
            self.show_error(error)
        else:
            self.show_message("Ended by an error of the program. Finished fields stay.")

    def _end(self, result: BatchResult | None) -> None:
        self._estimator = None
        self._time_left.hide()
        self._dashboard.hide()
        self.list.end(result)
        self._show_out()

    # --- results

    def open_report(self) -> None:
        """Open the report of the selected field or sample in the browser."""
        name = self.list.selected()
        if not name:
            self.show_message("Select a field or a sample in the list first.")
            return
        report = Path(self.out, name, "report.html")
        if report.is_file():
            _open(report)
        else:
            self.show_message(f"{name} has no report.")

    def _open_folder(self) -> None:
        if self.out and Path(self.out).is_dir():
            _open(Path(self.out))
        else:
            self.show_message("There are no results yet.")

    # --- dialogs

    def _ask_folder(self) -> None:
        folder = ask_folder(self, "Folder of fields or samples")
        if folder:
            self.add_folder(folder)

    def _ask_sheet(self) -> None:
        path = ask_file_to_open(self, "Sheet", "Sheets (*.csv *.tsv *.txt)")
        if path:
            self.open_sheet(path)

    def _ask_out(self) -> None:
        folder = ask_folder(self, "Folder for the results")
        if folder:
            self.put_results(folder)


def _all_fields(sheet_fields: tuple[FieldFiles, ...], folders: list[str]) -> tuple[FieldFiles, ...]:
    return checked([*sheet_fields, *find_fields(folders)])


def _open(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


def _workers_box() -> QSpinBox:
    box = QSpinBox()
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    box.setRange(0, 512)
    box.setSpecialValueText("one process per core")
    box.setSuffix(" processes")
    box.setToolTip("Each processes one field at a time, on one core")
    return box


def _address_line() -> QLineEdit:
    line = QLineEdit()
    line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    line.setPlaceholderText("tcp://HOST:8786")
    line.setToolTip("Printed by `dask scheduler`; its workers must see the same folders")
    return line


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"
