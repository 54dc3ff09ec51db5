"""Label images: Cellpose's `_masks.tif`, OME-TIFF, and PNG (with a palette if possible)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from PIL import Image, PngImagePlugin

from grainsmith.errors import ReadError, WriteError
from grainsmith.io.exchange.field import LabelledField
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import reading
from grainsmith.io.labels.label_image import ome_metadata, read_label_file, write_labels

if TYPE_CHECKING:
    from pathlib import Path

_KEY = "grainsmith"
_MAX_PALETTE = 255
_MAX_PNG = 65535
_GOLDEN = 0.381966
"""Turning by the golden angle gives neighbouring numbers distinct colors."""


def write_masks(path: Path, field: LabelledField) -> None:
    """Write labels for Cellpose, ImageJ and most other programs."""
    write_labels(path, field.labels, pixel_size_um=field.pixel_size_um)


def write_ome(path: Path, field: LabelledField) -> None:
    """Write labels as an OME-TIFF with the pixel size in µm."""
    largest = field.labels.max(initial=0)
    dtype = np.uint16 if largest <= np.iinfo(np.uint16).max else np.int32
    with atomic_write(path) as temporary:
        tifffile.imwrite(
            temporary,
            field.labels.astype(dtype),
            ome=True,
            compression="zlib",
            metadata=ome_metadata(field.pixel_size_um, field.name),
        )


def write_label_png(path: Path, field: LabelledField) -> None:
    """Write labels as a PNG: with a color palette up to 255, 16-bit gray above.

    Raises
    ------
    WriteError
        A label is above 65535.
    """
    largest = int(field.labels.max(initial=0))
    if largest > _MAX_PNG:
        raise WriteError(
            f"{path}: a PNG holds numbers up to {_MAX_PNG}, the labels go up to {largest}. "
            "Renumber the grains, or choose a TIFF format."
        )
    if largest <= _MAX_PALETTE:
        image = Image.fromarray(field.labels.astype(np.uint8)).convert("P")
        image.putpalette(_distinct_colors())
    else:
        image = Image.fromarray(field.labels.astype(np.uint16))
    text = PngImagePlugin.PngInfo()
    minerals = {str(label): name for label, name in field.minerals.items()}
    metadata = {"pixel_size_um": field.pixel_size_um, "minerals": minerals}
    text.add_text(_KEY, json.dumps(metadata))
    with atomic_write(path) as temporary:
        image.save(temporary, pnginfo=text)


def read_masks(path: Path) -> LabelledField:
    """Read a label image with the metadata of its file."""
    content = read_label_file(path)
    size = content.pixel_size_um
    minerals: dict[int, str] = {}
    if path.suffix.lower() == ".png":
        size, minerals = _png_metadata(path)
    name = path.name.split(".")[0]
    for ending in ("_masks", "_labels"):
        name = name.removesuffix(ending)
    return LabelledField(
        labels=content.labels,
        name=name,
        minerals=minerals,
        pixel_size_um=size,
        notes=content.notes,
    )


def _png_metadata(path: Path) -> tuple[float, dict[int, str]]:
    with reading(path, "a label image"), Image.open(path, formats=("PNG",)) as image:
        text = getattr(image, "text", {}).get(_KEY, "{}")
    try:
        metadata = json.loads(text)
        minerals = {int(label): str(name) for label, name in metadata.get("minerals", {}).items()}
        return float(metadata.get("pixel_size_um", 0.0)), minerals
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ReadError(f"{path}: its metadata of Grainsmith is damaged: {error}") from error


def _distinct_colors() -> list[int]:
    from colorsys import hsv_to_rgb

    colors = [(0, 0, 0)]
    for index in range(1, 256):
        rgb = hsv_to_rgb(index * _GOLDEN % 1, 0.65, (1.0, 0.75)[index % 2])
        colors.append((int(rgb[0] * 255), int(rgb[1] * 255), int(rgb[2] * 255)))
    return [value for color in colors for value in color]
