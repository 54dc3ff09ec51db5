"""Texture of grains and of what lies between them: zones, twins, cracks, pores, films, contacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
from scipy import ndimage

from grainsmith.samples.scene import Scene
from grainsmith.samples.shapes import Packing, generate_grains, pack_grains, smooth_noise

if TYPE_CHECKING:
    from grainsmith.samples.scene import GreyImage


def inner_texture(rng: np.random.Generator, scene: Scene, *, strength: float) -> GreyImage:
    """Return smooth noise inside the grains, of a different strength in each."""
    size = max(2.0, scene.median_radius_px)
    coarse = smooth_noise(rng, scene.labels.shape, rng.uniform(0.3, 1) * size)
    fine = smooth_noise(rng, scene.labels.shape, rng.uniform(1.2, 3))
    amount = scene.per_grain(rng.uniform(0, 2 * strength, len(scene.radius)))
    return amount * (coarse + rng.uniform(0, 1) * fine) * scene.inside


def side_light(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Return the slope (-1..1) of domed grains towards a light at a random side."""
    dome = ndimage.gaussian_filter(np.sqrt(scene.relative_depth()), 1.0)
    rows, columns = np.gradient(dome)
    angle = rng.uniform(0, 2 * np.pi)
    lit = rows * np.sin(angle) + columns * np.cos(angle)
    return (lit / max(float(np.abs(lit).max()), 1e-6)).astype(np.float32) * scene.inside


def edge_glow(scene: Scene, reach_px: float) -> GreyImage:
    """Return a rim inside the grains that fades from 1 at the edge over `reach_px`."""
    glow: GreyImage = np.exp(-scene.depth / np.float32(reach_px)) * scene.inside
    return glow


def halo(scene: Scene, reach_px: float) -> GreyImage:
    """Return a halo round the grains that fades from 1 at the edge over `reach_px`."""
    if not scene.n_grains:
        return np.zeros(scene.labels.shape, np.float32)
    outside = ndimage.distance_transform_edt(~scene.inside).astype(np.float32)
    glow: GreyImage = np.exp(-outside / np.float32(reach_px)) * ~scene.inside
    return glow


def stripes(
    rng: np.random.Generator, scene: Scene, *, width_px: tuple[float, float]
) -> tuple[GreyImage, GreyImage]:
    """Return the phase of stripes in each grain's own direction, and their half period in px."""
    n = len(scene.radius)
    rows, columns = np.mgrid[: scene.labels.shape[0], : scene.labels.shape[1]].astype(np.float32)
    angle = rng.uniform(0, np.pi, n)
    width = rng.uniform(*width_px, n)
    across = rows * scene.per_grain(np.sin(angle)) + columns * scene.per_grain(np.cos(angle))
    half_period = scene.per_grain(width)
    return across / half_period, half_period


def add_zoning(rng: np.random.Generator, scene: Scene, image: GreyImage) -> None:
    """Add concentric growth zones to some grains."""
    n = len(scene.radius)
    strength = rng.uniform(0.02, 0.12) * (rng.random(n) < 0.4)
    wavelength = scene.per_grain(rng.uniform(1.5, 8, n))
    image += scene.per_grain(strength) * np.sin(scene.depth / wavelength) * scene.inside


def add_core(rng: np.random.Generator, scene: Scene, image: GreyImage) -> None:
    """Give some grains a core of another grey, sharply bounded."""
    n = len(scene.radius)
    border = scene.per_grain(rng.uniform(0.25, 0.7, n) * scene.radius)
    contrast = rng.uniform(-0.3, 0.3, n) * (rng.random(n) < rng.uniform(0.1, 0.5))
    wobble = 0.15 * scene.median_radius_px * smooth_noise(rng, image.shape, scene.median_radius_px)
    image += scene.per_grain(contrast) * (scene.depth + wobble > border) * scene.inside


