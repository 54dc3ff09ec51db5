"""Real schedulers and workers on loopback, as a user starts them."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start(*arguments, log, **environment):
    """Start `dask ...` in a process of its own; the caller kills it."""
    path = os.pathsep.join([str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return subprocess.Popen(
        [sys.executable, "-m", "dask", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stdout=log.open("ab"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def end(process):
    """Kill a process that was started here, and wait for it."""
    if process.poll() is None:
        process.kill()
    process.wait(timeout=30)


def wait_for(what, seconds=60):
    """Return the first truth that `what` says."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := what():
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited {seconds} s in vain")


@contextmanager
def scheduler(folder, port=0):
    """Yield the process of a scheduler and its address."""
    import json

    file = folder / "scheduler.json"
    file.unlink(missing_ok=True)
    process = start(
        "scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard",
        "--scheduler-file", file, log=folder / "scheduler.log",
    )  # fmt: skip
    try:
        wait_for(lambda: file.exists() and file.stat().st_size)
        time.sleep(0.2)
        yield process, json.loads(file.read_text())["address"]
    finally:
        end(process)


@contextmanager
def workers(address, folder, n, *options):
    """Yield the processes of n workers of one thread each, that die as processes do."""
    started = [
        start(
            "worker", address, "--nthreads", 1, "--no-nanny", "--no-dashboard",
            "--local-directory", folder / f"worker{i}", *options, log=folder / f"worker{i}.log",
        )
        for i in range(n)
    ]  # fmt: skip
    try:
        yield started
    finally:
        for process in started:
            end(process)
