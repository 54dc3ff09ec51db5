"""Read polygons of LabelMe, VIA (VGG Image Annotator) and napari's shapes layers."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.errors import ReadError
from grainsmith.io.exchange.drawing import OutlineReader
from grainsmith.io.exchange.field import LabelledField
from grainsmith.io.exchange.outlines import Polygon, parse_ring
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import file_stem, parse_json, read_text

if TYPE_CHECKING:
    from pathlib import Path

_ELLIPSE_CORNERS = 72
_VIA_PROJECT = "_via_img_metadata"
_NAPARI_COLUMNS = ("index", "shape-type", "vertex-index", "axis-0", "axis-1")
_NAPARI_AREAS = ("polygon", "rectangle", "ellipse", "path")


def read_labelme(path: Path, *, shape: tuple[int, int] | tuple[()] = ()) -> LabelledField:
    """Read the polygons, rectangles and circles of a LabelMe JSON.

    Raises
    ------
    ReadError
        It is not LabelMe, or holds no area.
    """
    content = parse_json(read_text(path), path)
    with reading(path, "LabelMe JSON"):
        outlines = OutlineReader(path)
        for item in content["shapes"]:
            outlines.add(lambda: _labelme_polygons(item), mineral=str(item.get("label") or ""))  # noqa: B023
        stated = (content.get("imageHeight"), content.get("imageWidth"))
        wanted = tuple(shape) or (stated if all(stated) else ())
        labels, minerals, notes = outlines.draw(wanted, allow_empty=False)
        name = file_stem(content.get("imagePath") or path.name)
        return LabelledField(labels=labels, name=name, minerals=minerals, notes=notes)


def read_via(path: Path, *, shape: tuple[int, int] | tuple[()] = ()) -> list[LabelledField]:
    """Read the polygons, rectangles, circles and ellipses of a VIA JSON (version 1 or 2).

    Raises
    ------
    ReadError
        It is not VIA, or an image in it holds no area.
    """
    content = parse_json(read_text(path), path)
    with reading(path, "VIA JSON"):
        images = content.get(_VIA_PROJECT, content)
        fields = []
        for image in images.values():
            regions = image["regions"]
            outlines = OutlineReader(path)
            for region in regions.values() if isinstance(regions, dict) else regions:
                outlines.add(lambda: _via_polygons(region["shape_attributes"]))  # noqa: B023
            labels, minerals, notes = outlines.draw(tuple(shape), allow_empty=False)
            name = file_stem(image.get("filename") or path.name)
            fields.append(LabelledField(labels=labels, name=name, minerals=minerals, notes=notes))
        if not fields:
            raise ReadError(f"{path} holds no images")
        return fields


def read_napari_shapes(path: Path, *, shape: tuple[int, int] | tuple[()] = ()) -> LabelledField:
    """Read a shapes layer that napari saved as CSV.

    Raises
    ------
    ReadError
        It is another table, or holds no area.
    """
    rows = list(csv.DictReader(io.StringIO(read_text(path))))
    with reading(path, "shapes of napari"):
        if not rows or not set(_NAPARI_COLUMNS) <= set(rows[0]):
            raise ReadError(f"{path} is not a shapes layer of napari: it has other columns")
        vertices: dict[int, list[tuple[float, float]]] = {}
        types: dict[int, str] = {}
        for row in rows:
            index = int(float(row["index"]))
            # napari puts the centers of pixels, not their corners, at whole numbers.
            corner = (float(row["axis-0"]) + 0.5, float(row["axis-1"]) + 0.5)
            vertices.setdefault(index, []).append(corner)
            types[index] = row["shape-type"]
        outlines = OutlineReader(path)
        for index, corners in vertices.items():
            if types[index] not in _NAPARI_AREAS:
                outlines.leave_out("shape(s) without an area")
                continue
            is_ellipse = types[index] == "ellipse"
            outlines.add(lambda: [Polygon(_napari_ring(corners, is_ellipse=is_ellipse))])  # noqa: B023
        labels, minerals, notes = outlines.draw(tuple(shape), allow_empty=False)
        name = file_stem(path.name)
        return LabelledField(labels=labels, name=name, minerals=minerals, notes=notes)


def _labelme_polygons(item: dict[str, Any]) -> list[Polygon]:
    kind, points = item.get("shape_type", "polygon"), item["points"]
    if kind == "rectangle":
        return [Polygon(_rectangle(*points))]
    if kind == "circle":
        (x, y), (edge_x, edge_y) = points
        radius = float(np.hypot(edge_x - x, edge_y - y))
        return [Polygon(_ellipse(x, y, radius, radius))]
    return [Polygon(parse_ring(points))] if kind == "polygon" else []


def _via_polygons(shape: dict[str, Any]) -> list[Polygon]:
    kind = shape.get("name")
    if kind in ("polygon", "polyline"):
        points = zip(shape["all_points_x"], shape["all_points_y"], strict=True)
        return [Polygon(parse_ring(points))]
    if kind == "rect":
        x, y = shape["x"], shape["y"]
        return [Polygon(_rectangle((x, y), (x + shape["width"], y + shape["height"])))]
    if kind in ("circle", "ellipse"):
        radius = shape.get("r", 0)
        return [
            Polygon(
                _ellipse(shape["cx"], shape["cy"], shape.get("rx", radius), shape.get("ry", radius))
            )
        ]
    return []


def _napari_ring(corners: list[tuple[float, float]], *, is_ellipse: bool) -> Any:
    ring = parse_ring(corners, xy=False)
    if not is_ellipse:
        return ring
    (top, left), (bottom, right) = ring.min(axis=0), ring.max(axis=0)
    return _ellipse((left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2)


def _rectangle(first: Any, second: Any) -> Any:
    (x0, y0), (x1, y1) = first, second
    return parse_ring([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def _ellipse(x: float, y: float, radius_x: float, radius_y: float) -> Any:
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_CORNERS, endpoint=False)
    return parse_ring(
        np.column_stack([x + radius_x * np.cos(angles), y + radius_y * np.sin(angles)])
    )
