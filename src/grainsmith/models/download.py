"""Download of the Cellpose-SAM weights, on request only."""

from __future__ import annotations

import os
from pathlib import Path

from grainsmith.data import OnProgress, no_progress
from grainsmith.errors import ModelError

SAM_URL = "https://huggingface.co/mouseland/cellpose-sam/resolve/main/"
SAM_SHA256 = {
    "cpsam_v2": "0f1cc3f7ecdd8a037a57c6c48d9d8921391be4cbce3fa9f13c3e3a2e1253c667",
    "cpsam": "e1440429eb384f95afe32bcba6510f90d518eaedc917ede549bed6804004abe2",
}
SAM_CARD = {
    "summary": "Cellpose-SAM, 1.2 GB, for a GPU; trained on data under CC-BY-NC",
    "form": "Cellpose 4 (Cellpose-SAM), 305 million weights",
    "size_mb": 1200,
    "licence": "trained on data under CC-BY-NC: not for commercial use without advice",
    "source": "Pachitariu, Rariden & Stringer 2025; Cellpose",
    "speed": "several seconds per 256 px tile on two cores; meant for a GPU",
}
_TIMEOUT_S = 20
_MB = 1 << 20


def sam_path(name: str) -> Path:
    """Return the path where Cellpose keeps a model, so that both share one copy."""
    chosen = os.environ.get("CELLPOSE_LOCAL_MODELS_PATH")
    folder = Path(chosen) if chosen else Path.home() / ".cellpose" / "models"
    return folder / name


def download_sam(
    name: str,
    *,
    url: str = SAM_URL,
    sha256: str = "",
    on_progress: OnProgress = no_progress,
) -> Path:
    """Download Cellpose-SAM weights and verify their checksum.

    A file that is already there and has the right checksum is not downloaded again.

    Parameters
    ----------
    name : str
        "cpsam_v2" or "cpsam".
    url : str
        Folder to download from.
    sha256 : str
        Expected checksum; by default that of the published weights.
    on_progress : callable
        Called with (MB done, MB in total); an exception raised in it cancels the download.

    Returns
    -------
    Path
        The complete file; an incomplete download leaves nothing behind.

    Raises
    ------
    ModelError
        There is no connection, the server refuses, or the file is incomplete or altered.
    """
    # Imported here: requests takes longer to import than everything else in this module.
    import pooch
    import requests

    target = sam_path(name)
    downloader = pooch.HTTPDownloader(
        progressbar=_Progress(on_progress), chunk_size=_MB, timeout=_TIMEOUT_S
    )
    pooch.get_logger().setLevel("WARNING")
    try:
        pooch.retrieve(
            url + name,
            known_hash="sha256:" + (sha256 or SAM_SHA256[name]),
            fname=target.name,
            path=target.parent,
            downloader=downloader,
        )
    except ValueError as error:
        if isinstance(error, requests.RequestException):
            raise _not_downloaded(name, target, error) from error
        raise ModelError(
            f"the download of {name} does not have the published SHA-256 checksum, so it was "
            "discarded: try again"
        ) from error
    except OSError as error:  # requests' errors among them
        raise _not_downloaded(name, target, error) from error
    return target


def _not_downloaded(name: str, target: Path, error: Exception) -> ModelError:
    return ModelError(
        f"{name} could not be downloaded ({error}): connect to the internet, or copy the file to "
        f"{target} by hand"
    )


class _Progress:
    """Progress display as pooch expects it, reporting megabytes to a callback."""

    def __init__(self, on_progress: OnProgress) -> None:
        self.total = 0
        self._done = 0
        self._on_progress = on_progress

    def update(self, size: int) -> None:
        """Count downloaded bytes."""
        self._done = min(self._done + size, self.total)
        self._on_progress(self._done // _MB, self.total // _MB)

    def reset(self) -> None:
        """Start over."""
        self._done = 0

    def close(self) -> None:
        """Do nothing: the display belongs to the caller."""