def add_twins(rng: np.random.Generator, scene: Scene, image: GreyImage) -> None:
    """Give some grains straight lamellae of two greys."""
    n = len(scene.radius)
    phase, _ = stripes(rng, scene, width_px=(2, 14))
    strength = rng.uniform(0.03, 0.3, n) * (rng.random(n) < rng.uniform(0.1, 0.5))
    image += 0.5 * scene.per_grain(strength) * np.sign(np.sin(phase)) * scene.inside


def add_cleavage(rng: np.random.Generator, scene: Scene, image: GreyImage) -> None:
    """Draw thin parallel cracks through whole grains, interrupted in places."""
    n = len(scene.radius)
    phase, half_period = stripes(rng, scene, width_px=(3, 14))
    sharp = np.exp(-((np.abs(np.sin(phase)) * half_period / rng.uniform(0.5, 1.0)) ** 2))
    gaps = smooth_noise(rng, image.shape, 0.5 * scene.median_radius_px) > rng.uniform(-1, 0.5)
    strength = rng.uniform(0.08, 0.5, n) * (rng.random(n) < rng.uniform(0.1, 0.6))
    image -= scene.per_grain(strength) * sharp * gaps * scene.inside


def add_pores(rng: np.random.Generator, scene: Scene, image: GreyImage) -> None:
    """Punch pores or bright inclusions into some grains, without changing their labels."""
    n = len(scene.radius)
    porous = rng.random(n) < rng.uniform(0.1, 0.6)
    size = rng.uniform(1.2, max(1.6, 0.35 * scene.median_radius_px))
    holes = smooth_noise(rng, image.shape, size) > rng.uniform(0.8, 1.6)
    value = float(image[~scene.inside].mean()) if (~scene.inside).any() else 0.0
    if rng.random() < 0.25:
        value = float(image.max())
    mask = holes & scene.inside & (scene.depth > 1.5) & (scene.per_grain(porous) > 0)
    image[mask] = rng.uniform(0, 0.4) * image[mask] + rng.uniform(0.6, 1) * value


def add_cracks_and_inclusions(rng: np.random.Generator, scene: Scene, image: GreyImage) -> None:
    """Put spots and single cracks into random grains."""
    if not scene.n_grains:
        return
    area = float(np.pi * scene.median_radius_px**2)
    spots = int(min(300, image.size / area * rng.uniform(0, 0.8)))
    for _ in range(spots):
        y, x = rng.integers(image.shape[0]), rng.integers(image.shape[1])
        radius = scene.radius[scene.labels[y, x]]
        if scene.labels[y, x] == 0:
            continue
        value = float(rng.uniform(-0.4, 0.4))
        if rng.random() < 0.5:
            _stamp(image, scene.labels, y, x, rng.uniform(0.6, max(0.8, 0.22 * radius)), value)
        else:
            _crack(image, scene.labels, y, x, rng.uniform(0, np.pi), radius, -abs(value))


def add_veins(rng: np.random.Generator, scene: Scene, image: GreyImage) -> None:
    """Draw a bright or dark vein through up to 20 grains."""
    if not scene.n_grains:
        return
    for k in rng.integers(1, scene.n_grains + 1, min(20, scene.n_grains)):
        pixels = np.argwhere(scene.labels[::4, ::4] == k) * 4
        if len(pixels):
            y, x = pixels[rng.integers(len(pixels))]
            angle, value = rng.uniform(0, np.pi), rng.uniform(-0.2, 0.3)
            _crack(image, scene.labels, y, x, angle, 2 * scene.radius[k], value)


INTERIORS = (add_core, add_twins, add_cleavage, add_pores, add_zoning)
"""What may divide the grey of a grain without dividing the grain."""


def add_out_of_focus_grains(
    rng: np.random.Generator, scene: Scene, image: GreyImage, *, contrast: float
) -> None:
    """Add blurred grains below the others, which are not labelled."""
    blobs = smooth_noise(rng, image.shape, rng.uniform(10, 40)) > rng.uniform(0.8, 1.6)
    veil = ndimage.gaussian_filter(blobs.astype(np.float32), rng.uniform(2, 5))
    image += ~scene.inside * veil * rng.uniform(0.1, 0.35) * contrast


