"""A training set as a plain folder: images and masks that Cellpose reads, `dataset.json` beside.

    field.tif            the image, without its data bar
    field_masks.tif      its true grains
    weights/field.png    255 where they are trusted; only where that is not everywhere
    thumbnails/field.png
    dataset.json         all that is known of the fields

Every file is written whole; a field counts from the moment at which `dataset.json` names it.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import asdict, dataclass, field, fields, replace
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
from grainsmith.io.files.atomic_write import atomic_write, fingerprint
from grainsmith.io.files.provenance import read_json, write_json
from grainsmith.io.images.reader import SUFFIXES, write_image
from grainsmith.io.labels.label_image import read_labels, write_labels

if TYPE_CHECKING:
    from grainsmith.io.exchange import LabelledField

MANIFEST = "dataset.json"
THUMBNAIL_PX = 96
_FORMAT = 1
_KEYS = {"license": "licence"}
"""Attributes whose keys in `dataset.json` differ."""

_ATTRIBUTES = {key: attribute for attribute, key in _KEYS.items()}
_RESERVED = re.compile(r"_(masks|flows(_\d)?|cp_output|cellprob|image|seg)$")
_MASKS = ("_masks.tif", "_masks.tiff", "_masks.png")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a field and its grains come from.

    Attributes
    ----------
    source : str
        File of the image.
    pixel_size_source : str
    states : dict of int to str
        State of the grains that have one other than "auto".
    model, settings : dict
        That found the grains first.
    license : str
        Of the image, best as an SPDX name such as "CC-BY-4.0"; "" = not stated.
    group : str
        Specimen or mosaic; its fields are never split between training and validation.
    """

    source: str = ""
    pixel_size_source: str = ""
    states: dict[int, str] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    license: str = ""
    group: str = ""


