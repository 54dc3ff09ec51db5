"""What happens between the grains and the file: shading, charging, noise, data bars, rulers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
from scipy import ndimage

from grainsmith.samples.shapes import smooth_noise

if TYPE_CHECKING:
    from grainsmith.data import LabelImage
    from grainsmith.samples.modalities import Picture, Scene


def expose(rng: np.random.Generator, picture: Picture) -> Picture:
    """Put an image through a camera in daylight: uneven light, defocus, a little noise."""
    shape = picture.shape
    picture = _shaded(rng, picture)
    picture = ndimage.gaussian_filter(picture, rng.uniform(0.2, 1.2))
    picture = picture + rng.uniform(0, 0.03) * rng.standard_normal(shape, dtype=np.float32)
    return picture.astype(np.float32)


def record(rng: np.random.Generator, picture: Picture, scene: Scene) -> Picture:
    """Put an image through a microscope: shading, charging, defocus, noise, scan lines."""
    shape = picture.shape
    picture = _shaded(rng, picture)
    if rng.random() < 0.08:
        picture = _charge(rng, picture, scene)
    picture = ndimage.gaussian_filter(picture, rng.uniform(0.2, 1.6))
    if rng.random() < 0.7:
        # Small grains need a quieter image to be there at all.
        size = float(np.median(scene.radius[1:])) if len(scene.radius) > 1 else 10.0
        fewest = np.clip(600 / size**2, 15, 60)
        counts = np.exp(rng.uniform(np.log(fewest), np.log(2000)))
        noise = np.sqrt(np.clip(picture, 0.02, None) / counts)
        picture = picture + noise * rng.standard_normal(shape, dtype=np.float32)
    else:
        picture = picture + rng.uniform(0, 0.08) * rng.standard_normal(shape, dtype=np.float32)
    if rng.random() < 0.25:
        picture = picture + rng.uniform(0, 0.04) * rng.standard_normal(
            (shape[0], 1), dtype=np.float32
        )
    if rng.random() < 0.15:  # the microscope's or the JPEG's smoothing of the noise
        picture = ndimage.gaussian_filter(picture, rng.uniform(0.4, 0.9))
    return picture.astype(np.float32)


def _shaded(rng: np.random.Generator, picture: Picture) -> Picture:
    """Light half of the images unevenly."""
    if rng.random() >= 0.5:
        return picture
    shape = picture.shape
    return picture + rng.uniform(0, 0.2) * smooth_noise(
        rng, shape, rng.uniform(0.5, 1.5) * max(shape)
    )


def burn_in(rng: np.random.Generator, picture: Picture, labels: LabelImage) -> None:
    """Put a data bar, a scale bar or a ruler over image and labels (in place)."""
    low, high = float(picture.min()), float(picture.max())
    height, width = picture.shape
    kind = rng.random()
    if kind < 0.2:
        _lay_ruler(rng, picture, labels)
        return
    if kind < 0.55:
        rows = int(rng.uniform(0.05, 0.15) * height)
        top = height - rows
        picture[top:] = low if rng.random() < 0.7 else high
        labels[top:] = 0
        ink, y_range = (high if picture[-1, 0] == low else low), (top + 2, height - 2)
    else:
        ink = low if rng.random() < 0.3 else high
        y_range = (2, height - 2)
    x, y = int(rng.uniform(0, 0.6) * width), int(rng.uniform(*y_range))
    picture[y : y + 3, x : x + int(rng.uniform(0.1, 0.4) * width)] = ink
    for _ in range(rng.integers(0, 14)):  # letters, as strokes
        u = x + int(rng.integers(0, 60))
        v = max(y - 12, y_range[0])
        if rng.random() < 0.5:
            picture[v : v + 8, u : u + 2] = ink
        else:
            picture[v + int(rng.integers(0, 8)) :, u : u + 6][:2] = ink


def _lay_ruler(rng: np.random.Generator, picture: Picture, labels: LabelImage) -> None:
    """Lay a bright ruler with ticks over the field, along one of its sides."""
    rows, under = (picture, labels) if rng.random() < 0.5 else (picture.T, labels.T)
    thick = int(rng.uniform(0.08, 0.2) * rows.shape[0])
    top = int(rng.integers(0, rows.shape[0] - thick))
    rows[top : top + thick] = picture.max() - rng.uniform(0, 0.1) * np.ptp(picture)
    under[top : top + thick] = 0
    step = int(rng.integers(3, 12))
    ink = float(picture.min()) + rng.uniform(0, 0.3) * np.ptp(picture)
    rows[top : top + max(2, thick // 4), ::step] = ink
    rows[top : top + max(2, thick // 2), :: 5 * step] = ink


def _charge(rng: np.random.Generator, picture: Picture, scene: Scene) -> Picture:
    """Bright streaks and dark shadows along the scan after a few grains."""
    chosen = rng.random(len(scene.radius)) < 0.05
    chosen[0] = False
    source = scene.per_grain(chosen)
    decay = np.exp(-1 / rng.uniform(8, 40))
    streak = _decay_along_rows(source, np.float32(decay))
    return picture + rng.uniform(-0.3, 0.4) * streak


@nb.njit(cache=True, nogil=True)
def _decay_along_rows(source, decay):  # type: ignore[no-untyped-def]
    out = np.zeros_like(source)
    for y in range(source.shape[0]):
        level = np.float32(0)
        for x in range(source.shape[1]):
            level = max(source[y, x], level * decay)
            out[y, x] = level
    return out