def add_film(rng: np.random.Generator, scene: Scene, image: GreyImage) -> None:
    """Draw faint closed outlines on the background, as of a support film or a cast surface.

    They stand out by 3 to 20 % of what the grains do.
    """
    shape = scene.labels.shape
    radius = float(np.exp(rng.uniform(np.log(5), np.log(30))))
    if rng.random() < 0.5:
        packing = Packing(median_radius_px=radius, spread=0.3, coverage=1.2)
        film = pack_grains(rng, shape, packing, gap_px=0.0)
    else:
        packing = Packing(
            median_radius_px=radius, spread=0.5, coverage=float(rng.uniform(0.2, 1.2)), overlap=0.6
        )
        outlines = ("round",) if rng.random() < 0.5 else ("smooth", "rough")
        film = generate_grains(rng, shape, packing, outlines=outlines, elongation=0.2)
    cells = Scene.of(film)
    lines = edge_glow(cells, rng.uniform(0.7, 2.0))
    if rng.random() < 0.4:  # plates that lie on one another
        lines = lines + cells.per_grain(rng.normal(0, 0.5, len(cells.radius)))
    sign = 1 if rng.random() < 0.7 else -1
    image += sign * rng.uniform(0.03, 0.2) * contrast_of(scene, image) * lines * ~scene.inside


def contrast_of(scene: Scene, image: GreyImage) -> float:
    """Return the difference between the mean greys of grains and background; 0.2 if undefined."""
    inside = scene.inside
    if inside.all() or not inside.any():
        return 0.2
    return max(0.05, abs(float(image[inside].mean() - image[~inside].mean())))


def weaken_contacts(rng: np.random.Generator, scene: Scene, image: GreyImage) -> GreyImage:
    """Blur the boundaries between touching grains; their outlines towards the background stay."""
    contact = _contacts(scene.labels)
    if not contact.any():
        return image
    reach = rng.uniform(1.5, 3.5)
    distance = ndimage.distance_transform_edt(~contact)
    place = 0.75 + 0.4 * smooth_noise(rng, image.shape, max(4.0, scene.median_radius_px))
    share = np.clip(place, 0, 1) * rng.uniform(0.6, 0.97) * np.exp(-((distance / reach) ** 2))
    inside = scene.inside.astype(np.float32)
    blurred = ndimage.gaussian_filter(image * inside, 1.5 * reach)
    blurred /= np.maximum(ndimage.gaussian_filter(inside, 1.5 * reach), 1e-3)
    share = (share * inside).astype(np.float32)
    return image * (1 - share) + blurred * share


@nb.njit(cache=True, nogil=True)
def _contacts(labels):  # type: ignore[no-untyped-def]
    """Return the pixels of grains that have a pixel of another grain as a neighbour."""
    height, width = labels.shape
    touching = np.zeros((height, width), np.bool_)
    for y in range(height):
        for x in range(width):
            k = labels[y, x]
            if k == 0:
                continue
            below = labels[y + 1, x] if y + 1 < height else 0
            beside = labels[y, x + 1] if x + 1 < width else 0
            if below > 0 and below != k:
                touching[y, x] = touching[y + 1, x] = True
            if beside > 0 and beside != k:
                touching[y, x] = touching[y, x + 1] = True
    return touching


@nb.njit(cache=True, nogil=True)
def _stamp(image, labels, y, x, radius, value):  # type: ignore[no-untyped-def]
    k = labels[y, x]
    reach = int(radius) + 1
    for v in range(max(0, y - reach), min(image.shape[0], y + reach + 1)):
        for u in range(max(0, x - reach), min(image.shape[1], x + reach + 1)):
            if labels[v, u] == k and (v - y) ** 2 + (u - x) ** 2 <= radius * radius:
                image[v, u] += value


@nb.njit(cache=True, nogil=True)
def _crack(image, labels, y, x, angle, length, value):  # type: ignore[no-untyped-def]
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
            image[i, j] += value
