"""What labelled grains look like: BSE, SE, photograph, outcrop, matrix, PPL, XPL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numba as nb
import numpy as np
import numpy.typing as npt
from scipy import ndimage

from grainsmith.minerals import LIBRARY
from grainsmith.samples.shapes import smooth_noise

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

Picture = npt.NDArray[np.float32]
"""(Y, X) float32; 0..1 is the usual range before noise."""

EPOXY_ATOMIC_NUMBER = 6.3


@dataclass(frozen=True, slots=True)
class Scene:
    """Labels with what every look needs of them.

    Attributes
    ----------
    labels : (Y, X) int32 array
        Numbered 1..n without gaps.
    depth : (Y, X) float32 array
        Distance of a grain's pixel to the grain's edge, in px; 0 outside.
    radius : (n + 1,) float32 array
        Radius of the circle of equal area of each label; index 0 is background.
    """

    labels: LabelImage
    depth: Picture
    radius: npt.NDArray[np.float32]

    @classmethod
    def of(cls, labels: LabelImage) -> Scene:
        """Measure a label image."""
        inner = _inner_pixels(labels)
        depth = ndimage.distance_transform_edt(inner).astype(np.float32)
        depth[labels > 0] += 0.5
        radius = np.sqrt(np.bincount(labels.ravel()) / np.pi).astype(np.float32)
        return cls(labels, depth, radius)

    def per_grain(self, values: npt.ArrayLike) -> Picture:
        """Spread one value per label (index 0: background) over the image."""
        spread: Picture = np.asarray(values, np.float32)[self.labels]
        return spread

    @property
    def inside(self) -> npt.NDArray[np.bool_]:
        """Where there are grains."""
        mask: npt.NDArray[np.bool_] = self.labels > 0
        return mask

    def relative_depth(self) -> Picture:
        """0 at a grain's edge, 1 where it is as deep as its radius."""
        return np.minimum(self.depth / np.maximum(self.per_grain(self.radius), 1), 1)


def bse(rng: np.random.Generator, scene: Scene) -> Picture:
    """Polished grains in epoxy, grey by mean atomic number, or loose grains on carbon tape."""
    minerals = rng.choice(list(LIBRARY), rng.integers(1, 6))
    z = np.array([LIBRARY[name].mean_atomic_number for name in minerals])
    grey = z[rng.integers(len(z), size=len(scene.radius))]
    grey[0] = EPOXY_ATOMIC_NUMBER
    low, high = EPOXY_ATOMIC_NUMBER - rng.uniform(0, 4), z.max() + rng.uniform(0, 6)
    values = (grey - low) / (high - low) + rng.normal(0, rng.uniform(0, 0.03), len(grey))
    picture = scene.per_grain(values)
    picture += _inner_texture(rng, scene, strength=rng.uniform(0, 0.06))
    if rng.random() < 0.5:
        _add_zoning(rng, scene, picture)
    if rng.random() < 0.6:
        _add_cracks_and_inclusions(rng, scene, picture)
    if rng.random() < 0.4:  # polish relief: a bright or a dark rim on one side
        picture += rng.uniform(0.02, 0.12) * _side_light(rng, scene) * np.exp(-scene.depth / 2)
    if rng.random() < 0.35:
        picture += (
            rng.uniform(-0.25, 0.35) * np.exp(-scene.depth / rng.uniform(0.8, 3)) * scene.inside
        )
    picture += (
        ~scene.inside * rng.uniform(0, 0.05) * smooth_noise(rng, picture.shape, rng.uniform(2, 60))
    )
    return picture


def se(rng: np.random.Generator, scene: Scene) -> Picture:
    """Loose grains on tape: bright edges, side light, texture, dim background grains."""
    n = len(scene.radius)
    base = rng.normal(rng.uniform(0.3, 0.6), rng.uniform(0.01, 0.08), n)
    base[0] = rng.uniform(0.0, 0.3)
    picture = scene.per_grain(base)
    depth = scene.relative_depth()
    # A dome seen from above: the secondary yield goes with the slope.
    slope = 1 - np.sqrt(np.clip(1 - (1 - depth) ** 2, 0, 1))
    picture += rng.uniform(0.05, 0.5) * slope ** rng.uniform(1, 3) * scene.inside
    picture += rng.uniform(0, 0.25) * _side_light(rng, scene) * (1 - depth)
    picture += rng.uniform(0, 0.3) * np.exp(-scene.depth / rng.uniform(1, 3)) * scene.inside
    picture += _inner_texture(rng, scene, strength=rng.uniform(0, 0.1))
    if rng.random() < 0.5:
        _add_cracks_and_inclusions(rng, scene, picture)
    outside = ndimage.distance_transform_edt(~scene.inside).astype(np.float32)
    shadow = np.exp(-outside / rng.uniform(2, 12)) * ~scene.inside
    picture += rng.uniform(-0.2, 0.1) * shadow
    picture += (
        ~scene.inside
        * rng.uniform(0, 0.12)
        * smooth_noise(rng, picture.shape, rng.uniform(1.5, 40))
    )
    if rng.random() < 0.35:
        _add_dim_grains(rng, scene, picture, brighter=float(base.max() - base[0]))
    return picture


