"""Images of labelled grains in each modality: BSE, SE, TEM, photographs, matrix, PPL, XPL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from grainsmith.minerals import LIBRARY
from grainsmith.samples.shapes import smooth_noise
from grainsmith.samples.textures import (
    add_cleavage,
    add_cracks_and_inclusions,
    add_out_of_focus_grains,
    add_veins,
    add_zoning,
    edge_glow,
    halo,
    inner_texture,
    side_light,
    stripes,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from grainsmith.samples.scene import GreyImage, Scene

EPOXY_ATOMIC_NUMBER = 6.3


def bse(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw polished grains in epoxy, grey by mean atomic number, or loose grains on carbon tape."""
    minerals = rng.choice(list(LIBRARY), rng.integers(1, 6))
    z = np.array([LIBRARY[name].mean_atomic_number for name in minerals])
    grey = z[rng.integers(len(z), size=len(scene.radius))]
    grey[0] = EPOXY_ATOMIC_NUMBER
    low, high = EPOXY_ATOMIC_NUMBER - rng.uniform(0, 4), z.max() + rng.uniform(0, 6)
    values = (grey - low) / (high - low) + rng.normal(0, rng.uniform(0, 0.03), len(grey))
    image = scene.per_grain(values)
    image += inner_texture(rng, scene, strength=rng.uniform(0, 0.06))
    if rng.random() < 0.5:
        add_zoning(rng, scene, image)
    if rng.random() < 0.6:
        add_cracks_and_inclusions(rng, scene, image)
    if rng.random() < 0.4:  # polish relief: a bright or a dark rim on one side
        image += rng.uniform(0.02, 0.12) * side_light(rng, scene) * np.exp(-scene.depth / 2)
    if rng.random() < 0.35:
        image += rng.uniform(-0.25, 0.35) * edge_glow(scene, rng.uniform(0.8, 3))
    background = smooth_noise(rng, image.shape, rng.uniform(2, 60))
    image += ~scene.inside * rng.uniform(0, 0.05) * background
    return image


