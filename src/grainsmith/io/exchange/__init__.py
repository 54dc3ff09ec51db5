"""Grains to other programs and back: one file a format, one list of them all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grainsmith.errors import GrainsmithError, Hint, ReadError
from grainsmith.io.exchange.cellpose import read_seg, write_seg
from grainsmith.io.exchange.coco import read_coco, write_coco
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_color, class_names, class_rgb
from grainsmith.io.exchange.folders import (
    as_8bit,
    read_pairs,
    read_yolo,
    write_pairs,
    write_yolo,
)
from grainsmith.io.exchange.geojson import read_geojson, write_geojson, write_gis
from grainsmith.io.exchange.imagej import read_rois, write_rois
from grainsmith.io.exchange.masks import read_masks, write_label_png, write_masks, write_ome
from grainsmith.io.exchange.overlay_image import write_overlay_image
from grainsmith.io.files.provenance import read_json

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "FORMATS",
    "UNNAMED",
    "Format",
    "LabelledField",
    "as_8bit",
    "class_color",
    "class_names",
    "class_rgb",
    "export_fields",
    "guess_format",
    "import_fields",
    "write_overlay_image",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A way to write grains, and to read them.

    Attributes
    ----------
    name : str
        As on the command line.
    title : str
        As in a list to choose from.
    suffix : str
        End of the file's name; "" = a folder.
    write : callable
        Takes a path and a field, or fields where `of_sets`.
    read : callable
        Takes a path and those of `options` that are asked for.
    of_sets : bool
        One file or folder holds a whole set.
    needs_image : bool
        The image is written too.
    options : tuple of str
        Of `read`: "shape", "trust_pickle".
    """

    name: str
    title: str
    suffix: str
    write: Callable[..., None]
    read: Callable[..., Any]
    of_sets: bool = False
    needs_image: bool = False
    options: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format(
            name="masks",
            title="Label TIFF (Cellpose _masks.tif, ImageJ)",
            suffix="_masks.tif",
            write=write_masks,
            read=read_masks,
        ),
        Format(
            name="cellpose",
            title="Cellpose window (_seg.npy)",
            suffix="_seg.npy",
            write=write_seg,
            read=read_seg,
            options=("trust_pickle",),
        ),
        Format(
            name="coco",
            title="COCO instances (JSON)",
            suffix="_coco.json",
            write=write_coco,
            read=read_coco,
            of_sets=True,
        ),
        Format(
            name="yolo",
            title="YOLO segmentation (folder)",
            suffix="",
            write=write_yolo,
            read=read_yolo,
            of_sets=True,
            needs_image=True,
        ),
        Format(
            name="imagej",
            title="ImageJ / Fiji ROIs (zip)",
            suffix="_rois.zip",
            write=write_rois,
            read=read_rois,
            options=("shape",),
        ),
        Format(
            name="geojson",
            title="GeoJSON for QuPath",
            suffix=".geojson",
            write=write_geojson,
            read=read_geojson,
            options=("shape",),
        ),
        Format(
            name="gis",
            title="GeoJSON for QGIS (y upwards)",
            suffix="_gis.geojson",
            write=write_gis,
            read=read_geojson,
            options=("shape",),
        ),
        Format(
            name="stardist",
            title="StarDist / torch-em (folder)",
            suffix="",
            write=write_pairs,
            read=read_pairs,
            of_sets=True,
            needs_image=True,
        ),
        Format(
            name="png",
            title="Indexed PNG",
            suffix="_labels.png",
            write=write_label_png,
            read=read_masks,
        ),
        Format(
            name="ome-tiff",
            title="OME-TIFF labels",
            suffix="_labels.ome.tif",
            write=write_ome,
            read=read_masks,
        ),
    )
}
"""All formats by name, in the order of a list to choose from."""

_BY_ENDING = (
    ("_seg.npy", "cellpose"),
    (".ome.tif", "ome-tiff"),
    (".ome.tiff", "ome-tiff"),
    (".tif", "masks"),
    (".tiff", "masks"),
    (".png", "png"),
    (".zip", "imagej"),
    (".roi", "imagej"),
    (".geojson", "geojson"),
    ("data.yaml", "yolo"),
)


def get_format(name: str) -> Format:
    """Return a format by its name.

    Raises
    ------
    GrainsmithError
        There is none of that name.
    """
    if name not in FORMATS:
        raise GrainsmithError(f"no format is called {name!r}: there are {', '.join(FORMATS)}")
    return FORMATS[name]


def export_fields(
    path: str | Path, fields: Sequence[LabelledField], format_name: str
) -> list[Path]:
    """Write fields in a format.

    Parameters
    ----------
    path : str or Path
        A file or folder; for several fields in a format of single ones, a folder that gets a file
        for each.
    fields : sequence of LabelledField
        One or more.
    format_name : str
        A key of `FORMATS`.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    WriteError
        It could not be written; nothing that was there before is changed.
    MismatchError
        The format holds images, and a field has none.
    """
    form, path = get_format(format_name), Path(path)
    if not fields:
        raise ValueError("nothing to export: there are no fields")
    if form.of_sets:
        form.write(path, fields)
        return [path]
    if len(fields) == 1:
        form.write(path, fields[0])
        return [path]
    paths = [path / f"{field.name}{form.suffix}" for field in fields]
    for target, field in zip(paths, fields, strict=True):
        form.write(target, field)
    return paths


def import_fields(
    path: str | Path,
    format_name: str = "",
    *,
    shape: tuple[int, int] | tuple[()] = (),
    trust_pickle: bool = False,
) -> list[LabelledField]:
    """Read grains that another program wrote.

    Parameters
    ----------
    path : str or Path
        File or folder.
    format_name : str
        A key of `FORMATS`; "" goes by the name and what is in the file.
    shape : (int, int) or ()
        Rows and columns of the image, for formats that do not know them.
    trust_pickle : bool
        A `_seg.npy` may be read, which is a pickle.

    Raises
    ------
    ReadError
        It is missing, broken or of an unknown kind.
    """
    path = Path(path)
    form = get_format(format_name or guess_format(path))
    offered = {"shape": shape, "trust_pickle": trust_pickle}
    found = form.read(path, **{name: offered[name] for name in form.options})
    return found if isinstance(found, list) else [found]


def guess_format(path: Path) -> str:
    """Return the format that a file or folder seems to be in.

    Raises
    ------
    ReadError
        There is nothing, or nothing that is known.
    """
    if not path.exists():
        raise ReadError(f"{path} does not exist")
    if path.is_dir():
        return _guess_folder(path)
    name = path.name.lower()
    if name.endswith(".json"):
        return "coco" if "annotations" in read_json(path) else "geojson"
    for ending, found in _BY_ENDING:
        if name.endswith(ending):
            return found
    raise ReadError(
        f"the format of {path} is not known by its name",
        hint=Hint.GIVE_FORMAT,
        formats=", ".join(FORMATS),
    )


def _guess_folder(folder: Path) -> str:
    if (folder / "data.yaml").is_file():
        return "yolo"
    if any(folder.rglob("masks/*")):
        return "stardist"
    raise ReadError(f"{folder} holds neither YOLO's data.yaml nor folders images and masks")
