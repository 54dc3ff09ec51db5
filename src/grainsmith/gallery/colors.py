"""Assign a fixed hue to every element."""

from __future__ import annotations

import colorsys

_HUES_DEG = {
    "Si": 215, "Al": 175, "Fe": 5, "Mg": 125, "Ca": 45, "Na": 285, "K": 320, "Ti": 25, "P": 85,
    "S": 60, "Zr": 255, "Mn": 340, "Cr": 145, "Ni": 200, "Cu": 15, "Zn": 235, "Ba": 300, "Ce": 105,
    "La": 115, "O": 350, "C": 190, "Cl": 95, "F": 75, "Pb": 270, "V": 160, "Y": 65, "Nb": 245,
}  # fmt: skip


def hue_of(element: str) -> tuple[int, int, int]:
    """Return the colour of an element as (red, green, blue), 0..255."""
    # Other elements are spread by the golden angle.
    degrees = _HUES_DEG.get(element, sum(137.5 * (i + 1) * ord(c) for i, c in enumerate(element)))
    red, green, blue = colorsys.hls_to_rgb((degrees % 360) / 360, 0.62, 1.0)
    return round(255 * red), round(255 * green), round(255 * blue)
