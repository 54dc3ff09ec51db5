"""Run tasks on dask.distributed."""

from __future__ import annotations

import logging
import os
import queue
import threading
import time
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, LocalCluster, WorkerPlugin, get_worker

import grainsmith
from grainsmith.errors import GrainsmithError, Hint, MismatchError
from grainsmith.pipeline.executors.types import (
    CONNECT_TIMEOUT_S,
    OnTask,
    Scheduler,
    TaskResult,
    no_scheduler,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from grainsmith.data import OnProgress

T = TypeVar("T")
R = TypeVar("R")

_POLL_S = 0.2
_PROGRESS_INTERVAL_S = 0.25
"""Shortest time between two reports of a task: more would fill the log of the scheduler."""

_ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"
)
"""Several workers share the cores, so each uses one thread."""


class _Cancelled(Exception):  # noqa: N818  (never shown: the client has dropped the task)
    """The client has cancelled this task."""


def run_on_cluster(
    func: Callable[[T, OnProgress], R],
    items: Sequence[T],
    scheduler: Scheduler,
    on_progress: OnProgress,
    on_task: OnTask,
    on_message: Callable[[str], None],
) -> Iterator[TaskResult[R]]:
    """Run the tasks of `for_each` on a cluster."""
    on_progress(0, len(items))
    with _client(scheduler, len(items)) as client:
        _prepare(client)
        on_message(f"Dashboard: {client.dashboard_link}")
        if not client.scheduler_info()["workers"]:
            on_message(f"No worker has joined {scheduler.address} yet: waiting for one")
        yield from _collect(client, func, items, on_progress, on_task)


def _collect(
    client: Client,
    func: Callable[[T, OnProgress], R],
    items: Sequence[T],
    on_progress: OnProgress,
    on_task: OnTask,
) -> Iterator[TaskResult[R]]:
    events: queue.SimpleQueue[Any] = queue.SimpleQueue()
    topic = f"grainsmith-{uuid.uuid4().hex}"
    client.subscribe_topic(topic, lambda event: events.put(event[1]))
    waiting: dict[int, Future[Any]] = {}
    for number, item in enumerate(items):
        waiting[number] = client.submit(_run_task, func, item, number, topic, pure=False)
        waiting[number].add_done_callback(lambda _, number=number: events.put(number))
    done = 0
    try:
        while waiting:
            try:
                event = events.get(timeout=_POLL_S)
            except queue.Empty:
                event = None
            if isinstance(event, int):
                yield _outcome(event, waiting.pop(event), done, len(items))
                done += 1
            elif event is not None:
                on_task(*event)
            on_progress(done, len(items))
    finally:
        client.cancel(list(waiting.values()), force=True) if client.status == "running" else None


def _outcome(number: int, future: Future[Any], done: int, total: int) -> TaskResult[Any]:
    """Return the result of a task; raise GrainsmithError if the connection was lost."""
    if future.status == "finished":
        try:
            return TaskResult(number, future.result(timeout=60))
        except Exception as error:
            raise _connection_lost(done, total) from error
    if future.status != "error":
        raise _connection_lost(done, total)
    raised = future.exception(timeout=60)
    if isinstance(raised, KilledWorker):
        raised = GrainsmithError(
            "its workers died one after another; they may have run out of memory"
        )
    return TaskResult(number, error=raised)


def _connection_lost(done: int, total: int) -> GrainsmithError:
    return GrainsmithError(
        f"the connection to the scheduler was lost after {done} of {total} tasks",
        hint=Hint.RESTART_SCHEDULER_AND_RESUME,
    )


def _run_task(func: Callable[[T, OnProgress], R], item: T, number: int, topic: str) -> R:
    """Run one task; called on a worker."""
    worker = get_worker()
    key = worker.get_current_task()

    def on_progress(done: int, total: int) -> None:
        task = worker.state.tasks.get(key)
        if task is None or task.state == "cancelled":
            raise _Cancelled
        worker.log_event(topic, (number, int(done), int(total)))

    return func(item, _throttle(on_progress))


def _throttle(report: OnProgress) -> OnProgress:
    """Return a callback that forwards a few reports per second, and always the last one."""
    previous_s = -_PROGRESS_INTERVAL_S

    def on_progress(done: int, total: int) -> None:
        nonlocal previous_s
        now_s = time.monotonic()
        if done >= total or now_s - previous_s > _PROGRESS_INTERVAL_S:
            previous_s = now_s
            report(done, total)

    return on_progress


@contextmanager
def _client(scheduler: Scheduler, n_items: int) -> Iterator[Client]:
    # distributed logs a traceback for every lost worker; errors are reported by TaskResult.
    logger = logging.getLogger("distributed")
    level, logger.level = logger.level, logging.CRITICAL
    try:
        if scheduler.kind == "local":
            workers = min(scheduler.workers or CPU_COUNT, max(n_items, 1))
            with _local_cluster(workers) as cluster, Client(cluster) as client:
                yield client
        else:
            with _connect(scheduler.address) as client:
                yield client
    finally:
        logger.level = level


@contextmanager
def _local_cluster(workers: int) -> Iterator[LocalCluster]:
    # Starting workers also changes the environment of this process.
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
            "no worker process could be started on this machine. A script must call this below "
            "`if __name__ == '__main__':`; otherwise memory may be short"
        ) from error
    finally:
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def _connect(address: str) -> Client:
    # In a thread, because distributed waits forever for a server that is not a scheduler.
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
    given_up = threading.Event()

    def join() -> None:
        try:
            client = Client(address, timeout=CONNECT_TIMEOUT_S)
            answers.put(client)
            if given_up.is_set():
                client.close()
        except Exception as error:  # noqa: BLE001  (any server may answer)
            answers.put(error)

    threading.Thread(target=join, daemon=True).start()
    try:
        client = answers.get(timeout=CONNECT_TIMEOUT_S + 1)
    except queue.Empty:
        given_up.set()
        raise no_scheduler(address) from None
    if isinstance(client, Exception):
        raise no_scheduler(address) from client
    return client


def _prepare(client: Client) -> None:
    """Limit present and future workers to one thread; refuse other versions of Grainsmith."""
    wanted, environment = grainsmith.__version__, dict(_ONE_THREAD)

    class Guard(WorkerPlugin):  # type: ignore[misc]
        # A local class is sent by value: it must run where Grainsmith is missing or differs.
        name = "grainsmith-version"

        def setup(self, worker: Any) -> None:
            from importlib.metadata import PackageNotFoundError, version

            try:
                present = "Grainsmith " + version("grainsmith")
            except PackageNotFoundError:
                present = "no Grainsmith"
            if present != f"Grainsmith {wanted}":
                raise RuntimeError(
                    f"the worker at {worker.address} has {present}, this program is Grainsmith "
                    f"{wanted}: install the same version on all machines"
                )
            os.environ.update(environment)

    try:
        client.register_plugin(Guard())
    except RuntimeError as error:
        client.unregister_worker_plugin(Guard.name)
        raise MismatchError(str(error)) from error
