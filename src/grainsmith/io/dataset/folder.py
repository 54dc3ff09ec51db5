"""A training set as a folder of images and masks that Cellpose reads, and `dataset.json`.

    field.tif            image without its data bar
    field_masks.tif      ground truth
    weights/field.png    255 where pixels are trusted; missing if all are
    thumbnails/field.png
    dataset.json         metadata of all fields, with the SHA-256 of their files

A field is written to the folder `.update`, then `dataset.json` is replaced, then the files are
moved to their places. After a crash, the next access discards the files of an update that
`dataset.json` does not list, and moves those that it does list.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from grainsmith.errors import Hint, MismatchError, ReadError, WriteError
from grainsmith.io.dataset.schema import ROLES, Dataset, TrainingField
from grainsmith.io.dataset.weights import select_trusted
from grainsmith.io.exchange.folders import as_8bit
from grainsmith.io.files.atomic_write import atomic_write, fingerprint, os_error_reason
from grainsmith.io.files.locks import exclusive_lock
from grainsmith.io.files.provenance import read_json, write_json
from grainsmith.io.images.reader import SUFFIXES, write_image
from grainsmith.io.labels.label_image import read_label_file, write_labels

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from grainsmith.io.exchange import LabelledField

MANIFEST = "dataset.json"
THUMBNAIL_PX = 96
_FORMAT = 1
_KEYS = {"license": "licence"}
"""Attributes with other keys in `dataset.json`."""

_UPDATE = ".update"
_LOCK = ".lock"
_LOCK_TIMEOUT_S = 60.0

_ATTRIBUTES = {key: attribute for attribute, key in _KEYS.items()}
_RESERVED = re.compile(r"_(masks|flows(_\d)?|cp_output|cellprob|image|seg)$")
_MASKS = ("_masks.tif", "_masks.tiff", "_masks.png")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Origin of a field and its grains.

    Attributes
    ----------
    source : str
        File of the image.
    pixel_size_source : str
    states : dict of int to str
        State of the grains; missing ones are "auto".
    model, settings : dict
        Model and settings of the first segmentation.
    license : str
        Licence of the image, ideally an SPDX name such as "CC-BY-4.0"; "" = not stated.
    group : str
        Specimen or mosaic, whose fields are never split between training and validation.
    """

    source: str = ""
    pixel_size_source: str = ""
    states: dict[int, str] = dataclasses.field(default_factory=dict)
    model: dict[str, Any] = dataclasses.field(default_factory=dict)
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)
    license: str = ""
    group: str = ""


