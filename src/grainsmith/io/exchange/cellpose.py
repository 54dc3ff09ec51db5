"""Cellpose's `_seg.npy`, which its window opens. A pickle: read on request, and then safely."""

from __future__ import annotations

import io
import pickle
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from skimage.segmentation import find_boundaries, relabel_sequential

from grainsmith.errors import Hint, ReadError
from grainsmith.io.exchange.field import LabelledField
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import damaged_file_error

_OURS = "grainsmith"
_NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray", "numpy._core.numeric", "numpy")
_ALLOWED = {
    *((module, name) for module in _NUMPY for name in ("_reconstruct", "scalar", "_frombuffer")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    ("collections", "OrderedDict"),
}


def write_seg(path: Path, field: LabelledField) -> None:
    """Write grains as Cellpose's window saves them (Cellpose 4.2).

    Cellpose numbers masks 1..n without gaps: so they are renumbered. Our own numbers and minerals
    go along under a key of our own, which Cellpose passes over.
    """
    masks, _, _numbers = relabel_sequential(field.labels)
    dtype = np.uint16 if masks.max(initial=0) < np.iinfo(np.uint16).max else np.uint32
    content: dict[str, Any] = {
        "masks": masks.astype(dtype),
        "outlines": (masks * find_boundaries(masks, mode="inner")).astype(dtype),
        "chan_choose": [0, 0],
        "ismanual": np.zeros(int(masks.max(initial=0)), bool),
        # By this name Cellpose looks for the image in the folder of the file.
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
        The user has asked for a pickle to be read. Even then nothing but arrays, numbers, texts and
        their collections are taken from it; code is refused.

    Raises
    ------
    ReadError
        Not asked for, broken, holding code or another shape of masks.
    """
    if not trust_pickle:
        raise ReadError(
            f"{path} is a Python pickle, which may hold harmful code", hint=Hint.TRUST_PICKLE
        )
    content = _unpickled(path)
    masks = np.asarray(content.get("masks", np.zeros(0)))
    if masks.ndim != 2 or masks.dtype.kind not in "iu":
        raise ReadError(f"{path}: wanted masks (Y, X) of one image, got {masks.shape}")
    # Cellpose 0.6 counted from -1.
    masks = (masks.astype(np.int64) - min(0, int(masks.min(initial=0)))).astype(np.int32)
    ours = content.get(_OURS, {})
    numbers = ours.get("labels", [])
    if numbers and len(numbers) == masks.max(initial=0):
        masks = np.array([0, *numbers], np.int32)[masks]
    return LabelledField(
        labels=masks,
        name=path.name.removesuffix(".npy").removesuffix("_seg"),
        minerals={int(k): str(v) for k, v in ours.get("minerals", {}).items()},
        pixel_size_um=float(ours.get("pixel_size_um", 0.0)),
    )


class _Careful(pickle.Unpickler):
    """Makes arrays and plain values, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("pathlib"):
            return PurePosixPath
        if (module, name) in _ALLOWED:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"it wants to call {module}.{name}")


def _unpickled(path: Path) -> dict[str, Any]:
    try:
        data = io.BytesIO(path.read_bytes())
        version = np.lib.format.read_magic(data)
        read_header = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read_header(data)
        if shape != () or not dtype.hasobject:
            raise ValueError(f"an array of {shape}, {dtype} and no dictionary")
        content = _Careful(data).load()
        found = content.item() if isinstance(content, np.ndarray) else content
    except (OSError, ValueError, TypeError, EOFError, AttributeError, IndexError, KeyError,
            ImportError, pickle.UnpicklingError) as error:  # fmt: skip
        raise damaged_file_error(path, "a _seg.npy of Cellpose", error) from error
    if not isinstance(found, dict):
        raise ReadError(f"{path} is no _seg.npy of Cellpose: it holds a {type(found).__name__}")
    return found