def photograph(rng: np.random.Generator, scene: Scene) -> Picture:
    """Pebbles in daylight: shaded domes, textured, with shadows in the gaps."""
    n = len(scene.radius)
    base = rng.normal(rng.uniform(0.4, 0.65), rng.uniform(0.05, 0.18), n)
    base[0] = rng.uniform(0.1, 0.6)
    picture = scene.per_grain(base)
    depth = scene.relative_depth()
    picture += rng.uniform(0.05, 0.25) * _side_light(rng, scene) * (1 - depth)
    picture -= rng.uniform(0.1, 0.5) * np.exp(-scene.depth / rng.uniform(0.8, 4)) * scene.inside
    picture += _inner_texture(rng, scene, strength=rng.uniform(0.02, 0.14))
    if rng.random() < 0.6:  # speckled rocks, as granite or conglomerate
        speckle = smooth_noise(rng, picture.shape, rng.uniform(1.5, 5))
        picture += scene.per_grain(rng.uniform(0, 0.12, n) * (rng.random(n) < 0.5)) * speckle
    if rng.random() < 0.4:
        _add_veins(rng, scene, picture)
    sand = rng.uniform(0.02, 0.15) * smooth_noise(rng, picture.shape, rng.uniform(1.2, 4))
    sand += rng.uniform(0, 0.15) * smooth_noise(rng, picture.shape, rng.uniform(5, 40))
    picture += ~scene.inside * sand
    outside = ndimage.distance_transform_edt(~scene.inside).astype(np.float32)
    picture -= rng.uniform(0, 0.3) * np.exp(-outside / rng.uniform(2, 10)) * ~scene.inside
    return picture


def outcrop(rng: np.random.Generator, scene: Scene) -> Picture:
    """Gravel in a bank of sand: dim and white clasts, lit from one side, half buried, dusty."""
    shape, n = scene.labels.shape, len(scene.radius)
    matrix = rng.uniform(0.25, 0.6)
    base = rng.normal(matrix + rng.uniform(-0.1, 0.1), rng.uniform(0.03, 0.12), n)
    white = rng.random(n) < rng.uniform(0, 0.2)
    base[white] += rng.uniform(0.15, 0.4, white.sum())
    base[0] = matrix
    sand = rng.uniform(0.02, 0.09) * smooth_noise(rng, shape, rng.uniform(1.0, 2.5))
    sand += rng.uniform(0.0, 0.06) * smooth_noise(rng, shape, rng.uniform(4, 12))
    sand += rng.uniform(0.0, 0.06) * smooth_noise(rng, shape, rng.uniform(20, 60))
    picture = scene.per_grain(base)
    picture += rng.uniform(0.1, 0.4) * _side_light(rng, scene) * (1 - scene.relative_depth())
    picture -= rng.uniform(0.05, 0.35) * np.exp(-scene.depth / rng.uniform(0.6, 2)) * scene.inside
    picture += _inner_texture(rng, scene, strength=rng.uniform(0.005, 0.05))
    if rng.random() < 0.3:
        _add_veins(rng, scene, picture)
    picture += ~scene.inside * sand
    # A clast throws its shadow to one side, on the sand and on its neighbours' feet.
    reach = rng.uniform(1, 6)
    away = rng.uniform(0, 2 * np.pi)
    moved = ndimage.shift(
        scene.inside.astype(np.float32), (reach * np.sin(away), reach * np.cos(away)), order=1
    )
    picture -= rng.uniform(0.05, 0.4) * ndimage.gaussian_filter(moved, reach / 2) * ~scene.inside
    if rng.random() < 0.5:  # sand that sticks to the clasts
        dusty = smooth_noise(rng, shape, rng.uniform(4, 15)) > rng.uniform(1.0, 2.0)
        picture = np.where(dusty & scene.inside, 0.5 * picture + 0.5 * (matrix + sand), picture)
    return picture.astype(np.float32)


