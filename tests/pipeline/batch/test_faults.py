"""Death in the middle: a worker, the scheduler, the disk. Slow: real processes, real kills."""

import os
import signal
import subprocess
import sys

import pytest
from tests.pipeline import clusters, disks
from tests.pipeline.batch.test_runner import WHOLE, rows, tables
from tests.pipeline.fields import QUICK, make_samples

from grainsmith.pipeline.batch.discovery import find_fields
from grainsmith.pipeline.batch.runner import run_batch

pytest.importorskip("distributed")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(580),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("in"), per_sample=4)


@pytest.fixture(scope="module")
def undisturbed(samples, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert run_batch(find_fields([samples]), QUICK, out).whole
    return tables(out)


def start(samples, out, recipe, *options):
    """Start `grainsmith batch` in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", "from grainsmith.cli import main; main()", "batch", str(samples),
         "-o", str(out), "--recipe", str(recipe), *map(str, options)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def whole_fields(out):
    """Return the finished fields; fails where one is there in part."""
    found = [path for path in out.glob("[AB]/f*") if path.is_dir()]
    for path in found:
        assert {one.name for one in path.iterdir()} == WHOLE, path
    return sorted(str(path.relative_to(out)) for path in found)


@pytest.fixture
def recipe(tmp_path):
    QUICK.write(tmp_path / "recipe.yaml")
    return tmp_path / "recipe.yaml"


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own that some fields fill."""
    with disks.small_disk(tmp_path / "disk") as place:
        yield place


def test_a_worker_then_the_scheduler_are_killed_then_the_disk_gets_full(
    samples, undisturbed, recipe, small_disk, tmp_path
):
    disks.resize(small_disk, "64m")
    out = small_disk / "out"
    with (
        clusters.scheduler(tmp_path) as (process, address),
        clusters.workers(address, tmp_path, 2) as (one, _other),
    ):
        batch = start(samples, out, recipe, "--scheduler", address)
        clusters.wait_for(lambda: len(list(out.glob("[AB]/f*"))) >= 1, 240)
        os.kill(one.pid, signal.SIGKILL)
        clusters.wait_for(lambda: len(list(out.glob("[AB]/f*"))) >= 3, 240)
        process.kill()
        said, _ = batch.communicate(timeout=120)
    assert batch.returncode == 1, said
    assert "the connection to the scheduler was lost" in said
    done = whole_fields(out)
    assert 3 <= len(done) < 8
    stamps = {name: (out / name / "grains.csv").stat().st_mtime_ns for name in done}
    a_field = sum(one.stat().st_size for one in (out / done[0]).iterdir())
    for size, code in ((disks.used(small_disk) + 2 * a_field, 1), ("64m", 0)):
        disks.resize(small_disk, size)
        with (
            clusters.scheduler(tmp_path) as (_, address),
            clusters.workers(address, tmp_path, 2),
        ):
            again = start(samples, out, recipe, "--scheduler", address, "--resume")
            said, _ = again.communicate(timeout=300)
        assert again.returncode == code, said
        assert ("No space left" in said) == bool(code)
        assert set(whole_fields(out)) >= set(done)
    assert tables(out) == undisturbed
    # What was done was not made again.
    assert {name: (out / name / "grains.csv").stat().st_mtime_ns for name in done} == stamps
    assert not (out / ".in-work").exists()


def test_the_program_itself_is_killed(samples, undisturbed, recipe, tmp_path):
    out = tmp_path / "out"
    batch = start(samples, out, recipe, "--scheduler", "local:2")
    clusters.wait_for(lambda: len(list(out.glob("[AB]/f*"))) >= 2, 240)
    batch.kill()
    batch.wait()
    assert 2 <= len(whole_fields(out)) < 8
    again = start(samples, out, recipe, "--resume")
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert tables(out) == undisturbed


def test_ctrl_c_leaves_whole_fields_and_its_own_exit_code(samples, recipe, tmp_path):
    out = tmp_path / "out"
    batch = start(samples, out, recipe, "--scheduler", "local:2")
    clusters.wait_for(lambda: len(list(out.glob("[AB]/f*"))) >= 1, 240)
    batch.send_signal(signal.SIGINT)
    said, _ = batch.communicate(timeout=60)
    assert batch.returncode == 130, said
    assert 1 <= len(whole_fields(out)) < 8
    assert not (out / ".in-work").exists()
    assert {row["state"] for row in rows(out / "fields.csv")} >= {"done", "waiting"}


@pytest.mark.parametrize("scheduler", ["none", "local:2"])
def test_the_disk_gets_full(samples, undisturbed, recipe, small_disk, tmp_path, scheduler):
    out = small_disk / "out"
    batch = start(samples, out, recipe, "--scheduler", scheduler)
    said, _ = batch.communicate(timeout=300)
    assert batch.returncode == 1, said
    assert "No space left" in said
    done = whole_fields(out)
    assert 0 < len(done) < 8
    disks.resize(small_disk, "64m")
    again = start(samples, out, recipe, "--scheduler", scheduler, "--resume")
    said, _ = again.communicate(timeout=300)
    assert again.returncode == 0, said
    assert tables(out) == undisturbed
