"""The items of `engine.for_each` on dask.distributed."""

from __future__ import annotations

import logging
import os
import queue
import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, LocalCluster, WorkerPlugin, get_worker

import grainsmith
from grainsmith.errors import GrainsmithError, Hint, MismatchError
from grainsmith.pipeline.executors.base import PATIENCE_S, TaskResult, no_scheduler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from grainsmith.data import OnProgress
    from grainsmith.pipeline.executors.base import Scheduler

T = TypeVar("T")
R = TypeVar("R")

_TICK_S = 0.2
_ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)
"""Several workers share the cores: each keeps to one."""


class _Cancelled(Exception):  # noqa: N818  (nobody sees it: the client has given the item up)
    """The client does not want this item any more."""


def on_cluster(
    func: Callable[[T, OnProgress], R],
    items: Sequence[T],
    scheduler: Scheduler,
    on_progress: OnProgress,
    on_item: Callable[[int, int, int], None],
    say: Callable[[str], None],
) -> Iterator[TaskResult[R]]:
    """Do the work of `engine.for_each`, which see, on a cluster."""
    on_progress(0, len(items))
    with _client(scheduler, len(items)) as client:
        _prepare(client)
        say(f"Dashboard: {client.dashboard_link}")
        if not client.scheduler_info()["workers"]:
            say(f"No worker has joined {scheduler.address} yet: waiting for one")
        yield from _collect(client, func, items, on_progress, on_item)


def _collect(
    client: Client,
    func: Callable[[T, OnProgress], R],
    items: Sequence[T],
    on_progress: OnProgress,
    on_item: Callable[[int, int, int], None],
) -> Iterator[TaskResult[R]]:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    topic = f"grainsmith-{uuid.uuid4().hex}"
    client.subscribe_topic(topic, lambda event: events.put(event[1]))
    waiting: dict[int, Future[Any]] = {}
    for number, item in enumerate(items):
        waiting[number] = client.submit(_work, func, item, number, topic, pure=False)
        waiting[number].add_done_callback(lambda _, number=number: events.put(number))
    done = 0
    try:
        while waiting:
            try:
                event = events.get(timeout=_TICK_S)
            except queue.Empty:
                event = None
            if isinstance(event, int):
                yield _outcome(event, waiting.pop(event), done, len(items))
                done += 1
            elif event is not None:
                on_item(*event)
            on_progress(done, len(items))
    finally:
        client.cancel(list(waiting.values()), force=True) if client.status == "running" else None


def _outcome(number: int, future: Future[Any], done: int, total: int) -> TaskResult[Any]:
    """Return what came of an item; raises where the scheduler is gone and with it all items."""
    if future.status == "finished":
        try:
            return TaskResult(number, future.result(timeout=60))
        except Exception as error:
            raise _lost(done, total) from error
    if future.status != "error":
        raise _lost(done, total)
    raised = future.exception(timeout=60)
    if isinstance(raised, KilledWorker):
        raised = GrainsmithError(
            "the workers that had it in work died one after another: out of memory?"
        )
    return TaskResult(number, error=raised)


def _lost(done: int, total: int) -> GrainsmithError:
    return GrainsmithError(
        f"the connection to the scheduler was lost after {done} of {total} tasks",
        hint=Hint.RESTART_SCHEDULER_AND_RESUME,
    )


def _work(
    func: Callable[[T, OnProgress], R], item: T, number: int, topic: str
) -> R:  # runs on a worker
    worker = get_worker()
    key = worker.get_current_task()

    def on_progress(done: int, total: int) -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise _Cancelled
        worker.log_event(topic, (number, int(done), int(total)))

    return func(item, _seldom(on_progress))


def _seldom(report: OnProgress) -> OnProgress:
    """Pass a report on some four times a second: more is read by nobody and fills the scheduler."""
    import time

    last = [0.0]

    def on_progress(done: int, total: int) -> None:
        now = time.monotonic()
        if done >= total or now - last[0] > 0.25:
            last[0] = now
            report(done, total)

    return on_progress


@contextmanager
def _client(scheduler: Scheduler, n_items: int) -> Iterator[Client]:
    # Its loggers tell of every lost worker with a traceback; what matters is said by us.
    loud = logging.getLogger("distributed")
    level, loud.level = loud.level, logging.CRITICAL
    try:
        if scheduler.kind == "local":
            workers = min(scheduler.workers or CPU_COUNT, max(n_items, 1))
            with _local_cluster(workers) as cluster, Client(cluster) as client:
                yield client
        else:
            with _joined(scheduler.address) as client:
                yield client
    finally:
        loud.level = level


@contextmanager
def _local_cluster(workers: int) -> Iterator[LocalCluster]:
    # Starting workers leaves the settings meant for them in this process's environment, too.
    before = dict(os.environ)
    try:
        with LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            silence_logs=logging.CRITICAL,
            dashboard_address="127.0.0.1:0",
            env=_ONE_THREAD,
        ) as cluster:
            yield cluster
    except RuntimeError as error:
        if "failed to start" not in str(error):
            raise
        raise GrainsmithError(
            "no worker processes could be started on this machine: too little memory? A script of "
            "your own must call this below `if __name__ == '__main__':`"
        ) from error
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _joined(address: str) -> Client:
    # In a thread: distributed waits forever for what listens there and is no scheduler, or hangs.
    found: queue.SimpleQueue[Any] = queue.SimpleQueue()
    given_up = threading.Event()

    def join() -> None:
        try:
            client = Client(address, timeout=PATIENCE_S)
            found.put(client)
            if given_up.is_set():
                client.close()
        except Exception as error:  # noqa: BLE001  (what answers may be anything)
            found.put(error)

    threading.Thread(target=join, daemon=True).start()
    try:
        client = found.get(timeout=PATIENCE_S + 1)
    except queue.Empty:
        given_up.set()
        raise no_scheduler(address) from None
    if isinstance(client, Exception):
        raise no_scheduler(address) from client
    return client


def _prepare(client: Client) -> None:
    """Bring every worker, also those to come, to one thread; refuse those of another version."""
    wanted, environment = grainsmith.__version__, dict(_ONE_THREAD)

    class Guard(WorkerPlugin):  # type: ignore[misc]
        # Sent by value, being local: it must run where our package is another one or missing.
        name = "grainsmith-version"

        def setup(self, worker: Any) -> None:
            from importlib.metadata import PackageNotFoundError, version

            try:
                found = "Grainsmith " + version("grainsmith")
            except PackageNotFoundError:
                found = "no Grainsmith"
            if found != f"Grainsmith {wanted}":
                raise RuntimeError(
                    f"the worker at {worker.address} has {found}, this program is Grainsmith "
                    f"{wanted}: install the same version on all machines"
                )
            os.environ.update(environment)

    try:
        client.register_plugin(Guard())
    except RuntimeError as error:
        client.unregister_worker_plugin(Guard.name)
        raise MismatchError(str(error)) from error
