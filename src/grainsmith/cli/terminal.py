"""Output of all commands: JSON on stdout, progress bars and messages on stderr."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from grainsmith.data import OnProgress


def fail(message: str, *, code: int = 2) -> int:
    """Print one line on stderr and return the exit code."""
    sys.stderr.write(f"grainsmith: {message}\n")
    return code


def show_message(message: str) -> None:
    """Print a message on stderr."""
    sys.stderr.write(f"{message}\n")


def print_json(result: dict[str, Any]) -> None:
    """Print one JSON object on stdout; NaN and infinity become null."""
    sys.stdout.write(json.dumps(_finite(result), ensure_ascii=False) + "\n")


@contextmanager
def progress_bar(title: str) -> Iterator[OnProgress]:
    """Show a bar on stderr while the block runs.

    Yields
    ------
    OnProgress
        Callback for a core function.
    """
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)

        def on_progress(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        yield on_progress


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _finite(value.tolist())
    if (isinstance(value, float) and value != value) or value in (float("inf"), float("-inf")):
        return None
    return value
