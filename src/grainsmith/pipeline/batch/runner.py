"""Run a recipe over many fields and summarize the samples."""

from __future__ import annotations

import csv
import math
import shutil
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.data import no_progress
from grainsmith.errors import GrainsmithError, Hint, MismatchError, ReadError, WriteError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.pipeline.batch.field_job import Job, field_key, process_field
from grainsmith.pipeline.batch.manifest import IN_WORK, Manifest, output_folder
from grainsmith.pipeline.batch.sample_summary import Sample, pool_samples
from grainsmith.pipeline.executors.base import for_each
from grainsmith.pipeline.executors.types import Scheduler
from grainsmith.pipeline.recipe import Recipe, check_recipe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.data import OnProgress
    from grainsmith.pipeline.batch.discovery import FieldFiles
    from grainsmith.pipeline.batch.field_job import FieldResult
    from grainsmith.pipeline.batch.manifest import Entry
    from grainsmith.pipeline.executors.types import TaskResult

ERRORS, FIELDS = "errors.csv", "fields.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldState:
    """Progress of a field.

    Attributes
    ----------
    name : str
        Sample and field.
    state : str
        "waiting", "in work", "done", "done before" or "failed".
    percent : int
        Progress of the steps of this field.
    n_grains : int
        Number of grains of a finished field.
    reason : str
        Reason of a failure; notes of a finished field.
    """

    name: str
    state: str = "waiting"
    percent: int = 0
    n_grains: int = 0
    reason: str = ""


OnState = Callable[[FieldState], None]


