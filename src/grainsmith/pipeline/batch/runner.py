"""A recipe over many fields: what is done, what failed and why, and the samples at the end."""

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
from grainsmith.pipeline.batch.field_job import Job, do_field, key_of
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
    """How far a field is.

    Attributes
    ----------
    name : str
        Sample and field.
    state : str
        "waiting", "in work", "done", "done before" or "failed".
    percent : int
        Of the field's own steps.
    n_grains : int
        Of a finished field.
    reason : str
        Why it failed; of a finished one, what the user should know.
    """

    name: str
    state: str = "waiting"
    percent: int = 0
    n_grains: int = 0
    reason: str = ""


OnState = Callable[[FieldState], None]


class ProgressEstimator:
    """How long the rest of a batch will take, judged by what it has done so far.

    Parameters
    ----------
    n_fields : int
        In all.
    clock : callable
        Returns seconds.
    """

    def __init__(self, n_fields: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._shares = dict[str, float]()
        self._left, self._clock, self._start_s = n_fields, clock, clock()

    def note(self, state: FieldState) -> None:
        """Take in how far a field is."""
        if state.state == "done before":
            self._left -= 1
        elif state.state != "waiting":
            self._shares[state.name] = state.percent / 100 if state.state == "in work" else 1.0

    def seconds_left(self) -> float:
        """Return the seconds that the rest will take; NaN before anything can be said."""
        done = sum(self._shares.values())
        if done <= 0:
            return math.nan
        return (self._clock() - self._start_s) * max(self._left - done, 0) / done


@dataclass(slots=True, kw_only=True)
class BatchResult:
    """What came of a batch.

    Attributes
    ----------
    out : Path
    states : dict of str to FieldState
        By the fields' names, in their order.
    summaries : dict of str to str
        Sample -> one line.
    problems : dict of str to str
        Sample -> why its fields could not be pooled.
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
        return sum(one.state in states for one in self.states.values())

    @property
    def whole(self) -> bool:
        """Whether every field is done and every sample pooled."""
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
    """Do all steps of a recipe on every field, and pool the fields of each sample.

    Parameters
    ----------
    fields : sequence of FieldFiles
        Of `finding.find_fields` or `finding.read_sheet`.
    recipe : Recipe
    out : str or Path
        Folder of the results. Fields stand in there whole or not at all.
    scheduler : str
        none, local, local:N or tcp://HOST:PORT; see `engine.for_each`.
    resume : bool
        Go on with an earlier batch: fields whose inputs and recipe are the same are not made again.
    on_progress : callable
        Told (fields done, fields in all), several times a second; raising in it stops the batch.
        What is done by then stays, and `resume` goes on from there.
    on_state : callable, optional
        Given the new FieldState of a field.
    on_message : callable, optional
        Receives messages for the user.

    Returns
    -------
    BatchResult
        One bad field stops nobody: it is in there with its reason, and in errors.csv.

    Raises
    ------
    MismatchError, ReadError, ModelError, WriteError
        The call is at fault; nothing was done.
    GrainsmithError
        The scheduler does not answer, or a worker has another version.
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
    """A batch in work."""

    def __init__(
        self,
        fields: Sequence[FieldFiles],
        recipe: Recipe,
        manifest: Manifest,
        on_state: OnState,
    ) -> None:
        self._fields = {one.name: one for one in fields}
        self._recipe, self._manifest, self._on_state = recipe, manifest, on_state
        self._entries: dict[str, Entry] = {}
        self.result = BatchResult(
            out=manifest.out, states={name: FieldState(name=name) for name in self._fields}
        )

    def left_to_do(self, on_progress: OnProgress) -> list[FieldFiles]:
        """Return the fields that no earlier batch has done."""
        left = []
        for name, files in self._fields.items():
            on_progress(len(self._entries), len(self._fields))
            entry = None
            if self._manifest.knows(name):
                with suppress(ReadError):  # told when it is tried
                    entry = self._manifest.find(name, key_of(files, self._recipe))
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
        """Do the fields that are left; those that fail are noted with their reason."""
        before, total = len(self._entries), len(self._fields)
        jobs = [Job(files=one, recipe=self._recipe, out=str(self._manifest.out)) for one in left]
        if not jobs:
            on_progress(total, total)
            return

        def on_task(number: int, done: int, _total: int) -> None:
            self._say(FieldState(name=left[number].name, state="in work", percent=done))

        started = False
        run = for_each(
            do_field,
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
            # The same will befall all others: the folder is full or gone.
            self._say(FieldState(name=name, state="failed", reason=str(error)))
            raise
        except Exception as error:  # noqa: BLE001  (one bad field stops nobody)
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
        return sorted({one.sample for one in self._fields.values()})

    def _sample(self, name: str) -> Sample:
        mine = sorted(one.name for one in self._fields.values() if one.sample == name)
        return Sample(
            name,
            tuple(self._entries[one] for one in mine if one in self._entries),
            {
                self._fields[one].field: self.result.states[one].reason
                for one in mine
                if one not in self._entries
            },
        )

    def write_lists(self) -> None:
        """Write fields.csv and, where something failed, errors.csv."""
        states = self.result.states
        rows = [
            (files.sample, files.field, states[name].state, states[name].n_grains,
             states[name].reason, files.image)
            for name, files in self._fields.items()
        ]  # fmt: skip
        failed = [(row[0], row[1], row[4]) for row in rows if row[2] == "failed"]
        failed += [(name, "", reason) for name, reason in self.result.problems.items()]
        out = self._manifest.out
        with suppress(WriteError):  # The disk is full: said already.
            _write_rows(
                out / FIELDS, ("sample", "field", "state", "n_grains", "notes", "image"), rows
            )
            if failed:
                _write_rows(out / ERRORS, ("sample", "field", "reason"), failed)
            else:
                (out / ERRORS).unlink(missing_ok=True)


def _check_apart(fields: Sequence[FieldFiles], out: Path) -> None:
    """Refuse to write results among the inputs of the fields."""
    if not fields:
        raise MismatchError("there is no field to work on")
    for one in fields:
        image = Path(one.image)
        if one.image and (out / one.name) in (image.parent, *image.parent.parents):
            raise MismatchError(
                f"the results of {one.name} would be written among its images in {image.parent}",
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
