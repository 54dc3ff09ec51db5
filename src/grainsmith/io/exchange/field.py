"""A field with its grains, for exchange with other programs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from grainsmith.minerals import LIBRARY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from grainsmith.data import Image, LabelImage

UNNAMED = "grain"
"""Class of grains without a mineral."""

_GRAY = "#9e9e9e"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelledField:
    """Grains of one field, with everything that other programs can use.

    Attributes
    ----------
    labels : (Y, X) int32 array
        0 is background.
    name : str
        Name of the field, used for file names.
    minerals : dict of int to str
        Mineral by label, without unnamed grains.
    table : DataFrame
        Measurements, index `label`; may be empty.
    image : (Y, X) or (Y, X, 3) array or None
        The image, for formats that hold one.
    pixel_size_um : float
        0 if unknown.
    role : str
        "train", "validation" or "test" in a set; "" for a single field.
    notes : tuple of str
        What the reader converted or left out, in the user's words.
    """

    labels: LabelImage
    name: str
    minerals: dict[int, str] = field(default_factory=dict)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    image: Image | None = None
    pixel_size_um: float = 0.0
    role: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.labels.ndim != 2:
            raise ValueError(f"labels must be (Y, X), got shape {self.labels.shape}")
        if self.image is not None and self.image.shape[:2] != self.labels.shape:
            raise ValueError(
                f"image and labels must have the same size, got {self.image.shape[:2]} and "
                f"{self.labels.shape}"
            )

    def class_of(self, label: int) -> str:
        """Return the mineral of a grain, or "grain"."""
        return self.minerals.get(label) or UNNAMED


def class_names(fields: Iterable[LabelledField]) -> list[str]:
    """Return the classes of a set: "grain", which always exists, then its minerals."""
    names = {name for item in fields for name in item.minerals.values() if name}
    return [UNNAMED, *sorted(names - {UNNAMED})]


def class_color(name: str) -> str:
    """Return the color of a class as "#rrggbb": that of the mineral library, else gray."""
    return LIBRARY[name].color if name in LIBRARY else _GRAY


def class_rgb(name: str) -> tuple[int, int, int]:
    """Return the color of a class as red, green and blue, 0..255."""
    red, green, blue = bytes.fromhex(class_color(name)[1:])
    return red, green, blue
