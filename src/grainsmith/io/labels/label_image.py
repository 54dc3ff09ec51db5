"""Label images on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tifffile

from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import check_tiff, damaged_file_error

if TYPE_CHECKING:
    from grainsmith.data import LabelImage


def read_labels(path: str | Path) -> LabelImage:
    """Read a label image from TIFF or PNG.

    Parameters
    ----------
    path : str or Path
        A single-channel integer image; 0 is background.

    Returns
    -------
    (Y, X) int32 array

    Raises
    ------
    ReadError
        The file is missing, broken, has several channels, fractions or negative numbers.
    """
    raw = _read_raw(Path(path))
    if raw.ndim != 2:
        raise ReadError(f"{path}: labels must be one grey image, got an array of {raw.shape}")
    if raw.dtype.kind == "f" and not np.array_equal(raw, np.round(raw)):
        raise ReadError(f"{path}: labels must be whole numbers, got fractions ({raw.dtype})")
    if raw.size and (raw.min() < 0 or raw.max() > np.iinfo(np.int32).max):
        raise ReadError(f"{path}: labels must lie in 0..2147483647, got {raw.min()}..{raw.max()}")
    return raw.astype(np.int32)


def write_labels(path: str | Path, labels: LabelImage, *, pixel_size_um: float = 0.0) -> None:
    """Write a label image as a TIFF: uint16 where the numbers fit (as Cellpose reads), else int32.

    Parameters
    ----------
    path : str or Path
        Ends in .tif or .tiff; never half-written.
    labels : (Y, X) int32 array
        0 is background.
    pixel_size_um : float
        Kept in the file (ImageJ's way) where it is known.
    """
    dtype = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.int32
    scale = (
        {
            "resolution": (1 / pixel_size_um, 1 / pixel_size_um),
            "metadata": {"unit": "um", "axes": "YX"},
            "imagej": dtype is np.uint16,
        }
        if pixel_size_um > 0
        else {}
    )
    # ImageJ's form admits no compression.
    compression = None if scale.get("imagej") else "zlib"
    with atomic_write(path) as temporary:
        tifffile.imwrite(temporary, labels.astype(dtype), compression=compression, **scale)


def _read_raw(path: Path) -> npt.NDArray[Any]:
    from PIL import Image

    try:
        if path.suffix.lower() in (".tif", ".tiff"):
            with tifffile.TiffFile(path) as tiff:
                check_tiff(tiff.series[0].pages, path)
                return np.asarray(tiff.asarray()).squeeze()
        with Image.open(path) as picture:
            return np.asarray(picture)
    except ReadError:
        raise
    except Exception as error:  # decoders raise anything on broken files
        raise damaged_file_error(path, "a label image", error) from error
