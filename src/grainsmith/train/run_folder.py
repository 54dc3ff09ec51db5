"""Files of a training run.

run.json       settings, fields with fingerprints, roles, start model, versions
events.jsonl   one JSON object per line, in order
state.pt       state to resume from
best.pt        the best weights so far
stop           present if the user asked to stop and keep the best
comparison/    scores and labels before and after, field by field
"""

from __future__ import annotations

import io
import json
import os
import shutil
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grainsmith.errors import Hint, ModelError, WriteError
from grainsmith.io.files.atomic_write import atomic_write, os_error_reason
from grainsmith.io.files.provenance import read_json, write_json
from grainsmith.models.registry import own_models_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    OnEvent = Callable[[dict[str, Any]], None]

_FILES = ("run.json", "events.jsonl", "state.pt", "best.pt")
ENDED = ("done", "stopped", "failed")
"""Kinds of events that end a run."""


def ignore_event(event: dict[str, Any]) -> None:
    """Do nothing."""


def model_and_run_paths(model: str | Path) -> tuple[Path, Path]:
    """Return the paths of a model and of its run folder.

    Parameters
    ----------
    model : str or Path
        A bare name stands for a model in the user's own folder; anything with a folder or the
        ending .pt is a path.
    """
    path = Path(model)
    if path.name == str(model) and path.suffix != ".pt":
        path = own_models_folder() / f"{model}.pt"
    elif path.suffix != ".pt":
        path = path.with_name(f"{path.name}.pt")
    return path, path.with_suffix(".run")


class RunFolder:
    """Folder of a training run; every file is written whole or not at all.

    Parameters
    ----------
    path : Path
        Created by the first write.
    on_event : callable
        Called with every event.
    """

    def __init__(self, path: str | Path, on_event: OnEvent = ignore_event) -> None:
        self.path = Path(path)
        self._on_event = on_event

    @property
    def model_path(self) -> Path:
        """Path of the finished model."""
        return self.path.with_suffix(".pt")

    @property
    def comparison_folder(self) -> Path:
        """Folder of the comparison before and after."""
        return self.path / "comparison"

    @property
    def unfinished(self) -> bool:
        """Whether there is a state to resume from."""
        return (self.path / "state.pt").is_file()

    @property
    def stop_requested(self) -> bool:
        """Whether the user asked to stop and keep the best."""
        return (self.path / "stop").exists()

    def request_stop(self) -> None:
        """Ask the run, in any process, to stop and keep the best."""
        try:
            (self.path / "stop").touch()
        except OSError as error:
            raise WriteError(f"{self.path} cannot be written: {error.strerror}") from error

    def clear_stop_request(self) -> None:
        """Remove an earlier request to stop."""
        with suppress(OSError):
            (self.path / "stop").unlink()

    def begin(self, record: dict[str, Any]) -> None:
        """Remove an earlier run and record the request of this one."""
        try:
            for name in _FILES:
                (self.path / name).unlink(missing_ok=True)
            self._remove_partial_files()
        except OSError as error:
            raise WriteError(f"{self.path} cannot be written: {os_error_reason(error)}") from error
        shutil.rmtree(self.comparison_folder, ignore_errors=True)
        write_json(self.path / "run.json", record)

    def record(self) -> dict[str, Any]:
        """Return the recorded request."""
        return read_json(self.path / "run.json")

    def event(self, kind: str, **facts: Any) -> None:
        """Append an event and pass it to the listener."""
        event = _finite({"kind": kind, **facts})
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / "events.jsonl").open("a", encoding="utf8") as file:
                file.write(json.dumps(event, ensure_ascii=False) + "\n")
        except OSError as error:
            raise self._write_error(error) from error
        self._on_event(event)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events so far, without lines that a full disk left incomplete."""
        path = self.path / "events.jsonl"
        if not path.is_file():
            return
        for line in path.read_text("utf8", errors="replace").splitlines(keepends=True):
            if line.endswith("\n"):
                with suppress(ValueError):
                    yield json.loads(line)

    def drop_events_after(self, step: int) -> None:
        """Remove the events after a step from which the run is resumed."""
        kept = takewhile(
            lambda event: event.get("step", 0) <= step and event["kind"] not in ENDED,
            self.events(),
        )
        with atomic_write(self.path / "events.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(event) + "\n" for event in kept), "utf8")
        self._remove_partial_files()

    def save(self, name: str, content: Any) -> None:
        """Write tensors atomically, after all earlier events."""
        try:
            # Otherwise a power cut could leave a state without the curve that leads to it.
            with (self.path / "events.jsonl").open("a") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise self._write_error(error) from error
        save_tensors(self.path / name, content)

    def load(self, name: str) -> Any:
        """Read tensors that `save` wrote.

        Raises
        ------
        ModelError
            They are missing or damaged.
        """
        from grainsmith.models.grainnet import read_state

        try:
            return read_state(self.path / name)
        except ModelError as error:
            raise ModelError(
                f"{self.path / name} cannot be read, so the run cannot be resumed",
                hint=Hint.START_NEW_TRAINING,
            ) from error

    def _remove_partial_files(self) -> None:
        """Remove files that were incomplete when the process was killed."""
        for name in (*_FILES, "model.pt"):
            for partial in self.path.glob(f".{Path(name).stem}-*"):
                partial.unlink()

    def _write_error(self, error: OSError) -> WriteError:
        return WriteError(
            f"{self.path} cannot be written: {os_error_reason(error)}. The model file is unchanged",
            hint=Hint.FREE_SPACE_AND_RESUME_TRAINING,
        )


def save_tensors(path: Path, content: Any) -> None:
    """Write tensors to a file atomically; raise WriteError on a full disk."""
    import torch

    # The writer of torch reports a full disk as a RuntimeError without a reason.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _finite(value: Any) -> Any:
    """Replace numbers that JSON cannot hold by None."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return round(value, 5) if value - value == 0 else None
    return value
