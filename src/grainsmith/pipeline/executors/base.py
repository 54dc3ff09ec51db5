"""One function over many items: here, on all cores, or on a cluster of dask.distributed.

Nothing is scheduled or queued by us. `none` is a plain loop in this process; `local` starts a
LocalCluster of processes with one thread each; `tcp://HOST:PORT` joins a scheduler that runs. The
results are the same numbers each time, as an item is always computed by one call of one function.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from grainsmith.data import no_progress
from grainsmith.errors import GrainsmithError, Hint, MismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from grainsmith.data import OnProgress

T = TypeVar("T")
R = TypeVar("R")


SCHEDULERS = "none, local, local:N or tcp://HOST:PORT"

PATIENCE_S = 5
"""A scheduler that has not answered by then is not there."""


@dataclass(frozen=True, slots=True)
class TaskResult(Generic[R]):
    """What came of one item.

    Attributes
    ----------
    number : int
        Its place among the items.
    value : object
        What the function returned; None where it failed.
    error : Exception or None
        What it raised.
    """

    number: int
    value: R | None = None
    error: Exception | None = None

    def result(self) -> R:
        """Return the value, or raise what the function raised."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Scheduler:
    """Where the work is done.

    Attributes
    ----------
    kind : str
        "none", "local" or "address".
    workers : int
        Of "local"; 0 = one a core.
    address : str
        Of "address".
    """

    kind: str = "none"
    workers: int = 0
    address: str = ""

    @classmethod
    def parse(cls, text: str) -> Scheduler:
        """Read none, local, local:N or tcp://HOST:PORT.

        Raises
        ------
        MismatchError
            It is something else.
        """
        if text in ("", "none"):
            return cls()
        if found := re.fullmatch(r"local(?::([1-9]\d{0,3}))?", text):
            return cls(kind="local", workers=int(found[1] or 0))
        if re.fullmatch(r"(tcp|tls)://[^\s/]+:\d+", text):
            return cls(kind="address", address=text)
        raise MismatchError(f"the scheduler must be {SCHEDULERS}, got {text!r}")

    def check(self) -> None:
        """Fail early, before anything is written, where nothing listens at the address.

        Raises
        ------
        GrainsmithError
        """
        if self.kind != "address":
            return
        host, _, port = self.address.partition("://")[2].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), PATIENCE_S).close()
        except (OSError, OverflowError, UnicodeError) as error:
            raise no_scheduler(self.address) from error


def no_scheduler(address: str) -> GrainsmithError:
    """Return what is to be said where no scheduler answers."""
    return GrainsmithError(
        f"no scheduler answers at {address}", hint=Hint.START_SCHEDULER, address=address
    )


def for_each(
    func: Callable[[T, OnProgress], R],
    items: Sequence[T],
    *,
    scheduler: str = "none",
    on_progress: OnProgress = no_progress,
    on_item: Callable[[int, int, int], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> Generator[TaskResult[R]]:
    """Yield what a function makes of every item, in the order in which they get done.

    Parameters
    ----------
    func : callable
        Called as func(item, on_progress). A function of a module, as it may be sent to other
        processes; it depends on nothing but its item, as an item is given to another worker where
        its own one died. What it raises is the item's error and stops no other item.
    items : sequence
        Small: paths and numbers, not images.
    scheduler : str
        none, local, local:N or tcp://HOST:PORT.
    on_progress : callable
        Told (items done, items in all), several times a second; raising in it stops everything:
        at once on this machine's processes, within a step of the items elsewhere.
    on_item : callable, optional
        Told (number, done, total) of the items in work.
    say : callable, optional
        Given what the user should know: the address of the dashboard, that no worker is there yet.

    Yields
    ------
    Finished

    Raises
    ------
    MismatchError
        The scheduler is none that we know, or a worker has another version of Grainsmith.
    GrainsmithError
        No scheduler answers, it died, or dask.distributed is not installed. What was yielded
        before stays good.
    """
    chosen = Scheduler.parse(scheduler)
    tell = on_item or _tell_nobody
    if chosen.kind == "none":
        yield from _one_by_one(func, items, on_progress, tell)
        return
    try:
        from grainsmith.pipeline.executors.dask import on_cluster
    except ImportError as error:
        raise GrainsmithError(
            f"the scheduler {scheduler!r} needs dask.distributed, which is not installed "
            f"({error.name})",
            hint=Hint.RUN_WITHOUT_SCHEDULER,
        ) from error
    yield from on_cluster(func, items, chosen, on_progress, tell, say or _say_nothing)


def _one_by_one(
    func: Callable[[T, OnProgress], R],
    items: Sequence[T],
    on_progress: OnProgress,
    on_item: Callable[[int, int, int], None],
) -> Generator[TaskResult[R]]:
    on_progress(0, len(items))
    for number, item in enumerate(items):
        report = _Report(number, len(items), on_progress, on_item)
        try:
            outcome = TaskResult(number, func(item, report))
        except Exception as error:
            # Steps that run in threads each get a stop of their own, or wrap it.
            if report.stop is not None:
                raise report.stop from error
            outcome = TaskResult(number, error=error)
        yield outcome
        on_progress(number + 1, len(items))


class _Report:
    """Tells of one item's steps, and remembers whether it was asked to stop there."""

    def __init__(
        self, number: int, total: int, on_progress: OnProgress, on_item: Callable[..., Any]
    ) -> None:
        self._number, self._total = number, total
        self._on_progress, self._on_item = on_progress, on_item
        self.stop: Exception | None = None

    def __call__(self, done: int, total: int) -> None:
        try:
            self._on_item(self._number, done, total)
            self._on_progress(self._number, self._total)
        except Exception as error:
            self.stop = error
            raise


def _tell_nobody(number: int, done: int, total: int) -> None:
    """Report to nobody."""


def _say_nothing(text: str) -> None:
    """Say nothing."""
