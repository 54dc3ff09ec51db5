"""What all tests share: real images where they are at hand, viewers, the mark `display`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

_HEADLESS_LINUX = sys.platform.startswith("linux") and not (
    os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
)
if _HEADLESS_LINUX:
    os.environ["QT_QPA_PLATFORM"] = "offscreen"

CAN_RENDER = os.environ.get("QT_QPA_PLATFORM", "") not in ("offscreen", "minimal")
"""Whether windows can be drawn and looked at."""


def pytest_collection_modifyitems(items):
    """Skip what needs an image on the screen where there is no screen."""
    if CAN_RENDER:
        return
    skip = pytest.mark.skip(reason="no display that can render; run under Xvfb")
    for item in items:
        if item.get_closest_marker("display"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _autosaves_apart(tmp_path_factory, monkeypatch):
    """Keep the saves of tests out of the user's own, which would be offered for recovery."""
    monkeypatch.setenv("GRAINSMITH_AUTOSAVE", str(tmp_path_factory.getbasetemp() / "autosave"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real images, too large or not free to be kept in the repository."""
    # Beside the checkout, or beside the folder that holds several worktrees.
    places = [parent / "shared" / "data" for parent in ROOT.parents[:2]]
    if "GRAINSMITH_SHARED_DATA" in os.environ:
        places = [Path(os.environ["GRAINSMITH_SHARED_DATA"])]
    for place in places:
        if place.is_dir():
            return place
    pytest.skip(f"{places[0]} is missing (set GRAINSMITH_SHARED_DATA)")


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Folder that CI keeps: what the windows looked like."""
    folder = ROOT / "artifacts" / "screenshots"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def viewer(request, monkeypatch):
    """A viewer as a plugin gets it: behind napari's proxy, which refuses private access."""
    pytest.importorskip("napari")
    if not CAN_RENDER:
        _pretend_gl(monkeypatch)
    return request.getfixturevalue("make_napari_viewer_proxy")()


@pytest.fixture
def shown_viewer(request):
    """A viewer in a window of 1600 x 950 that can be seen; for tests marked `display`."""
    pytest.importorskip("napari")
    shown = request.getfixturevalue("make_napari_viewer_proxy")(show=True)
    shown.window.resize(1600, 950)
    return shown


def _pretend_gl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer for the graphics card that the offscreen platform has not.

    napari 0.9 asks for GL extensions and texture sizes when an image is added; offscreen gets
    no answer and fails. Private names, therefore only for the version that they were seen in.
    """
    import importlib

    import napari

    if not napari.__version__.startswith("0.9."):
        return
    answers = {"get_gl_extensions": "texture_float", "get_max_texture_sizes": (16384, 2048)}
    for name in ("utils.gl", "layers.image", "layers.labels", "layers.base", "canvas"):
        module = importlib.import_module(f"napari._vispy.{name}")
        for function, answer in answers.items():
            if hasattr(module, function):
                monkeypatch.setattr(module, function, lambda answer=answer: answer)