def in_matrix(rng: np.random.Generator, scene: Scene) -> Picture:
    """Particles in a textured matrix: etched metal, slag, ore in gangue."""
    n = len(scene.radius)
    matrix = rng.uniform(0.15, 0.5)
    base = rng.normal(matrix + rng.uniform(0.12, 0.45), 0.04, n)
    base[0] = matrix
    picture = scene.per_grain(base)
    texture = rng.uniform(0.02, 0.1) * smooth_noise(rng, picture.shape, rng.uniform(1.5, 5))
    texture += rng.uniform(0.0, 0.12) * smooth_noise(rng, picture.shape, rng.uniform(6, 60))
    if rng.random() < 0.4:  # lamellae
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
        angle = rng.uniform(0, np.pi)
        phase = (rows * np.sin(angle) + columns * np.cos(angle)) / rng.uniform(2, 6)
        phase += 3 * smooth_noise(rng, picture.shape, 50)
        texture += rng.uniform(0.02, 0.1) * np.sin(phase)
    picture += ~scene.inside * texture
    picture += scene.inside * 0.3 * texture
    picture += rng.uniform(0.0, 0.3) * np.exp(-scene.depth / rng.uniform(1, 2.5)) * scene.inside
    outside = ndimage.distance_transform_edt(~scene.inside).astype(np.float32)
    picture += rng.uniform(-0.2, 0.12) * np.exp(-outside / rng.uniform(1, 3)) * ~scene.inside
    if rng.random() < 0.5:
        picture += rng.uniform(0, 0.15) * _side_light(rng, scene) * np.exp(-scene.depth / 3)
    return picture


def plane_light(rng: np.random.Generator, scene: Scene) -> Picture:
    """Thin section in plane-polarised light: clear grains, dark outlines, coloured pores."""
    n = len(scene.radius)
    base = rng.normal(rng.uniform(0.65, 0.85), 0.05, n)
    dark = rng.random(n) < rng.uniform(0, 0.25)  # mafic or altered grains
    base[dark] -= rng.uniform(0.15, 0.5, dark.sum())
    base[0] = rng.uniform(0.3, 0.75)
    picture = scene.per_grain(base)
    line = np.exp(-(((scene.depth - 0.5) / rng.uniform(0.7, 2.0)) ** 2)) * scene.inside
    picture -= rng.uniform(0.1, 0.5) * line
    picture += _inner_texture(rng, scene, strength=rng.uniform(0.02, 0.1))
    _add_cracks_and_inclusions(rng, scene, picture)
    picture += (
        ~scene.inside
        * rng.uniform(0.01, 0.08)
        * smooth_noise(rng, picture.shape, rng.uniform(1.5, 20))
    )
    return picture


def crossed_polars(rng: np.random.Generator, scene: Scene) -> Picture:
    """Thin section between crossed polars: every grain its own grey, some extinct, some twinned."""
    n = len(scene.radius)
    base = rng.beta(1.2, 1.6, n)
    base[0] = rng.uniform(0.0, 0.15)
    picture = scene.per_grain(base)
    picture += _inner_texture(rng, scene, strength=rng.uniform(0.01, 0.08))
    if rng.random() < 0.6:  # twins and undulose extinction
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
        angle = scene.per_grain(rng.uniform(0, np.pi, n))
        width = scene.per_grain(rng.uniform(2, 12, n))
        strength = scene.per_grain(rng.uniform(0, 0.3, n) * (rng.random(n) < 0.3))
        picture += strength * np.sign(
            np.sin((rows * np.sin(angle) + columns * np.cos(angle)) / width)
        )
    if rng.random() < 0.5:
        picture -= (
            rng.uniform(0, 0.25) * np.exp(-scene.depth / rng.uniform(0.7, 1.5)) * scene.inside
        )
    return picture


LOOKS = {
    "bse": bse,
    "se": se,
    "photograph": photograph,
    "outcrop": outcrop,
    "in_matrix": in_matrix,
    "plane_light": plane_light,
    "crossed_polars": crossed_polars,
}


@nb.njit(cache=True, nogil=True)
def _inner_pixels(labels):  # type: ignore[no-untyped-def]
    """Grain pixels whose four neighbours belong to the same grain; the field's edge is no edge."""
    height, width = labels.shape
    inner = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            k = labels[y, x]
            inner[y, x] = (
                k > 0
                and (y == 0 or labels[y - 1, x] == k)
                and (y == height - 1 or labels[y + 1, x] == k)
                and (x == 0 or labels[y, x - 1] == k)
                and (x == width - 1 or labels[y, x + 1] == k)
            )
    return inner


