"""COCO instance JSON: one file for a whole set, minerals as its categories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.errors import ReadError
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_color, class_names
from grainsmith.io.exchange.outlines import (
    Polygon,
    draw_polygons,
    parse_ring,
    signed_area,
    trace_outlines,
)
from grainsmith.io.files.provenance import read_json, write_json

if TYPE_CHECKING:
    from collections.abc import Sequence


def write_coco(path: Path, fields: Sequence[LabelledField]) -> None:
    """Write the grains of one or several fields.

    Notes
    -----
    A grain without holes is a list of polygons, one with holes is run lengths (COCO's polygons know
    no holes). Keys beyond COCO's own (`label`, `pixel_size_um`, `role`) are passed over by others.
    """
    names = class_names(fields)
    numbers = {name: index + 1 for index, name in enumerate(names)}
    annotations: list[dict[str, Any]] = []
    images = []
    for index, field in enumerate(fields, start=1):
        rows, columns = field.labels.shape
        images.append(
            {
                "id": index,
                "file_name": f"{field.name}.tif",
                "height": rows,
                "width": columns,
                "pixel_size_um": field.pixel_size_um,
                "role": field.role,
            }
        )
        for label, polygons in trace_outlines(field.labels).items():
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": index,
                    "category_id": numbers[field.class_of(label)],
                    "label": label,
                    **_geometry(polygons, field.labels, label),
                }
            )
    categories = [
        {
            "id": numbers[name],
            "name": name,
            "supercategory": "grain" if name == UNNAMED else "mineral",
            "color": class_color(name),
        }
        for name in names
    ]
    write_json(
        path,
        {
            "info": {"description": "Mineral grains", "version": "1.0"},
            "images": images,
            "categories": categories,
            "annotations": annotations,
        },
    )


def read_coco(path: Path) -> list[LabelledField]:
    """Read a COCO instance JSON: polygons or run lengths (not compressed ones).

    Raises
    ------
    ReadError
        It is no COCO file, or an annotation in it is none.
    """
    content = read_json(path)
    try:
        classes = {one["id"]: str(one["name"]) for one in content.get("categories", [])}
        of_image: dict[Any, list[dict[str, Any]]] = {one["id"]: [] for one in content["images"]}
        for annotation in content["annotations"]:
            of_image[annotation["image_id"]].append(annotation)
        return [_read_image(one, of_image[one["id"]], classes) for one in content["images"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ReadError(f"{path} is no COCO instance JSON: {error!r}") from error


def _read_image(
    image: dict[str, Any], annotations: list[dict[str, Any]], classes: dict[Any, str]
) -> LabelledField:
    shape = (int(image["height"]), int(image["width"]))
    labels = [one.get("label", 0) for one in annotations]
    if len(set(labels)) < len(labels) or 0 in labels:
        labels = list(range(1, len(labels) + 1))
    grains: dict[int, list[Polygon]] = {}
    minerals = {}
    for label, annotation in zip(labels, annotations, strict=True):
        grains[label] = _polygons(annotation["segmentation"], shape)
        name = classes.get(annotation.get("category_id"), UNNAMED)
        if name != UNNAMED:
            minerals[label] = name
    drawn, overlapping = draw_polygons(shape, grains)
    return LabelledField(
        labels=drawn,
        name=Path(str(image["file_name"])).stem,
        minerals=minerals,
        pixel_size_um=float(image.get("pixel_size_um", 0.0)),
        role=str(image.get("role", "")),
        notes=overlap_note(overlapping),
    )


def overlap_note(pixels: int) -> tuple[str, ...]:
    """Say that grains overlapped, where they did."""
    if not pixels:
        return ()
    return (f"Grains overlapped in {pixels:,} pixels: the smaller one was put on top.",)


def _polygons(segmentation: Any, shape: tuple[int, int]) -> list[Polygon]:
    if isinstance(segmentation, dict):
        return trace_outlines(_from_runs(segmentation, shape))[1]
    return [Polygon(parse_ring(np.reshape(flat, (-1, 2)))) for flat in segmentation]


def _geometry(polygons: list[Polygon], labels: npt.NDArray[np.int32], label: int) -> dict[str, Any]:
    points = np.concatenate([polygon.exterior for polygon in polygons])
    (top, left), (bottom, right) = points.min(axis=0), points.max(axis=0)
    area = sum(signed_area(ring) for polygon in polygons for ring in polygon.rings)
    if any(polygon.holes for polygon in polygons):
        segmentation: Any = _to_runs(labels == label)
    else:
        segmentation = [
            [int(value) for point in polygon.exterior for value in point[::-1]]
            for polygon in polygons
        ]
    return {
        "segmentation": segmentation,
        "area": int(area),
        "bbox": [int(left), int(top), int(right - left), int(bottom - top)],
        "iscrowd": 0,
    }


def _to_runs(mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """Return COCO's run lengths: columns first, background first."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    if counts[-1] == 0:
        counts = counts[:-1]
    return {"size": list(mask.shape), "counts": counts.tolist()}


def _from_runs(runs: dict[str, Any], shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    counts = runs["counts"]
    if not isinstance(counts, list):
        raise ValueError("compressed run lengths; write them as lists (pycocotools decodes them)")
    values = np.arange(len(counts)) % 2
    flat = np.repeat(values, counts)
    if list(shape) != list(runs["size"]) or len(flat) != shape[0] * shape[1]:
        raise ValueError(f"run lengths of {len(flat)} pixels for an image of {shape}")
    return flat.reshape(shape, order="F").astype(np.int32)
