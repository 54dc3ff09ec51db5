"""A training set as a citable data set: split, classes, data sheet, checksums, Croissant."""

from __future__ import annotations

import csv
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.data import OnProgress, no_progress
from grainsmith.errors import MismatchError, WriteError
from grainsmith.io.dataset.croissant import croissant_metadata
from grainsmith.io.dataset.schema import ROLES
from grainsmith.io.exchange import UNNAMED, LabelledField, class_color, export_fields
from grainsmith.io.files.atomic_write import fingerprint
from grainsmith.io.files.provenance import write_json
from grainsmith.io.images.reader import write_image
from grainsmith.io.labels.label_image import write_labels
from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    from grainsmith.io.dataset.schema import Dataset, TrainingField

CHECKSUMS = "SHA256SUMS"
CROISSANT = "croissant.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseSettings:
    """What has to be said of a data set.

    Attributes
    ----------
    title : str
    creators : str
        Names, separated by semicolons.
    license : str
        SPDX name, such as "CC-BY-4.0".
    version : str
        Of the data, such as "1.0.0".
    description : str
        What it shows, in a few sentences.
    url : str
        Where it will be found, best a DOI.
    citation : str
        How it is to be cited; "" makes one of creators, year and title.
    """

    title: str
    creators: str
    license: str
    version: str = "1.0.0"
    description: str = ""
    url: str = ""
    citation: str = ""

    def __post_init__(self) -> None:
        needed = {"title": self.title, "creators": self.creators, "licence": self.license}
        for name, value in needed.items():
            if not value.strip():
                raise ValueError(f"{name} must be given: a data set cannot be cited without")

    @property
    def cited_as(self) -> str:
        """How it is to be cited."""
        year = datetime.now(UTC).year
        made = f"{self.creators} ({year}): {self.title}, version {self.version}. {self.url}"
        return self.citation or made.strip()


def write_release(
    folder: str | Path,
    dataset: Dataset,
    settings: ReleaseSettings,
    *,
    on_progress: OnProgress = no_progress,
) -> Path:
    """Write a training set so that others can cite, check and use it.

    Parameters
    ----------
    folder : str or Path
        Must not be there yet; appears whole or not at all.
    dataset : Dataset
    settings : ReleaseSettings
    on_progress : callable
        Told (fields done, fields in all); raising in it leaves nothing behind.

    Returns
    -------
    Path
        The folder: `ROLE/images`, `ROLE/masks`, `ROLE/instances.json` (COCO), `weights`,
        `fields.csv`, `classes.csv`, `README.md` (data sheet), `LICENSE`, `croissant.json`,
        `SHA256SUMS`.

    Raises
    ------
    MismatchError
        There is no field, or one was published under another licence.
    WriteError
        The folder is there already, or cannot be written.
    """
    target = Path(folder)
    _refuse(dataset, settings, target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        half = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    except OSError as error:
        raise WriteError(f"{target} could not be written: {error.strerror or error}") from error
    try:
        _write_planes(half, dataset, on_progress)
        _write_lists(half, dataset, _classes(dataset))
        _write_texts(half, dataset, settings, _classes(dataset))
        write_json(half / CROISSANT, croissant_metadata(half, settings))
        _write_checksums(half)
        half.chmod(0o755)
        half.replace(target)
    except OSError as error:
        raise WriteError(f"{target} could not be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(half, ignore_errors=True)
    return target


def _refuse(dataset: Dataset, settings: ReleaseSettings, target: Path) -> None:
    if not dataset.fields:
        raise MismatchError("the set has no fields: there is nothing to publish")
    if target.exists():
        raise WriteError(f"{target} is there already: choose a new folder")
    foreign = [one for one in dataset.fields if one.license not in ("", settings.license)]
    if foreign:
        named = ", ".join(f"{one.name} ({one.license})" for one in foreign)
        raise MismatchError(
            f"these images came under another licence than {settings.license}: {named}. "
            "Take them out of the set, or publish under a licence that all of them allow"
        )


def _write_planes(half: Path, dataset: Dataset, on_progress: OnProgress) -> None:
    done = 0
    for role in ROLES:
        fields = []
        for one in dataset.of_role(role):
            fields.append(_write_field(half, one))
            done += 1
            on_progress(done, len(dataset.fields))
        if fields:
            export_fields(half / role / "instances.json", fields, "coco")


def _write_field(half: Path, one: TrainingField) -> LabelledField:
    """Write the planes of a field; return its grains for the list of all, without the image."""
    loaded, file = one.load(), f"{one.name}.tif"
    size = one.pixel_size_um
    write_image(half / one.role / "images" / file, loaded.image, pixel_size_um=size)
    write_labels(half / one.role / "masks" / file, loaded.labels, pixel_size_um=size)
    if one.weight:
        (half / "weights").mkdir(exist_ok=True)
        shutil.copyfile(one.folder / one.weight, half / "weights" / f"{one.name}.png")
    return LabelledField(
        labels=loaded.labels,
        name=one.name,
        minerals=one.minerals,
        pixel_size_um=size,
        role=one.role,
    )


def _classes(dataset: Dataset) -> list[str]:
    found = {name for one in dataset.fields for name in one.minerals.values()}
    return [UNNAMED, *sorted(found - {UNNAMED, ""})]


def _write_lists(half: Path, dataset: Dataset, names: list[str]) -> None:
    with (half / "fields.csv").open("w", newline="", encoding="utf8") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["name", "role", "image", "masks", "grains", "median_diameter_px", "pixel_size_um",
             "trusted_pct", "group", "source"]
        )  # fmt: skip
        for one in dataset.fields:
            source = re.split(r"[/\\]", one.source)[-1]  # nobody's folders belong into a release
            rows.writerow(
                [one.name, one.role, f"{one.role}/images/{one.name}.tif",
                 f"{one.role}/masks/{one.name}.tif", one.n_grains, one.diameter_px,
                 one.pixel_size_um or "", one.trusted_pct, one.group, source]
            )  # fmt: skip
    with (half / "classes.csv").open("w", newline="", encoding="utf8") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "name", "formula", "colour"])
        for index, name in enumerate(names, start=1):
            formula = LIBRARY[name].formula if name in LIBRARY else ""
            rows.writerow([index, name, formula, class_color(name)])


