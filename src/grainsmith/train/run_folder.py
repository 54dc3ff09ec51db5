"""The folder of a run: what was asked, what happened, where it stands.

run.json       settings, fields with fingerprints, split, start, versions
events.jsonl   one JSON object a line, in order
state.pt       everything to go on from
best.pt        the best weights so far
stop           somebody's wish to stop and keep the best
comparison/    before and after, field by field
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

_OURS = ("run.json", "events.jsonl", "state.pt", "best.pt")
ENDED = ("done", "stopped", "failed")
"""Kinds of events after which a run is over."""


def ignore_event(event: dict[str, Any]) -> None:
    """Take no notice."""


def places(model: str | Path) -> tuple[Path, Path]:
    """Return where a model and its run folder lie.

    Parameters
    ----------
    model : str or Path
        A bare name is kept among the user's own models, where every list finds it; anything with a
        folder or the ending .pt is a file.
    """
    path = Path(model)
    if path.name == str(model) and path.suffix != ".pt":
        path = own_models_folder() / f"{model}.pt"
    elif path.suffix != ".pt":
        path = path.with_name(f"{path.name}.pt")
    return path, path.with_suffix(".run")


class RunFolder:
    """What a run leaves on disk; every file is whole or not there.

    Parameters
    ----------
    path : Path
        Made by the first thing that is written.
    on_event : callable
        Told every event as well.
    """

    def __init__(self, path: str | Path, on_event: OnEvent = ignore_event) -> None:
        self.path = Path(path)
        self._on_event = on_event

    @property
    def model_path(self) -> Path:
        """Where the finished model goes."""
        return self.path.with_suffix(".pt")

    @property
    def comparison(self) -> Path:
        """Folder of the judgement before and after."""
        return self.path / "comparison"

    @property
    def unfinished(self) -> bool:
        """Whether there is a state to go on from."""
        return (self.path / "state.pt").is_file()

    @property
    def stop_wanted(self) -> bool:
        """Whether somebody asked to stop and keep the best."""
        return (self.path / "stop").exists()

    def ask_to_stop(self) -> None:
        """Ask the run, in whatever process, to stop and keep the best."""
        try:
            (self.path / "stop").touch()
        except OSError as error:
            raise WriteError(f"{self.path} cannot be written: {error.strerror}") from error

    def forget_stop(self) -> None:
        """Take back an earlier wish to stop."""
        with suppress(OSError):
            (self.path / "stop").unlink()

    def begin(self, record: dict[str, Any]) -> None:
        """Forget an earlier run and write down what this one is asked to do."""
        try:
            for name in _OURS:
                (self.path / name).unlink(missing_ok=True)
            self._sweep()
        except OSError as error:
            raise WriteError(f"{self.path} cannot be written: {os_error_reason(error)}") from error
        shutil.rmtree(self.comparison, ignore_errors=True)
        write_json(self.path / "run.json", record)

    def record(self) -> dict[str, Any]:
        """Return what the run was asked to do."""
        return read_json(self.path / "run.json")

    def event(self, kind: str, **facts: Any) -> None:
        """Add a line to the events and tell whoever listens."""
        event = _finite({"kind": kind, **facts})
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / "events.jsonl").open("a", encoding="utf8") as file:
                file.write(json.dumps(event, ensure_ascii=False) + "\n")
        except OSError as error:
            raise self._no_room(error) from error
        self._on_event(event)

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events so far, but for lines that a full disk or a power cut left in halves."""
        path = self.path / "events.jsonl"
        if not path.is_file():
            return
        for line in path.read_text("utf8", errors="replace").splitlines(keepends=True):
            if line.endswith("\n"):
                with suppress(ValueError):
                    yield json.loads(line)

    def forget_after(self, step: int) -> None:
        """Drop what happened after a step: the run goes on from there."""
        kept = takewhile(
            lambda one: one.get("step", 0) <= step and one["kind"] not in ENDED, self.events()
        )
        with atomic_write(self.path / "events.jsonl") as temporary:
            temporary.write_text("".join(json.dumps(one) + "\n" for one in kept), "utf8")
        self._sweep()

    def save(self, name: str, content: Any) -> None:
        """Write tensors whole or not at all, and after all that happened before."""
        try:
            # Else a power cut could leave a state without the curve that leads to it.
            with (self.path / "events.jsonl").open("a") as file:
                os.fsync(file.fileno())
        except OSError as error:
            raise self._no_room(error) from error
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
                f"{self.path / name} cannot be read, so the run cannot go on: start it anew"
            ) from error

    def _sweep(self) -> None:
        """Remove what was half written when the process was killed."""
        for name in (*_OURS, "model.pt"):
            for left in self.path.glob(f".{Path(name).stem}-*"):
                left.unlink()

    def _no_room(self, error: OSError) -> WriteError:
        return WriteError(
            f"{self.path} cannot be written: {os_error_reason(error)}. The model file is unchanged",
            hint=Hint.FREE_SPACE_AND_RESUME_TRAINING,
        )


def save_tensors(path: Path, content: Any) -> None:
    """Write tensors to a file, whole or not at all; raise WriteError on a full disk."""
    import torch

    # torch's own writer reports a full disk as a RuntimeError without a reason.
    buffer = io.BytesIO()
    torch.save(content, buffer)
    with atomic_write(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _finite(value: Any) -> Any:
    """Return a value that JSON can hold: not-a-number becomes null."""
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float):
        return round(value, 5) if value - value == 0 else None
    return value
