"""Advice for files of manufacturers that are not read directly."""

from __future__ import annotations

from pathlib import Path

_HYPERSPY = "save it as .hspy with HyperSpy, or export the maps as TIFF or CSV"
_IMAGEJ = "open it in Fiji (Bio-Formats) and save it as TIFF"
_ADVICE = {
    ".bcf": f"Bruker .bcf: {_HYPERSPY}",
    ".spx": "Bruker .spx is one spectrum: export the maps as TIFF or CSV",
    ".emd": f"Velox .emd: {_HYPERSPY}",
    ".spd": f"EDAX .spd: {_HYPERSPY}",
    ".pts": f"JEOL .pts: {_HYPERSPY}",
    ".asw": f"JEOL .asw: {_HYPERSPY}",
    ".oip": "Oxford .oip: export it from AZtec as .h5oina, or the maps as TIFF or CSV",
    ".oipx": "Oxford .oipx: export it from AZtec as .h5oina, or the maps as TIFF or CSV",
    ".dm3": f"Gatan .dm3: {_IMAGEJ}",
    ".dm4": f"Gatan .dm4: {_IMAGEJ}",
    ".czi": f"Zeiss .czi: {_IMAGEJ}",
    ".lif": f"Leica .lif: {_IMAGEJ}",
    ".nd2": f"Nikon .nd2: {_IMAGEJ}",
    ".oir": f"Olympus .oir: {_IMAGEJ}",
    ".vsi": f"Olympus .vsi: {_IMAGEJ}",
    ".svs": f"Aperio .svs: {_IMAGEJ}, or as OME-Zarr",
    ".mrc": f".mrc: {_IMAGEJ}",
    ".ser": f"FEI .ser: {_IMAGEJ}",
    ".jp2": "JPEG 2000: save it as TIFF or PNG",
    ".heic": "HEIC: save it as TIFF or PNG",
    ".pdf": "PDF: export the image as TIFF or PNG",
}
"""What works instead, by suffix."""

SUFFIXES = tuple(_ADVICE)


def vendor_advice(path: str | Path) -> str:
    """Return how the content of an unsupported file can be opened; "" if its type is unknown."""
    return _ADVICE.get(Path(path).suffix.lower(), "")
