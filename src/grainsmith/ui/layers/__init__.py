"""Convert between Grainsmith values and napari layers. No Qt."""

from __future__ import annotations

from typing import Any

LayerData = tuple[Any, dict[str, Any], str]
"""(data, keyword arguments, kind of layer), as napari takes it from readers and samples."""
