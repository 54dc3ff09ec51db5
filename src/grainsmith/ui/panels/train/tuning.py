"""Page of the panel Train: train a model on the set, evaluate it, keep it, go on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QLineEdit,
    QProgressBar,
    QScrollArea,
    QSizePolicy,
)

from grainsmith.errors import GrainsmithError
from grainsmith.models.registry import find_model
from grainsmith.pipeline import settings_dict
from grainsmith.plots import draw_losses, draw_scores
from grainsmith.segment import SegmentSettings
from grainsmith.train.run_folder import ENDED
from grainsmith.train.runs import compare_run, free_name, start_run, unfinished_runs
from grainsmith.train.settings import TuneSettings
from grainsmith.ui.editing.segmentation_result import add_or_update_grains
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.layers.metadata import ImageMetadata
from grainsmith.ui.panels.base import Panel, reports_errors
from grainsmith.ui.panels.messages import error_text
from grainsmith.ui.panels.train.evaluation import ModelEvaluation
from grainsmith.ui.panels.train.next_image import segment_next_image
from grainsmith.ui.panels.train.run_process import TrainingProcess
from grainsmith.ui.widgets.controls import button, duration_text, label
from grainsmith.ui.widgets.file_dialogs import ask_folder
from grainsmith.ui.widgets.layouts import rows
from grainsmith.ui.widgets.model_picker import ModelChoice
from grainsmith.ui.widgets.plot_canvas import Plot
from grainsmith.ui.widgets.settings_form import Form

if TYPE_CHECKING:
    from qtpy.QtGui import QShowEvent

    from grainsmith.data import SemImage
    from grainsmith.pipeline import SegmentedField
    from grainsmith.train.comparison import ModelComparison
    from grainsmith.train.run_folder import RunFolder

_NO_SET = "Choose the folder of a training set, or add fields to one in the page Training set."


class TuningPanel(Panel):
    """Train a model on corrected grains."""

    def build(self) -> None:
        """Create the widgets and lay them out."""
        self.folder = ""
        self.process: TrainingProcess | None = None
        self._kept_model = ""
        self._set = label(_NO_SET)
        self._choose = button("Choose set …", self._ask_folder, tip="Folder of a training set")
        self.model = ModelChoice()
        self._model_note = label("", dim=True)
        self.name = QLineEdit()
        self.name.setToolTip("Name of the new model in the lists of models")
        self.form = Form(TuneSettings, hidden=("model",))
        self._train = button(
            "Train",
            self.train,
            tip="Train in the background: you can go on working, or stop at any time",
            main=True,
        )
        self.runs = QComboBox()
        self.runs.setToolTip("Runs that were interrupted")
        self.runs.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._resume = button("Resume", self.resume, tip="Go on from where that run was left")
        self._bar = QProgressBar()
        self._bar.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self._stop = button("Stop and keep the best", self.stop, tip="Stops within two seconds")
        self.losses, self.scores = Plot(), Plot()
        self.evaluation = ModelEvaluation(self.viewer)
        self._next_image = button(
            "Segment next image",
            self.segment_next_image,
            tip="Open the image of this folder that differs most from the training set, segmented "
            "by the new model",
        )
        self._lay_out()
        self._show_running(False)
        for plot in (self.losses, self.scores):
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
            self.losses,
            self.scores,
            self.evaluation,
            self._next_image,
        )

    def connect_signals(self) -> None:
        """Connect the signals of the widgets and of the session."""
        self.model.currentIndexChanged.connect(lambda _: self._show_model_note())
        self.evaluation.kept.connect(self._on_kept)
        self.evaluation.rolled_back.connect(self._on_rolled_back)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Show the training set and the unfinished runs as they are now."""
        super().showEvent(event)
        self.refresh()

    def refresh(self) -> None:
        """Show set, note on the model and unfinished runs as they are now."""
        if not self.folder and self.roles.training_set not in ("", "."):
            self.open(self.roles.training_set)
        self._show_model_note()
        runs = [] if self.training else unfinished_runs()
        names = [run.path.stem for run in runs]
        if names != [self.runs.itemText(row) for row in range(self.runs.count())]:
            self.runs.clear()
            for run in runs:
                self.runs.addItem(run.path.stem, run)
        self._unfinished.setVisible(bool(runs))
        self._next_image.setVisible(bool(self._kept_model))

    def open(self, folder: str) -> None:
        """Choose the folder of the training set."""
        self.folder = folder
        self._set.setText(f"Training set: <b>{Path(folder).name}</b>")
        self._set.setToolTip(folder)
        self.name.setText(free_name(Path(folder).name))

    @property
    def training(self) -> bool:
        """Whether a run is under way."""
        return self.process is not None and self.process.running

    @property
    def ready(self) -> bool:
        """Whether another run can be started."""
        return bool(self._train.isEnabled())

    @property
    def progress_text(self) -> str:
        """The text of the progress bar."""
        return str(self._bar.format())

    @property
    def model_note(self) -> str:
        """Advice on the model to start from."""
        return str(self._model_note.text())

    # --- a run

    @reports_errors
    def train(self) -> None:
        """Prepare a run and start its process."""
        if not self.folder:
            self.show_message(_NO_SET)
            return
        settings = self.form.settings(model=self.model.name)
        self.evaluation.end()
        self.run_job(
            start_run,
            self.name.text().strip(),
            self.folder,
            settings,
            busy=self._train,
            then=partial(self._start_new, settings),
        )

    def resume(self) -> None:
        """Go on with the chosen run."""
        run = self.runs.currentData()
        if run is None:
            return
        try:
            folder = str(run.record()["folder"])
        except (GrainsmithError, KeyError) as error:
            self.show_message(f"This run cannot be read any more: {error_text(error)}")
            return
        self.show_message("")
        self.evaluation.end()
        self._start(run, [folder, "--resume", "-o", str(run.model_path)])

    @reports_errors
    def stop(self) -> None:
        """Ask the run to stop and keep its best model."""
        if self.process is None:
            return
        self.process.stop()
        self._stop.setEnabled(False)
        self._bar.setFormat("Stopping …")

    def _start_new(self, settings: TuneSettings, run: RunFolder) -> None:
        target = ["-o", str(run.model_path)]
        self._start(run, [self.folder, *settings_as_options(settings), *target])

    def _start(self, run: RunFolder, arguments: list[str]) -> None:
        self.process = TrainingProcess(self, run)
        self.process.progressed.connect(self.show_events)
        self.process.ended.connect(self._on_ended)
        self.destroyed.connect(self.process.kill)
        self.process.start(arguments)
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

    def show_events(self, events: list[dict[str, Any]]) -> None:
        """Show the progress and the curves of a run."""
        step = next((event for event in reversed(events) if event["kind"] == "step"), None)
        if events[-1]["kind"] in ENDED:
            self._bar.setRange(0, 0)
            self._bar.setFormat("Evaluating")
        elif step is not None and self._stop.isEnabled():
            self._bar.setRange(0, step["steps"])
            self._bar.setValue(step["step"])
            left_s = step["seconds_left"]
            left = f"{duration_text(left_s)} left" if left_s > 0 else "finishing"
            self._bar.setFormat(f"{step['step']} of {step['steps']}, {left}")
        notes = [event["text"] for event in events if event["kind"] == "note"]
        self.show_message("\n".join(notes))
        for plot, draw in ((self.losses, draw_losses), (self.scores, draw_scores)):
            plot.show()
            plot.draw(partial(draw, events=events))

    # --- evaluation

    def _on_ended(self, kind: str, reason: str) -> None:
        self._show_running(False)
        self.refresh()
        text = f"{kind.capitalize()}: {reason}"
        self.show_message(text)
        if self.process is None or kind == "failed" or not self.process.run.model_path.is_file():
            return
        self.run_job(
            compare_run,
            self.process.run,
            busy=self._train,
            then=self._show_comparison,
            title="Evaluating",
            stopped="The model was not evaluated.",
        )
        self.show_message(text)

    def _show_comparison(self, comparison: ModelComparison) -> None:
        if self.process is not None:
            self.evaluation.show_comparison(self.process.run, comparison)
            # It asks for a decision, and would not be seen below the curves.
            QTimer.singleShot(0, self._scroll_to_evaluation)

    def _scroll_to_evaluation(self) -> None:
        area = self.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is not None:
            area.ensureWidgetVisible(self.evaluation)

    def _on_kept(self, name: str) -> None:
        self.model.choose_new(name)
        self._kept_model = name
        self.name.setText(free_name(Path(self.folder).name))
        self.show_message(f"Kept: '{name}' is in the lists of models now.")
        self.refresh()

    def _on_rolled_back(self) -> None:
        self.name.setText(free_name(Path(self.folder).name))
        self.show_message("Rolled back: the models are as before.")

    # --- the next image

    def segment_next_image(self) -> None:
        """Choose the next image to label, segment and open it, in the background."""
        image = self.roles.image
        source = ImageMetadata.of(image).source if image is not None else ""
        settings = SegmentSettings(model=self._kept_model)
        self.run_job(
            segment_next_image,
            source,
            self.folder,
            settings,
            busy=self._next_image,
            then=partial(self._add_image, settings),
            title="Finding grains",
            stopped="Cancelled. Nothing was opened.",
        )

    def _add_image(
        self, settings: SegmentSettings, result: tuple[SemImage, SegmentedField]
    ) -> None:
        image, field = result
        data, options, _ = image_layer(image)
        layer = self.viewer.add_image(data, **options)
        layer = getattr(layer, "__wrapped__", layer)
        self.roles.image = layer
        add_or_update_grains(
            self.viewer,
            self.roles,
            layer,
            field.labels,
            field.table,
            prediction=field.prediction,
            model={"name": field.prediction.model, "sha256": field.prediction.fingerprint},
            settings=settings_dict(settings),
            states={},
        )
        count = len(field.table)
        self.show_message(
            f"{Path(image.source).name} differs most from the set: {count} grains. "
            "Correct them, then add the field."
        )

    # --- notes and folders

    def _show_model_note(self) -> None:
        try:
            base = find_model(self.model.name).card.get("tuned_from", {}).get("name", "")
        except GrainsmithError as error:
            text = error_text(error)
        else:
            text = (
                f"This model was trained from {base}: better start from {base}, with all fields."
                if base
                else ""
            )
        self._model_note.setText(text)
        self._model_note.setVisible(bool(text))

    def _ask_folder(self) -> None:
        folder = ask_folder(self, "Folder of the training set")
        if folder:
            self.open(folder)


def settings_as_options(settings: TuneSettings) -> list[str]:
    """Return settings as options of `grainsmith train`."""
    names = {
        "model": "from",
        "rehearsal_pct": "rehearsal",
        "start_share_pct": "start-share",
        "tile_px": "tile",
    }
    options = []
    for name in TuneSettings.__dataclass_fields__:
        option = names.get(name, name.replace("_", "-"))
        options += [f"--{option}", str(getattr(settings, name))]
    return options
