"""Background jobs: results, errors, progress, Cancel, and the button that is enabled again."""

import itertools
import threading
import time
from types import SimpleNamespace

import pytest

pytest.importorskip("napari")

from qtpy.QtWidgets import QPushButton

from grainsmith.errors import ReadError
from grainsmith.ui.widgets import background
from grainsmith.ui.widgets.background import run_in_background
from grainsmith.ui.widgets.progress_bar import ProgressBar


@pytest.fixture
def button(qtbot):
    widget = QPushButton("Go")
    qtbot.addWidget(widget)
    return widget


@pytest.fixture
def progress(qtbot):
    bar = ProgressBar()
    qtbot.addWidget(bar)
    return bar


def _count(total, *, pause_s=0.0, on_progress):
    for done in range(1, total + 1):
        time.sleep(pause_s)
        on_progress(done, total)
    return threading.current_thread()


def test_result_arrives_in_the_gui_thread(button, qtbot):
    results = []
    run_in_background(
        threading.current_thread,
        busy=button,
        then=lambda thread: results.append((thread, threading.current_thread())),
    )
    assert not button.isEnabled()
    qtbot.waitUntil(lambda: bool(results) and button.isEnabled())
    worked_in, delivered_in = results[0]
    assert worked_in is not threading.main_thread()
    assert delivered_in is threading.main_thread()


def test_progress_shows_the_total_and_ends(button, progress, qtbot):
    steps_shown, results = [], []
    progress.advance = lambda done, total: steps_shown.append((done, total))
    run_in_background(
        _count,
        7,
        pause_s=0.03,
        busy=button,
        then=results.append,
        progress=progress,
        title="Counting",
    )
    assert not progress.isHidden()
    qtbot.waitUntil(lambda: bool(results))
    qtbot.waitUntil(lambda: (7, 7) in steps_shown)
    assert {total for _, total in steps_shown} == {7}
    assert progress.isHidden()


def test_signals_are_throttled(button, progress, qtbot, monkeypatch):
    steps_shown, results, seconds = [], [], itertools.count(0, 0.001)
    monkeypatch.setattr(background, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    progress.advance = lambda done, _total: steps_shown.append(done)
    run_in_background(_count, 5000, busy=button, then=results.append, progress=progress)
    qtbot.waitUntil(lambda: bool(results) and 5000 in steps_shown)
    assert len(steps_shown) <= 2 + 5 * 10  # five seconds by that clock


def test_cancel_stops_at_the_next_step(button, progress, qtbot):
    steps, cancelled, pressed, results = [], [], threading.Event(), []

    def work(on_progress):
        on_progress(1, 3)
        steps.append(1)
        pressed.wait(60)
        on_progress(2, 3)
        steps.append(2)

    run_in_background(
        work,
        busy=button,
        then=results.append,
        progress=progress,
        stopped=lambda: cancelled.append(True),
    )
    qtbot.waitUntil(lambda: steps == [1])
    progress.cancel()
    pressed.set()
    qtbot.waitUntil(lambda: bool(cancelled))
    assert steps == [1]
    assert results == []
    assert button.isEnabled()
    assert progress.isHidden()


def test_error_is_passed_to_the_panel(button, qtbot, monkeypatch):
    shown, received, error = [], [], ReadError("x.tif is empty")
    monkeypatch.setattr(background, "show_error", shown.append)

    def fail():
        raise error

    run_in_background(fail, busy=button, then=shown.append, failed=received.append)
    qtbot.waitUntil(lambda: bool(received))
    assert received == [error]
    assert shown == []


@pytest.mark.parametrize(
    "error",
    [ReadError("x.tif is empty"), ValueError("too small"), MemoryError("8 GB wanted")],
    ids=lambda error: type(error).__name__,
)
def test_error_that_the_user_can_fix_is_a_message(button, qtbot, monkeypatch, error):
    shown = []
    monkeypatch.setattr(background, "show_error", shown.append)

    def fail():
        raise error

    run_in_background(fail, busy=button, then=shown.append)
    qtbot.waitUntil(lambda: bool(shown) and button.isEnabled())
    assert shown == [str(error)]


def test_other_exceptions_are_raised(button, qtbot):
    def fail():
        raise KeyError("oops")

    with qtbot.capture_exceptions() as caught:
        run_in_background(fail, busy=button, then=lambda _: None)
        qtbot.waitUntil(lambda: bool(caught) and button.isEnabled())
    assert caught[0][0] is KeyError


def test_job_of_a_closed_dock_is_cancelled(qtbot):
    button, steps, results = QPushButton(), [], []
    progress = ProgressBar()

    def endless(on_progress):
        try:
            for step in range(10_000):
                time.sleep(0.005)
                on_progress(step, 10_000)
        finally:
            steps.append("stopped")

    run_in_background(endless, busy=button, then=results.append, progress=progress)
    qtbot.wait(20)
    button.deleteLater()
    progress.deleteLater()
    qtbot.waitUntil(lambda: steps == ["stopped"])
    qtbot.wait(20)
    assert results == []
