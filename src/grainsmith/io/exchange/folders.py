"""Folders of a whole set: YOLO segmentation, and image-mask pairs for StarDist and torch-em."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import yaml
from PIL import Image

from grainsmith.errors import Hint, MismatchError, ReadError
from grainsmith.io.exchange.drawing import OutlineReader
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_names
from grainsmith.io.exchange.masks import read_masks
from grainsmith.io.exchange.outlines import Polygon, join_rings, parse_ring, trace_outlines
from grainsmith.io.files.atomic_write import atomic_folder
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import check_coordinates, read_text, read_yaml
from grainsmith.io.images.reader import SUFFIXES, read_image, write_image
from grainsmith.io.labels.label_image import write_labels

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_YOLO_ROLES = {"": "train", "train": "train", "validation": "val", "test": "test"}
_ROLES = {"train": "train", "val": "validation", "valid": "validation"} | {
    "validation": "validation",
    "test": "test",
}
_CLASS_FILE = "classes.txt"
_DATA_FILES = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_BOX_NUMBERS = 4


def write_yolo(folder: Path, fields: Sequence[LabelledField]) -> None:
    """Write `images/ROLE/x.png`, `labels/ROLE/x.txt` and `data.yaml`.

    Notes
    -----
    YOLO stores one ring per grain. Holes and further pieces are joined to it by cuts of zero width,
    so that filling by the even-odd rule restores the exact pixels. Images are converted to 8 bit.

    Raises
    ------
    MismatchError
        A field has no image.
    WriteError
        The folder exists and is not empty, or cannot be written; nothing of it is left behind.
    """
    _require_images(fields, "YOLO")
    names = class_names(fields)
    used = sorted({_YOLO_ROLES[field.role] for field in fields}, reverse=True)
    with atomic_folder(folder) as temporary:
        for field in fields:
            _write_yolo_field(temporary, field, names)
        content: dict[str, Any] = {"path": ".", **{role: f"images/{role}" for role in used}}
        # Ultralytics requires both, even for a set without a split.
        content.setdefault("train", content[used[0]])
        content.setdefault("val", content["train"])
        content["names"] = dict(enumerate(names))
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        (temporary / "data.yaml").write_text(text, "utf8")


def read_yolo(folder: Path) -> list[LabelledField]:
    """Read a YOLO segmentation set.

    Parameters
    ----------
    folder : Path
        Holds `labels/ROLE/x.txt` with `images/ROLE/x.*`, or `ROLE/labels/x.txt` with
        `ROLE/images/x.*`. The names of the classes are in `data.yaml`, `dataset.yaml` or
        `classes.txt`; without one of these, the grains stay unnamed.

    Raises
    ------
    ReadError
        There are no labels, or an image or a file is missing or damaged.
    """
    if not folder.exists():
        raise ReadError(f"{folder} does not exist")
    folder = folder if folder.is_dir() else folder.parent
    with reading(folder, "a YOLO set"):
        names = _class_names(folder)
        files = [
            file
            for file in sorted(folder.rglob("*.txt"))
            if file.name != _CLASS_FILE and "labels" in _folders(file, folder)
        ]
        if not files:
            raise ReadError(f"{folder} holds no folder 'labels' with .txt of YOLO")
        return [_read_yolo_field(folder, file, names) for file in files]


def is_yolo(folder: Path) -> bool:
    """Return whether a folder looks like a YOLO set."""
    has_data_file = any((folder / name).is_file() for name in _DATA_FILES)
    return has_data_file or any(folder.rglob("labels/**/*.txt"))


def write_pairs(folder: Path, fields: Sequence[LabelledField]) -> None:
    """Write `[ROLE/]images/x.tif` and `[ROLE/]masks/x.tif` for StarDist and torch-em.

    Raises
    ------
    MismatchError
        A field has no image.
    WriteError
        The folder exists and is not empty, or cannot be written; nothing of it is left behind.
    """
    _require_images(fields, "StarDist's folder")
    with atomic_folder(folder) as temporary:
        for field in fields:
            parent = temporary / field.role if field.role else temporary
            size = field.pixel_size_um
            if field.image is not None:
                path = parent / "images" / f"{field.name}.tif"
                write_image(path, field.image, pixel_size_um=size)
            write_labels(parent / "masks" / f"{field.name}.tif", field.labels, pixel_size_um=size)


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
        masks = read_masks(file)
        image = read_image(_image_path(file.parent.parent / "images", file.stem))
        if image.image.shape[:2] != masks.labels.shape:
            raise MismatchError(
                f"{file} is {masks.labels.shape}, its image {image.image.shape[:2]} px"
            )
        role = _ROLES.get(file.parent.parent.name, "")
        fields.append(
            LabelledField(
                labels=masks.labels,
                name=file.stem,
                image=image.image,
                pixel_size_um=masks.pixel_size_um or image.pixel_size_um,
                role=role if file.parent.parent != folder else "",
                notes=masks.notes,
            )
        )
    return fields


def as_8bit(image: Any) -> np.ndarray:
    """Convert an image to uint8; other types are stretched from the 0.1 to the 99.9 percentile."""
    pixels = np.asarray(image)
    if pixels.dtype == np.uint8:
        return pixels
    finite = pixels[np.isfinite(pixels)]
    low, high = np.percentile(finite, (0.1, 99.9)) if finite.size else (0.0, 1.0)
    scaled = (np.nan_to_num(pixels.astype(np.float64)) - low) / max(high - low, 1e-12)
    stretched: np.ndarray = (np.clip(scaled, 0, 1) * 255).round().astype(np.uint8)
    return stretched


# --- YOLO


def _write_yolo_field(folder: Path, field: LabelledField, names: list[str]) -> None:
    role = _YOLO_ROLES[field.role]
    rows, columns = field.labels.shape
    lines = []
    for label, polygons in trace_outlines(field.labels).items():
        ring = join_rings(polygons)[:, ::-1] / (columns, rows)
        numbers = " ".join(f"{value:.7g}" for value in ring.ravel())
        lines.append(f"{names.index(field.class_of(label))} {numbers}\n")
    for part in ("labels", "images"):
        (folder / part / role).mkdir(parents=True, exist_ok=True)
    (folder / "labels" / role / f"{field.name}.txt").write_text("".join(lines), "utf8")
    Image.fromarray(as_8bit(field.image)).save(folder / "images" / role / f"{field.name}.png")


def _folders(file: Path, root: Path) -> tuple[str, ...]:
    return tuple(part.lower() for part in file.relative_to(root).parts[:-1])


def _class_names(folder: Path) -> dict[int, str]:
    data_file = next((folder / name for name in _DATA_FILES if (folder / name).is_file()), None)
    if data_file is not None:
        content = read_yaml(data_file)
        names = content.get("names") if isinstance(content, dict) else None
        if isinstance(names, list):
            return {index: str(name) for index, name in enumerate(names)}
        if isinstance(names, dict):
            return {int(index): str(name) for index, name in names.items()}
        raise ReadError(f"{data_file} holds no list 'names' of classes")
    class_file = next(iter(sorted(folder.rglob(_CLASS_FILE))), None)
    lines = read_text(class_file).splitlines() if class_file else []
    return {index: line.strip() for index, line in enumerate(lines)}


def _read_yolo_field(folder: Path, file: Path, names: dict[int, str]) -> LabelledField:
    parts = list(file.relative_to(folder).parts[:-1])
    position = max(i for i, part in enumerate(parts) if part.lower() == "labels")
    images = folder.joinpath(*parts[:position], "images", *parts[position + 1 :])
    image = read_image(_image_path(images, file.stem))
    shape = (image.image.shape[0], image.image.shape[1])
    outlines = OutlineReader(file)
    for number, line in enumerate(read_text(file).splitlines(), start=1):
        words = line.split()
        if len(words) == 1 + _BOX_NUMBERS:
            outlines.leave_out("box(es) without an outline")
        elif words:
            name = _class_name(words[0], names)
            outlines.add(
                lambda: _yolo_polygons(words[1:], shape),  # noqa: B023  (called at once)
                label=number,
                mineral="" if name == UNNAMED else name,
            )
    labels, minerals, notes = outlines.draw(shape, regions=False)
    roles = [_ROLES[part] for part in parts if part in _ROLES]
    return LabelledField(
        labels=labels,
        name=file.stem,
        minerals=minerals,
        image=image.image,
        pixel_size_um=image.pixel_size_um,
        role=roles[-1] if roles else "",
        notes=notes,
    )


def _class_name(word: str, names: dict[int, str]) -> str:
    if not word.isdecimal():
        return UNNAMED
    return names.get(int(word), f"class {word}" if names else UNNAMED)


def _yolo_polygons(words: list[str], shape: tuple[int, int]) -> list[Polygon]:
    numbers = [float(word) for word in words]
    if len(numbers) % 2:  # predictions end with their confidence
        numbers = numbers[:-1]
    ring = parse_ring(np.reshape(numbers, (-1, 2))) * shape
    return [Polygon(check_coordinates(ring))]


def _image_path(folder: Path, stem: str) -> Path:
    """Return the image of a stem, whatever the case of its suffix."""
    files = sorted(folder.glob("*")) if folder.is_dir() else []
    for file in files:
        if file.stem == stem and file.suffix.lower() in SUFFIXES:
            return file
    raise ReadError(f"{folder / stem}: the image of these labels is missing")


def _require_images(fields: Sequence[LabelledField], what: str) -> None:
    missing = [field.name for field in fields if field.image is None]
    if missing:
        raise MismatchError(
            f"{what} holds images too, but {', '.join(missing)} has none; choose a format of "
            "labels only",
            hint=Hint.GIVE_IMAGE,
        )
