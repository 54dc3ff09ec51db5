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


class TuningRun(QObject):
    """Starts `grainsmith train` and tells what it writes.

    The process is the window's child: it ends with it, and its folder can be resumed.
    """

    moved = Signal(list)
    """All events so far, whenever there are more."""
    ended = Signal(str, str)
    """Kind ("done", "stopped", "failed") and reason, after the process is gone."""

    def __init__(self, parent: QWidget, run: RunFolder) -> None:
        super().__init__(parent)
        self.run = run
        self._events: list[dict[str, Any]] = []
        self._heard = self._stopping = False
        self._process = QProcess(self)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_error)
        self._timer = QTimer(self, interval=_POLL_MS)
        self._timer.timeout.connect(self._look)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    def start(self, arguments: list[str]) -> None:
        """Start the shell command with arguments."""
        self._events = list(self.run.events())
        if self._events:
            self.moved.emit(self._events)
        self._process.start(sys.executable, ["-m", "grainsmith", "train", *arguments])
        self._timer.start()

    def stop(self) -> None:
        """Ask to stop and keep the best; before there is any, and after it, end the process."""
        self._look()  # something may have been learnt since the timer looked last
        if not self._heard or self._last["kind"] in ENDED:
            self._stopping = True
            self._process.kill()
        else:
            self.run.ask_to_stop()

    def kill(self) -> None:
        """End the process at once; the run can be resumed."""
        self._process.kill()
        self._process.waitForFinished(2000)

    @property
    def _last(self) -> dict[str, Any]:
        return self._events[-1] if self._events else {"kind": ""}

    def _look(self) -> None:
        events = list(self.run.events())
        if len(events) != len(self._events):
            self._events, self._heard = events, True
            self.moved.emit(events)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self._timer.stop()
            self.ended.emit("failed", f"{sys.executable} could not be started")

    def _on_finished(self, *_: object) -> None:
        self._timer.stop()
        self._look()
        if self._heard and self._last["kind"] in ENDED:
            self.ended.emit(self._last["kind"], self._last["reason"])
            return
        if self._stopping:
            self.ended.emit("stopped", "before anything was learnt, so there is no new model.")
            return
        said = bytes(self._process.readAllStandardError().data()).decode("utf8", "replace")
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        going_on = " It can be resumed." if self.run.unfinished else ""
        reason = lines[-1] if lines else "the training process ended without a word."
        self.ended.emit("failed", f"{reason}{going_on}")
