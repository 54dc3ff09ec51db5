"""Publish a training set as a citable data set: data sheet, checksums, Croissant metadata."""

from __future__ import annotations

import csv
import os
import re
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.data import OnProgress, no_progress
from grainsmith.errors import MismatchError
from grainsmith.io.dataset.croissant import croissant_metadata
from grainsmith.io.dataset.schema import ROLES
from grainsmith.io.exchange import UNNAMED, LabelledField, class_color, export_fields
from grainsmith.io.files.atomic_write import atomic_folder, fingerprint
from grainsmith.io.files.provenance import write_json
from grainsmith.io.images.reader import write_image
from grainsmith.io.labels.label_image import write_labels
from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    from grainsmith.io.dataset.release_settings import ReleaseSettings
    from grainsmith.io.dataset.schema import Dataset, TrainingField

CHECKSUMS = "SHA256SUMS"
CROISSANT = "croissant.json"


def write_release(
    folder: str | Path,
    dataset: Dataset,
    settings: ReleaseSettings,
    *,
    on_progress: OnProgress = no_progress,
) -> Path:
    """Write a training set as a data set that others can cite, verify and use.

    Parameters
    ----------
    folder : str or Path
        Must not exist yet, or be empty; written completely or not at all.
    dataset : Dataset
    settings : ReleaseSettings
    on_progress : callable
        Called as on_progress(fields done, total fields); an exception from it leaves nothing
        behind.

    Returns
    -------
    Path
        The folder: `ROLE/images`, `ROLE/masks`, `ROLE/instances.json` (COCO), `weights`,
        `fields.csv`, `classes.csv`, `README.md` (data sheet), `LICENSE`, `croissant.json`,
        `SHA256SUMS`.

    Raises
    ------
    MismatchError
        The set is empty, or a field has another licence.
    WriteError
        The folder is not empty, or cannot be written.
    """
    target = Path(folder)
    _check(dataset, settings)
    classes = _classes(dataset)
    with atomic_folder(target) as temporary:
        _write_planes(temporary, dataset, on_progress)
        _write_lists(temporary, dataset, classes)
        _write_texts(temporary, dataset, settings, classes)
        write_json(temporary / CROISSANT, croissant_metadata(temporary, settings))
        _write_checksums(temporary)
    return target


def _check(dataset: Dataset, settings: ReleaseSettings) -> None:
    if not dataset.fields:
        raise MismatchError("the set has no fields: there is nothing to publish")
    foreign = [field for field in dataset.fields if field.license not in ("", settings.license)]
    if foreign:
        names = ", ".join(f"{field.name} ({field.license})" for field in foreign)
        raise MismatchError(
            f"these images have another licence than {settings.license}: {names}. "
            "Remove them from the set, or choose a licence that all of them allow."
        )


def _write_planes(folder: Path, dataset: Dataset, on_progress: OnProgress) -> None:
    done = 0
    for role in ROLES:
        fields = []
        for field in dataset.of_role(role):
            fields.append(_write_field(folder, field))
            done += 1
            on_progress(done, len(dataset.fields))
        if fields:
            export_fields(folder / role / "instances.json", fields, "coco")


def _write_field(folder: Path, field: TrainingField) -> LabelledField:
    """Write image and masks of a field; return its grains without the image."""
    planes, file = field.load(), f"{field.name}.tif"
    size = field.pixel_size_um
    write_image(folder / field.role / "images" / file, planes.image, pixel_size_um=size)
    write_labels(folder / field.role / "masks" / file, planes.labels, pixel_size_um=size)
    if field.weight:
        (folder / "weights").mkdir(exist_ok=True)
        shutil.copyfile(field.folder / field.weight, folder / "weights" / f"{field.name}.png")
    return LabelledField(
        labels=planes.labels,
        name=field.name,
        minerals=field.minerals,
        pixel_size_um=size,
        role=field.role,
    )


def _classes(dataset: Dataset) -> list[str]:
    minerals = {name for field in dataset.fields for name in field.minerals.values()}
    return [UNNAMED, *sorted(minerals - {UNNAMED, ""})]


