"""Fetch Cellpose-SAM, only when it is asked for."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.data import OnProgress, no_progress
from grainsmith.errors import ModelError
from grainsmith.io.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from http.client import HTTPResponse

SAM_ADDRESS = "https://huggingface.co/mouseland/cellpose-sam/resolve/main/"
SAM_CARD = {
    "summary": "Cellpose-SAM, 1.2 GB, for a GPU; trained on data under CC-BY-NC",
    "form": "Cellpose 4 (Cellpose-SAM), 305 million weights",
    "size_mb": 1200,
    "licence": "trained on data under CC-BY-NC: not for commercial use without advice",
    "source": "Pachitariu, Rariden & Stringer 2025; Cellpose",
    "speed": "several seconds per 256 px tile on two cores; meant for a GPU",
}
_CHUNK = 1 << 20


def sam_path(name: str) -> Path:
    """Return where Cellpose keeps a model of that name, so that both share one copy."""
    chosen = os.environ.get("CELLPOSE_LOCAL_MODELS_PATH")
    folder = Path(chosen) if chosen else Path.home() / ".cellpose" / "models"
    return folder / name


def download_sam(
    name: str, *, address: str = SAM_ADDRESS, on_progress: OnProgress = no_progress
) -> Path:
    """Download Cellpose-SAM weights.

    Parameters
    ----------
    name : str
        "cpsam_v2" or "cpsam".
    address : str
        Folder to fetch it from.
    on_progress : callable
        Told (MB done, MB in all); raising in it stops the download and leaves nothing behind.

    Returns
    -------
    Path
        The whole file; a broken download never takes its place.

    Raises
    ------
    ModelError
        There is no connection, the server refuses, or the file came incomplete.
    """
    target = sam_path(name)
    try:
        with (
            urllib.request.urlopen(address + name, timeout=20) as answer,
            atomic_write(target) as temporary,
        ):
            _copy(answer, temporary, name, on_progress)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", error)
        raise ModelError(
            f"{name} could not be downloaded ({reason}): connect to the internet, or copy the file "
            f"to {target} by hand. The embedded model needs no download."
        ) from error
    return target


def _copy(answer: HTTPResponse, target: Path, name: str, on_progress: OnProgress) -> None:
    total = int(answer.headers.get("Content-Length") or 0)
    done = 0
    with target.open("wb") as file:
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            on_progress(done // _CHUNK, max(total, done) // _CHUNK)
    if total and done != total:
        raise ModelError(
            f"the download of {name} broke off after {done} of {total} bytes: try again"
        )
