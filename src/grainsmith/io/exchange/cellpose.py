"""Cellpose's `_seg.npy`, the file of its window: a pickle, read without executing it."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.segmentation import find_boundaries, relabel_sequential

from grainsmith.errors import Hint, ReadError
from grainsmith.io.exchange.field import LabelledField
from grainsmith.io.exchange.plain_pickle import load_plain
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import MAX_LABEL, is_label

if TYPE_CHECKING:
    from pathlib import Path

_OURS = "grainsmith"


def write_seg(path: Path, field: LabelledField) -> None:
    """Write grains as the window of Cellpose (4.2) saves them.

    Cellpose numbers masks 1..n without gaps, so the labels are renumbered. The original numbers and
    the minerals are stored under a key of our own, which Cellpose ignores.
    """
    masks, _, _ = relabel_sequential(field.labels)
    dtype = np.uint16 if masks.max(initial=0) < np.iinfo(np.uint16).max else np.uint32
    content: dict[str, Any] = {
        "masks": masks.astype(dtype),
        "outlines": (masks * find_boundaries(masks, mode="inner")).astype(dtype),
        "chan_choose": [0, 0],
        "ismanual": np.zeros(int(masks.max(initial=0)), bool),
        # Cellpose looks for an image of this name in the folder of the file.
        "filename": f"{field.name}.tif",
        "flows": [[], [], [], [], [[]]],
        "diameter": np.nan,
        _OURS: {
            "labels": [int(k) for k in np.unique(field.labels) if k],
            "minerals": dict(field.minerals),
            "pixel_size_um": field.pixel_size_um,
        },
    }
    if field.image is not None:
        content["img"] = field.image
    with atomic_write(path) as temporary:
        np.save(temporary, np.array(content, dtype=object), allow_pickle=True)


def read_seg(path: Path, *, trust_pickle: bool = False) -> LabelledField:
    """Read the grains of a `_seg.npy`.

    Parameters
    ----------
    path : Path
        Written by Cellpose 2 to 4, or by `write_seg`.
    trust_pickle : bool
        Required, because the file is a pickle. Only arrays, numbers, text and their collections
        are read from it, and nothing in it is executed.

    Raises
    ------
    ReadError
        `trust_pickle` is False, or the file is damaged or holds anything else.
    """
    if not trust_pickle:
        raise ReadError(
            f"{path} is a Python pickle, a format that can hold code", hint=Hint.TRUST_PICKLE
        )
    with reading(path, "a _seg.npy of Cellpose"):
        content = _content(path)
        masks = np.asarray(content.get("masks", np.zeros(0)))
        if masks.ndim != 2 or masks.dtype.kind not in "iu":
            raise ReadError(f"{path}: masks must be (Y, X) of one image, got {masks.shape}")
        # Cellpose 0.6 counted from -1.
        masks = masks.astype(np.int64) - min(0, int(masks.min(initial=0)))
        if masks.max(initial=0) > MAX_LABEL:
            raise ReadError(f"{path}: a mask has the number {masks.max()}")
        return _field(path, masks.astype(np.int32), content.get(_OURS) or {})


def _field(path: Path, masks: Any, ours: dict[str, Any]) -> LabelledField:
    numbers = ours.get("labels", [])
    if numbers and len(numbers) == masks.max(initial=0) and all(map(is_label, numbers)):
        masks = np.array([0, *numbers], np.int32)[masks]
    return LabelledField(
        labels=masks,
        name=path.name.removesuffix(".npy").removesuffix("_seg"),
        minerals={int(k): str(v) for k, v in ours.get("minerals", {}).items()},
        pixel_size_um=float(ours.get("pixel_size_um", 0.0)),
    )


def _content(path: Path) -> dict[str, Any]:
    data = io.BytesIO(path.read_bytes())
    version = np.lib.format.read_magic(data)
    read_header = (
        np.lib.format.read_array_header_1_0
        if version == (1, 0)
        else np.lib.format.read_array_header_2_0
    )
    shape, _, dtype = read_header(data)
    if shape != () or not dtype.hasobject:
        raise ValueError(f"an array of {shape}, {dtype} and not a dictionary")
    content = load_plain(data.read())
    content = content.item() if isinstance(content, np.ndarray) else content
    if not isinstance(content, dict):
        raise ReadError(f"{path} is not a _seg.npy: it holds a {type(content).__name__}")
    return content