class ProgressEstimator:
    """Estimates the remaining time of a batch from its progress.

    Parameters
    ----------
    n_fields : int
        Number of all fields.
    clock : callable
        Returns seconds.
    """

    def __init__(self, n_fields: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shares = dict[str, float]()
        self._left, self._clock, self._start_s = n_fields, clock, clock()

    def note(self, state: FieldState) -> None:
        """Take the new state of a field into account."""
        if state.state == "done before":
            self._left -= 1
        elif state.state != "waiting":
            self._shares[state.name] = state.percent / 100 if state.state == "in work" else 1.0

    def seconds_left(self) -> float:
        """Return the remaining time in seconds; NaN before the first progress."""
        done = sum(self._shares.values())
        if done <= 0:
            return math.nan
        return (self._clock() - self._start_s) * max(self._left - done, 0) / done


@dataclass(slots=True, kw_only=True)
class BatchResult:
    """Result of a batch.

    Attributes
    ----------
    out : Path
    states : dict of str to FieldState
        By field name, in order.
    summaries : dict of str to str
        Sample -> one line of text.
    problems : dict of str to str
        Sample -> reason why its fields could not be pooled.
    stopped : GrainsmithError, optional
        Why the batch ended before all fields were tried.
    """

    out: Path
    states: dict[str, FieldState] = field(default_factory=dict)
    summaries: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    stopped: GrainsmithError | None = None

    def count(self, *states: str) -> int:
        """Return how many fields are in one of the states."""
        return sum(field.state in states for field in self.states.values())

    @property
    def whole(self) -> bool:
        """Whether every field is done and every sample is pooled."""
        done = self.count("done", "done before") == len(self.states)
        return done and not self.problems and not self.stopped


def run_batch(
    fields: Sequence[FieldFiles],
    recipe: Recipe,
    out: str | Path,
    *,
    scheduler: str = "none",
    resume: bool = False,
    on_progress: OnProgress = no_progress,
    on_state: OnState | None = None,
    on_message: Callable[[str], None] | None = None,
) -> BatchResult:
    """Run all steps of a recipe on every field, and pool the fields of each sample.

    Parameters
    ----------
    fields : sequence of FieldFiles
        From `discovery.find_fields` or `discovery.read_sheet`.
    recipe : Recipe
    out : str or Path
        Folder of the results. Fields appear in it complete or not at all.
    scheduler : str
        none, local, local:N or tcp://HOST:PORT; see `executors.base.for_each`.
    resume : bool
        Continue an earlier batch: fields with the same inputs and recipe are not computed again.
    on_progress : callable
        Receives (finished fields, all fields) several times a second; an exception in it stops the
        batch. Finished fields stay, and `resume` continues from them.
    on_state : callable, optional
        Receives the new FieldState of a field.
    on_message : callable, optional
        Receives messages for the user.

    Returns
    -------
    BatchResult
        A failed field stops no other one: its reason is in the result and in errors.csv.

    Raises
    ------
    MismatchError, ReadError, ModelError, WriteError
        The arguments are wrong; nothing was done.
    GrainsmithError
        The scheduler does not answer, or a worker has another version of Grainsmith.
    """
    Scheduler.parse(scheduler).check()
    check_recipe(recipe)
    target = Path(out).absolute()
    _check_apart(fields, target)
    with output_folder(target):
        manifest = Manifest(target, resume=resume)
        batch = _Batch(fields, recipe, manifest, on_state or _nobody)
        recipe.write(target / "recipe.yaml")
        try:
            left = batch.left_to_do(on_progress)
            batch.work(left, scheduler, on_progress, on_message or _ignore_message)
            batch.pool(on_progress)
        finally:
            batch.write_lists()
            shutil.rmtree(target / IN_WORK, ignore_errors=True)
    return batch.result


class _Batch:
    """Running batch."""

    def __init__(
        self,
        fields: Sequence[FieldFiles],
        recipe: Recipe,
        manifest: Manifest,
        on_state: OnState,
    ) -> None:
        self._fields = {files.name: files for files in fields}
        self._recipe, self._manifest, self._on_state = recipe, manifest, on_state
        self._entries: dict[str, Entry] = {}
        self.result = BatchResult(
            out=manifest.out, states={name: FieldState(name=name) for name in self._fields}
        )

    def left_to_do(self, on_progress: OnProgress) -> list[FieldFiles]:
        """Return the fields that no earlier batch has finished."""
        left = []
        for name, files in self._fields.items():
            on_progress(len(self._entries), len(self._fields))
            entry = None
            if self._manifest.knows(name):
                with suppress(ReadError):  # reported when the field is processed
                    entry = self._manifest.find(name, field_key(files, self._recipe))
            if entry is None:
                left.append(files)
            else:
                self._done(entry, "done before")
        return left

    def work(
        self,
        left: Sequence[FieldFiles],
        scheduler: str,
        on_progress: OnProgress,
        on_message: Callable[[str], None],
    ) -> None:
        """Process the remaining fields; record failures with their reason."""
        before, total = len(self._entries), len(self._fields)
        jobs = [
            Job(files=files, recipe=self._recipe, out=str(self._manifest.out)) for files in left
        ]
        if not jobs:
            on_progress(total, total)
            return

        def on_task(number: int, done: int, _total: int) -> None:
            self._say(FieldState(name=left[number].name, state="in work", percent=done))

        started = False
        run = for_each(
            process_field,
            jobs,
            scheduler=scheduler,
            on_progress=lambda done, _: on_progress(before + done, total),
            on_task=on_task,
            on_message=on_message,
        )
        try:
            with closing(run):
                for finished in run:
                    started = True
                    self._take(left[finished.number].name, finished)
        except WriteError as error:
            self.result.stopped = error
        except GrainsmithError as error:
            if not started:
                raise
            self.result.stopped = error

    def _take(self, name: str, finished: TaskResult[FieldResult]) -> None:
        try:
            made = finished.result()
            self._done(self._manifest.take(Path(made.folder), made.entry), "done")
        except WriteError as error:
            # All other fields would fail as well: the disk is full or the folder gone.
            self._say(FieldState(name=name, state="failed", reason=str(error)))
            raise
        except Exception as error:  # noqa: BLE001  (a failed field stops no other one)
            reason = str(error) if isinstance(error, GrainsmithError) else f"{error!r}"
            self._say(FieldState(name=name, state="failed", reason=" ".join(reason.split())))

    def _done(self, entry: Entry, state: str) -> None:
        self._entries[entry.name] = entry
        self._say(
            FieldState(
                name=entry.name,
                state=state,
                percent=100,
                n_grains=entry.facts["n_grains"],
                reason="; ".join(entry.facts["notes"]),
            )
        )

    def _say(self, state: FieldState) -> None:
        self.result.states[state.name] = state
        self._on_state(state)

    def pool(self, on_progress: OnProgress) -> None:
        """Pool the fields of every sample."""
        if self.result.stopped or not self._entries:
            return
        total = len(self._fields)
        found = pool_samples(
            self._manifest.out,
            [self._sample(name) for name in self._samples()],
            self._recipe,
            on_progress=lambda _done, _total: on_progress(total, total),
        )
        self.result.summaries, self.result.problems = found.summaries, found.problems

    def _samples(self) -> list[str]:
        return sorted({files.sample for files in self._fields.values()})

    def _sample(self, name: str) -> Sample:
        mine = sorted(files.name for files in self._fields.values() if files.sample == name)
        return Sample(
            name,
            tuple(self._entries[field_name] for field_name in mine if field_name in self._entries),
            {
                self._fields[field_name].field: self.result.states[field_name].reason
                for field_name in mine
                if field_name not in self._entries
            },
        )

    def write_lists(self) -> None:
        """Write fields.csv and, after failures, errors.csv."""
        states = self.result.states
        rows = [
            (files.sample, files.field, states[name].state, states[name].n_grains,
             states[name].reason, files.image)
            for name, files in self._fields.items()
        ]  # fmt: skip
        failed = [(row[0], row[1], row[4]) for row in rows if row[2] == "failed"]
        failed += [(name, "", reason) for name, reason in self.result.problems.items()]
        out = self._manifest.out
        with suppress(WriteError):  # The disk is full, which has been reported.
            _write_rows(
                out / FIELDS, ("sample", "field", "state", "n_grains", "notes", "image"), rows
            )
            if failed:
                _write_rows(out / ERRORS, ("sample", "field", "reason"), failed)
            else:
                (out / ERRORS).unlink(missing_ok=True)


def _check_apart(fields: Sequence[FieldFiles], out: Path) -> None:
    """Raise MismatchError if results would be written among the inputs."""
    if not fields:
        raise MismatchError("there is no field to process")
    for files in fields:
        image = Path(files.image)
        if files.image and (out / files.name) in (image.parent, *image.parent.parents):
            raise MismatchError(
                f"the results of {files.name} would be written among its images in {image.parent}",
                hint=Hint.CHOOSE_OUTPUT,
            )


def _write_rows(path: Path, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with atomic_write(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _nobody(state: FieldState) -> None:
    """Tell nobody."""


def _ignore_message(text: str) -> None:
    """Say nothing."""
