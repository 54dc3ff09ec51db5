"""Open mosaics without loading them: OME-Zarr 0.4 and 0.5, tiled and pyramidal TIFF."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import tifffile

from grainsmith.errors import ReadError
from grainsmith.io.files.integrity import AGAIN, check_tiff, damaged_file_error
from grainsmith.io.images.sem_metadata import metadata_of_tiff

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.data import Image

LARGE_PX = 64_000_000
"""A TIFF of more pixels is opened as a mosaic."""

_TO_UM = {
    "micrometer": 1.0, "µm": 1.0, "um": 1.0, "micron": 1.0, "nanometer": 1e-3, "nm": 1e-3,
    "millimeter": 1e3, "mm": 1e3, "meter": 1e6, "m": 1e6, "centimeter": 1e4, "angstrom": 1e-4,
}  # fmt: skip

_MAPPED_PX = 2048
_LARGEST_PIECE = 256_000_000

ZARR_MISSING = (
    "mosaics need the package zarr, which is not installed: pip install 'grainsmith[distributed]'"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosaic:
    """An image that is read piece by piece.

    Attributes
    ----------
    levels : tuple of arrays
        (Y, X) or (Y, X, 3), lazy; the first has all pixels, each next one fewer.
    pixel_size_um : float
        Side of a pixel of the first level in µm; 0 = unknown.
    pixel_size_source : str
        Where that was found.
    source : str
        The file or folder.
    """

    levels: tuple[Any, ...]
    pixel_size_um: float
    pixel_size_source: str
    source: str

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return int(self.levels[0].shape[0]), int(self.levels[0].shape[1])

    def window(self, y0: int, y1: int, x0: int, x1: int, *, level: int = 0) -> Image:
        """Read rows y0 up to y1 and columns x0 up to x1 of a level.

        Raises
        ------
        ReadError
            A piece of the file is missing or broken.
        """
        part = self.levels[level][y0:y1, x0:x1]
        try:
            # Here, whatever else runs: with a cluster at hand dask would send open files to it.
            lazy = hasattr(part, "compute")
            return np.asarray(part.compute(scheduler="threads") if lazy else part)
        except Exception as error:  # decoders raise anything on broken pieces
            raise ReadError(
                f"{self.source}: rows {y0} to {y1}, columns {x0} to {x1} cannot be read: {error}. "
                f"{AGAIN}"
            ) from error


def is_mosaic(path: str | Path) -> bool:
    """Say whether a path is to be opened as a mosaic: a Zarr folder, or a large TIFF."""
    path = Path(path)
    if path.is_dir():
        return path.suffix.lower() == ".zarr" or any(
            (path / name).is_file() for name in ("zarr.json", ".zgroup")
        )
    if path.suffix.lower() not in (".tif", ".tiff", ".btf", ".tf8") or not path.is_file():
        return False
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages[0]
            return bool(page.imagelength * page.imagewidth > LARGE_PX)
    except (OSError, ValueError, IndexError, tifffile.TiffFileError):
        return False


def open_mosaic(path: str | Path) -> Mosaic:
    """Open a mosaic; nothing but its description is read.

    Parameters
    ----------
    path : str or Path
        A folder of OME-Zarr 0.4 or 0.5, or a TIFF (tiled, with or without a pyramid).

    Raises
    ------
    ReadError
        It is missing, broken, no mosaic, has several channels, planes or times, or zarr is not
        installed.
    """
    path = Path(path)
    if not path.exists():
        raise ReadError(f"{path} does not exist")
    try:
        return _open_zarr(path) if path.is_dir() else _open_tiff(path)
    except ImportError as error:
        raise ReadError(f"{path}: {ZARR_MISSING}") from error
    except ReadError:
        raise
    except Exception as error:  # zarr raises anything on broken folders
        raise damaged_file_error(path, "a mosaic", error) from error


def fill_unreadable(mosaic: Mosaic, tell: Callable[[str], None]) -> Mosaic:
    """Return a mosaic to be looked at, whose broken pieces are 0 instead of an error.

    Parameters
    ----------
    mosaic : Mosaic
    tell : callable
        Given the reason each time that such a piece is read, from whatever thread reads it.
    """
    import dask.array as da

    levels = [
        da.from_array(
            _WithGaps(level, mosaic.source, tell), chunks=level.chunks, name=False, meta=level
        )
        for level in mosaic.levels
    ]
    return replace(mosaic, levels=tuple(levels))


class _WithGaps:
    """A lazy array that gives 0 where it cannot be read."""

    def __init__(self, level: Any, source: str, tell: Callable[[str], None]) -> None:
        self._level, self._source, self._tell = level, source, tell
        self.shape, self.dtype, self.ndim = level.shape, level.dtype, level.ndim

    def __getitem__(self, index: Any) -> npt.NDArray[Any]:
        part = self._level[index]
        try:
            # In this thread: it is one of those that dask reads with.
            return np.asarray(part.compute(scheduler="synchronous"))
        except Exception as error:  # noqa: BLE001  (decoders raise anything on broken pieces)
            self._tell(f"{self._source}: a piece cannot be read: {error}. {AGAIN}")
            return np.zeros(part.shape, part.dtype)


def multiscale_metadata(group: Any, path: str | Path) -> dict[str, Any]:
    """Return the first pyramid that the metadata of an OME-Zarr group name (0.4 or 0.5)."""
    attributes = dict(group.attrs)
    found = attributes.get("ome", attributes).get("multiscales")
    if not isinstance(found, list) or not found:
        raise ReadError(
            f"{path} is no OME-Zarr image: its metadata name no 'multiscales' (0.4 or 0.5)"
        )
    described: dict[str, Any] = found[0]
    return described


def first_level_scale(described: dict[str, Any]) -> list[float]:
    """Return the scale of the first level, one number an axis; [] where it is not said."""
    steps = described["datasets"][0].get("coordinateTransformations", [])
    return next(
        ([float(n) for n in step["scale"]] for step in steps if step["type"] == "scale"), []
    )


def _open_zarr(path: Path) -> Mosaic:
    import dask.array as da
    import zarr

    group = zarr.open_group(path, mode="r")
    described = multiscale_metadata(group, path)
    axes = [
        axis if isinstance(axis, dict) else {"name": axis} for axis in described.get("axes", [])
    ] or [{"name": name} for name in "tczyx"]
    levels = []
    for dataset in described["datasets"]:
        array = group[dataset["path"]]
        # Names by chance: an array of the same name may be remembered as it was before an edit.
        levels.append(_plane(da.from_zarr(array, name=False), [str(a["name"]) for a in axes], path))
    scale = first_level_scale(described)
    size, source = 0.0, ""
    if scale and axes[-1].get("unit"):
        size = scale[-1] * _TO_UM.get(str(axes[-1]["unit"]), 0.0)
        source = "OME-Zarr metadata" if size else ""
    return Mosaic(
        levels=tuple(levels), pixel_size_um=size, pixel_size_source=source, source=str(path)
    )


def _open_tiff(path: Path) -> Mosaic:
    import dask.array as da
    import zarr

    with tifffile.TiffFile(path) as tiff:
        series = tiff.series[0]
        axes = series.axes.lower()
        facts = metadata_of_tiff(tiff, path, rows=series.shape[-2], columns=series.shape[-1])
        n_levels = len(series.levels)
        check_tiff((level.keyframe for level in series.levels), path)
        is_mappable = _is_mappable(series, path)
    levels: list[Any] = []
    if n_levels == 1 and is_mappable:
        # Strips may be as long as the image; of bytes as they are any window can be taken.
        mapped = tifffile.memmap(path, mode="r")
        levels.append(_plane(da.from_array(mapped, chunks=_MAPPED_PX), list(axes), path))
        n_levels = 0
    for level in range(n_levels):
        store = tifffile.imread(path, aszarr=True, series=0, level=level)
        array = zarr.open(store, mode="r")
        weakref.finalize(array, store.close)  # the store keeps the file open, and never closes it
        levels.append(_plane(da.from_zarr(array), list(axes), path))
    return Mosaic(
        levels=tuple(levels),
        pixel_size_um=facts.pixel_size_um,
        pixel_size_source=facts.source,
        source=str(path),
    )


def _is_mappable(series: Any, path: Path) -> bool:
    """Say whether the pixels lie in the file as they are; refuse strips that fill the memory."""
    page = series.keyframe
    if page.is_tiled:
        return False
    if series.dataoffset is not None and page.dtype == page.dtype.newbyteorder("="):
        return True
    piece = int(np.prod(page.chunks)) * page.dtype.itemsize
    if piece > _LARGEST_PIECE:
        raise ReadError(
            f"{path} is stored in strips of {piece / 1e6:.0f} MB, which cannot be read in parts: "
            "save it as a tiled TIFF or as OME-Zarr"
        )
    return False


def _plane(array: Any, axes: list[str], path: Path) -> Any:
    """Return (Y, X) or (Y, X, 3) of an array; axes of length 1 go, longer ones are refused."""
    if array.dtype.kind not in "uifb":
        raise ReadError(
            f"{path} holds pixels of the kind {array.dtype}: grey values or colours are wanted"
        )
    if len(axes) != array.ndim:
        raise ReadError(f"{path} names {len(axes)} axes for an array of {array.ndim}: {axes}")
    if "y" not in axes or "x" not in axes:
        raise ReadError(f"{path} has the axes {axes}: an image has y and x")
    color = [a for a in axes if a in ("s", "c") and array.shape[axes.index(a)] in (3, 4)]
    for axis in reversed(axes):
        n = array.shape[axes.index(axis)]
        if axis in ("y", "x") or axis in color[:1]:
            continue
        if n != 1:
            raise ReadError(
                f"{path} has {n} images along the axis {axis!r} (shape {array.shape}): "
                "save the one that shows the grains as a mosaic of its own"
            )
        array = array[(slice(None),) * axes.index(axis) + (0,)]
        axes = [a for a in axes if a != axis]
    order = [axes.index("y"), axes.index("x")] + [axes.index(c) for c in color[:1]]
    array = array.transpose(order)
    return array[..., :3] if array.ndim == 3 else array


def to_gray(pixels: Image) -> npt.NDArray[np.float32]:
    """Return grey values (Rec. 601) of grey or coloured pixels, (Y, X) float32."""
    grey = np.asarray(pixels, dtype=np.float32)
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    found: npt.NDArray[np.float32] = grey @ weights if grey.ndim == 3 else grey
    return found


def open_labels(path: str | Path) -> dict[str, Mosaic]:
    """Open the labels that the folder of an OME-Zarr holds, by their names; {} without any."""
    folder = Path(path) / "labels"
    if not folder.is_dir():
        return {}
    import zarr

    attributes = dict(zarr.open_group(folder, mode="r").attrs)
    names = attributes.get("ome", attributes).get("labels", [])
    return {str(name): open_mosaic(folder / str(name)) for name in names}
