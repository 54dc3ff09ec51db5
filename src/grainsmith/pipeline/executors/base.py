"""Run one function over many items: in this process, on all cores, or on a dask cluster.

`none` is a plain loop in this process; `local` starts a LocalCluster of processes with one thread
each; `tcp://HOST:PORT` joins a running scheduler. Results are the same numbers for each of them,
because one call of the function computes one item.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from grainsmith.data import no_progress
from grainsmith.errors import GrainsmithError, Hint
from grainsmith.pipeline.executors.types import OnTask, Scheduler, TaskResult

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from grainsmith.data import OnProgress

T = TypeVar("T")
R = TypeVar("R")


def for_each(
    func: Callable[[T, OnProgress], R],
    items: Sequence[T],
    *,
    scheduler: str = "none",
    on_progress: OnProgress = no_progress,
    on_task: OnTask | None = None,
    on_message: Callable[[str], None] | None = None,
) -> Generator[TaskResult[R]]:
    """Yield the result of a function for every item, in order of completion.

    Parameters
    ----------
    func : callable
        Called as func(item, on_progress). It must be a function of a module, because it may be
        sent to other processes, and must depend on nothing but its item, because a task is
        repeated if its worker dies. Its exceptions belong to the item and stop no other one.
    items : sequence
        Small objects: paths and numbers, not images.
    scheduler : str
        none, local, local:N or tcp://HOST:PORT.
    on_progress : callable
        Receives (finished items, all items) several times a second. An exception in it stops all
        tasks: at once on this machine's processes, at the next step of the tasks elsewhere.
    on_task : callable, optional
        Receives (number, done, total) of running tasks.
    on_message : callable, optional
        Receives messages for the user: the address of the dashboard, or that no worker has joined.

    Yields
    ------
    TaskResult

    Raises
    ------
    MismatchError
        The scheduler is not valid, or a worker has another version of Grainsmith.
    GrainsmithError
        No scheduler answers, it died, or dask.distributed is not installed. Results yielded
        before stay valid.
    """
    parsed = Scheduler.parse(scheduler)
    on_task = on_task or _ignore_task
    if parsed.kind == "none":
        yield from _run_serially(func, items, on_progress, on_task)
        return
    try:
        from grainsmith.pipeline.executors.dask import run_on_cluster
    except ImportError as error:
        raise GrainsmithError(
            f"the scheduler {scheduler!r} needs dask.distributed, which is not installed "
            f"({error.name})",
            hint=Hint.RUN_WITHOUT_SCHEDULER,
        ) from error
    yield from run_on_cluster(
        func, items, parsed, on_progress, on_task, on_message or _ignore_message
    )


def _run_serially(
    func: Callable[[T, OnProgress], R],
    items: Sequence[T],
    on_progress: OnProgress,
    on_task: OnTask,
) -> Generator[TaskResult[R]]:
    on_progress(0, len(items))
    for number, item in enumerate(items):
        progress = _TaskProgress(number, len(items), on_progress, on_task)
        try:
            outcome = TaskResult(number, func(item, progress))
        except Exception as error:
            # Threads of a step may each raise the stop, or wrap it.
            if progress.stop is not None:
                raise progress.stop from error
            outcome = TaskResult(number, error=error)
        yield outcome
        on_progress(number + 1, len(items))


class _TaskProgress:
    """Forwards the progress of one task and remembers whether the caller stopped it."""

    def __init__(self, number: int, total: int, on_progress: OnProgress, on_task: OnTask) -> None:
        self._number, self._total = number, total
        self._on_progress, self._on_task = on_progress, on_task
        self.stop: Exception | None = None

    def __call__(self, done: int, total: int) -> None:
        try:
            self._on_task(self._number, done, total)
            self._on_progress(self._number, self._total)
        except Exception as error:
            self.stop = error
            raise


def _ignore_task(number: int, done: int, total: int) -> None:
    """Ignore the progress of a task."""


def _ignore_message(text: str) -> None:
    """Ignore a message."""
