"""Process one field of a batch: all steps of a recipe, written into one folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import uuid
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import grainsmith
from grainsmith.align import align_maps
from grainsmith.clean import clean_labels
from grainsmith.errors import MismatchError, ReadError, WriteError
from grainsmith.io.files.atomic_write import fingerprint
from grainsmith.io.images.reader import read_image
from grainsmith.io.maps.reader import guess_maps, open_maps
from grainsmith.io.tables.grain_table import write_table
from grainsmith.pipeline.batch.malloc import disable_malloc_trim
from grainsmith.pipeline.batch.manifest import IN_WORK, Entry, write_entry
from grainsmith.pipeline.batch.outputs import (
    ProcessedField,
    facts_of,
    write_figures,
    write_statistics,
)
from grainsmith.pipeline.field.classify import open_rules, rule_classifier
from grainsmith.pipeline.field.measure import measure_field
from grainsmith.pipeline.field.registration import alignment_records, write_alignment
from grainsmith.pipeline.field.segment import segment_field, with_pixel_size, write_segmented

if TYPE_CHECKING:
    import pandas as pd

    from grainsmith.data import ElementMap, OnProgress, SemImage, Transform
    from grainsmith.pipeline.batch.discovery import FieldFiles
    from grainsmith.pipeline.field.segment import SegmentedField
    from grainsmith.pipeline.recipe import Recipe

LABELS, TABLE, TRANSFORMS = "field_masks.tif", "grains.csv", "transforms.json"

_PROGRESS = {"segment": (0, 60), "align": (60, 75), "measure": (75, 85)}
"""Part of a field's progress bar per step, in per cent, by the usual share of the time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Field to process.

    Attributes
    ----------
    files : FieldFiles
    recipe : Recipe
    out : str
        Folder of the batch, accessible to all workers.
    """

    files: FieldFiles
    recipe: Recipe
    out: str


@dataclass(frozen=True, slots=True)
class FieldResult:
    """Finished field, still in the work folder.

    Attributes
    ----------
    folder : str
    entry : Entry
    """

    folder: str
    entry: Entry


def field_key(files: FieldFiles, recipe: Recipe) -> str:
    """Return the SHA-256 of inputs, recipe and version, which determine the result.

    Raises
    ------
    ReadError
        A file is missing or unreadable.
    """
    try:
        inputs = [(path.name, fingerprint(path)) for path in files.inputs()]
    except OSError as error:
        raise ReadError(f"{error.filename} cannot be read: {error.strerror}") from error
    content = {
        "inputs": inputs,
        "pixel_size_um": files.pixel_size_um,
        "recipe": recipe.fingerprint(),
        "grainsmith": grainsmith.__version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def process_field(job: Job, on_progress: OnProgress) -> FieldResult:
    """Run all steps on one field.

    Parameters
    ----------
    job : Job
    on_progress : callable
        Receives (per cent done, 100); an exception in it stops the work.

    Returns
    -------
    FieldResult
        In the work folder; nothing is in its final place yet.

    Raises
    ------
    GrainsmithError
        The field cannot be read, or its results cannot be written.
    """
    disable_malloc_trim()
    out = Path(job.out)
    if job.files.problem:
        raise job.files.problem
    if not out.is_dir():
        raise WriteError(
            f"{out} does not exist on this machine: workers need access to the same folders"
        )
    # One folder per attempt: a worker given up for dead may still be writing.
    folder = out / IN_WORK / uuid.uuid4().hex
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise WriteError(f"{folder} cannot be created: {error.strerror or error}") from error
    try:
        return _Field(job, folder, on_progress).make()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


class _Field:
    """Steps of one field."""

    def __init__(self, job: Job, folder: Path, on_progress: OnProgress) -> None:
        self._files, self._recipe, self._folder = job.files, job.recipe, folder
        self._on_progress = on_progress
        self._notes: list[str] = []

    def make(self) -> FieldResult:
        recipe, folder = self._recipe, self._folder
        self._on_progress(0, 100)
        key = field_key(self._files, recipe)
        image, maps = self._open()
        found = segment_field(image, recipe.segment, on_progress=self._step("segment"))
        found = self._cleaned(found)
        self._note(*image.notes, found.note)
        write_segmented(folder / LABELS, found, recipe.segment, inputs=self._files.inputs())
        transforms = self._aligned(image, maps)
        table = measure_field(
            found.labels,
            image,
            maps=maps,
            transforms=transforms,
            on_progress=self._step("measure"),
        ).join(found.table)
        table = self._named(table, maps)
        write_table(folder / TABLE, table)
        recipe.write(folder / "recipe.yaml")
        field = ProcessedField(
            files=self._files,
            found=found,
            table=table,
            maps=maps,
            transforms=transforms,
            notes=self._notes,
        )
        statistics = write_statistics(field, recipe, folder)
        self._on_progress(90, 100)
        if recipe.report.pictures:
            write_figures(field, folder)
        entry = Entry(
            sample=self._files.sample,
            field=self._files.field,
            key=key,
            facts=facts_of(field, statistics),
        )
        self._on_progress(100, 100)
        return FieldResult(str(folder), write_entry(folder, entry))

    def _step(self, name: str) -> OnProgress:
        first, last = _PROGRESS[name]

        def on_progress(done: int, total: int) -> None:
            self._on_progress(first + (last - first) * done // max(total, 1), 100)

        return on_progress

    def _note(self, *notes: str) -> None:
        self._notes += [note for note in notes if note and note not in self._notes]

    def _open(self) -> tuple[SemImage, tuple[ElementMap, ...]]:
        settings = self._recipe.open
        size = self._files.pixel_size_um or settings.pixel_size_um
        bar = "auto" if settings.data_bar_rows < 0 else settings.data_bar_rows
        image, maps = _opened(self._files.image, bar)
        guesses = [guess for path in self._files.maps for guess in guess_maps(path)]
        if guesses:
            opened = open_maps([guess for guess in guesses if guess.path != self._files.image])
            maps += opened.maps
            self._note(*map(str, opened.problems), *opened.notes)
        if self._files.maps and not maps:
            raise ReadError(
                f"none of its maps could be read: {'; '.join(self._notes) or self._files.maps[0]}"
            )
        if not maps:
            self._note("no element maps: elements and minerals are unknown")
        return with_pixel_size(image, size), maps

    def _cleaned(self, found: SegmentedField) -> SegmentedField:
        image = found.image
        done = clean_labels(
            found.labels,
            self._recipe.clean,
            pixel_size_um=image.pixel_size_um,
            data_bar_rows=image.data_bar_rows,
            confidence=found.table["confidence"],
        )
        removed = found.table.index.intersection(list(done.removed))
        table = found.table.drop(index=removed)
        return replace(found, labels=done.labels, table=table.rename(index=done.renumbered))

    def _aligned(self, image: SemImage, maps: tuple[ElementMap, ...]) -> dict[str, Transform]:
        if not maps:
            return {}
        found = align_maps(image, maps, self._recipe.align, on_progress=self._step("align"))
        records = alignment_records(found, maps)
        write_alignment(self._folder / TRANSFORMS, found, records, reference=self._files.image)
        unsure = [row.name for row in found.rows if row.transform.verdict != "aligned"]
        if unsure:
            self._note(f"maps without a sure alignment: {', '.join(unsure)}")
        return {row.name: row.transform for row in found.rows}

    def _named(self, table: pd.DataFrame, maps: tuple[ElementMap, ...]) -> pd.DataFrame:
        settings = self._recipe.classify
        if not (settings.rules and maps and len(table)):
            return table
        kind = (
            settings.units or Counter(element_map.kind for element_map in maps).most_common(1)[0][0]
        )
        try:
            result = rule_classifier(open_rules(settings.rules), kind=kind)(table)
        except MismatchError as error:
            self._note(f"minerals not named: {error}")
            return table
        self._note(*result.notes)
        return table.join(result.naming)


def _opened(path: str, data_bar: str | int) -> tuple[SemImage, tuple[ElementMap, ...]]:
    """Read an image; an .h5oina file also holds the maps."""
    if Path(path).suffix.lower() != ".h5oina":
        return read_image(path, crop_databar=data_bar), ()
    inside = open_maps(path)
    if not inside.images:
        raise ReadError(f"{path} holds no electron image")
    return inside.images[0], inside.maps
