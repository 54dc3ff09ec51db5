"""Fields without end for training: pictures with their true labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from grainsmith.samples.looks import LOOKS, Picture, Scene, burn_in, record
from grainsmith.samples.shapes import OUTLINES, Packing, draw_grains, pack_grains

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

_LOOK_SHARES = {
    "bse": 0.27,
    "se": 0.25,
    "photograph": 0.2,
    "in_matrix": 0.12,
    "plane_light": 0.08,
    "crossed_polars": 0.08,
}
_PACKED_SHARES = {
    "bse": 0.2,
    "se": 0.1,
    "photograph": 0.4,
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
    picture = record(rng, LOOKS[look](rng, scene), scene)
    if rng.random() < 0.12:
        picture = -picture
    if rng.random() < 0.06:
        burn_in(rng, picture, labels)
    return picture, labels


def _arrange(rng: np.random.Generator, look: str, size_px: int) -> LabelImage:
    shape = (size_px, size_px)
    if rng.random() < 0.01:
        return np.zeros(shape, np.int32)
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
    return draw_grains(rng, shape, packing, outlines=outlines, elongation=elongation)
