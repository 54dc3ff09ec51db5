"""ImageJ and Fiji: a zip of ROIs for the ROI manager."""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import roifile

from grainsmith.errors import ReadError
from grainsmith.io.exchange.drawing import OutlineReader
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_rgb
from grainsmith.io.exchange.outlines import Polygon, parse_ring, signed_area, trace_outlines
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import check_zip, is_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

# A number, and a mineral that begins with a letter. ImageJ's own names, "0040-0030", have none.
_NAME = re.compile(r"0*(\d+)(?:[ _-]+([^\W\d_].*))?")
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0
_AREAS = (
    roifile.ROI_TYPE.POLYGON,
    roifile.ROI_TYPE.RECT,
    roifile.ROI_TYPE.OVAL,
    roifile.ROI_TYPE.FREEHAND,
    roifile.ROI_TYPE.TRACED,
)


def write_rois(path: Path, field: LabelledField) -> None:
    """Write every grain as a ROI named by its number and mineral, such as "0042 quartz".

    A grain without holes is a traced ROI, as from the wand of ImageJ; one with holes or of several
    pieces is a composite ROI. Both cover exactly the pixels of the grain.
    """
    polygons_of = trace_outlines(field.labels)
    rois = [_roi(field, label, polygons) for label, polygons in polygons_of.items()]
    with atomic_write(path) as temporary:
        roifile.roiwrite(temporary, rois, mode="w")


def read_rois(path: Path, *, shape: tuple[int, int] | tuple[()] = ()) -> LabelledField:
    """Read area ROIs as labels.

    Parameters
    ----------
    path : Path
        .zip or .roi.
    shape : (int, int) or ()
        Rows and columns of the image, which the file does not hold; () uses the size of the ROIs.

    Raises
    ------
    ReadError
        It is damaged, or holds no area.
    """
    with reading(path, "ImageJ ROIs"):
        if zipfile.is_zipfile(path):
            check_zip(path)
        content = roifile.roiread(path)
        rois = [content] if isinstance(content, roifile.ImagejRoi) else list(content)
        areas = [roi for roi in rois if roi.roitype in _AREAS]
        if not areas:
            raise ReadError(f"{path} holds {len(rois)} ROIs, none of which is an area")
        outlines = OutlineReader(path)
        names = _parse_names([roi.name or "" for roi in areas])
        for roi, (label, mineral) in zip(areas, names, strict=True):
            outlines.add(lambda: _polygons(roi), label=label, mineral=mineral)  # noqa: B023
        for _ in range(len(rois) - len(areas)):
            outlines.leave_out("point(s) or line(s)")
        labels, minerals, notes = outlines.draw(
            tuple(shape), regions=not any(label for label, _ in names), allow_empty=False
        )
        return LabelledField(labels=labels, name=path.stem, minerals=minerals, notes=notes)


def _roi(field: LabelledField, label: int, polygons: Sequence[Polygon]) -> roifile.ImagejRoi:
    name = field.class_of(label)
    rings = [ring for polygon in polygons for ring in polygon.rings]
    xy = np.concatenate(rings)[:, ::-1].astype(np.int32)
    (left, top), (right, bottom) = xy.min(axis=0).tolist(), xy.max(axis=0).tolist()
    roi = roifile.ImagejRoi(
        name=f"{label:04d}" + ("" if name == UNNAMED else f" {name}"),
        left=left,
        top=top,
        right=right,
        bottom=bottom,
        stroke_color=bytes((255, *class_rgb(name))),
    )
    if len(rings) == 1:
        roi.roitype = roifile.ROI_TYPE.TRACED
        roi.integer_coordinates = xy - [left, top]
        roi.n_coordinates = len(xy)
    else:
        roi.roitype = roifile.ROI_TYPE.RECT
        roi.multi_coordinates = _path(rings)
        roi.shape_roi_size = len(roi.multi_coordinates)
    return roi


def _path(rings: Iterable[np.ndarray]) -> np.ndarray:
    steps: list[float] = []
    for ring in rings:
        for index, (y, x) in enumerate(ring):
            steps += [_MOVE if index == 0 else _LINE, x, y]
        steps.append(_CLOSE)
    return np.array(steps, np.float32)


def _polygons(roi: roifile.ImagejRoi) -> list[Polygon]:
    rings = [parse_ring(ring) for ring in roi.coordinates(multi=True) if len(ring) > 2]
    if len(rings) < 2:
        return [Polygon(ring) for ring in rings]
    # The rings of a composite are filled by the even-odd rule, whatever their order.
    largest = max(rings, key=lambda ring: abs(signed_area(ring)))
    return [Polygon(largest, tuple(ring for ring in rings if ring is not largest))]


def _parse_names(names: list[str]) -> list[tuple[int, str]]:
    """Return number and mineral of ROIs named like ours; (0, "") for all if one is not."""
    matches = [_NAME.fullmatch(name) for name in names]
    pairs = [(int(match[1]), match[2] or "") for match in matches if match and len(match[1]) < 12]
    labels = [label for label, _ in pairs]
    is_ours = len(pairs) == len(names) and len(set(labels)) == len(labels)
    return pairs if is_ours and all(map(is_label, labels)) else [(0, "")] * len(names)