def bse_sandstone(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw polished sandstone: quartz and feldspar, mica, clay coats, cement and pores."""
    n, shape = len(scene.radius), scene.labels.shape
    quartz = rng.uniform(0.35, 0.55)
    feldspar = quartz + rng.uniform(0.01, 0.15, 2)
    base = rng.choice([quartz, *feldspar], n, p=[0.6, 0.25, 0.15])
    heavy = rng.random(n) < rng.uniform(0, 0.06)
    base[heavy] += rng.uniform(0.2, 0.5, heavy.sum())
    base[0] = pore = rng.uniform(0.0, 0.12)
    image = scene.per_grain(base)
    if rng.random() < 0.5:
        add_cleavage(rng, scene, image)
    altered = scene.per_grain((rng.random(n) < 0.2) * (base > quartz + 0.01))
    spots = smooth_noise(rng, shape, rng.uniform(1.2, 4)) > 0.8
    image -= rng.uniform(0.05, 0.4) * altered * spots * (scene.depth > 1)
    image += inner_texture(rng, scene, strength=rng.uniform(0, 0.03))
    add_cracks_and_inclusions(rng, scene, image)
    gaps = np.full(shape, pore, np.float32)
    if rng.random() < 0.7:
        cement = smooth_noise(rng, shape, rng.uniform(15, 80)) > rng.uniform(-1, 1.5)
        grey = quartz + (rng.normal(0, 0.03) if rng.random() < 0.5 else rng.uniform(0.05, 0.35))
        gaps = np.where(cement, grey, gaps)
    if rng.random() < 0.6:  # clay lines the grains and fills the pores in part
        coat = halo(scene, rng.uniform(0.8, 3)) > rng.uniform(0.2, 0.6)
        filling = smooth_noise(rng, shape, rng.uniform(8, 40)) > rng.uniform(0.3, 2)
        clay = rng.uniform(0.15, 0.45) + 0.06 * smooth_noise(rng, shape, rng.uniform(1.2, 3))
        gaps = np.where(coat | filling, clay, gaps)
    image = np.where(scene.inside, image, gaps)
    image -= rng.uniform(0, 0.25) * edge_glow(scene, rng.uniform(0.5, 1.5))
    return image.astype(np.float32)


def se(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw loose grains on tape: bright edges, side light, texture, dim background grains."""
    n = len(scene.radius)
    base = rng.normal(rng.uniform(0.3, 0.6), rng.uniform(0.01, 0.08), n)
    base[0] = rng.uniform(0.0, 0.3)
    image = scene.per_grain(base)
    depth = scene.relative_depth()
    # A dome seen from above: the secondary yield goes with the slope.
    slope = 1 - np.sqrt(np.clip(1 - (1 - depth) ** 2, 0, 1))
    image += rng.uniform(0.05, 0.5) * slope ** rng.uniform(1, 3) * scene.inside
    image += rng.uniform(0, 0.25) * side_light(rng, scene) * (1 - depth)
    image += rng.uniform(0, 0.3) * edge_glow(scene, rng.uniform(1, 3))
    image += inner_texture(rng, scene, strength=rng.uniform(0, 0.1))
    if rng.random() < 0.5:
        add_cracks_and_inclusions(rng, scene, image)
    image += rng.uniform(-0.2, 0.1) * halo(scene, rng.uniform(2, 12))
    background = smooth_noise(rng, image.shape, rng.uniform(1.5, 40))
    image += ~scene.inside * rng.uniform(0, 0.12) * background
    if rng.random() < 0.35:
        add_out_of_focus_grains(rng, scene, image, contrast=float(base.max() - base[0]))
    return image


def transmission(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw particles in a transmission electron microscope: dark by thickness, on speckled film."""
    n, shape = len(scene.radius), scene.labels.shape
    absorption = rng.uniform(0.15, 0.7) * np.exp(rng.normal(0, rng.uniform(0.05, 0.5), n))
    thickness = np.sqrt(np.clip(1 - (1 - scene.relative_depth()) ** 2, 0, 1))
    flat = rng.uniform(0, 1)
    image = 1 - scene.per_grain(absorption) * (flat + (1 - flat) * thickness) * scene.inside
    image += inner_texture(rng, scene, strength=rng.uniform(0, 0.12))
    film = rng.uniform(0.01, 0.12) * smooth_noise(rng, shape, rng.uniform(1.2, 4))
    film += rng.uniform(0, 0.08) * smooth_noise(rng, shape, rng.uniform(10, 80))
    image += film
    if rng.random() < 0.3:  # Fresnel fringe
        image += rng.uniform(0.05, 0.25) * halo(scene, rng.uniform(0.7, 2))
    return image.astype(np.float32)


def photograph(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw pebbles in daylight: shaded domes, textured, with shadows in the gaps."""
    n = len(scene.radius)
    base = rng.normal(rng.uniform(0.4, 0.65), rng.uniform(0.05, 0.18), n)
    base[0] = rng.uniform(0.1, 0.6)
    image = scene.per_grain(base)
    depth = scene.relative_depth()
    image += rng.uniform(0.05, 0.25) * side_light(rng, scene) * (1 - depth)
    image -= rng.uniform(0.1, 0.5) * edge_glow(scene, rng.uniform(0.8, 4))
    image += inner_texture(rng, scene, strength=rng.uniform(0.02, 0.14))
    if rng.random() < 0.6:  # speckled rocks, as granite or conglomerate
        speckle = smooth_noise(rng, image.shape, rng.uniform(1.5, 5))
        image += scene.per_grain(rng.uniform(0, 0.12, n) * (rng.random(n) < 0.5)) * speckle
    if rng.random() < 0.4:
        add_veins(rng, scene, image)
    sand = rng.uniform(0.02, 0.15) * smooth_noise(rng, image.shape, rng.uniform(1.2, 4))
    sand += rng.uniform(0, 0.15) * smooth_noise(rng, image.shape, rng.uniform(5, 40))
    image += ~scene.inside * sand
    image -= rng.uniform(0, 0.3) * halo(scene, rng.uniform(2, 10))
    return image


def outcrop(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw gravel in a bank of sand: dim and white clasts, lit from one side, half buried."""
    shape, n = scene.labels.shape, len(scene.radius)
    matrix = rng.uniform(0.25, 0.6)
    base = rng.normal(matrix + rng.uniform(-0.1, 0.1), rng.uniform(0.03, 0.12), n)
    white = rng.random(n) < rng.uniform(0, 0.2)
    base[white] += rng.uniform(0.15, 0.4, white.sum())
    base[0] = matrix
    sand = rng.uniform(0.02, 0.09) * smooth_noise(rng, shape, rng.uniform(1.0, 2.5))
    sand += rng.uniform(0.0, 0.06) * smooth_noise(rng, shape, rng.uniform(4, 12))
    sand += rng.uniform(0.0, 0.06) * smooth_noise(rng, shape, rng.uniform(20, 60))
    image = scene.per_grain(base)
    image += rng.uniform(0.1, 0.4) * side_light(rng, scene) * (1 - scene.relative_depth())
    image -= rng.uniform(0.05, 0.35) * edge_glow(scene, rng.uniform(0.6, 2))
    image += inner_texture(rng, scene, strength=rng.uniform(0.005, 0.05))
    if rng.random() < 0.3:
        add_veins(rng, scene, image)
    image += ~scene.inside * sand
    # A clast throws its shadow to one side, on the sand and on its neighbours' feet.
    reach = rng.uniform(1, 6)
    away = rng.uniform(0, 2 * np.pi)
    shifted = ndimage.shift(
        scene.inside.astype(np.float32), (reach * np.sin(away), reach * np.cos(away)), order=1
    )
    image -= rng.uniform(0.05, 0.4) * ndimage.gaussian_filter(shifted, reach / 2) * ~scene.inside
    if rng.random() < 0.5:  # sand that sticks to the clasts
        dusty = smooth_noise(rng, shape, rng.uniform(4, 15)) > rng.uniform(1.0, 2.0)
        image = np.where(dusty & scene.inside, 0.5 * image + 0.5 * (matrix + sand), image)
    return image.astype(np.float32)


def in_matrix(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw particles in a textured matrix: etched metal, slag, ore in gangue.

    They are brighter than the matrix, darker, or of both kinds, of different contrasts, and small
    ones may be dimmer.
    """
    n = len(scene.radius)
    matrix = rng.uniform(0.25, 0.55)
    contrast = float(np.exp(rng.uniform(np.log(0.08), np.log(0.5))))
    kind = rng.choice(3, p=[0.55, 0.33, 0.12])
    sign = (np.ones(n), -np.ones(n), rng.choice([-1, 1], n))[kind]
    spread = np.exp(rng.normal(0, rng.uniform(0.05, 0.6), n))
    relative_radius = np.minimum(scene.radius / max(scene.median_radius_px, 1), 1)
    dimmer = np.maximum(relative_radius, 0.2) ** rng.uniform(0, 0.7)
    base = matrix + sign * np.clip(contrast * spread * dimmer, 0.05, 0.6)
    base[0] = matrix
    image = scene.per_grain(base)
    texture = rng.uniform(0.02, 0.1) * smooth_noise(rng, image.shape, rng.uniform(1.5, 5))
    texture += rng.uniform(0.0, 0.12) * smooth_noise(rng, image.shape, rng.uniform(6, 60))
    if rng.random() < 0.4:
        texture += _lamellae(rng, image.shape)
    # Dim particles in a wild matrix would be lost altogether.
    texture *= min(1.0, 2 * contrast / max(float(texture.std()) * 3, 1e-6))
    image += ~scene.inside * texture
    image += scene.inside * rng.uniform(0.1, 0.8) * texture
    image += rng.uniform(-0.15, 0.3) * edge_glow(scene, rng.uniform(1, 2.5))
    image += rng.uniform(-0.2, 0.25) * halo(scene, rng.uniform(1, 3))
    if rng.random() < 0.5:
        image += rng.uniform(0, 0.15) * side_light(rng, scene) * np.exp(-scene.depth / 3)
    return image


def polycrystal(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw close-packed crystals of nearly one grey, told apart by lines, relief or facets."""
    n, shape = len(scene.radius), scene.labels.shape
    spread = float(np.exp(rng.uniform(np.log(0.004), np.log(0.08))))
    base = rng.normal(rng.uniform(0.4, 0.7), spread, n)
    base[0] = rng.uniform(0.05, 0.4)
    image = scene.per_grain(base)
    line = edge_glow(scene, rng.uniform(0.5, 1.5))
    lost = np.clip(0.8 + rng.uniform(0, 0.6) * smooth_noise(rng, shape, rng.uniform(5, 25)), 0, 1)
    sign = -1 if rng.random() < 0.65 else 1
    image += sign * rng.uniform(0.05, 0.35) * line * lost
    if rng.random() < 0.5:
        image += rng.uniform(0.02, 0.15) * side_light(rng, scene)
    if rng.random() < 0.4:  # every face is tilted its own way
        rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
        tilt = rng.normal(0, rng.uniform(0, 0.06), (2, n)) / max(scene.median_radius_px, 1)
        area = np.maximum(np.bincount(scene.labels.ravel()), 1)
        for axis, slope in zip((rows, columns), tilt, strict=True):
            middle = np.bincount(scene.labels.ravel(), weights=axis.ravel()) / area
            image += scene.per_grain(slope) * (axis - scene.per_grain(middle)) * scene.inside
    if rng.random() < 0.3:
        _add_scratches(rng, image)
    image += inner_texture(rng, scene, strength=rng.uniform(0, 0.02))
    return image.astype(np.float32)


def plane_light(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw a thin section in plane-polarised light: clear grains, dark outlines, pores."""
    n = len(scene.radius)
    base = rng.normal(rng.uniform(0.65, 0.85), 0.05, n)
    dark = rng.random(n) < rng.uniform(0, 0.25)  # mafic or altered grains
    base[dark] -= rng.uniform(0.15, 0.5, dark.sum())
    base[0] = rng.uniform(0.3, 0.75)
    image = scene.per_grain(base)
    line = np.exp(-(((scene.depth - 0.5) / rng.uniform(0.7, 2.0)) ** 2)) * scene.inside
    image -= rng.uniform(0.1, 0.5) * line
    image += inner_texture(rng, scene, strength=rng.uniform(0.02, 0.1))
    add_cracks_and_inclusions(rng, scene, image)
    background = smooth_noise(rng, image.shape, rng.uniform(1.5, 20))
    image += ~scene.inside * rng.uniform(0.01, 0.08) * background
    return image


def crossed_polars(rng: np.random.Generator, scene: Scene) -> GreyImage:
    """Draw a thin section between crossed polars: some grains extinct, some twinned."""
    n = len(scene.radius)
    base = rng.beta(1.2, 1.6, n)
    base[0] = rng.uniform(0.0, 0.15)
    image = scene.per_grain(base)
    image += inner_texture(rng, scene, strength=rng.uniform(0.01, 0.08))
    if rng.random() < 0.6:  # twins and undulose extinction
        phase, _ = stripes(rng, scene, width_px=(2, 12))
        strength = scene.per_grain(rng.uniform(0, 0.3, n) * (rng.random(n) < 0.3))
        image += strength * np.sign(np.sin(phase))
    if rng.random() < 0.5:
        image -= rng.uniform(0, 0.25) * edge_glow(scene, rng.uniform(0.7, 1.5))
    return image


def from_textures(
    rng: np.random.Generator, scene: Scene, textures: Sequence[GreyImage]
) -> GreyImage:
    """Draw a thin section whose grains are filled with pieces of photographs of grains.

    Parameters
    ----------
    rng : numpy Generator
    scene : Scene
    textures : sequence of (Y, X) float32 arrays
        Photographs of the inside of single grains, 0..1.
    """
    shape = scene.labels.shape
    pores = rng.uniform(0, 0.9) + 0.05 * smooth_noise(rng, shape, rng.uniform(1.5, 20))
    image = pores.astype(np.float32)
    for label, box in enumerate(ndimage.find_objects(scene.labels), start=1):
        texture = textures[int(rng.integers(len(textures)))]
        texture = np.rot90(texture, int(rng.integers(4)))[:: int(rng.choice([-1, 1]))]
        step = max(1, min(texture.shape) // max(4, int(3 * scene.radius[label])))
        mask = scene.labels[box] == label
        rows, columns = (step * np.arange(n) + rng.integers(1000) for n in mask.shape)
        piece = texture[np.ix_(_mirrored(rows, len(texture)), _mirrored(columns, texture.shape[1]))]
        image[box][mask] = piece[mask]
    line = np.exp(-(((scene.depth - 0.5) / rng.uniform(0.7, 1.5)) ** 2)) * scene.inside
    image -= rng.uniform(0, 0.4) * line
    return image.astype(np.float32)


def _mirrored(positions: npt.NDArray[np.int64], length: int) -> npt.NDArray[np.int64]:
    """Reflect positions beyond an axis back into it."""
    period = 2 * length
    positions = positions % period
    return np.minimum(positions, period - 1 - positions)


def _lamellae(rng: np.random.Generator, shape: tuple[int, ...]) -> GreyImage:
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    angle = rng.uniform(0, np.pi)
    phase = (rows * np.sin(angle) + columns * np.cos(angle)) / rng.uniform(2, 6)
    phase += 3 * smooth_noise(rng, (shape[0], shape[1]), 50)
    return (rng.uniform(0.02, 0.1) * np.sin(phase)).astype(np.float32)


def _add_scratches(rng: np.random.Generator, image: GreyImage) -> None:
    """Draw straight polishing scratches over everything."""
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    for _ in range(rng.integers(1, 8)):
        angle = rng.uniform(0, np.pi)
        across = rows * np.sin(angle) + columns * np.cos(angle)
        place = rng.uniform(across.min(), across.max())
        width = rng.uniform(0.5, 1.2)
        image += rng.uniform(-0.15, 0.1) * np.exp(-(((across - place) / width) ** 2))
