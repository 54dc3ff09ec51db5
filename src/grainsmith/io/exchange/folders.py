"""Folders of a whole set: YOLO segmentation, and image/mask pairs for StarDist and torch-em."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from PIL import Image

from grainsmith.errors import Hint, MismatchError, ReadError, WriteError
from grainsmith.io.exchange.coco import overlap_note
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_names
from grainsmith.io.exchange.masks import read_masks
from grainsmith.io.exchange.outlines import (
    Polygon,
    draw_polygons,
    join_rings,
    parse_ring,
    trace_outlines,
)
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.images.reader import SUFFIXES, read_image, write_image
from grainsmith.io.labels.label_image import write_labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_YOLO_ROLES = {"": "train", "train": "train", "validation": "val", "test": "test"}
_OUR_ROLES = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}


def write_yolo(folder: Path, fields: Sequence[LabelledField]) -> None:
    """Write `images/ROLE/x.png`, `labels/ROLE/x.txt` and `data.yaml`.

    Notes
    -----
    YOLO gives a grain one ring. Holes and further pieces are joined to it by cuts without width, so
    that filling by the even-odd rule gives the very pixels back. Images become 8 bit.

    Raises
    ------
    MismatchError
        A field comes without its image.
    """
    _refuse_without_image(fields, "YOLO")
    _refuse_full(folder)
    names = class_names(fields)
    used = sorted({_YOLO_ROLES[field.role] for field in fields}, reverse=True)
    for field in fields:
        role = _YOLO_ROLES[field.role]
        rows, columns = field.labels.shape
        lines = []
        for label, polygons in trace_outlines(field.labels).items():
            ring = join_rings(polygons)[:, ::-1] / (columns, rows)
            numbers = " ".join(f"{value:.7g}" for value in ring.ravel())
            lines.append(f"{names.index(field.class_of(label))} {numbers}\n")
        with atomic_write(folder / "labels" / role / f"{field.name}.txt") as temporary:
            temporary.write_text("".join(lines), "utf8")
        with atomic_write(folder / "images" / role / f"{field.name}.png") as temporary:
            Image.fromarray(as_8bit(field.image)).save(temporary)
    content: dict[str, Any] = {"path": ".", **{role: f"images/{role}" for role in used}}
    # Ultralytics wants both, also of a set without a split.
    content.setdefault("train", content[used[0]])
    content.setdefault("val", content["train"])
    content["names"] = dict(enumerate(names))
    with atomic_write(folder / "data.yaml") as temporary:
        temporary.write_text(yaml.safe_dump(content, sort_keys=False, allow_unicode=True), "utf8")


def read_yolo(folder: Path) -> list[LabelledField]:
    """Read a YOLO segmentation set; each `labels/**/x.txt` needs its image under `images`.

    Raises
    ------
    ReadError
        `data.yaml`, an image or a line is missing or broken.
    """
    folder = folder.parent if folder.name == "data.yaml" else folder
    try:
        content = yaml.safe_load((folder / "data.yaml").read_text("utf8"))
        named = content["names"]
        names = dict(enumerate(named)) if isinstance(named, list) else dict(named)
    except (OSError, TypeError, KeyError, ValueError, yaml.YAMLError) as error:
        raise ReadError(f"{folder / 'data.yaml'} is no list of YOLO's classes: {error}") from error
    files = sorted((folder / "labels").rglob("*.txt"))
    if not files:
        raise ReadError(f"{folder / 'labels'} holds no .txt of YOLO")
    return [_read_yolo_field(folder, file, names) for file in files]


def write_pairs(folder: Path, fields: Sequence[LabelledField]) -> None:
    """Write `[ROLE/]images/x.tif` and `[ROLE/]masks/x.tif`, as StarDist and torch-em take them.

    Raises
    ------
    MismatchError
        A field comes without its image.
    """
    _refuse_without_image(fields, "StarDist's folder")
    _refuse_full(folder)
    for field in fields:
        place = folder / field.role if field.role else folder
        if field.image is not None:
            write_image(
                place / "images" / f"{field.name}.tif",
                field.image,
                pixel_size_um=field.pixel_size_um,
            )
        write_labels(
            place / "masks" / f"{field.name}.tif", field.labels, pixel_size_um=field.pixel_size_um
        )


def read_pairs(folder: Path) -> list[LabelledField]:
    """Read pairs of `images` and `masks`, with or without folders of roles above them.

    Raises
    ------
    ReadError
        There are no masks, or one has no image.
    MismatchError
        Image and mask differ in size.
    """
    files = sorted(path for path in folder.rglob("masks/*") if path.suffix.lower() in SUFFIXES)
    if not files:
        raise ReadError(f"{folder} holds no masks folder with label images")
    fields = []
    for file in files:
        read = read_masks(file)
        picture = read_image(_picture(file.parent.parent / "images", file.stem))
        if picture.image.shape[:2] != read.labels.shape:
            raise MismatchError(
                f"{file} is {read.labels.shape}, its image {picture.image.shape[:2]} px"
            )
        role = _OUR_ROLES.get(file.parent.parent.name, "")
        fields.append(
            LabelledField(
                labels=read.labels,
                name=file.stem,
                image=picture.image,
                pixel_size_um=read.pixel_size_um or picture.pixel_size_um,
                role=role if file.parent.parent != folder else "",
            )
        )
    return fields


def as_8bit(image: Any) -> np.ndarray:
    """Return an image as uint8; others are stretched between their 0.1 and 99.9 percentiles."""
    pixels = np.asarray(image)
    if pixels.dtype == np.uint8:
        return pixels
    finite = pixels[np.isfinite(pixels)]
    low, high = np.percentile(finite, (0.1, 99.9)) if finite.size else (0.0, 1.0)
    scaled = (np.nan_to_num(pixels.astype(np.float64)) - low) / max(high - low, 1e-12)
    stretched: np.ndarray = (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)
    return stretched


def _read_yolo_field(folder: Path, file: Path, names: dict[Any, Any]) -> LabelledField:
    picture = read_image(
        _picture(folder / "images" / file.relative_to(folder / "labels").parent, file.stem)
    )
    rows, columns = picture.image.shape[:2]
    grains: dict[int, list[Polygon]] = {}
    minerals = {}
    for number, line in enumerate(file.read_text("utf8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            index, *flat = line.split()
            ring = parse_ring(np.reshape([float(value) for value in flat], (-1, 2)))
            name = str(names[int(index)])
        except (ValueError, KeyError) as error:
            raise ReadError(f"{file}, line {number} is no outline of YOLO: {error!r}") from error
        grains[number] = [Polygon(ring * (rows, columns))]
        if name != UNNAMED:
            minerals[number] = name
    labels, overlapping = draw_polygons((rows, columns), grains)
    return LabelledField(
        labels=labels,
        name=file.stem,
        minerals=minerals,
        image=picture.image,
        pixel_size_um=picture.pixel_size_um,
        role=_OUR_ROLES.get(file.parent.name, ""),
        notes=overlap_note(overlapping),
    )


def _picture(folder: Path, stem: str) -> Path:
    for suffix in SUFFIXES:
        if (folder / f"{stem}{suffix}").is_file():
            return folder / f"{stem}{suffix}"
    raise ReadError(f"{folder / stem}: the image of these labels is missing")


def _refuse_without_image(fields: Sequence[LabelledField], what: str) -> None:
    bare = [field.name for field in fields if field.image is None]
    if bare:
        raise MismatchError(
            f"{what} holds images too, but {', '.join(bare)} has none; choose a format of labels "
            "only",
            hint=Hint.GIVE_IMAGE,
        )


def _refuse_full(folder: Path) -> None:
    # Left-over pairs of an earlier export would be trained on unnoticed.
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise WriteError(f"{folder} is there already and not empty: choose a new folder")
