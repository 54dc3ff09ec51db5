import os
import signal
import socket
import subprocess
import sys
import time

import pytest
from tests.pipeline import clusters, items

from grainsmith.errors import GrainsmithError, MismatchError, ReadError
from grainsmith.pipeline.executors.base import for_each
from grainsmith.pipeline.executors.types import Scheduler

pytest.importorskip("distributed")

# distributed closes its sockets when the garbage is collected, not before.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _seen_by_workers(monkeypatch):
    path = os.pathsep.join([str(clusters.ROOT / "src"), str(clusters.ROOT)])
    monkeypatch.setenv("PYTHONPATH", path)
    monkeypatch.syspath_prepend(str(clusters.ROOT))  # spawned processes are given this path


def values(finished):
    return {one.number: one.value[0] if one.value else str(one.error) for one in finished}


SQUARES = {0: 0, 1: 1, 2: 4, 3: "three cannot be read", 4: 16}


def test_a_loop_and_two_processes_give_the_same_and_no_error_stops_the_rest():
    steps = []
    alone = list(for_each(items.square, range(5), on_task=lambda *a: steps.append(a)))
    assert values(alone) == SQUARES
    assert steps[:2] == [(0, 1, 2), (0, 2, 2)]
    with pytest.raises(ReadError, match="three"):
        alone[3].result()
    said, seen = [], []
    shared = list(
        for_each(
            items.square, range(5), scheduler="local:2", on_message=said.append,
            on_task=lambda *a: seen.append(a),
        )
    )  # fmt: skip
    assert values(shared) == SQUARES
    assert isinstance(next(one for one in shared if one.number == 3).error, ReadError)
    assert os.getpid() not in {one.value[1] for one in shared if one.value}
    assert any(text.startswith("Dashboard: http://127.0.0.1:") for text in said)
    assert (4, 2, 2) in seen


@pytest.mark.parametrize("text", ["loca", "local:0", "tcp://host", "127.0.0.1:8786", "none:2"])
def test_what_is_no_scheduler_is_refused(text):
    with pytest.raises(MismatchError, match="tcp://HOST:PORT"):
        Scheduler.parse(text)


def test_a_stop_asked_for_in_progress_is_passed_on_and_not_an_items_error():
    def stop(done, total):
        if done == 2:
            raise KeyError("stop")

    got = []
    with pytest.raises(KeyError):
        got.extend(for_each(items.square, range(5), on_progress=stop))
    with pytest.raises(KeyError):
        list(for_each(items.square, range(5), on_task=lambda number, *_: stop(number, 5)))


def test_a_stop_that_reaches_several_threads_of_an_item_is_a_stop():
    class StopError(Exception):
        pass

    def stop(*_):
        raise StopError

    with pytest.raises(StopError):
        list(for_each(items.in_threads, range(2), on_task=stop))


def test_a_scheduler_that_is_not_there_is_told_within_ten_seconds():
    start = time.monotonic()
    with pytest.raises(GrainsmithError, match=r"no scheduler answers at tcp://127\.0\.0\.1:9"):
        list(for_each(items.square, range(2), scheduler="tcp://127.0.0.1:9"))
    assert time.monotonic() - start < 10


@pytest.mark.slow
def test_something_that_listens_and_is_no_scheduler_is_told_within_ten_seconds(tmp_path):
    # In a process of its own, which ends though distributed goes on waiting there.
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        code = (
            "from tests.pipeline.items import square\n"
            "from grainsmith.pipeline.executors.base import for_each\n"
            f"list(for_each(square, range(2), scheduler={address!r}))"
        )
        begin = time.monotonic()
        done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
    assert f"no scheduler answers at {address}" in done.stderr
    assert time.monotonic() - begin < 20  # with the imports


@pytest.mark.slow
def test_a_worker_of_another_version_is_refused_with_both_versions_named(tmp_path):
    import grainsmith

    old = tmp_path / "old.py"
    old.write_text(
        "from importlib import metadata\n"
        "real = metadata.version\n"
        "metadata.version = lambda name: '0.0.9' if name == 'grainsmith' else real(name)\n"
    )
    with (
        clusters.scheduler(tmp_path) as (_, address),
        clusters.workers(address, tmp_path, 1, "--preload", old),
    ):
        clusters.wait_for(lambda: "Registered to" in (tmp_path / "worker0.log").read_text())
        run = for_each(items.square, range(2), scheduler=address)
        with pytest.raises(MismatchError) as raised:
            next(run)
    assert "0.0.9" in str(raised.value)
    assert grainsmith.__version__ in str(raised.value)


@pytest.mark.slow
def test_an_item_of_a_killed_worker_is_done_by_the_other(tmp_path):
    with (
        clusters.scheduler(tmp_path) as (_, address),
        clusters.workers(address, tmp_path, 2),
    ):
        run = for_each(items.slow, [(str(tmp_path), n) for n in range(4)], scheduler=address)
        got = [next(run)]
        file = clusters.wait_for(lambda: next(iter(tmp_path.glob("[23].pid")), None))
        killed = int(clusters.wait_for(file.read_text))
        os.kill(killed, signal.SIGKILL)
        got.extend(run)
    assert sorted(one.value for one in got) == [0, 1, 2, 3]
    assert int(file.read_text()) != killed


@pytest.mark.slow
def test_a_killed_scheduler_ends_the_work_with_a_word(tmp_path):
    with (
        clusters.scheduler(tmp_path) as (process, address),
        clusters.workers(address, tmp_path, 1),
    ):
        run = for_each(items.slow, [(str(tmp_path), n) for n in range(3)], scheduler=address)
        next(run)
        process.kill()
        with pytest.raises(GrainsmithError, match="1 of 3 were done"):
            next(run)
