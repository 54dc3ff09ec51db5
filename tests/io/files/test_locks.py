import subprocess
import sys

import pytest

from grainsmith.errors import WriteError
from grainsmith.io.files.locks import exclusive_lock

_HOLD = """
import sys, time
from grainsmith.errors import WriteError
from grainsmith.io.files.locks import exclusive_lock
with exclusive_lock(sys.argv[1], busy=WriteError("held")):
    print("inside", flush=True)
    time.sleep(60)
"""


def test_a_second_program_is_refused_until_the_first_is_killed(tmp_path):
    lock = tmp_path / "new" / "lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(lock)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "inside\n"
        with (
            pytest.raises(WriteError, match="it is in use"),
            exclusive_lock(lock, busy=WriteError("it is in use")),
        ):
            pass
    finally:
        holder.kill()  # -9: it cannot let go by itself
        holder.communicate()
    with exclusive_lock(lock, busy=WriteError("it is in use")):
        pass


def test_a_lock_that_cannot_be_created_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(WriteError, match=r"file cannot be written"),
        exclusive_lock(tmp_path / "file" / "lock", busy=WriteError("")),
    ):
        pass
