import subprocess
import sys

import pytest

HEAVY = ("napari", "qtpy", "magicgui", "torch", "cellpose")


@pytest.mark.parametrize(
    "module", ["grainsmith", "grainsmith.cli", "grainsmith.score", "grainsmith.data"]
)
def test_core_loads_no_gui_and_no_torch(module):
    code = f"import sys, {module}; print([m for m in {HEAVY} if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
