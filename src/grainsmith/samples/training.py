"""Fields without end for training: images with their true labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.samples.artefacts import burn_in, expose, record
from grainsmith.samples.modalities import LOOKS, Picture, Scene
from grainsmith.samples.shapes import OUTLINES, Packing, generate_grains, pack_grains

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

_LOOK_SHARES = {
    "bse": 0.22,
    "se": 0.22,
    "photograph": 0.14,
    "outcrop": 0.16,
    "in_matrix": 0.12,
    "plane_light": 0.07,
    "crossed_polars": 0.07,
}
_PACKED_SHARES = {
    "bse": 0.2,
    "se": 0.1,
    "photograph": 0.4,
    "outcrop": 0.0,
    "in_matrix": 0.05,
    "plane_light": 0.6,
    "crossed_polars": 0.6,
}


def training_field(seed: int | tuple[int, ...], size_px: int = 256) -> tuple[Picture, LabelImage]:
    """Make one synthetic field.

    Parameters
    ----------
    seed : int or tuple of int
        The same seed gives the same field.
    size_px : int
        Height and width.

    Returns
    -------
    image : (size_px, size_px) float32 array
        Arbitrary grey scale.
    labels : (size_px, size_px) int32 array
        True grains, numbered 1..n; may hold none.
    """
    rng = np.random.default_rng(seed)
    look = str(rng.choice(list(_LOOK_SHARES), p=list(_LOOK_SHARES.values())))
    labels = _arrange(rng, look, size_px)
    scene = Scene.of(labels)
    picture = LOOKS[look](rng, scene)
    picture = expose(rng, picture) if look == "outcrop" else record(rng, picture, scene)
    if rng.random() < 0.12:
        picture = -picture
    if rng.random() < 0.08:
        burn_in(rng, picture, labels)
    return picture, labels


def _arrange(rng: np.random.Generator, look: str, size_px: int) -> LabelImage:
    shape = (size_px, size_px)
    if rng.random() < 0.01:
        return np.zeros(shape, np.int32)
    if look == "outcrop":
        return _bed_of_gravel(rng, shape)
    radius = float(np.exp(rng.uniform(np.log(4.5), np.log(38))))
    spread = float(rng.uniform(0.05, 0.7))
    if rng.random() < _PACKED_SHARES[look]:
        packing = Packing(median_radius_px=radius, spread=min(spread, 0.5), coverage=1.3)
        gap = (
            float(rng.choice([0.0, 1.0, 2.0])) if look != "photograph" else float(rng.uniform(0, 3))
        )
        return pack_grains(rng, shape, packing, gap_px=gap)
    together = rng.random() < 0.7
    packing = Packing(
        median_radius_px=radius,
        spread=spread,
        coverage=float(rng.uniform(0.15, 1.8 if together else 0.8)),
        overlap=float(rng.uniform(0.1, 0.6)) if together else 0.0,
        clustering=float(rng.uniform(0, 0.8)) if together else 0.0,
    )
    names = list(OUTLINES)
    outlines = tuple(str(name) for name in rng.choice(names, rng.integers(1, 3)))
    elongation = 0.05 if outlines == ("round",) else float(rng.choice([0.1, 0.25, 0.5]))
    return generate_grains(rng, shape, packing, outlines=outlines, elongation=elongation)


def _bed_of_gravel(rng: np.random.Generator, shape: tuple[int, int]) -> LabelImage:
    """Clasts of all sizes, imbricated: most lie the same way, large ones over small ones."""
    packing = Packing(
        median_radius_px=float(np.exp(rng.uniform(np.log(5), np.log(20)))),
        spread=float(rng.uniform(0.4, 0.9)),
        coverage=float(rng.uniform(0.5, 2.5)),
        overlap=float(rng.uniform(0.05, 0.5)),
        clustering=float(rng.uniform(0, 0.6)),
        alignment=float(rng.uniform(0, 0.9)),
    )
    outlines = ("smooth", "smooth", "round", "angular")[: rng.integers(2, 5)]
    return generate_grains(rng, shape, packing, outlines=outlines, elongation=0.4)
