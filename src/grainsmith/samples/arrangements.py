"""Arrangements of synthetic grains: scattered, packed, clustered, in two sizes, as gravel."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from grainsmith.samples.shapes import OUTLINES, Packing, generate_grains, pack_grains, tidy

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

    Shape = tuple[int, int]

_SMALLEST_RADIUS_PX, _LARGEST_RADIUS_PX = 4.5, 38.0


def scattered(rng: np.random.Generator, shape: Shape) -> LabelImage:
    """Scatter grains of one size class, apart or on one another."""
    together = rng.random() < 0.7
    packing = Packing(
        median_radius_px=_median_radius(rng),
        spread=float(rng.uniform(0.05, 0.7)),
        coverage=float(rng.uniform(0.15, 1.8 if together else 0.8)),
        overlap=float(rng.uniform(0.1, 0.6)) if together else 0.0,
        clustering=float(rng.uniform(0, 0.8)) if together else 0.0,
    )
    return _drawn(rng, shape, packing)


def packed(rng: np.random.Generator, shape: Shape) -> LabelImage:
    """Fill the field with grains that share their boundaries or are up to 3 px apart."""
    packing = Packing(
        median_radius_px=_median_radius(rng), spread=float(rng.uniform(0.05, 0.5)), coverage=1.3
    )
    return pack_grains(rng, shape, packing, gap_px=float(rng.choice([0.0, 1.0, 2.0, 3.0])))


def agglomerated(rng: np.random.Generator, shape: Shape) -> LabelImage:
    """Put most grains against others, so that they form a few clusters."""
    packing = Packing(
        median_radius_px=float(np.exp(rng.uniform(np.log(5), np.log(25)))),
        spread=float(rng.uniform(0.05, 0.4)),
        coverage=float(rng.uniform(0.15, 0.8)),
        overlap=float(rng.uniform(0.05, 0.35)),
        clustering=float(rng.uniform(0.85, 0.99)),
    )
    return _drawn(rng, shape, packing)


def two_size_classes(rng: np.random.Generator, shape: Shape) -> LabelImage:
    """Put small grains between grains that are 3 to 20 times as wide."""
    small = float(np.exp(rng.uniform(np.log(3.5), np.log(10))))
    ratio = float(np.exp(rng.uniform(np.log(3), np.log(20))))
    large_packing = Packing(
        median_radius_px=min(small * ratio, 0.3 * min(shape)),
        spread=float(rng.uniform(0.1, 0.4)),
        coverage=float(rng.uniform(0.1, 0.8)),
        overlap=float(rng.choice([0.0, 0.2])),
    )
    small_packing = Packing(
        median_radius_px=small,
        spread=float(rng.uniform(0.05, 0.4)),
        coverage=float(rng.uniform(0.05, 0.5)),
    )
    large = _drawn(rng, shape, large_packing)
    between = _drawn(rng, shape, small_packing)
    # Small grains keep a distance, as precipitates do that grow from the same matrix.
    free_px = rng.uniform(1.5, 8)
    close = ndimage.distance_transform_edt(large == 0) < free_px if large.any() else large > 0
    kept = np.ones(between.max() + 1, bool)
    kept[np.unique(between[close])] = False
    small_grains = np.where(kept[between] & (between > 0), between + large.max(), 0)
    return tidy(np.where(large > 0, large, small_grains).astype(np.int32))


def gravel_bed(rng: np.random.Generator, shape: Shape) -> LabelImage:
    """Lay imbricated clasts of all sizes: most point the same way, large ones over small ones."""
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


def _median_radius(rng: np.random.Generator) -> float:
    return float(np.exp(rng.uniform(np.log(_SMALLEST_RADIUS_PX), np.log(_LARGEST_RADIUS_PX))))


def _drawn(rng: np.random.Generator, shape: Shape, packing: Packing) -> LabelImage:
    outlines = tuple(str(name) for name in rng.choice(list(OUTLINES), rng.integers(1, 3)))
    elongation = 0.05 if outlines == ("round",) else float(rng.choice([0.1, 0.25, 0.5]))
    return generate_grains(rng, shape, packing, outlines=outlines, elongation=elongation)
