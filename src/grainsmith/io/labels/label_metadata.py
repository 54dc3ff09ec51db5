"""Metadata of a label file: pixel size, data bar, removed edge grains, source and notes.

A TIFF holds them as JSON in a private tag; labels of earlier versions have them in the JSON that
`segment` wrote beside them.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import tifffile
from PIL import Image

from grainsmith.io.files.integrity import reading
from grainsmith.io.images.sem_metadata import metadata_of_tiff

_TAG = 65074
"""Code from the range of TIFF tags for private use."""
_PNG_KEY = "grainsmith"
_TIFF_SUFFIXES = (".tif", ".tiff")


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelMetadata:
    """What a label file says about its field.

    Attributes
    ----------
    pixel_size_um : float
        Side of a pixel in µm; 0 = unknown.
    pixel_size_source : str
        Origin of the pixel size.
    data_bar_rows : int
        Rows at the bottom that are not part of the field.
    edge_grains_removed : bool
        Whether grains that touch the edge of the field have been removed.
    source : str
        Image on which the grains were drawn.
    notes : tuple of str
        Assumptions and conversions of the readers of that image.
    """

    pixel_size_um: float = 0.0
    pixel_size_source: str = ""
    data_bar_rows: int = 0
    edge_grains_removed: bool = False
    source: str = ""
    notes: tuple[str, ...] = ()


def tiff_tags(metadata: LabelMetadata) -> list[tuple[int, str, int, bytes, bool]]:
    """Return the extra tags by which a TIFF holds the metadata."""
    content = {key: value for key, value in asdict(metadata).items() if value}
    return [(_TAG, "s", 0, json.dumps(content).encode("ascii"), True)] if content else []


def read_label_metadata(path: str | Path) -> LabelMetadata:
    """Read the metadata of a label file; what it does not say keeps its default.

    Raises
    ------
    ReadError
        The file cannot be read, or its metadata are damaged.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*_TIFF_SUFFIXES, ".png"):
        return LabelMetadata()
    with reading(path, "a label image"):
        if suffix == ".png":
            return _from_png(path)
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            tag = page.tags.get(_TAG)
            if tag is not None:
                return _from_json(json.loads(tag.value))
            metadata = metadata_of_tiff(tiff, path, rows=page.imagelength, columns=page.imagewidth)
    beside = _from_sidecar(path.with_suffix(".json"))
    if beside is not None:
        return beside
    return LabelMetadata(pixel_size_um=metadata.pixel_size_um, pixel_size_source=metadata.source)


def _from_png(path: Path) -> LabelMetadata:
    with Image.open(path, formats=("PNG",)) as image:
        text = getattr(image, "text", {}).get(_PNG_KEY, "{}")
    return _from_json(json.loads(text))


def _from_sidecar(path: Path) -> LabelMetadata | None:
    """Return the metadata from the JSON that `segment` writes beside its labels."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or not {"provenance", "data_bar_rows"} <= content.keys():
        return None
    return _from_json({**content, "source": content.get("image", "")})


def _from_json(content: Any) -> LabelMetadata:
    if not isinstance(content, dict):
        raise ValueError(f"its metadata must be a JSON object, got a {type(content).__name__}")
    size, rows = content.get("pixel_size_um") or 0.0, content.get("data_bar_rows") or 0
    notes = content.get("notes") or ()
    if (
        not isinstance(size, int | float)
        or not math.isfinite(size)
        or size < 0
        or type(rows) is not int
        or rows < 0
        or not isinstance(notes, list | tuple)
    ):
        raise ValueError(f"its metadata have no valid pixel size, data bar or notes: {content}")
    return LabelMetadata(
        pixel_size_um=float(size),
        pixel_size_source=str(content.get("pixel_size_source", "")),
        data_bar_rows=rows,
        edge_grains_removed=content.get("edge_grains_removed") is True,
        source=str(content.get("source", "")),
        notes=tuple(map(str, notes)),
    )
