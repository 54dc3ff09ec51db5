"""Read and write label images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tifffile
from skimage.measure import label as connected_components

from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import check_tiff, damaged_file_error, reading
from grainsmith.io.files.limits import MAX_LABEL, check_expansion
from grainsmith.io.labels.label_metadata import LabelMetadata, read_label_metadata, tiff_tags

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

SUFFIXES = (".tif", ".tiff", ".png", ".bmp", ".gif", ".npy", ".npz", ".h5", ".hdf5")
"""Of the files that `read_labels` opens."""

_IMAGE_FORMATS = ("PNG", "BMP", "GIF")
"""Lossless formats only. Pillow decodes some others with external programs."""

_NPZ_KEYS = ("labels", "masks", "label", "mask", "arr_0")
_ILASTIK_DATASET = "exported_data"
_MANY_PIECES = 3
"""A label of more pieces than this is a class, not a grain."""

_MAX_COLORS = 4096


@dataclass(frozen=True, slots=True, eq=False)
class LabelFile:
    """Content of a label file.

    Attributes
    ----------
    labels : (Y, X) int32 array
        0 is background.
    metadata : LabelMetadata
        Pixel size, data bar and more.
    notes : tuple of str
        What was converted or assumed, in the user's words.
    """

    labels: LabelImage
    metadata: LabelMetadata = field(default_factory=LabelMetadata)
    notes: tuple[str, ...] = ()

    @property
    def pixel_size_um(self) -> float:
        """Side of a pixel in µm; 0 = unknown."""
        return self.metadata.pixel_size_um


def read_labels(path: str | Path) -> LabelImage:
    """Read the labels of a file; see `read_label_file`.

    Returns
    -------
    (Y, X) int32 array
    """
    return read_label_file(path).labels


def read_label_file(path: str | Path, *, split: bool = True) -> LabelFile:
    """Read a label image with its metadata.

    Parameters
    ----------
    path : str or Path
        TIFF, PNG, BMP, GIF, .npy, .npz or ilastik's .h5; one channel of whole numbers, or an image
        in which every color is one grain. 0 (black) is background.
    split : bool
        Split a binary or class mask into its connected pieces. A file is taken for one if the
        median label has more than three pieces.

    Raises
    ------
    ReadError
        It is missing, damaged or of an unknown type, or holds fractions or numbers below 0 or
        above 2147483647.
    """
    path = Path(path)
    with reading(path, "a label image"):
        raw = _read_raw(path)
        labels, notes = _as_labels(raw, path)
        if split:
            labels, split_notes = _split_classes(labels)
            notes = (*notes, *split_notes)
    return LabelFile(labels, read_label_metadata(path), notes)


def write_labels(
    path: str | Path,
    labels: LabelImage,
    *,
    pixel_size_um: float = 0.0,
    metadata: LabelMetadata | None = None,
) -> None:
    """Write a label image as TIFF: uint16 if the numbers fit (as Cellpose reads), else int32.

    Parameters
    ----------
    path : str or Path
        Ends in .tif or .tiff; written atomically.
    labels : (Y, X) int32 array
        0 is background.
    pixel_size_um : float
        Stored in the file if known: as ImageJ does for uint16, as OME metadata for int32.
    metadata : LabelMetadata, optional
        Everything known about the field; replaces the pixel size.
    """
    metadata = metadata or LabelMetadata(pixel_size_um=pixel_size_um)
    pixel_size_um = metadata.pixel_size_um
    dtype = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.int32
    options: dict[str, Any] = {"compression": "zlib"}
    if pixel_size_um > 0 and dtype is np.uint16:
        # The ImageJ variant of TIFF allows no compression.
        resolution = (1 / pixel_size_um, 1 / pixel_size_um)
        unit = {"unit": "um", "axes": "YX"}
        options = {"imagej": True, "resolution": resolution, "metadata": unit}
    elif pixel_size_um > 0:
        options |= {"ome": True, "metadata": ome_metadata(pixel_size_um)}
    with atomic_write(path) as temporary:
        tifffile.imwrite(temporary, labels.astype(dtype), extratags=tiff_tags(metadata), **options)


def ome_metadata(pixel_size_um: float, name: str = "") -> dict[str, Any]:
    """Return the OME metadata of a (Y, X) image; the pixel size is left out if it is 0."""
    metadata: dict[str, Any] = {"axes": "YX"}
    if name:
        metadata["Name"] = name
    if pixel_size_um > 0:
        metadata |= {"PhysicalSizeX": pixel_size_um, "PhysicalSizeY": pixel_size_um}
        metadata |= {"PhysicalSizeXUnit": "µm", "PhysicalSizeYUnit": "µm"}
    return metadata


def _read_raw(path: Path) -> npt.NDArray[Any]:
    """Return the array of a file."""
    suffix = path.suffix.lower()
    if suffix in (".tif", ".tiff"):
        return _read_tiff(path)
    if suffix == ".npy":
        return np.load(path, allow_pickle=False)
    if suffix == ".npz":
        return _read_npz(path)
    if suffix in (".h5", ".hdf5"):
        return _read_ilastik(path)
    return _read_image(path)


def _read_tiff(path: Path) -> npt.NDArray[Any]:
    with tifffile.TiffFile(path) as tiff:
        pages = tiff.series[0].pages
        check_tiff(pages, path)
        held = sum(sum(page.databytecounts) for page in pages if page is not None)
        check_expansion(tiff.series[0].nbytes, held, str(path))
        raw = np.asarray(tiff.asarray()).squeeze()
        if raw.ndim < 2:
            raise ReadError(f"{path}: labels must be an image, got an array of {raw.shape}")
    return raw


def _read_npz(path: Path) -> npt.NDArray[Any]:
    with np.load(path, allow_pickle=False) as archive:
        keys = [key for key in _NPZ_KEYS if key in archive.files] or archive.files
        if len(keys) != 1 and keys[0] not in _NPZ_KEYS:
            raise ReadError(f"{path} holds {', '.join(archive.files)}: none is called 'labels'")
        return np.asarray(archive[keys[0]])


def _read_ilastik(path: Path) -> npt.NDArray[Any]:
    import h5py

    with h5py.File(path, "r") as file:
        names = [_ILASTIK_DATASET] if _ILASTIK_DATASET in file else list(file)
        datasets = [name for name in names if isinstance(file[name], h5py.Dataset)]
        if len(datasets) != 1:
            raise ReadError(f"{path} holds no single label image (ilastik: '{_ILASTIK_DATASET}')")
        dataset = file[datasets[0]]
        check_expansion(dataset.nbytes, dataset.id.get_storage_size(), str(path))
        return np.asarray(dataset[()]).squeeze()


def _read_image(path: Path) -> npt.NDArray[Any]:
    from PIL import Image, UnidentifiedImageError

    try:
        opened = Image.open(path, formats=_IMAGE_FORMATS)
    except UnidentifiedImageError as error:
        reason = "TIFF, PNG, .npy and .h5 keep labels exactly, other formats do not"
        raise damaged_file_error(path, "a label image", error, reason) from error
    with opened as image:
        return np.asarray(image)


def _as_labels(raw: npt.NDArray[Any], path: Path) -> tuple[LabelImage, tuple[str, ...]]:
    if raw.ndim == 3 and raw.shape[-1] in (3, 4) and raw.dtype.kind == "u":
        return _labels_of_colors(raw, path)
    if raw.ndim != 2:
        raise ReadError(f"{path}: labels must be one gray image, got an array of {raw.shape}")
    if raw.dtype.kind not in "buif":
        raise ReadError(f"{path}: labels must be whole numbers, got values of type {raw.dtype}")
    if raw.dtype.kind == "f" and not np.array_equal(raw, np.round(raw)):
        raise ReadError(f"{path}: labels must be whole numbers, got fractions ({raw.dtype})")
    if raw.size and (raw.min() < 0 or raw.max() > MAX_LABEL):
        raise ReadError(f"{path}: labels must lie in 0..{MAX_LABEL}, got {raw.min()}..{raw.max()}")
    return raw.astype(np.int32), ()


def _labels_of_colors(raw: npt.NDArray[Any], path: Path) -> tuple[LabelImage, tuple[str, ...]]:
    """Number the colors of an image from 1; black is background."""
    colors = raw[..., :3].astype(np.int64)
    largest = int(np.iinfo(raw.dtype).max) + 1
    codes = (colors[..., 0] * largest + colors[..., 1]) * largest + colors[..., 2]
    values, labels = np.unique(codes, return_inverse=True)
    if len(values) > _MAX_COLORS:
        raise ReadError(
            f"{path} has {len(values):,} colors: a photograph? Labels have one color per grain."
        )
    labels = labels.reshape(codes.shape).astype(np.int32) + int(values[0] != 0)
    return labels, (f"Every color became one label: {int(labels.max(initial=0))} labels.",)


def _split_classes(labels: LabelImage) -> tuple[LabelImage, tuple[str, ...]]:
    """Split a binary or class mask into its connected pieces; leave labels of grains alone."""
    pieces, n_pieces = connected_components(labels, background=0, connectivity=2, return_num=True)
    values = np.unique(labels[labels > 0])
    if n_pieces <= _MANY_PIECES * max(1, len(values)):
        return labels, ()
    flat = pieces.ravel()
    first = np.zeros(n_pieces + 1, np.int64)
    first[flat[::-1]] = np.arange(flat.size)[::-1]
    owners = labels.ravel()[first[1:]]
    per_label = np.bincount(np.searchsorted(values, owners), minlength=len(values))
    if np.median(per_label) <= _MANY_PIECES:
        return labels, ()
    kind = "a binary mask" if len(values) == 1 else f"a mask of {len(values)} classes"
    note = (
        f"The labels are {kind}: {len(values)} value(s) in {n_pieces:,} separate pieces. Each "
        "piece became a grain; grains that touch are one."
    )
    return pieces.astype(np.int32), (note,)
