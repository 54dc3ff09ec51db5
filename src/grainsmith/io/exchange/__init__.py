"""Exchange grains with other programs: one module per format, and a registry of formats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grainsmith.errors import GrainsmithError, Hint, ReadError
from grainsmith.io.exchange.annotators import read_labelme, read_napari_shapes, read_via
from grainsmith.io.exchange.cellpose import read_seg, write_seg
from grainsmith.io.exchange.coco import read_coco, write_coco
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_color, class_names, class_rgb
from grainsmith.io.exchange.folders import (
    as_8bit,
    is_yolo,
    read_pairs,
    read_yolo,
    write_pairs,
    write_yolo,
)
from grainsmith.io.exchange.geojson import read_geojson, write_geojson, write_gis
from grainsmith.io.exchange.imagej import read_rois, write_rois
from grainsmith.io.exchange.masks import read_masks, write_label_png, write_masks, write_ome
from grainsmith.io.exchange.overlay_image import write_overlay_image
from grainsmith.io.files.limits import parse_json, read_text
from grainsmith.io.files.vendor_formats import vendor_advice

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "FORMATS",
    "IMPORT_ONLY",
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
    """A format of grains.

    Attributes
    ----------
    name : str
        Short name.
    title : str
        Name for the user.
    suffix : str
        End of the file name; "" = a folder.
    write : callable or None
        Takes a path and a field, or fields if `of_sets`; None = only read.
    read : callable
        Takes a path and the `options`.
    of_sets : bool
        One file or folder holds a whole set.
    needs_image : bool
        The image is written too.
    options : tuple of str
        Keyword arguments of `read`: "shape", "trust_pickle".
    """

    name: str
    title: str
    suffix: str
    write: Callable[..., None] | None
    read: Callable[..., Any]
    of_sets: bool = False
    needs_image: bool = False
    options: tuple[str, ...] = ()


FORMATS: dict[str, Format] = {
    form.name: form
    for form in (
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
"""Formats that are written and read, by name, in the order of a menu."""

IMPORT_ONLY: dict[str, Format] = {
    form.name: form
    for form in (
        Format(
            name="labelme",
            title="LabelMe (JSON)",
            suffix=".json",
            write=None,
            read=read_labelme,
            options=("shape",),
        ),
        Format(
            name="via",
            title="VGG Image Annotator (JSON)",
            suffix=".json",
            write=None,
            read=read_via,
            options=("shape",),
        ),
        Format(
            name="napari",
            title="Shapes layer of napari (CSV)",
            suffix=".csv",
            write=None,
            read=read_napari_shapes,
            options=("shape",),
        ),
    )
}
"""Formats that are only read."""


_BY_ENDING = (
    ("_seg.npy", "cellpose"),
    (".ome.tif", "ome-tiff"),
    (".ome.tiff", "ome-tiff"),
    (".tif", "masks"),
    (".tiff", "masks"),
    (".png", "png"),
    (".bmp", "masks"),
    (".gif", "masks"),
    (".npy", "masks"),
    (".npz", "masks"),
    (".h5", "masks"),
    (".zip", "imagej"),
    (".roi", "imagej"),
    (".geojson", "geojson"),
    (".csv", "napari"),
    (".yaml", "yolo"),
    (".yml", "yolo"),
)


def get_format(name: str) -> Format:
    """Return a format by its name.

    Raises
    ------
    GrainsmithError
        The name is unknown.
    """
    form = FORMATS.get(name) or IMPORT_ONLY.get(name)
    if form is None:
        known = ", ".join((*FORMATS, *IMPORT_ONLY))
        raise GrainsmithError(f"no format is called {name!r}: there are {known}")
    return form


def export_fields(
    path: str | Path, fields: Sequence[LabelledField], format_name: str
) -> list[Path]:
    """Write fields in a format.

    Parameters
    ----------
    path : str or Path
        A file or folder; for several fields in a format of single ones, a folder that gets one
        file per field.
    fields : sequence of LabelledField
        One or more. Fields of equal names get different file names.
    format_name : str
        A key of `FORMATS`.

    Returns
    -------
    list of Path
        Files or folder that were written.

    Raises
    ------
    WriteError
        It could not be written; existing files are unchanged.
    MismatchError
        The format holds images, and a field has none.
    """
    form, path = get_format(format_name), Path(path)
    if form.write is None:
        raise GrainsmithError(f"{form.title} can be read, but not written")
    if not fields:
        raise ValueError("nothing to export: there are no fields")
    fields = with_unique_names(fields)
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
    """Read grains written by another program.

    Parameters
    ----------
    path : str or Path
        File or folder.
    format_name : str
        A key of `FORMATS` or `IMPORT_ONLY`; "" is decided by the name and content.
    shape : (int, int) or ()
        Rows and columns of the image, for formats that do not hold them.
    trust_pickle : bool
        Allow a `_seg.npy`, which is a pickle.

    Returns
    -------
    list of LabelledField
        Their names are unique.

    Raises
    ------
    ReadError
        It is missing, damaged or of an unknown format.
    """
    path = Path(path)
    form = get_format(format_name or guess_format(path))
    arguments = {"shape": shape, "trust_pickle": trust_pickle}
    content = form.read(path, **{name: arguments[name] for name in form.options})
    return with_unique_names(content if isinstance(content, list) else [content])


def with_unique_names(fields: Sequence[LabelledField]) -> list[LabelledField]:
    """Number fields of equal names, so that none overwrites the files of another."""
    taken: set[str] = set()
    unique = []
    for field in fields:
        name, number = field.name, 2
        while name.lower() in taken:
            name, number = f"{field.name}_{number}", number + 1
        taken.add(name.lower())
        unique.append(field if name == field.name else replace(field, name=name))
    return unique


def guess_format(path: Path) -> str:
    """Return the format that a file or folder seems to have.

    Raises
    ------
    ReadError
        It is missing, or of an unknown format.
    """
    if not path.exists():
        raise ReadError(f"{path} does not exist")
    if path.is_dir():
        return _guess_folder(path)
    name = path.name.lower()
    if name.endswith(".json"):
        return _guess_json(path)
    for ending, format_name in _BY_ENDING:
        if name.endswith(ending):
            return format_name
    advice = vendor_advice(path)
    if advice:
        raise ReadError(f"{path} holds no grains. {advice}.")
    raise ReadError(
        f"the format of {path} is not known by its name",
        hint=Hint.GIVE_FORMAT,
        formats=", ".join((*FORMATS, *IMPORT_ONLY)),
    )


def _guess_json(path: Path) -> str:
    content = parse_json(read_text(path), path)
    if isinstance(content, list):
        is_coco = any(isinstance(item, dict) and "segmentation" in item for item in content)
        return "coco" if is_coco else "geojson"
    if not isinstance(content, dict):
        raise ReadError(f"{path} holds one {type(content).__name__} and no grains")
    if "annotations" in content:
        return "coco"
    if "shapes" in content:
        return "labelme"
    if "_via_img_metadata" in content or any(
        isinstance(item, dict) and "regions" in item for item in content.values()
    ):
        return "via"
    if "features" in content or "geometry" in content or "coordinates" in content:
        return "geojson"
    raise ReadError(
        f"{path} is not a known JSON of grains: COCO, GeoJSON, LabelMe and VIA are. "
        "Save it in one of these formats."
    )


def _guess_folder(folder: Path) -> str:
    if any(folder.rglob("masks/*")):
        return "stardist"
    if is_yolo(folder):
        return "yolo"
    raise ReadError(f"{folder} holds neither YOLO's folders nor folders images and masks")
