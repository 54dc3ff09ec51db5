"""GeoJSON: for QuPath (pixels, y downwards) and for GIS (y upwards, as QGIS lays an image)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.errors import ReadError
from grainsmith.io.exchange.coco import overlap_note
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_rgb
from grainsmith.io.exchange.outlines import Polygon, draw_polygons, parse_ring, trace_outlines
from grainsmith.io.files.provenance import read_json, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.io.exchange.outlines import Ring

_OURS = "grainsmith"


def write_geojson(path: Path, field: LabelledField) -> None:
    """Write grains as QuPath reads them: File > Import objects."""
    write_json(path, _collection(field, up=False))


def write_gis(path: Path, field: LabelledField) -> None:
    """Write grains with y upwards: they lie on the image where QGIS opens it unreferenced."""
    write_json(path, _collection(field, up=True))


def read_geojson(path: Path, *, shape: tuple[int, int] | tuple[()] = ()) -> LabelledField:
    """Read polygons as labels.

    Parameters
    ----------
    path : Path
        A FeatureCollection, or a bare list of features as QuPath may write it.
    shape : (int, int) or ()
        Rows and columns of the image; () takes what the file says, or what its polygons need.

    Raises
    ------
    ReadError
        It is no GeoJSON, or has no polygon.
    """
    content = _content(path)
    ours = content.get(_OURS, {})
    try:
        features = [one for one in content["features"] if _is_area(one)]
        sign = -1 if ours.get("y") == "up" else 1
        grains = [_polygons(one["geometry"], sign) for one in features]
        labels = _labels([one.get("properties") or {} for one in features])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(f"{path} cannot be read as GeoJSON polygons: {error!r}") from error
    if not grains:
        raise ReadError(f"{path} holds no polygons")
    notes: tuple[str, ...] = ()
    wanted = tuple(shape) or tuple(ours.get("shape", ()))
    if not wanted:
        wanted, notes = bounding_shape(grains)
    drawn, overlapping = draw_polygons(
        (wanted[0], wanted[1]), dict(zip(labels, grains, strict=True))
    )
    named = {label: _class(one) for label, one in zip(labels, features, strict=True)}
    return LabelledField(
        labels=drawn,
        name=str(ours.get("name", "")) or path.stem,
        minerals={label: name for label, name in named.items() if name not in ("", UNNAMED)},
        pixel_size_um=float(ours.get("pixel_size_um", 0.0)),
        notes=(*notes, *overlap_note(overlapping)),
    )


def bounding_shape(grains: list[list[Polygon]]) -> tuple[tuple[int, int], tuple[str, ...]]:
    """Return the smallest field that holds all polygons, and a note that says so."""
    corners = np.concatenate([polygon.exterior for polygons in grains for polygon in polygons])
    rows, columns = np.maximum(1, np.ceil(corners.max(axis=0))).astype(int).tolist()
    note = (
        f"The file does not say how large its image is: {columns} × {rows} px hold all grains. "
        "Import it with its image to get the size."
    )
    return (rows, columns), (note,)


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
    # RFC 7946: exteriors anticlockwise where y points upwards.
    points = ring[::-1] * (-1, 1) if up else ring
    return [[int(x), int(y)] for y, x in (*points, points[0])]


def _content(path: Path) -> dict[str, Any]:
    import json

    try:
        bare = path.is_file() and path.read_text("utf8").lstrip()[:1] == "["
        return {"features": json.loads(path.read_text("utf8"))} if bare else read_json(path)
    except (OSError, ValueError) as error:
        raise ReadError(f"{path} cannot be read as JSON: {error}") from error


def _is_area(feature: dict[str, Any]) -> bool:
    return (feature.get("geometry") or {}).get("type") in ("Polygon", "MultiPolygon")


def _polygons(geometry: dict[str, Any], sign: int) -> list[Polygon]:
    shapes = geometry["coordinates"]
    if geometry["type"] == "Polygon":
        shapes = [shapes]
    found = []
    for rings in shapes:
        exterior, *holes = [parse_ring(ring) * (sign, 1) for ring in rings]
        found.append(Polygon(exterior, tuple(holes)))
    return found


def _labels(properties: list[dict[str, Any]]) -> list[int]:
    labels = [one.get("label", 0) for one in properties]
    whole = all(isinstance(label, int) and label > 0 for label in labels)
    if whole and len(set(labels)) == len(labels):
        return labels
    return list(range(1, len(properties) + 1))


def _class(feature: dict[str, Any]) -> str:
    properties = feature.get("properties") or {}
    return str(
        properties.get("mineral") or (properties.get("classification") or {}).get("name") or ""
    )
