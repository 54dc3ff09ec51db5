"""Label images: Cellpose's `_masks.tif`, OME-TIFF, and PNG with a palette where it can be one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from grainsmith.errors import ReadError, WriteError
from grainsmith.io.exchange.field import LabelledField
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.images.sem_metadata import metadata_of_tiff
from grainsmith.io.labels.label_image import read_labels, write_labels

if TYPE_CHECKING:
    from pathlib import Path

_KEY = "grainsmith"
_PALETTE_LAST = 255
_PNG_LAST = 65535
_GOLDEN = 0.381966
"""Turning by the golden angle gives neighbouring numbers colours far apart."""


def write_masks(path: Path, field: LabelledField) -> None:
    """Write labels as Cellpose, ImageJ and most others read them."""
    write_labels(path, field.labels, pixel_size_um=field.pixel_size_um)


def write_ome(path: Path, field: LabelledField) -> None:
    """Write labels as an OME-TIFF with the pixel size in µm."""
    size = field.pixel_size_um
    scale: dict[str, Any] = {
        "PhysicalSizeX": size,
        "PhysicalSizeY": size,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeYUnit": "µm",
    }
    metadata = {"axes": "YX", "Name": field.name, **(scale if size > 0 else {})}
    largest = field.labels.max(initial=0)
    dtype = np.uint16 if largest <= np.iinfo(np.uint16).max else np.int32
    with atomic_write(path) as temporary:
        tifffile.imwrite(
            temporary, field.labels.astype(dtype), ome=True, compression="zlib", metadata=metadata
        )


def write_label_png(path: Path, field: LabelledField) -> None:
    """Write labels as a PNG: coloured by a palette up to 255, 16-bit grey above.

    Raises
    ------
    WriteError
        A label is above 65535.
    """
    largest = int(field.labels.max(initial=0))
    if largest > _PNG_LAST:
        raise WriteError(
            f"{path}: a PNG holds numbers up to {_PNG_LAST}, the labels go up to {largest}; "
            "renumber the grains, or choose a TIFF format"
        )
    if largest <= _PALETTE_LAST:
        picture = Image.fromarray(field.labels.astype(np.uint8)).convert("P")
        picture.putpalette(_distinct_colours())
    else:
        picture = Image.fromarray(field.labels.astype(np.uint16))
    notes = PngImagePlugin.PngInfo()
    minerals = {str(label): name for label, name in field.minerals.items()}
    facts = {"pixel_size_um": field.pixel_size_um, "minerals": minerals}
    notes.add_text(_KEY, json.dumps(facts))
    with atomic_write(path) as temporary:
        picture.save(temporary, pnginfo=notes)


def read_masks(path: Path) -> LabelledField:
    """Read a label image, TIFF or PNG, with what else its file says."""
    labels = read_labels(path)
    size, minerals = _facts(path, labels.shape)
    name = path.name.split(".")[0]
    for ending in ("_masks", "_labels"):
        name = name.removesuffix(ending)
    return LabelledField(labels=labels, name=name, minerals=minerals, pixel_size_um=size)


def _facts(path: Path, shape: tuple[int, ...]) -> tuple[float, dict[int, str]]:
    if path.suffix.lower() in (".tif", ".tiff"):
        with tifffile.TiffFile(path) as tiff:
            facts = metadata_of_tiff(tiff, path, rows=shape[0], columns=shape[1])
        return facts.pixel_size_um, {}
    with Image.open(path) as picture:
        text = getattr(picture, "text", {}).get(_KEY, "{}")
    try:
        known = json.loads(text)
        minerals = {int(label): str(name) for label, name in known.get("minerals", {}).items()}
        return float(known.get("pixel_size_um", 0.0)), minerals
    except (ValueError, TypeError, AttributeError) as error:
        raise ReadError(f"{path}: its note of pixel size is damaged: {error}") from error


def _distinct_colours() -> list[int]:
    from colorsys import hsv_to_rgb

    colours = [(0, 0, 0)]
    for index in range(1, 256):
        rgb = hsv_to_rgb(index * _GOLDEN % 1, 0.65, (1.0, 0.75)[index % 2])
        colours.append((int(rgb[0] * 255), int(rgb[1] * 255), int(rgb[2] * 255)))
    return [value for colour in colours for value in colour]
