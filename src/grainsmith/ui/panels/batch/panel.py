"""Panel: one recipe over many fields, on this machine or a cluster, watched and gone on with."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from grainsmith.ui.panels.base import Panel
from grainsmith.ui.panels.batch.field_list import FieldList
from grainsmith.ui.panels.batch.recipe import RecipePart, said
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.controls import button, duration_text, label
from grainsmith.ui.widgets.file_dialogs import ask_file_to_open, ask_folder
from grainsmith.ui.widgets.hints import message_of
from grainsmith.ui.widgets.layouts import labelled_row, pages_of, rows

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grainsmith.data import OnProgress
    from grainsmith.pipeline.batch.discovery import FieldFiles
    from grainsmith.pipeline.batch.runner import BatchResult, FieldState

_NO_FIELDS = (
    "Add a folder of fields: a folder per field with its maps, or images whose maps begin with "
    "their names. Or open a sheet."
)
_LINK = "#4a90d9"
"""Legible on napari's dark and light themes."""

_ENGINES = ("here, one after another", "processes of this machine", "a dask cluster")


class _Told(QObject):
    """Carries what the working thread tells over to the window."""

    state = Signal(object)
    said = Signal(str)


class BatchPanel(Panel):
    """Fields, where the results go, the recipe, the engine; then the fields' progress."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self._paths: list[str] = []
        self._of_sheet: tuple[FieldFiles, ...] = ()
        self.fields: tuple[FieldFiles, ...] = ()
        self._beside: Path | None = None
        self.out = ""
        self._seen_results = ("", False)
        self._out_chosen = False
        self._pace: ProgressEstimator | None = None
        self._told = _Told()
        self._what = label(_NO_FIELDS)
        self._where = label("", dim=True)
        self.resume = QCheckBox("Go on with the results that are there")
        self.resume.setToolTip("Fields whose files and recipe are the same are not made again")
        self.engine = QComboBox()
        self.engine.addItems(_ENGINES)
        self.engine.setToolTip("Where the work is done; the numbers are the same")
        self.workers, self.address = _workers_box(), _address_line()
        self.recipe = RecipePart(self.viewer)
        self._go = button(
            "Run batch",
            self.start,
            tip="Do all steps on every field; what is done stays, whatever happens",
            key="Ctrl+Shift+B",
            main=True,
        )
        self.list = FieldList()
        self._left = label("")
        self._dashboard = label("")
        self._dashboard.setTextInteractionFlags(Qt.TextInteractionFlag.TextBrowserInteraction)
        self._dashboard.setOpenExternalLinks(True)
        self._report = button(
            "Open report", self.open_report, tip="Of the chosen field or sample, in the browser"
        )
        self._lay_out()
        self._show_fields()

    def _lay_out(self) -> None:
        self._add = button("Add folder …", self._ask_folder, tip="Of fields, or of samples")
        self._sheet = button(
            "Sheet …", self._ask_sheet, tip="CSV: sample, field, image, maps, pixel_size_um"
        )
        self._clear = button("Clear", self.clear, tip="Take all fields from the list")
        self._choose_out = button("Results in …", self._ask_out, tip="Folder for all results")
        self._setup = rows(
            (None, self._what),
            (None, labelled_row((None, self._add), (None, self._sheet), (None, self._clear))),
            (None, self._choose_out),
            (None, self._where),
            (None, self.resume),
            (None, labelled_row(("Work is done", self.engine))),
            (None, pages_of(self.engine, QWidget(), self.workers, self.address)),
            (None, self.recipe),
            (None, self._go),
        )
        folder = button("Open folder", self._open_folder, tip="Of the results, in the file manager")
        self.add(
            self._setup,
            self._left,
            self._dashboard,
            self.list,
            labelled_row((None, self._report), (None, folder)),
        )
        self.layout().setStretch(0, 1000)  # the list takes the room that is left

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self.recipe.told.connect(self.show_message)
        self.list.report_wanted.connect(self.open_report)
        self._told.state.connect(self._on_state)
        self._told.said.connect(self._on_said)

    # --- what is worked on

    def add_folder(self, path: str) -> None:
        """Find the fields of a folder, beside those that are there."""
        paths = [*self._paths, path]
        work = partial(_of_both, self._of_sheet, paths)
        self._find(work, partial(self._on_folders, paths), beside=self._beside or Path(path))

    def open_sheet(self, path: str) -> None:
        """Take the fields that a sheet names, and no others."""
        self._find(partial(read_sheet, path), self._on_sheet, beside=Path(path))

    def clear(self) -> None:
        """Take all fields from the list."""
        self._paths, self._of_sheet, self.fields = [], (), ()
        self.out, self._out_chosen, self._beside = "", False, None
        self._show_fields()

    def put_results(self, folder: str) -> None:
        """Choose the folder of the results."""
        self.out, self._out_chosen = folder, True
        self._show_out()

    def _find(
        self,
        work: Callable[[], Sequence[FieldFiles]],
        take: Callable[[tuple[FieldFiles, ...]], None],
        *,
        beside: Path,
    ) -> None:
        self.show_message("")
        run_in_background(said, work, busy=self._setup, then=partial(self._on_found, take, beside))

    def _on_folders(self, paths: list[str], _found: tuple[FieldFiles, ...]) -> None:
        self._paths = paths

    def _on_sheet(self, found: tuple[FieldFiles, ...]) -> None:
        self._paths, self._of_sheet = [], found

    def _on_found(
        self,
        take: Callable[[tuple[FieldFiles, ...]], None],
        beside: Path,
        found: tuple[FieldFiles, ...] | str,
    ) -> None:
        if isinstance(found, str):
            self.show_message(found)
            return
        take(found)
        self.fields, self._beside = found, beside
        if not self._out_chosen:
            self.out = str(beside.absolute().with_name(f"{beside.stem}-grainsmith"))
        self._show_fields()

    def _show_fields(self) -> None:
        samples = len({one.sample for one in self.fields})
        bad = sum(bool(one.problem) for one in self.fields)
        text = f"{_count(len(self.fields), 'field')} of {_count(samples, 'sample')}"
        more = f"; {bad} cannot be worked on, the reasons are below" if bad else ""
        self._what.setText(f"{text}{more}." if self.fields else _NO_FIELDS)
        self._clear.setEnabled(bool(self.fields))
        for widget in (self.list, self._left, self._dashboard):
            widget.setVisible(bool(self.fields) and widget is self.list)
        self.list.show_fields(self.fields)
        self._show_out()

    def _show_out(self) -> None:
        self._where.setText(self.out)
        self._where.setVisible(bool(self.out))
        there = bool(self.out) and holds_results(self.out)
        if self._seen_results != (self.out, there):  # else it stays as the user has set it
            self._seen_results = (self.out, there)
            self.resume.setChecked(there)
        self.resume.setVisible(there)

    # --- the work

    def scheduler(self) -> str:
        """Return the scheduler as `run_batch` takes it."""
        kind = self.engine.currentIndex()
        if kind == 1:
            count = self.workers.value()
            return f"local:{count}" if count else "local"
        return self.address.text().strip() or "tcp://" if kind else "none"

    def start(self) -> None:
        """Do all steps on every field."""
        if not self.fields:
            self.show_message(_NO_FIELDS)
            return
        try:
            recipe = self.recipe.recipe()
        except ValueError as error:
            self.show_message(message_of(error))
            return
        self.show_message("")
        self._dashboard.hide()
        self._left.setText("")
        self._left.show()
        self.list.begin()
        self._pace = ProgressEstimator(len(self.fields))
        run_in_background(
            _run,
            self.fields,
            recipe,
            self.out,
            scheduler=self.scheduler(),
            resume=self.resume.isChecked(),
            on_state=self._told.state.emit,
            on_message=self._told.said.emit,
            busy=self._setup,
            then=self._on_done,
            progress=self.progress,
            title="Fields",
            stopped=self._on_stopped,
            failed=self._on_failed,
        )

    def _on_state(self, state: FieldState) -> None:
        if self._pace is None:
            return  # told before the end, heard after it
        self.list.show_state(state)
        self._pace.note(state)
        left_s = self._pace.seconds_left()
        self._left.setText("" if math.isnan(left_s) else f"About {duration_text(left_s)} left")

    def _on_said(self, text: str) -> None:
        word, _, address = text.partition(" http")
        link = f'<a style="color: {_LINK}" href="http{address}">http{address}</a>'
        self._dashboard.setText(f"{word} {link}" if address else text)
        self._dashboard.show()

    def _on_done(self, result: BatchResult | str) -> None:
        if isinstance(result, str):
            self._on_end(None, result)
            return
        done, failed = result.count("done", "done before"), result.count("failed")
        words = [f"{done} of {_count(len(self.fields), 'field')} done."]
        if failed or result.problems:
            words.append("What failed is in red, and in errors.csv with its reason.")
        if result.stopped:
            words.append(f"Ended before its time: {message_of(result.stopped).rstrip('.')}.")
        self._on_end(result, "\n".join(words))

    def _on_stopped(self) -> None:
        there = holds_results(self.out)
        more = "Fields that are done stay; Run batch goes on from there." if there else ""
        self._on_end(None, f"Stopped. {more}".strip())

    def _on_failed(self, _error: Exception) -> None:
        self._on_end(None, "Ended by an error. Fields that are done stay.")

    def _on_end(self, result: BatchResult | None, text: str) -> None:
        self._pace = None
        self._left.hide()
        self._dashboard.hide()
        self.list.end(result)
        self._show_out()
        self.show_message(text)

    # --- the results

    def open_report(self) -> None:
        """Open the report of the chosen field or sample in the browser."""
        chosen = self.list.chosen()
        if not chosen:
            self.show_message("Choose a field or a sample in the list first.")
            return
        report = Path(self.out, chosen, "report.html")
        if report.is_file():
            _open(report)
        else:
            self.show_message(f"{chosen} has no report (yet).")

    def _open_folder(self) -> None:
        if self.out and Path(self.out).is_dir():
            _open(Path(self.out))
        else:
            self.show_message("There are no results yet.")

    # --- asking

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


def _run(*args: Any, on_progress: OnProgress, **options: Any) -> BatchResult | str:
    return said(partial(run_batch, *args, on_progress=on_progress, **options))


def _of_both(of_sheet: tuple[FieldFiles, ...], paths: list[str]) -> tuple[FieldFiles, ...]:
    return checked([*of_sheet, *find_fields(paths)])


def _open(path: Path) -> None:
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


def _workers_box() -> QSpinBox:
    box = QSpinBox()
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    box.setRange(0, 512)
    box.setSpecialValueText("one process a core")
    box.setSuffix(" processes")
    box.setToolTip("Each works on one field at a time, on one core")
    return box


def _address_line() -> QLineEdit:
    line = QLineEdit()
    line.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    line.setPlaceholderText("tcp://HOST:8786")
    line.setToolTip("What `dask scheduler` prints; workers must see the same folders")
    return line


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"