def read_dataset(folder: str | Path) -> Dataset:
    """Read a training set, ours or any folder of Cellpose's.

    Parameters
    ----------
    folder : str or Path
        With `dataset.json`, or just `x.tif` + `x_masks.tif` or `x_image.*` + `x_masks.tif` (PNG and
        JPEG too). Pairs that `dataset.json` does not name are fields as well, for training.

    Raises
    ------
    ReadError
        The folder is missing, or `dataset.json` is broken or of a later version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ReadError(f"{folder} is no folder: a training set is a folder of images and masks")
    listed = _listed(folder)
    known = {one.labels for one in listed}
    return Dataset(folder=folder, fields=(*listed, *_pairs(folder, known)))


def add_field(
    folder: str | Path,
    new: LabelledField,
    origin: Origin,
    *,
    only_accepted: bool = False,
    region: npt.NDArray[np.bool_] | None = None,
) -> TrainingField:
    """Add a field to a training set, or bring it up to date where its image is in it already.

    Parameters
    ----------
    folder : str or Path
        Made where it is missing.
    new : LabelledField
        With its image, both without the data bar. Its role is kept; "" is the role that the
        image had, or "train".
    origin : Origin
    only_accepted : bool
        Trust accepted grains only; all else is not learnt from.
    region : (Y, X) bool array, optional
        Trust nothing outside it.

    Returns
    -------
    TrainingField
        As it is now in the set.

    Raises
    ------
    MismatchError
        There is no image, or nothing in it is trusted.
    WriteError
        The folder cannot be written; the set is as it was.
    """
    folder = Path(folder)
    if new.image is None:
        raise MismatchError(f"'{new.name}' has no image: nothing can be learnt from labels alone")
    if region is not None and region.shape != new.labels.shape:
        raise ValueError(f"region must be {new.labels.shape}, got {region.shape}")
    labels, trust = select_trusted(
        new.labels, origin.states, only_accepted=only_accepted, region=region
    )
    if not trust.any() or (only_accepted and not labels.any()):
        raise MismatchError(f"nothing of '{new.name}' is trusted", hint=Hint.ACCEPT_GRAINS)
    present = read_dataset(folder) if folder.is_dir() else Dataset(folder=folder)
    digest = _digest(new.image)
    old = next((one for one in present.fields if one.sha256.get("pixels") == digest), None)
    name = old.name if old else _free_name(new.name, folder, present)
    made = _write_planes(folder, name, new, labels, trust)
    added = replace(
        made,
        role=new.role or (old.role if old else "train"),
        group=origin.group or (old.group if old else ""),
        pixel_size_source=origin.pixel_size_source,
        source=origin.source,
        license=origin.license,
        added=datetime.now(UTC).isoformat(timespec="seconds"),
        origins={k: v for k, v in origin.states.items() if v != "auto" and (labels == k).any()},
        minerals={k: v for k, v in new.minerals.items() if (labels == k).any()},
        model=origin.model,
        settings=origin.settings,
        sha256={**made.sha256, "pixels": digest},
    )
    others = [added if one is old else one for one in present.fields]
    _write(folder, others if old else [*others, added])
    if old and old.weight and not added.weight:
        (folder / old.weight).unlink(missing_ok=True)
    return added


def set_roles(folder: str | Path, roles: dict[str, str]) -> Dataset:
    """Give fields another role, by name; the rest keep theirs."""
    present = read_dataset(folder)
    unknown = set(roles) - {one.name for one in present.fields}
    if unknown or set(roles.values()) - set(ROLES):
        raise ValueError(f"unknown fields {sorted(unknown)} or roles {sorted(roles.values())}")
    _write(
        present.folder,
        [replace(one, role=roles.get(one.name, one.role)) for one in present.fields],
    )
    return read_dataset(folder)


def remove_field(folder: str | Path, name: str) -> Dataset:
    """Take a field out of the set: its files go to the folder `removed` in it, none is deleted."""
    present = read_dataset(folder)
    gone = present[name]
    _write(present.folder, [one for one in present.fields if one is not gone])
    target = present.folder / "removed"
    for file in (gone.image, gone.labels, gone.weight):
        if file:
            try:
                target.mkdir(exist_ok=True)
                (present.folder / file).replace(target / Path(file).name)
            except OSError as error:
                raise WriteError(f"{file} could not be put away: {error.strerror}") from error
    gone.thumbnail.unlink(missing_ok=True)
    return read_dataset(folder)


def make_thumbnail(image: Any) -> Image.Image:
    """Return a small grey or colour image, at most 96 px on its longer side."""
    picture = Image.fromarray(as_8bit(image))
    picture.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    return picture


# --- how


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
    names = {one.name for one in fields(TrainingField)} - {"folder"}
    try:
        return [
            TrainingField(
                folder=folder,
                **{
                    name: _read_value(name, value)
                    for key, value in one.items()
                    if (name := _ATTRIBUTES.get(key, key)) in names
                },
            )
            for one in content["fields"]
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(f"{path} is damaged: {error!r}") from error


def _read_value(key: str, value: Any) -> Any:
    if key in ("origins", "minerals"):
        return {int(label): text for label, text in value.items()}
    if key in ("image", "labels", "weight") and Path(value).is_absolute() | (".." in value):
        raise ValueError(f"{value} lies outside the folder")
    return value


def _pairs(folder: Path, known: set[str]) -> list[TrainingField]:
    """Return the pairs that nobody has listed, as Cellpose would find them."""
    found = []
    for masks in sorted(folder.iterdir()):
        ending = next((one for one in _MASKS if masks.name.lower().endswith(one)), "")
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
            found.append(
                TrainingField(
                    folder=folder,
                    name=stem,
                    image=image,
                    labels=masks.name,
                    **_facts_of_file(masks),
                )
            )
    return found


def _facts_of_file(masks: Path) -> dict[str, Any]:
    try:
        return grain_summary(read_labels(masks))
    except ReadError:  # `find_problems` says so; one bad file must not hide the rest
        return {}


def _write(folder: Path, present: list[TrainingField]) -> None:
    entries = []
    for one in present:
        values = asdict(one)
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
    image = np.asarray(new.image)
    weight = "" if trust.all() else f"weights/{name}.png"
    made = TrainingField(
        folder=folder,
        name=name,
        image=f"{name}.tif",
        labels=f"{name}_masks.tif",
        weight=weight,
        pixel_size_um=new.pixel_size_um,
        trusted_pct=round(100 * float(trust.mean()), 2),
        **grain_summary(labels),
    )
    write_image(
        folder / made.image,
        image.astype(np.uint8) if image.dtype == bool else image,
        pixel_size_um=new.pixel_size_um,
    )
    write_labels(folder / made.labels, labels, pixel_size_um=new.pixel_size_um)
    if weight:
        with atomic_write(folder / weight) as temporary:
            Image.fromarray(np.where(trust, 255, 0).astype(np.uint8)).save(temporary)
    with atomic_write(made.thumbnail) as temporary:
        make_thumbnail(image).save(temporary)
    files = [file for file in (made.image, made.labels, weight) if file]
    return replace(made, sha256={file: fingerprint(folder / file) for file in files})


def grain_summary(labels: npt.NDArray[np.int32]) -> dict[str, Any]:
    """Return number and median equivalent circular diameter (px) of grains."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    diameter = float(np.median(2 * np.sqrt(areas / np.pi))) if len(areas) else 0.0
    return {"n_grains": len(areas), "diameter_px": round(diameter, 2)}


def _free_name(wanted: str, folder: Path, present: Dataset) -> str:
    stem = re.sub(r"[^\w.+-]+", "_", wanted).strip("._") or "field"
    # Cellpose takes such endings for masks, and "x_image" for the image of "x".
    if _RESERVED.search(stem):
        stem = f"{_RESERVED.sub('', stem)}_field"
    taken = {one.name.lower() for one in present.fields}
    name, number = stem, 2
    while name.lower() in taken or (folder / f"{name}.tif").exists():
        name, number = f"{stem}-{number}", number + 1
    return name


def _digest(image: Any) -> str:
    pixels = np.ascontiguousarray(image)
    head = f"{pixels.dtype.str}{pixels.shape}".encode()
    return hashlib.sha256(head + pixels.tobytes()).hexdigest()
