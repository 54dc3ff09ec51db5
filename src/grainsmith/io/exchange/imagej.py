"""ImageJ and Fiji: a zip of ROIs for the ROI manager."""

from __future__ import annotations

import re
import struct
import zipfile
from typing import TYPE_CHECKING

import numpy as np
import roifile

from grainsmith.errors import ReadError
from grainsmith.io.exchange.coco import overlap_note
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_rgb
from grainsmith.io.exchange.geojson import bounding_shape
from grainsmith.io.exchange.outlines import (
    Polygon,
    draw_polygons,
    parse_ring,
    signed_area,
    trace_outlines,
)
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import damaged_file_error

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_NAME = re.compile(r"0*(\d+)(?:[ _-](.*))?$")
_MOVE, _LINE, _CLOSE = 0.0, 1.0, 4.0


def write_rois(path: Path, field: LabelledField) -> None:
    """Write every grain as a ROI named by its number and mineral, such as "0042 quartz".

    A grain without holes is a traced ROI, what ImageJ's wand would give; one with holes or of
    several pieces is a composite ROI. Both cover the very pixels of the grain.
    """
    rois = [
        _roi(field, label, polygons) for label, polygons in trace_outlines(field.labels).items()
    ]
    with atomic_write(path) as temporary:
        roifile.roiwrite(temporary, rois, mode="w")


def read_rois(path: Path, *, shape: tuple[int, int] | tuple[()] = ()) -> LabelledField:
    """Read area ROIs as labels.

    Parameters
    ----------
    path : Path
        .zip or .roi.
    shape : (int, int) or ()
        Rows and columns of the image, which the file does not know; () takes what the ROIs need.

    Raises
    ------
    ReadError
        It is broken, or holds no area.
    """
    try:
        read = roifile.roiread(path)
        rois = [read] if isinstance(read, roifile.ImagejRoi) else list(read)
    except (OSError, ValueError, KeyError, IndexError, struct.error, zipfile.BadZipFile) as error:
        raise damaged_file_error(path, "ImageJ ROIs", error) from error
    areas = [(roi, _polygons(roi)) for roi in rois]
    areas = [(roi, polygons) for roi, polygons in areas if polygons]
    if not areas:
        raise ReadError(f"{path} holds {len(rois)} ROIs, none of which is an area")
    labels, minerals = _names([roi.name for roi, _ in areas])
    grains = dict(zip(labels, (polygons for _, polygons in areas), strict=True))
    notes: tuple[str, ...] = ()
    if not shape:
        shape, notes = bounding_shape(list(grains.values()))
    drawn, overlapping = draw_polygons((shape[0], shape[1]), grains)
    dropped = len(rois) - len(areas)
    if dropped:
        notes = (*notes, f"{dropped} ROIs are points or lines and were left out.")
    return LabelledField(
        labels=drawn,
        name=path.stem,
        minerals=minerals,
        notes=(*notes, *overlap_note(overlapping)),
    )


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
    areas = (
        roifile.ROI_TYPE.POLYGON,
        roifile.ROI_TYPE.RECT,
        roifile.ROI_TYPE.OVAL,
        roifile.ROI_TYPE.FREEHAND,
        roifile.ROI_TYPE.TRACED,
    )
    if roi.roitype not in areas:
        return []
    rings = [parse_ring(ring) for ring in roi.coordinates(multi=True) if len(ring) > 2]
    if not rings:
        return []
    if len(rings) == 1:
        return [Polygon(rings[0])]
    # The rings of a composite fill by the even-odd rule, whatever their order.
    largest = max(rings, key=lambda ring: abs(signed_area(ring)))
    return [Polygon(largest, tuple(ring for ring in rings if ring is not largest))]


def _names(names: list[str]) -> tuple[list[int], dict[int, str]]:
    """Take numbers and minerals from names like ours; else number the ROIs."""
    found = [_NAME.match(name) for name in names]
    labels = [int(match[1]) if match else 0 for match in found]
    if 0 in labels or len(set(labels)) < len(labels):
        return list(range(1, len(names) + 1)), {}
    return labels, {
        label: match[2] for label, match in zip(labels, found, strict=True) if match and match[2]
    }
