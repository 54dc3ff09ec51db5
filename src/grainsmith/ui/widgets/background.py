"""Run functions of the library in background threads, with progress and Cancel."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_error
from qtpy.compat import isalive
from qtpy.QtCore import QObject, Qt, Signal

from grainsmith.errors import GrainsmithError
from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from magicgui.widgets import Widget
    from qtpy.QtWidgets import QWidget

    from grainsmith.ui.widgets.progress_bar import ProgressBar

_SIGNAL_INTERVAL_S = 0.1
"""More signals slow the drawing down, and nobody can read them."""

USER_ERRORS = (GrainsmithError, ValueError, OSError, MemoryError)
"""Errors that the user can fix; anything else is a bug."""


class Cancelled(Exception):  # noqa: N818  (no error: the user asked for it)
    """The user pressed Cancel; raised by `on_progress` in the background thread."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The result of a job, or its exception."""

    value: Any = None
    error: Exception | None = None


class _Job(QObject):
    """A function call in the background thread, with signals to the GUI thread."""

    advanced = Signal(int, int)

    def __init__(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], title: str
    ) -> None:
        super().__init__()
        self._func, self._args, self._kwargs, self._title = func, args, kwargs, title
        self._stop = False
        self._last_signal_s = 0.0
        self.worker: Any = None
        self.tidied = False

    def __repr__(self) -> str:
        # napari shows this when it asks whether to close while a job runs.
        return f"Grainsmith: {self._title}"

    def __call__(self) -> _Outcome:
        # napari keeps every worker: the arguments, whole images, must not be kept with it.
        args, kwargs, self._args, self._kwargs = self._args, self._kwargs, (), {}
        # Exceptions are returned as values: napari would show a Cancel as an error.
        try:
            return _Outcome(value=self._func(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (raised again in the GUI thread)
            return _Outcome(error=error)

    def stop(self) -> None:
        """Raise `Cancelled` at the next step."""
        self._stop = True

    def on_progress(self, done: int, total: int) -> None:
        """Send the number of finished steps and their total; raise `Cancelled` after `stop`."""
        if self._stop or self.worker.abort_requested:
            raise Cancelled
        now = time.monotonic()
        if done >= total or now - self._last_signal_s >= _SIGNAL_INTERVAL_S:
            self._last_signal_s = now
            self.advanced.emit(done, total)


def run_in_background(
    func: Callable[..., Any],
    *args: Any,
    busy: QWidget | Widget,
    then: Callable[[Any], None],
    progress: ProgressBar | None = None,
    title: str = "Working",
    stopped: Callable[[], None] | None = None,
    failed: Callable[[Exception], None] | None = None,
    **kwargs: Any,
) -> None:
    """Run a function in a background thread.

    Parameters
    ----------
    func : callable
        A function of the library; must not touch Qt or the viewer.
    busy : widget
        Disabled while func runs. If it is destroyed (its dock is closed), the job is cancelled and
        its result dropped.
    then : callable
        Called with the result, in the GUI thread.
    progress : ProgressBar
        If given, func gets the keyword argument `on_progress`; its steps are shown, and Cancel
        raises `Cancelled` from the next call of it.
    title : str
        Name of the job, for the user.
    stopped : callable
        Called in the GUI thread after Cancel.
    failed : callable
        Called in the GUI thread with the exception of func; without it napari shows a notification.

    Notes
    -----
    Exceptions of `USER_ERRORS` are shown as a message; any other is a bug and is raised with its
    traceback.
    """
    widget: QWidget = getattr(busy, "native", busy)
    job = _Job(func, args, kwargs, title)
    if progress is not None:
        kwargs["on_progress"] = job.on_progress
        progress.begin(title, job.stop)
        job.advanced.connect(progress.advance, Qt.ConnectionType.QueuedConnection)
    widget.setEnabled(False)
    widget.destroyed.connect(job.stop)

    def tidy() -> None:
        # Called before `then`, which may start the next job, and when the worker has finished,
        # because nothing is returned if napari stops it on closing.
        if job.tidied:
            return
        job.tidied = True
        if progress is not None and isalive(progress):
            progress.end()
        if isalive(widget):
            widget.destroyed.disconnect(job.stop)
            widget.setEnabled(True)

    def finish(outcome: _Outcome) -> None:
        tidy()
        if isalive(widget):
            _deliver(outcome, then, stopped, failed)

    job.worker = create_worker(
        job, _connect={"returned": finish, "finished": tidy}, _start_thread=False
    )
    job.worker.start()


def _deliver(
    outcome: _Outcome,
    then: Callable[[Any], None],
    stopped: Callable[[], None] | None,
    failed: Callable[[Exception], None] | None,
) -> None:
    error = outcome.error
    if error is None:
        then(outcome.value)
    elif isinstance(error, Cancelled):
        if stopped is not None:
            stopped()
    else:
        if failed is not None:
            failed(error)
        if not isinstance(error, USER_ERRORS):
            raise error
        if failed is None:
            show_error(message_of(error) or type(error).__name__)