def _write_texts(half: Path, dataset: Dataset, settings: ReleaseSettings, names: list[str]) -> None:
    (half / "README.md").write_text(data_sheet(dataset, settings, names), "utf8")
    year = datetime.now(UTC).year
    text = (
        f"{settings.title}\nCopyright (c) {year} {settings.creators}\n\n"
        f"SPDX-License-Identifier: {settings.license}\n"
        f"Full text: https://spdx.org/licenses/{settings.license}.html\n"
    )
    (half / "LICENSE").write_text(text, "utf8")


def data_sheet(dataset: Dataset, settings: ReleaseSettings, names: list[str]) -> str:
    """Return a data sheet in Markdown, after Gebru et al. 2021 (doi 10.1145/3458723).

    What is not known is said to be so: the authors fill it in before they publish.
    """
    fields = dataset.fields
    unknown = "*Not stated: to be filled in by the authors.*"
    rows = [
        f"| {role} | {len(of_role)} | {sum(one.n_grains for one in of_role):,} |"
        for role in ROLES
        if (of_role := dataset.of_role(role))
    ]
    partly = [one.name for one in fields if one.weight]
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
        _makers(fields),
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


def _write_checksums(half: Path) -> None:
    files = sorted(path for path in half.rglob("*") if path.is_file())
    lines = [f"{fingerprint(path)}  {path.relative_to(half).as_posix()}\n" for path in files]
    with (half / CHECKSUMS).open("w", encoding="utf8") as file:
        file.writelines(lines)
        file.flush()
        os.fsync(file.fileno())


def _makers(fields: tuple[TrainingField, ...]) -> str:
    total = sum(one.n_grains for one in fields)
    counts: dict[str, int] = {}
    for one in fields:
        for maker in one.origins.values():
            counts[maker] = counts.get(maker, 0) + 1
    models = sorted({str(one.model["name"]) for one in fields if one.model.get("name")})
    said = ", ".join(f"{count:,} {maker}" for maker, count in sorted(counts.items()))
    rest = total - sum(counts.values())
    first = f"Of {total:,} grains {said or 'none is marked as checked by hand'}"
    by = f" (models: {', '.join(models)})" if models else ""
    return f"{first}; {rest:,} are as a model or another program left them{by}."


def _pixel_sizes(fields: tuple[TrainingField, ...]) -> str:
    known = sorted({one.pixel_size_um for one in fields if one.pixel_size_um > 0})
    if not known:
        return "The pixel size of the images is unknown."
    span = f"{known[0]:.4g}" + (f" to {known[-1]:.4g}" if len(known) > 1 else "")
    without = sum(one.pixel_size_um <= 0 for one in fields)
    return f"Pixels are {span} µm wide" + (f"; {without} fields do not say." if without else ".")


def _unlicensed(fields: tuple[TrainingField, ...]) -> str:
    silent = [one.name for one in fields if not one.license]
    if not silent:
        return "The licence of every image is on record."
    return f"**The source of these fields states no licence; check it: {', '.join(silent)}.**"