def read_dataset(folder: str | Path) -> Dataset:
    """Read a training set of Grainsmith, or any folder of Cellpose.

    Parameters
    ----------
    folder : str or Path
        With `dataset.json`, or with pairs `x.tif` + `x_masks.tif` or `x_image.*` + `x_masks.tif`
        (PNG and JPEG too). Pairs that `dataset.json` does not list are fields for training.

    Raises
    ------
    ReadError
        The folder is missing, or `dataset.json` is damaged or of a later version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReadError(f"{folder} is not a folder: a training set is a folder of images and masks")
    if (folder / _UPDATE).is_dir():
        with suppress(WriteError), _lock(folder, timeout_s=0.0):
            _finish_update(folder)
    return _read(folder)


def add_field(
    folder: str | Path,
    new: LabelledField,
    origin: Origin,
    *,
    only_accepted: bool = False,
    region: npt.NDArray[np.bool_] | None = None,
) -> TrainingField:
    """Add a field to a training set, or update it if its image is in the set.

    Parameters
    ----------
    folder : str or Path
        Created if it is missing.
    new : LabelledField
        With its image, both without the data bar. Its role "" means the role of the field that is
        updated, else "train".
    origin : Origin
    only_accepted : bool
        Trust accepted grains only.
    region : (Y, X) bool array, optional
        Trust nothing outside this region.

    Returns
    -------
    TrainingField
        The field in the set.

    Raises
    ------
    MismatchError
        The field has no image, or nothing in it is trusted.
    WriteError
        The folder cannot be written, or another program is writing; the set is unchanged.
    """
    folder = Path(folder)
    if new.image is None:
        raise MismatchError(f"'{new.name}' has no image: training needs an image")
    if region is not None and region.shape != new.labels.shape:
        raise ValueError(f"region must be {new.labels.shape}, got {region.shape}")
    labels, trust = select_trusted(
        new.labels, origin.states, only_accepted=only_accepted, region=region
    )
    if not trust.any() or (only_accepted and not labels.any()):
        raise MismatchError(f"nothing of '{new.name}' is trusted", hint=Hint.ACCEPT_GRAINS)
    digest = _digest(new.image)
    with _lock(folder):
        _finish_update(folder)
        dataset = _read(folder)
        old = next((item for item in dataset.fields if item.sha256.get("pixels") == digest), None)
        name = old.name if old else _free_name(new.name, folder, dataset)
        try:
            written = _write_planes(folder, name, new, labels, trust)
            added = _with_origin(written, new, origin, old, labels, digest)
            fields = [added if item is old else item for item in dataset.fields]
            _write_manifest(folder, fields if old else [*fields, added])
        except BaseException:
            shutil.rmtree(folder / _UPDATE, ignore_errors=True)
            raise
        _finish_update(folder)
        if old and old.weight and not added.weight:
            (folder / old.weight).unlink(missing_ok=True)
    return added


def _with_origin(
    written: TrainingField,
    new: LabelledField,
    origin: Origin,
    old: TrainingField | None,
    labels: npt.NDArray[np.int32],
    digest: str,
) -> TrainingField:
    grain_ids = set(np.unique(labels).tolist())
    return replace(
        written,
        role=new.role or (old.role if old else "train"),
        group=origin.group or (old.group if old else ""),
        pixel_size_source=origin.pixel_size_source,
        source=origin.source,
        license=origin.license,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        origins={k: v for k, v in origin.states.items() if v != "auto" and k in grain_ids},
        minerals={k: v for k, v in new.minerals.items() if k in grain_ids},
        model=origin.model,
        settings=origin.settings,
        sha256={**written.sha256, "pixels": digest},
    )


def set_roles(folder: str | Path, roles: dict[str, str]) -> Dataset:
    """Set the roles of fields by name; the others keep theirs."""
    folder = read_dataset(folder).folder
    with _lock(folder):
        dataset = _read(folder)
        unknown = set(roles) - {item.name for item in dataset.fields}
        if unknown or set(roles.values()) - set(ROLES):
            raise ValueError(f"unknown fields {sorted(unknown)} or roles {sorted(roles.values())}")
        fields = [replace(item, role=roles.get(item.name, item.role)) for item in dataset.fields]
        _write_manifest(folder, fields)
    return read_dataset(folder)


def remove_field(folder: str | Path, name: str) -> Dataset:
    """Remove a field from the set; its files are moved to the folder `removed`, not deleted."""
    folder = read_dataset(folder).folder
    with _lock(folder):
        dataset = _read(folder)
        removed = dataset[name]
        _write_manifest(folder, [item for item in dataset.fields if item is not removed])
        for file in filter(None, (removed.image, removed.labels, removed.weight)):
            try:
                _move(folder / file, folder / "removed" / Path(file).name)
            except OSError as error:
                raise WriteError(f"{file} could not be moved: {error.strerror}") from error
        removed.thumbnail.unlink(missing_ok=True)
    return read_dataset(folder)


def make_thumbnail(image: Any) -> Image.Image:
    """Return a small gray or color image, at most 96 px on its longer side."""
    thumbnail = Image.fromarray(as_8bit(image))
    thumbnail.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return thumbnail


# --- updates


def _lock(folder: Path, timeout_s: float = _LOCK_TIMEOUT_S) -> AbstractContextManager[None]:
    busy = WriteError(f"another program is writing into {folder}: try again when it is done")
    return exclusive_lock(folder / _LOCK, busy=busy, timeout_s=timeout_s)


def _finish_update(folder: Path) -> None:
    """Move the files of an update that the manifest lists to their places; discard others."""
    update = folder / _UPDATE
    if not update.is_dir():
        return
    expected = {
        file: sha256 for item in _listed(folder) for file, sha256 in item.sha256.items()
    } | {f"thumbnails/{item.name}.png": "" for item in _listed(folder)}
    try:
        for path in sorted(update.rglob("*")):
            file = path.relative_to(update).as_posix()
            # The thumbnails have no fingerprint; they are written before any listed file.
            if path.is_file() and expected.get(file) in ("", fingerprint(path)):
                _move(path, folder / file)
        shutil.rmtree(update)
    except OSError as error:
        raise WriteError(f"{folder} cannot be written: {os_error_reason(error)}") from error


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)


# --- manifest and files


def _read(folder: Path) -> Dataset:
    listed = _listed(folder)
    known = {item.labels for item in listed}
    return Dataset(folder=folder, fields=(*listed, *_pairs(folder, known)))


def _listed(folder: Path) -> list[TrainingField]:
    path = folder / MANIFEST
    if not path.is_file():
        return []
    content = read_json(path)
    if content.get("format") != _FORMAT:
        raise ReadError(
            f"{path} has format {content.get('format')!r}, this version reads {_FORMAT}: "
            "update Grainsmith"
        )
    names = {item.name for item in dataclasses.fields(TrainingField)} - {"folder"}
    try:
        return [
            TrainingField(
                folder=folder,
                **{
                    name: _read_value(name, value)
                    for key, value in entry.items()
                    if (name := _ATTRIBUTES.get(key, key)) in names
                },
            )
            for entry in content["fields"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(f"{path} is damaged: {error!r}") from error


def _read_value(key: str, value: Any) -> Any:
    if key in ("origins", "minerals"):
        return {int(label): text for label, text in value.items()}
    return value


def _pairs(folder: Path, known: set[str]) -> list[TrainingField]:
    """Return the pairs that are not listed, as Cellpose would find them."""
    pairs = []
    for masks in sorted(folder.iterdir()) if folder.is_dir() else ():
        ending = next((end for end in _MASKS if masks.name.lower().endswith(end)), "")
        if not ending or masks.name in known or masks.name.startswith("."):
            continue
        stem = masks.name[: -len(ending)]
        image = next(
            (
                f"{stem}{middle}{suffix}"
                for middle in ("", "_image", "_img")
                for suffix in SUFFIXES
                if (folder / f"{stem}{middle}{suffix}").is_file()
            ),
            "",
        )
        if image:
            pairs.append(
                TrainingField(
                    folder=folder,
                    name=stem,
                    image=image,
                    labels=masks.name,
                    **_summary_of_file(masks),
                )
            )
    return pairs


def _summary_of_file(masks: Path) -> dict[str, Any]:
    try:
        return grain_summary(read_label_file(masks, split=False).labels)
    except ReadError:  # reported by `find_problems`; one bad file must not hide the others
        return {}


def _write_manifest(folder: Path, fields: list[TrainingField]) -> None:
    entries = []
    for item in fields:
        values = dataclasses.asdict(item)
        del values["folder"]
        entries.append({_KEYS.get(name, name): value for name, value in values.items()})
    write_json(folder / MANIFEST, {"format": _FORMAT, "fields": entries})


def _write_planes(
    folder: Path,
    name: str,
    new: LabelledField,
    labels: npt.NDArray[np.int32],
    trust: npt.NDArray[np.bool_],
) -> TrainingField:
    """Write the files of a field to the folder of updates."""
    image, update = np.asarray(new.image), folder / _UPDATE
    weight = "" if trust.all() else f"weights/{name}.png"
    field = TrainingField(
        folder=folder,
        name=name,
        image=f"{name}.tif",
        labels=f"{name}_masks.tif",
        weight=weight,
        pixel_size_um=new.pixel_size_um,
        trusted_pct=round(100 * float(trust.mean()), 2),
        **grain_summary(labels),
    )
    with atomic_write(update / "thumbnails" / f"{name}.png") as temporary:
        make_thumbnail(image).save(temporary)
    write_image(
        update / field.image,
        image.astype(np.uint8) if image.dtype == bool else image,
        pixel_size_um=new.pixel_size_um,
    )
    write_labels(update / field.labels, labels, pixel_size_um=new.pixel_size_um)
    if weight:
        with atomic_write(update / weight) as temporary:
            Image.fromarray(np.where(trust, 255, 0).astype(np.uint8)).save(temporary)
    files = [file for file in (field.image, field.labels, weight) if file]
    return replace(field, sha256={file: fingerprint(update / file) for file in files})


def grain_summary(labels: npt.NDArray[np.int32]) -> dict[str, Any]:
    """Return the number and the median equivalent circular diameter (px) of grains."""
    # Not `bincount`: one grain numbered 2147483647 would need 16 GB.
    grain_ids, areas = np.unique(labels, return_counts=True)
    areas = areas[grain_ids > 0]
    diameter = float(np.median(2 * np.sqrt(areas / np.pi))) if len(areas) else 0.0
    return {"n_grains": len(areas), "diameter_px": round(diameter, 2)}


def _free_name(wanted: str, folder: Path, dataset: Dataset) -> str:
    stem = re.sub(r"[^\w.+-]+", "_", wanted).strip("._") or "field"
    # Cellpose reads files with such endings as masks, and "x_image" as the image of "x".
    if _RESERVED.search(stem):
        stem = f"{_RESERVED.sub('', stem)}_field"
    taken = {item.name.lower() for item in dataset.fields}
    name, number = stem, 2
    while name.lower() in taken or (folder / f"{name}.tif").exists():
        name, number = f"{stem}-{number}", number + 1
    return name


def _digest(image: Any) -> str:
    pixels = np.ascontiguousarray(image)
    head = f"{pixels.dtype.str}{pixels.shape}".encode()
    return hashlib.sha256(head + pixels.tobytes()).hexdigest()