def _write_lists(folder: Path, dataset: Dataset, names: list[str]) -> None:
    with (folder / "fields.csv").open("w", newline="", encoding="utf8") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["name", "role", "image", "masks", "grains", "median_diameter_px", "pixel_size_um",
             "trusted_pct", "group", "source"]
        )  # fmt: skip
        for field in dataset.fields:
            source = re.split(r"[/\\]", field.source)[-1]  # without private folder names
            rows.writerow(
                [field.name, field.role, f"{field.role}/images/{field.name}.tif",
                 f"{field.role}/masks/{field.name}.tif", field.n_grains, field.diameter_px,
                 field.pixel_size_um or "", field.trusted_pct, field.group, source]
            )  # fmt: skip
    with (folder / "classes.csv").open("w", newline="", encoding="utf8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "name", "formula", "colour"])
        for index, name in enumerate(names, start=1):
            formula = LIBRARY[name].formula if name in LIBRARY else ""
            rows.writerow([index, name, formula, class_color(name)])


def _write_texts(
    folder: Path, dataset: Dataset, settings: ReleaseSettings, names: list[str]
) -> None:
    (folder / "README.md").write_text(data_sheet(dataset, settings, names), "utf8")
    year = datetime.now(UTC).year
    text = (
        f"{settings.title}\nCopyright (c) {year} {settings.creators}\n\n"
        f"SPDX-License-Identifier: {settings.license}\n"
        f"Full text: https://spdx.org/licenses/{settings.license}.html\n"
    )
    (folder / "LICENSE").write_text(text, "utf8")


def data_sheet(dataset: Dataset, settings: ReleaseSettings, names: list[str]) -> str:
    """Return a data sheet in Markdown, after Gebru et al. 2021 (doi 10.1145/3458723).

    Sections that only the authors can write are marked as not stated.
    """
    fields = dataset.fields
    unknown = "*Not stated: to be filled in by the authors.*"
    rows = [
        f"| {role} | {len(of_role)} | {sum(field.n_grains for field in of_role):,} |"
        for role in ROLES
        if (of_role := dataset.of_role(role))
    ]
    partly = [field.name for field in fields if field.weight]
    lines = [
        f"# {settings.title}",
        "",
        settings.description or unknown,
        "",
        f"Version {settings.version} · {settings.license} · cite as: {settings.cited_as}",
        "",
        "## Motivation",
        unknown,
        "",
        "## Composition",
        "A field is an image (`images`) with a mask of its grains (`masks`: 0 is background,",
        "every other number one grain); `instances.json` (COCO) holds all fields of a role.",
        "",
        "| role | fields | grains |",
        "|---|---|---|",
        *rows,
        "",
        f"Classes: {', '.join(names)} (`classes.csv`).",
        _pixel_sizes(fields),
        _unlicensed(fields),
        "Fields of one group, and fields of the same place, were meant to stay in one role.",
        "",
        "## Labelling",
        _origins(fields),
        f"Partly labelled fields: {', '.join(partly)}; `weights` is 255 where they are trusted."
        if partly
        else "All fields are labelled throughout.",
        "",
        "## Collection and preprocessing",
        "Data bars were cut off; pixel values are those of the source files.",
        unknown,
        "",
        "## Uses",
        "Finding and measuring grains. Compare models on `test` (or `validation`) only.",
        "",
        "## Distribution and maintenance",
        f"Licence: {settings.license}. Place: {settings.url or unknown}",
        f"`{CHECKSUMS}` holds the fingerprints: check them with `sha256sum -c {CHECKSUMS}`.",
    ]
    return "\n".join(lines) + "\n"


def _write_checksums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    lines = [f"{fingerprint(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
    with (folder / CHECKSUMS).open("w", encoding="utf8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def _origins(fields: tuple[TrainingField, ...]) -> str:
    total = sum(field.n_grains for field in fields)
    counts = Counter(origin for field in fields for origin in field.origins.values())
    models = sorted({str(field.model["name"]) for field in fields if field.model.get("name")})
    checked = ", ".join(f"{count:,} {origin}" for origin, count in sorted(counts.items()))
    rest = total - sum(counts.values())
    first = f"Of {total:,} grains {checked or 'none is marked as checked by hand'}"
    by = f" (models: {', '.join(models)})" if models else ""
    return f"{first}; {rest:,} are as a model or another program left them{by}."


def _pixel_sizes(fields: tuple[TrainingField, ...]) -> str:
    known = sorted({field.pixel_size_um for field in fields if field.pixel_size_um > 0})
    if not known:
        return "The pixel size of the images is unknown."
    span = f"{known[0]:.4g}" + (f" to {known[-1]:.4g}" if len(known) > 1 else "")
    without = sum(field.pixel_size_um <= 0 for field in fields)
    return f"Pixels are {span} µm wide" + (f"; {without} fields do not say." if without else ".")


def _unlicensed(fields: tuple[TrainingField, ...]) -> str:
    unlicensed = [field.name for field in fields if not field.license]
    if not unlicensed:
        return "The licence of every image is on record."
    return f"**The source of these fields states no licence; check it: {', '.join(unlicensed)}.**"
