"""GeoJSON for QuPath (pixels, y downwards) and for GIS (y upwards, as QGIS places an image)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.errors import ReadError
from grainsmith.io.exchange.drawing import OutlineReader
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_rgb
from grainsmith.io.exchange.outlines import Polygon, parse_ring, trace_outlines
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import file_stem, parse_json, read_text
from grainsmith.io.files.provenance import write_json

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.io.exchange.outlines import Ring

_OURS = "grainsmith"
_AREAS = ("Polygon", "MultiPolygon")
_IGNORED_CLASS = "*"
"""QuPath ends the names of classes that are not counted with an asterisk."""


def write_geojson(path: Path, field: LabelledField) -> None:
    """Write grains for QuPath (File > Import objects)."""
    write_json(path, _collection(field, up=False))


def write_gis(path: Path, field: LabelledField) -> None:
    """Write grains with y upwards: QGIS places them on the image opened without a reference."""
    write_json(path, _collection(field, up=True))


def read_geojson(path: Path, *, shape: tuple[int, int] | tuple[()] = ()) -> LabelledField:
    """Read polygons as labels.

    Parameters
    ----------
    path : Path
        A FeatureCollection, a list of features (as QuPath may write), or a single feature.
    shape : (int, int) or ()
        Rows and columns of the image; () uses the size in the file, else that of the polygons.

    Raises
    ------
    ReadError
        It is not GeoJSON, or has no polygon.
    """
    content = parse_json(read_text(path), path)
    with reading(path, "GeoJSON polygons"):
        features, ours = _features(content)
        areas = [item for item in features if _is_area(item)]
        if not areas:
            raise ReadError(f"{path} holds no polygons")
        sign, notes = _y_direction(areas, ours)
        outlines = _read_outlines(path, areas, sign)
        for _ in range(len(features) - len(areas)):
            outlines.leave_out("object(s) that are not polygons")
        wanted = tuple(shape) or tuple(ours.get("shape", ()))
        labels, minerals, draw_notes = outlines.draw(wanted, regions=not ours, allow_empty=False)
        return LabelledField(
            labels=labels,
            name=file_stem(f"{ours['name']}.x" if ours.get("name") else path.name),
            minerals=minerals,
            pixel_size_um=float(ours.get("pixel_size_um", 0.0)),
            notes=(*notes, *draw_notes),
        )


def _collection(field: LabelledField, *, up: bool) -> dict[str, Any]:
    features = [
        {
            "type": "Feature",
            "id": f"{field.name}-{label}",
            "geometry": _geometry(polygons, up=up),
            "properties": _properties(field, label),
        }
        for label, polygons in trace_outlines(field.labels).items()
    ]
    return {
        "type": "FeatureCollection",
        _OURS: {
            "name": field.name,
            "shape": list(field.labels.shape),
            "pixel_size_um": field.pixel_size_um,
            "y": "up" if up else "down",
        },
        "features": features,
    }


def _properties(field: LabelledField, label: int) -> dict[str, Any]:
    name = field.class_of(label)
    measures = dict(field.table.loc[label]) if label in field.table.index else {}
    return {
        "objectType": "annotation",
        "name": str(label),
        "label": label,
        "mineral": field.minerals.get(label, ""),
        "classification": {"name": name, "color": list(class_rgb(name))},
        "measurements": {
            str(column): float(value)
            for column, value in measures.items()
            if isinstance(value, int | float | np.number) and math.isfinite(value)
        },
    }


def _geometry(polygons: list[Polygon], *, up: bool) -> dict[str, Any]:
    shapes = [[_closed(ring, up=up) for ring in polygon.rings] for polygon in polygons]
    if len(shapes) == 1:
        return {"type": "Polygon", "coordinates": shapes[0]}
    return {"type": "MultiPolygon", "coordinates": shapes}


def _closed(ring: Ring, *, up: bool) -> list[list[int]]:
    # RFC 7946: exteriors are counter-clockwise if y points upwards.
    points = ring[::-1] * (-1, 1) if up else ring
    return [[int(x), int(y)] for y, x in (*points, points[0])]


def _features(content: Any) -> tuple[list[Any], dict[str, Any]]:
    """Return the features of a file, and the metadata that Grainsmith writes."""
    if isinstance(content, list):
        return content, {}
    if not isinstance(content, dict):
        raise ValueError("it is neither an object nor a list")
    ours = content.get(_OURS)
    ours = ours if isinstance(ours, dict) else {}
    if isinstance(content.get("features"), list):
        return content["features"], ours
    if content.get("type") in _AREAS:
        return [{"geometry": content}], ours
    if content.get("type") == "Feature":
        return [content], ours
    raise ValueError("it has neither 'features' nor a geometry")


def _is_area(feature: Any) -> bool:
    geometry = feature.get("geometry") if isinstance(feature, dict) else None
    return isinstance(geometry, dict) and geometry.get("type") in _AREAS


def _y_direction(
    features: list[dict[str, Any]], ours: dict[str, Any]
) -> tuple[int, tuple[str, ...]]:
    """Return -1 if y points upwards, else 1, and a note if that was concluded from the values."""
    if ours:
        return (-1 if ours.get("y") == "up" else 1), ()
    ordinates = [y for feature in features for y in _ordinates(feature["geometry"])]
    if ordinates and max(ordinates) <= 0 and min(ordinates) < 0:
        return -1, ("All y coordinates are negative: taken as y upwards, as GIS programs use.",)
    return 1, ()


def _ordinates(geometry: dict[str, Any]) -> list[float]:
    shapes = geometry.get("coordinates") or []
    rings = shapes if geometry["type"] == "Polygon" else [r for rings in shapes for r in rings]
    return [
        point[1]
        for ring in rings
        for point in ring
        if isinstance(point, list) and len(point) > 1 and isinstance(point[1], int | float)
    ]


def _read_outlines(path: Path, features: list[dict[str, Any]], sign: int) -> OutlineReader:
    outlines = OutlineReader(path)
    types = [_properties_of(feature).get("objectType", "") for feature in features]
    for feature, object_type in zip(features, types, strict=True):
        properties = _properties_of(feature)
        name = _class(properties)
        is_parent = object_type == "annotation" and types.count("detection") == len(types) - 1
        outlines.add(
            lambda: _polygons(feature["geometry"], sign),  # noqa: B023  (called at once)
            label=properties.get("label", 0),
            mineral="" if name == UNNAMED else name,
            is_region=is_parent or name.endswith(_IGNORED_CLASS),
        )
    return outlines


def _polygons(geometry: dict[str, Any], sign: int) -> list[Polygon]:
    shapes = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        shapes = [shapes]
    polygons = []
    for rings in shapes:
        if not rings:
            continue
        exterior, *holes = [parse_ring(ring) * (sign, 1) for ring in rings]
        polygons.append(Polygon(exterior, tuple(holes)))
    return polygons


def _properties_of(feature: dict[str, Any]) -> dict[str, Any]:
    properties = feature.get("properties")
    return properties if isinstance(properties, dict) else {}


def _class(properties: dict[str, Any]) -> str:
    """Return the mineral, or the class of QuPath: a text, or an object with a name."""
    classification = properties.get("classification")
    if isinstance(classification, dict):
        classification = classification.get("name")
    name = properties.get("mineral") or classification or ""
    return name if isinstance(name, str) else ""
