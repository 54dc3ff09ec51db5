"""Panel: train a model on the set, watch it learn, judge it, keep it, go on with the next field."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QLineEdit,
    QProgressBar,
    QScrollArea,
    QSizePolicy,
)

from grainsmith.errors import GrainsmithError
from grainsmith.models.registry import find_model
from grainsmith.plots import draw_losses, draw_scores
from grainsmith.train.run_folder import ENDED
from grainsmith.train.runs import begin_run, free_name, judge_run, unfinished_runs
from grainsmith.train.settings import TuneSettings
from grainsmith.ui.panels.base import Panel, button, duration, label, rows
from grainsmith.ui.panels.train.evaluation import ModelEvaluation
from grainsmith.ui.panels.train.next_image import NextField
from grainsmith.ui.panels.train.run_process import TuningRun
from grainsmith.ui.widgets.background import run
from grainsmith.ui.widgets.hints import message_of
from grainsmith.ui.widgets.model_picker import ModelChoice
from grainsmith.ui.widgets.plot_canvas import Plot
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from grainsmith.train.comparison import ModelComparison
    from grainsmith.train.run_folder import RunFolder

_NO_SET = "Choose the folder of a training set, or add fields to one in the page Training set."


class TuningPanel(Panel):
    """From corrected grains to a better model."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.folder = ""
        self.tuning: TuningRun | None = None
        self._set = label(_NO_SET)
        self._choose = button("Choose set …", self._ask_folder, tip="Folder of a training set")
        self.model = ModelChoice()
        self._model_note = label("", dim=True)
        self.name = QLineEdit()
        self.name.setToolTip("Under which the new model will be in the lists of models")
        self.form = Form(TuneSettings, hidden=("model",))
        self._train = button(
            "Train",
            self.train,
            tip="Train in a process of its own: go on working, or stop at any time",
            main=True,
        )
        self.runs = QComboBox()
        self.runs.setToolTip("Runs that were broken off")
        self.runs.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._resume = button("Resume", self.resume, tip="Go on from where that run was left")
        self._bar = QProgressBar()
        self._bar.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._stop = button("Stop and keep the best", self.stop, tip="Within two seconds")
        self._losses, self._curves = Plot(), Plot()
        self.judgement = ModelEvaluation(self.viewer)
        self.next = NextField(self)
        self._lay_out()
        self.model.currentIndexChanged.connect(lambda _: self._warn())
        self.judgement.kept.connect(self._on_kept)
        self.judgement.rolled_back.connect(self._on_rolled_back)
        self._show_running(False)
        for plot in (self._losses, self._curves):
            plot.hide()

    def _lay_out(self) -> None:
        self._unfinished = rows(("Unfinished", self.runs), ("", self._resume))
        self.add(
            self._set,
            self._choose,
            rows(("Start from", self.model), ("", self._model_note), ("New name", self.name)),
            self.form,
            self._train,
            self._unfinished,
            self._bar,
            self._stop,
            self._losses,
            self._curves,
            self.judgement,
            self.next,
        )

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Take the set of the tab Training set; offer what was broken off."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Show set, warning and unfinished runs as they are now."""
        if not self.folder and self.roles.training_set not in ("", "."):
            self.open(self.roles.training_set)
        self._warn()
        found = [] if self._busy else unfinished_runs()
        names = [one.path.stem for one in found]
        if names != [self.runs.itemText(k) for k in range(self.runs.count())]:
            self.runs.clear()
            for one in found:
                self.runs.addItem(one.path.stem, one)
        self._unfinished.setVisible(bool(found))
        self.next.refresh()

    def open(self, folder: str) -> None:
        """Take a folder as the training set."""
        self.folder = folder
        self._set.setText(f"Training set: <b>{Path(folder).name}</b>")
        self._set.setToolTip(folder)
        self.name.setText(free_name(Path(folder).name))

    # --- doing

    def train(self) -> None:
        """Begin a run and start its process."""
        if not self.folder:
            self.show_message(_NO_SET)
            return
        try:
            settings = self.form.settings(model=self.model.name)
        except ValueError as error:
            self.show_message(message_of(error))
            return
        self.show_message("")
        self.judgement.end()
        name = self.name.text().strip()
        run(_said(begin_run), name, self.folder, settings, busy=self._train, then=self._on_begun)

    def resume(self) -> None:
        """Go on with the chosen run."""
        chosen = self.runs.currentData()
        if chosen is None:
            return
        try:
            folder = str(chosen.record()["folder"])
        except (GrainsmithError, KeyError) as error:
            self.show_message(f"This run cannot be read any more: {error}")
            return
        self.show_message("")
        self.judgement.end()
        self._start(chosen, [folder, "--resume", "-o", str(chosen.model_path)])

    def stop(self) -> None:
        """Ask the run to stop and keep its best."""
        if self.tuning is None:
            return
        try:
            self.tuning.stop()
        except GrainsmithError as error:
            self.show_message(message_of(error))
            return
        self._stop.setEnabled(False)
        self._bar.setFormat("Stopping …")

    # --- how

    @property
    def _busy(self) -> bool:
        return self.tuning is not None and self.tuning.running

    def _on_begun(self, begun: RunFolder | str) -> None:
        if isinstance(begun, str):
            self.show_message(begun)
            return
        settings = self.form.settings(model=self.model.name)
        target = ["-o", str(begun.model_path)]
        self._start(begun, [self.folder, *settings_as_options(settings), *target])

    def _start(self, folder: RunFolder, arguments: list[str]) -> None:
        self.tuning = TuningRun(self, folder)
        self.tuning.moved.connect(self._on_moved)
        self.tuning.ended.connect(self._on_ended)
        self.destroyed.connect(self.tuning.kill)
        self.tuning.start(arguments)
        self._bar.setRange(0, 0)
        self._bar.setFormat("Reading the fields")
        self._show_running(True)

    def _show_running(self, running: bool) -> None:
        self._bar.setVisible(running)
        self._stop.setVisible(running)
        self._stop.setEnabled(True)
        self._train.setEnabled(not running)
        if running:
            self._unfinished.hide()

    def _on_moved(self, events: list[dict[str, Any]]) -> None:
        last = next((one for one in reversed(events) if one["kind"] == "step"), None)
        if events[-1]["kind"] in ENDED:
            self._bar.setRange(0, 0)
            self._bar.setFormat("Judging before and after")
        elif last is not None and self._stop.isEnabled():
            self._bar.setRange(0, last["steps"])
            self._bar.setValue(last["step"])
            self._bar.setFormat(
                f"{last['step']} of {last['steps']}, {duration(last['seconds_left'])} left"
            )
        notes = [one["text"] for one in events if one["kind"] == "note"]
        self.show_message("\n".join(notes))
        for plot, draw in ((self._losses, draw_losses), (self._curves, draw_scores)):
            plot.show()
            plot.draw(partial(draw, events=events))

    def _on_ended(self, kind: str, reason: str) -> None:
        self._show_running(False)
        self.refresh()
        said = f"{kind.capitalize()}: {reason}"
        if self.tuning is None or kind == "failed" or not self.tuning.run.model_path.is_file():
            self.show_message(said)
            return
        self.show_message(said)
        run(
            judge_run,
            self.tuning.run,
            busy=self._train,
            then=self._show_comparison,
            progress=self.progress,
            title="Judging",
            stopped=lambda: self.show_message("Not judged."),
        )

    def _show_comparison(self, found: ModelComparison) -> None:
        if self.tuning is not None:
            self.judgement.show_comparison(self.tuning.run, found)
            # Below the curves it would not be seen, and it asks for a decision.
            QTimer.singleShot(0, self._scroll_to_judgement)

    def _scroll_to_judgement(self) -> None:
        place = self.parentWidget()
        while place is not None and not isinstance(place, QScrollArea):
            place = place.parentWidget()
        if place is not None:
            place.ensureWidgetVisible(self.judgement)

    def _on_kept(self, name: str) -> None:
        self.model.choose_new(name)
        self.next.model = name
        self.name.setText(free_name(Path(self.folder).name))
        self.show_message(f"Kept: '{name}' is in the lists of models now.")
        self.refresh()

    def _on_rolled_back(self) -> None:
        self.name.setText(free_name(Path(self.folder).name))
        self.show_message("Rolled back: the models are as before.")

    def _warn(self) -> None:
        try:
            base = find_model(self.model.name).card.get("tuned_from", {}).get("name", "")
        except GrainsmithError as error:
            base, text = "", message_of(error)
        else:
            text = f"Tuned from {base} itself: better start from {base} with all fields."
        self._model_note.setText(text if base else "")
        self._model_note.setVisible(bool(base))

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of the training set")
        if folder:
            self.open(folder)


def settings_as_options(settings: TuneSettings) -> list[str]:
    """Return settings as `grainsmith train` takes them."""
    names = {
        "model": "from",
        "rehearsal_pct": "rehearsal",
        "start_share_pct": "start-share",
        "tile_px": "tile",
    }
    options = []
    for name in TuneSettings.__dataclass_fields__:
        word = names.get(name, name.replace("_", "-"))
        options += [f"--{word}", str(getattr(settings, name))]
    return options


def _said(work: Any) -> Any:
    """Return work whose failures come back as text: this panel says them itself."""

    def safe(*args: Any) -> Any:
        try:
            return work(*args)
        except (GrainsmithError, OSError) as error:
            return message_of(error)

    return safe
