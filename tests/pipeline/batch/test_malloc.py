import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
import numpy as np
from grainsmith.pipeline.batch.malloc import disable_malloc_trim

def planes():
    for _ in range(5):
        [np.ones(2_000_000) for _ in range(10)]

if sys.argv[1] == "kept":
    disable_malloc_trim()
planes()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
planes()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there memory can be kept")
def test_freed_memory_is_used_again_without_asking_the_system():
    faults = [
        int(subprocess.check_output([sys.executable, "-c", PROGRAM, how]))
        for how in ("given back", "kept")
    ]
    assert faults[1] < faults[0] / 10
