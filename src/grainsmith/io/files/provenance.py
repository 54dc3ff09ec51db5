"""Provenance of results, and JSON files."""

from __future__ import annotations

import json
import math
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write, fingerprint
from grainsmith.io.files.limits import parse_json, read_text

_PACKAGES = ("grainsmith", "numpy", "scikit-image", "torch", "cellpose")


def provenance(
    inputs: list[str | Path], *, settings: dict[str, Any], model: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Describe what a result was made from.

    Parameters
    ----------
    inputs : list of paths
        Files that were read; each is listed with its SHA-256.
    settings : dict
        Settings of all steps.
    model : dict, optional
        Name and fingerprint of the model.

    Returns
    -------
    dict
        JSON-ready: inputs, settings, model, versions, time, hand edits (0).
    """
    return {
        "inputs": [{"file": str(path), "sha256": fingerprint(path)} for path in inputs],
        "model": model or {},
        "settings": settings,
        "hand_edits": 0,
        "versions": {"python": platform.python_version(), **_versions()},
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def write_json(path: str | Path, content: dict[str, Any]) -> None:
    """Write a JSON file atomically; NaN and infinity become null, as JSON has neither."""
    with atomic_write(path) as temporary:
        text = json.dumps(_plain(content), indent=2, ensure_ascii=False, allow_nan=False)
        temporary.write_text(text + "\n", "utf8")


def read_json(path: str | Path) -> dict[str, Any]:
    """Read a JSON file that holds one object.

    Raises
    ------
    ReadError
        It is missing, not JSON, or holds something else.
    """
    content = parse_json(read_text(path), path)
    if not isinstance(content, dict):
        raise ReadError(f"{path} must hold one JSON object, got a {type(content).__name__}")
    return content


def _plain(value: Any) -> Any:
    """Convert numpy values and paths to types that JSON can hold."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _versions() -> dict[str, str]:
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