def _inner_texture(rng: np.random.Generator, scene: Scene, *, strength: float) -> Picture:
    size = max(2.0, float(np.median(scene.radius[1:])) if len(scene.radius) > 1 else 5.0)
    coarse = smooth_noise(rng, scene.labels.shape, rng.uniform(0.3, 1) * size)
    fine = smooth_noise(rng, scene.labels.shape, rng.uniform(1.2, 3))
    amount = scene.per_grain(rng.uniform(0, 2 * strength, len(scene.radius)))
    return amount * (coarse + rng.uniform(0, 1) * fine) * scene.inside


def _side_light(rng: np.random.Generator, scene: Scene) -> Picture:
    """-1..1: slope of the domes towards a light at a random side."""
    dome = ndimage.gaussian_filter(np.sqrt(scene.relative_depth()), 1.0)
    rows, columns = np.gradient(dome)
    angle = rng.uniform(0, 2 * np.pi)
    lit = rows * np.sin(angle) + columns * np.cos(angle)
    return (lit / max(float(np.abs(lit).max()), 1e-6)).astype(np.float32) * scene.inside


def _add_zoning(rng: np.random.Generator, scene: Scene, picture: Picture) -> None:
    n = len(scene.radius)
    strength = rng.uniform(0.02, 0.12) * (rng.random(n) < 0.4)
    wavelength = scene.per_grain(rng.uniform(1.5, 8, n))
    picture += scene.per_grain(strength) * np.sin(scene.depth / wavelength) * scene.inside


def _add_cracks_and_inclusions(rng: np.random.Generator, scene: Scene, picture: Picture) -> None:
    if len(scene.radius) < 2:
        return
    area = float(np.pi * np.median(scene.radius[1:]) ** 2)
    spots = int(min(300, picture.size / area * rng.uniform(0, 0.8)))
    for _ in range(spots):
        y, x = rng.integers(picture.shape[0]), rng.integers(picture.shape[1])
        radius = scene.radius[scene.labels[y, x]]
        if scene.labels[y, x] == 0:
            continue
        value = float(rng.uniform(-0.4, 0.4))
        if rng.random() < 0.5:
            _stamp(picture, scene.labels, y, x, rng.uniform(0.6, max(0.8, 0.22 * radius)), value)
        else:
            _crack(picture, scene.labels, y, x, rng.uniform(0, np.pi), radius, -abs(value))


def _add_veins(rng: np.random.Generator, scene: Scene, picture: Picture) -> None:
    for k in (
        rng.integers(1, len(scene.radius), min(20, len(scene.radius) - 1))
        if len(scene.radius) > 1
        else ()
    ):
        pixels = np.argwhere(scene.labels[::4, ::4] == k) * 4
        if len(pixels):
            y, x = pixels[rng.integers(len(pixels))]
            _crack(
                picture,
                scene.labels,
                y,
                x,
                rng.uniform(0, np.pi),
                2 * scene.radius[k],
                rng.uniform(-0.2, 0.3),
            )


def _add_dim_grains(
    rng: np.random.Generator, scene: Scene, picture: Picture, *, brighter: float
) -> None:
    """Blurred grains out of focus below the others: seen, not counted."""
    blobs = smooth_noise(rng, picture.shape, rng.uniform(10, 40)) > rng.uniform(0.8, 1.6)
    veil = ndimage.gaussian_filter(blobs.astype(np.float32), rng.uniform(2, 5))
    picture += ~scene.inside * veil * rng.uniform(0.1, 0.35) * brighter


@nb.njit(cache=True, nogil=True)
def _stamp(picture, labels, y, x, radius, value):  # type: ignore[no-untyped-def]
    k = labels[y, x]
    reach = int(radius) + 1
    for v in range(max(0, y - reach), min(picture.shape[0], y + reach + 1)):
        for u in range(max(0, x - reach), min(picture.shape[1], x + reach + 1)):
            if labels[v, u] == k and (v - y) ** 2 + (u - x) ** 2 <= radius * radius:
                picture[v, u] += value


@nb.njit(cache=True, nogil=True)
def _crack(picture, labels, y, x, angle, length, value):  # type: ignore[no-untyped-def]
    k = labels[y, x]
    for side in (-1, 1):
        v, u, a = float(y), float(x), angle
        for step in range(int(length)):
            a += 0.25 * np.sin(0.7 * step + angle * 13)
            v += side * np.sin(a)
            u += side * np.cos(a)
            i, j = int(v), int(u)
            inside = 0 <= i < labels.shape[0] and 0 <= j < labels.shape[1]
            if not inside or labels[i, j] != k:
                break
            picture[i, j] += value
