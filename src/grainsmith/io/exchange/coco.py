"""COCO instance JSON: one file per set, minerals as its categories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.io.exchange.drawing import OutlineReader
from grainsmith.io.exchange.field import UNNAMED, LabelledField, class_color, class_names
from grainsmith.io.exchange.outlines import Polygon, parse_ring, signed_area, trace_outlines
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import check_shape, file_stem, parse_json, read_text
from grainsmith.io.files.provenance import write_json

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def write_coco(path: Path, fields: Sequence[LabelledField]) -> None:
    """Write the grains of one or several fields.

    Notes
    -----
    A grain without holes is stored as polygons, one with holes as run lengths, because polygons of
    COCO have no holes. Other programs ignore the additional keys (`label`, `pixel_size_um`,
    `role`).
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
    """Read a COCO instance JSON, or a COCO list of results.

    Polygons, run lengths and compressed run lengths are understood. Annotations without a usable
    outline are left out and counted in the notes.

    Raises
    ------
    ReadError
        It is not COCO, or holds no outline.
    """
    content = parse_json(read_text(path), path)
    with reading(path, "COCO instance JSON"):
        if isinstance(content, list):
            content = {"annotations": content}
        annotations = content["annotations"]
        images = content.get("images") or _images_of_results(annotations)
        classes = {item["id"]: str(item["name"]) for item in content.get("categories") or []}
        groups, orphans = _by_image(annotations, [image["id"] for image in images])
        return [_read_image(path, image, groups[image["id"]], classes, orphans) for image in images]


def _images_of_results(annotations: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the images of a list of results, which states no size."""
    ids = list(dict.fromkeys(item.get("image_id", 0) for item in annotations))
    if not ids:
        raise ValueError("it holds no images and no annotations")
    return [{"id": image_id, "file_name": f"image {image_id}"} for image_id in ids]


def _by_image(
    annotations: list[dict[str, Any]], ids: list[Any]
) -> tuple[dict[Any, list[dict[str, Any]]], int]:
    """Group annotations by image; return the number of those of an unknown image too."""
    groups: dict[Any, list[dict[str, Any]]] = {image_id: [] for image_id in ids}
    orphans: list[dict[str, Any]] = []
    for annotation in annotations:
        image_id = annotation.get("image_id") if isinstance(annotation, dict) else None
        is_known = isinstance(image_id, int | str) and image_id in groups
        (groups[image_id] if is_known else orphans).append(annotation)
    # Some converters number the only image differently in the two lists.
    if len(ids) == 1 and not groups[ids[0]]:
        groups[ids[0]] = orphans
    return groups, len(orphans)


def _read_image(
    path: Path,
    image: dict[str, Any],
    annotations: list[dict[str, Any]],
    classes: dict[Any, str],
    orphans: int,
) -> LabelledField:
    shape: tuple[int, ...] = ()
    if "height" in image and "width" in image:
        shape = check_shape((image["height"], image["width"]), f"{path}, {image.get('file_name')},")
    outlines = OutlineReader(path)
    is_ours = bool(annotations) and all(
        isinstance(annotation, dict) and "label" in annotation for annotation in annotations
    )
    for annotation in annotations:
        if not isinstance(annotation, dict):
            outlines.leave_out("annotation(s) that are not objects")
            continue
        category = annotation.get("category_id")
        name = classes.get(category, UNNAMED) if isinstance(category, int | str) else UNNAMED
        outlines.add(
            lambda: _polygons(annotation.get("segmentation"), shape),  # noqa: B023  (called at once)
            label=annotation.get("label", 0),
            mineral="" if name == UNNAMED else name,
        )
    labels, minerals, notes = outlines.draw(shape, regions=not is_ours)
    if orphans:
        fate = "were assigned to the only one" if orphans == len(annotations) else "left out"
        notes = (*notes, f"{orphans:,} annotation(s) of an unknown image {fate}.")
    return LabelledField(
        labels=labels,
        name=file_stem(image.get("file_name", ""), path.stem),
        minerals=minerals,
        pixel_size_um=float(image.get("pixel_size_um", 0.0)),
        role=str(image.get("role", "")),
        notes=notes,
    )


def _polygons(segmentation: Any, shape: tuple[int, ...]) -> list[Polygon]:
    if not segmentation:
        return []
    if isinstance(segmentation, dict):
        runs = _from_runs(segmentation, shape)
        return trace_outlines(runs).get(1, [])
    if isinstance(segmentation[0], int | float):  # one polygon without the outer list
        segmentation = [segmentation]
    polygons, errors = [], []
    for flat in segmentation:
        try:
            polygons.append(Polygon(parse_ring(np.reshape(flat, (-1, 2)))))
        except ValueError as error:
            errors.append(error)
    if errors and not polygons:
        raise errors[0]
    return polygons


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
    """Encode a mask as run lengths of COCO: columns first, background first."""
    flat = np.concatenate([[False], mask.ravel(order="F"), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    counts = np.diff(np.concatenate([[0], changes, [mask.size]]))
    if counts[-1] == 0:
        counts = counts[:-1]
    return {"size": list(mask.shape), "counts": counts.tolist()}


def _from_runs(runs: dict[str, Any], shape: tuple[int, ...]) -> npt.NDArray[np.int32]:
    """Decode run lengths; sizes and counts are checked before memory is allocated."""
    size = check_shape(runs["size"], "a run length code")
    counts = runs["counts"]
    lengths = _decompress(counts) if isinstance(counts, str) else [int(count) for count in counts]
    total = sum(lengths)
    if len(size) != 2 or total != size[0] * size[1] or min(lengths, default=0) < 0:
        raise ValueError(f"run lengths of {total} pixels for an image of {size}")
    if shape and size != tuple(shape):
        raise ValueError(f"run lengths of an image of {size} in an image of {tuple(shape)}")
    flat = np.repeat(np.arange(len(lengths)) % 2, lengths)
    return flat.reshape(size, order="F").astype(np.int32)


def _decompress(text: str) -> list[int]:
    """Decode compressed run lengths: 5 bits per character, differences to the last but one."""
    lengths: list[int] = []
    position = 0
    while position < len(text):
        value, shift, more = 0, 0, True
        while more:
            if position == len(text):
                raise ValueError("a compressed run length code is cut off")
            code = ord(text[position]) - 48
            if not 0 <= code < 64:
                raise ValueError(f"{text[position]!r} in a compressed run length code")
            value |= (code & 0x1F) << shift
            more = bool(code & 0x20)
            position, shift = position + 1, shift + 5
            if not more and code & 0x10:
                value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
    return lengths
