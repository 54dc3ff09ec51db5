"""A training run in a process of its own, followed through its folder."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, QProcess, QTimer, Signal

from grainsmith.train.run_folder import ENDED

if TYPE_CHECKING:
    from qtpy.QtWidgets import QWidget

    from grainsmith.train.run_folder import RunFolder

_POLL_MS = 400


class TrainingProcess(QObject):
    """Starts `grainsmith train` and follows the events that it writes.

    The process is a child of the window and ends with it; its run can be resumed.
    """

    progressed = Signal(list)
    """Sent with all events so far when there are new ones."""
    ended = Signal(str, str)
    """Sent with the kind ("done", "stopped" or "failed") and the reason after the process ends."""

    def __init__(self, parent: QWidget, run: RunFolder) -> None:
        super().__init__(parent)
        self.run = run
        self._events: list[dict[str, Any]] = []
        self._has_started = self._is_stopping = False
        self._process = QProcess(self)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._timer = QTimer(self, interval=_POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self, arguments: list[str]) -> None:
        """Start the command with these arguments."""
        self._events = list(self.run.events())
        if self._events:
            self.progressed.emit(self._events)
        self._process.start(sys.executable, ["-m", "grainsmith", "train", *arguments])
        self._timer.start()

    def stop(self) -> None:
        """Ask the run to stop and keep its best model; without one yet, end the process."""
        self._poll()  # it may have started since the last time
        if not self._has_started or self._last_event["kind"] in ENDED:
            self._is_stopping = True
            self._process.kill()
        else:
            self.run.request_stop()

    def kill(self) -> None:
        """End the process at once; the run can be resumed."""
        self._process.kill()
        self._process.waitForFinished(2000)

    @property
    def _last_event(self) -> dict[str, Any]:
        return self._events[-1] if self._events else {"kind": ""}

    def _poll(self) -> None:
        events = list(self.run.events())
        if len(events) != len(self._events):
            self._events, self._has_started = events, True
            self.progressed.emit(events)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._timer.stop()
            self.ended.emit("failed", f"{sys.executable} could not be started")

    def _on_finished(self, *_: object) -> None:
        self._timer.stop()
        self._poll()
        event = self._last_event
        if self._has_started and event["kind"] in ENDED:
            self.ended.emit(event["kind"], event["reason"])
        elif self._is_stopping:
            self.ended.emit("stopped", "before anything was learned, so there is no new model.")
        else:
            resume = " It can be resumed." if self.run.unfinished else ""
            self.ended.emit("failed", f"{self._last_output()}{resume}")

    def _last_output(self) -> str:
        output = bytes(self._process.readAllStandardError().data()).decode("utf8", "replace")
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        return lines[-1] if lines else "the training process ended without a message."
