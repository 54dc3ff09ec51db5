"""Croissant 1.0 metadata, by which search engines and programs find and read a data set."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from grainsmith.io.files.atomic_write import fingerprint

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.io.dataset.release_settings import ReleaseSettings

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""Context of the Croissant 1.0 specification."""


def croissant_metadata(folder: Path, settings: ReleaseSettings) -> dict[str, Any]:
    """Return the Croissant 1.0 metadata of a release (mlcommons.org/croissant/1.0)."""
    tables = ("fields.csv", "classes.csv")
    objects = [
        {
            "@type": "cr:FileObject",
            "@id": name,
            "name": name,
            "contentUrl": name,
            "encodingFormat": "text/csv",
            "sha256": fingerprint(folder / name),
        }
        for name in tables
    ]
    metadata: dict[str, Any] = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": re.sub(r"[^A-Za-z0-9_-]+", "_", settings.title).strip("_") or "grains",
        "description": settings.description or settings.title,
        "license": f"https://spdx.org/licenses/{settings.license}.html",
        "version": settings.version,
        "citeAs": settings.cited_as,
        "creator": [
            {"@type": "sc:Person", "name": name.strip()}
            for name in settings.creators.split(";")
            if name.strip()
        ],
        "datePublished": datetime.now(UTC).date().isoformat(),
        "distribution": objects,
        "recordSet": [_record_set(folder, name) for name in tables],
    }
    # The specification requires an address; without one, validators report it.
    return {**metadata, "url": settings.url} if settings.url else metadata


def _record_set(folder: Path, name: str) -> dict[str, Any]:
    with (folder / name).open(newline="", encoding="utf8") as file:
        columns = next(csv.reader(file))
    record = name.removesuffix(".csv")
    numbers = {"grains", "id"}
    floats = {"median_diameter_px", "pixel_size_um", "trusted_pct"}
    return {
        "@type": "cr:RecordSet",
        "@id": record,
        "name": record,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{record}/{column}",
                "name": column,
                "dataType": "sc:Integer"
                if column in numbers
                else "sc:Float"
                if column in floats
                else "sc:Text",
                "source": {"fileObject": {"@id": name}, "extract": {"column": column}},
            }
            for column in columns
        ],
    }
