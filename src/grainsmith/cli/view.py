"""grainsmith view: open files in napari."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from grainsmith.errors import GrainsmithError


def view(
    files: Annotated[list[Path] | None, typer.Argument(help="Images, labels, maps.")] = None,
) -> None:
    """Open FILES in napari with the Grainsmith dock."""
    open_viewer(files or [])


def open_viewer(files: list[Path]) -> None:
    """Start napari as a program of its own: the shell stays free of windows."""
    if importlib.util.find_spec("napari") is None:
        raise GrainsmithError('napari is not installed: python -m pip install "grainsmith[all]"')
    for file in files:
        if not file.exists():
            raise GrainsmithError(f"{file} does not exist")
    # napari's own reader takes TIFFs too: without a word it would ask which one is meant.
    opened = [*map(str, files), "--plugin", "grainsmith"] if files else []
    command = [sys.executable, "-m", "napari", *opened, "-w", "grainsmith", "Grainsmith"]
    code = subprocess.run(command, check=False).returncode
    if code:
        raise typer.Exit(code)
