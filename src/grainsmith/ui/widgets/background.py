"""The one door to background threads, and the bar that shows what goes on behind it."""

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
"""More than ten signals a second slow the drawing down and nobody reads them."""


USER_ERRORS = (GrainsmithError, ValueError, OSError, MemoryError)
"""Errors that the user can fix; anything else is a bug."""


class Cancelled(Exception):  # noqa: N818  (no error: the user asked for it)
    """The user pressed Cancel; raised in the working thread by `on_progress`."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of the work: its value, or what it raised."""

    value: Any = None
    error: Exception | None = None


class _Job(QObject):
    """The work as the thread sees it, and its way of reporting to the GUI thread."""

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
        # napari shows this where it asks whether to close while something runs.
        return f"Grainsmith: {self._title}"

    def __call__(self) -> _Outcome:
        # napari never lets go of a worker: what it was given, whole images, must not stay with it.
        args, kwargs, self._args, self._kwargs = self._args, self._kwargs, (), {}
        # An error is handed over as a value: napari would show the user's own Cancel as an error.
        try:
            return _Outcome(value=self._func(*args, **kwargs))
        except Exception as error:  # noqa: BLE001  (raised again on the GUI thread)
            return _Outcome(error=error)

    def stop(self) -> None:
        """Let the next report raise."""
        self._stop = True

    def on_progress(self, done: int, total: int) -> None:
        """Report from the working thread; raises Stopped once that is asked for."""
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
    """Run func off the GUI thread.

    Parameters
    ----------
    func : callable
        A function of the library; it never touches Qt or the viewer.
    busy : widget
        Disabled while func runs, enabled again whether it returns, fails or is stopped. When it is
        gone (its dock was closed) the work is stopped and its result dropped.
    then : callable
        Called with the result, on the GUI thread.
    progress : Progress
        Where given, func is called with `on_progress=`: its steps are shown, and Cancel raises
        `Cancelled` from the next call of on_progress.
    title : str
        What is going on, in the user's words.
    stopped : callable
        Called on the GUI thread after the user stopped the work.
    failed : callable
        Called on the GUI thread with the error of func; without it napari shows a notification.

    Notes
    -----
    An error of `USER_ERRORS` is shown as a message; anything else is a bug and is raised with its
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
        # First after the work, so that `then` may start the next; again at the very end, as
        # nothing is returned where napari itself stops the work on closing.
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
