"""Artefacts of acquisition and publishing: shading, charging, noise, frames, text, rulers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba as nb
import numpy as np
from scipy import ndimage

from grainsmith.samples.shapes import smooth_noise

if TYPE_CHECKING:
    from grainsmith.data import LabelImage
    from grainsmith.samples.scene import GreyImage, Scene


def expose(rng: np.random.Generator, image: GreyImage, scene: Scene) -> GreyImage:
    """Simulate a camera in daylight: uneven light, defocus, a little noise."""
    del scene
    shape = image.shape
    image = _shaded(rng, image)
    image = ndimage.gaussian_filter(image, rng.uniform(0.2, 1.2))
    image = image + rng.uniform(0, 0.03) * rng.standard_normal(shape, dtype=np.float32)
    return image.astype(np.float32)


def record(rng: np.random.Generator, image: GreyImage, scene: Scene) -> GreyImage:
    """Simulate a microscope: shading, charging, defocus, noise, scan lines."""
    shape = image.shape
    image = _shaded(rng, image)
    if rng.random() < 0.08:
        image = _charge(rng, image, scene)
    image = ndimage.gaussian_filter(image, rng.uniform(0.2, 1.6))
    if rng.random() < 0.7:
        # Small grains need a quieter image to be there at all.
        fewest = np.clip(600 / scene.median_radius_px**2, 15, 60)
        counts = np.exp(rng.uniform(np.log(fewest), np.log(2000)))
        noise = np.sqrt(np.clip(image, 0.02, None) / counts)
        image = image + noise * rng.standard_normal(shape, dtype=np.float32)
    else:
        image = image + rng.uniform(0, 0.08) * rng.standard_normal(shape, dtype=np.float32)
    if rng.random() < 0.12:
        image = _noisy(rng, image, scene)
    if rng.random() < 0.25:
        image = image + rng.uniform(0, 0.04) * rng.standard_normal((shape[0], 1), dtype=np.float32)
    if rng.random() < 0.15:  # the microscope's or the JPEG's smoothing of the noise
        image = ndimage.gaussian_filter(image, rng.uniform(0.4, 0.9))
    return image.astype(np.float32)


def add_frame(rng: np.random.Generator, image: GreyImage, labels: LabelImage) -> None:
    """Blank one to four sides of image and labels, as a stage or a figure frames it (in place)."""
    value = float(image.min() if rng.random() < 0.8 else image.max())
    sides = rng.permutation(4)[: rng.integers(1, 5)]
    for side in sides:
        view, under = np.rot90(image, side), np.rot90(labels, side)
        rows = int(rng.uniform(0.02, 0.25) * view.shape[0])
        view[:rows] = value
        under[:rows] = 0


def burn_in(rng: np.random.Generator, image: GreyImage, labels: LabelImage) -> None:
    """Put a data bar, scale bar, text or ruler over image and labels (in place).

    Letters lie on the grains without changing their labels; bars and boxes hide them.
    """
    kind = rng.random()
    if kind < 0.15:
        _lay_ruler(rng, image, labels)
    elif kind < 0.4:
        _lay_data_bar(rng, image, labels)
    else:
        for _ in range(rng.integers(1, 4)):
            _write_text(rng, image, labels)


def _shaded(rng: np.random.Generator, image: GreyImage) -> GreyImage:
    """Light half of the images unevenly."""
    if rng.random() >= 0.5:
        return image
    scale = rng.uniform(0.5, 1.5) * max(image.shape)
    return image + rng.uniform(0, 0.2) * smooth_noise(rng, (image.shape[0], image.shape[1]), scale)


def _noisy(rng: np.random.Generator, image: GreyImage, scene: Scene) -> GreyImage:
    """Add noise of 0.2 to 1 standard deviation of the image, less for very small grains."""
    highest = np.clip(scene.median_radius_px / 10, 0.3, 1.0)
    strength = float(image.std()) * rng.uniform(0.2, highest)
    return image + strength * rng.standard_normal(image.shape, dtype=np.float32)


def _lay_data_bar(rng: np.random.Generator, image: GreyImage, labels: LabelImage) -> None:
    low, high = float(image.min()), float(image.max())
    rows = int(rng.uniform(0.05, 0.15) * image.shape[0])
    dark = rng.random() < 0.7
    image[-rows:] = low if dark else high
    labels[-rows:] = 0
    ink, x = (high if dark else low), 4
    bar = image[-rows:]
    length = int(rng.uniform(0.1, 0.4) * image.shape[1])
    bar[rows // 2 : rows // 2 + 3, x : x + length] = ink
    if rows > 10:
        _write(rng, bar, 2, x + length + 6, 0.7 * rows, ink, int(rng.integers(2, 16)))


def _write_text(rng: np.random.Generator, image: GreyImage, labels: LabelImage) -> None:
    """Write a word, with or without a box and a scale bar, at a random place."""
    low, high = float(image.min()), float(image.max())
    ink, paper = (high, low) if rng.random() < 0.6 else (low, high)
    height = float(np.exp(rng.uniform(np.log(8), np.log(max(9, 0.16 * image.shape[0])))))
    letters = int(rng.integers(1, 9))
    width = int(0.75 * height * letters)
    y = int(rng.integers(0, max(1, image.shape[0] - int(height))))
    x = int(rng.integers(0, max(1, image.shape[1] - width)))
    if rng.random() < 0.4:
        pad = int(0.2 * height)
        box = np.s_[max(0, y - pad) : y + int(height) + pad, max(0, x - pad) : x + width + pad]
        image[box], labels[box] = paper, 0
    _write(rng, image, y, x, height, ink, letters)
    if rng.random() < 0.5:
        thick = max(2, int(0.2 * height))
        top = y + int(1.2 * height)
        bar = np.s_[top : top + thick, x : x + int(rng.uniform(0.1, 0.4) * image.shape[1])]
        image[bar], labels[bar] = ink, 0


_CORNERS = np.array([(v, u) for v in (0.0, 0.5, 1.0) for u in (0.0, 0.5)])
"""Points (row, column) that the strokes of a letter join, in units of its height."""


def _write(
    rng: np.random.Generator, image: GreyImage, y: int, x: int, height: float, ink: float, n: int
) -> None:
    """Draw letter-like signs of three to five strokes each."""
    thick = max(1.0, height * rng.uniform(0.06, 0.14))
    for letter in range(n):
        corner = np.array([y, x + 0.75 * height * letter])
        points = rng.permutation(6)[: rng.integers(4, 7)]
        place = corner + height * _CORNERS[points]
        _draw_strokes(image, place, thick, np.float32(ink))


def _lay_ruler(rng: np.random.Generator, image: GreyImage, labels: LabelImage) -> None:
    """Lay a bright ruler with ticks over the field, along one of its sides."""
    rows, under = (image, labels) if rng.random() < 0.5 else (image.T, labels.T)
    thick = int(rng.uniform(0.08, 0.2) * rows.shape[0])
    top = int(rng.integers(0, rows.shape[0] - thick))
    rows[top : top + thick] = image.max() - rng.uniform(0, 0.1) * np.ptp(image)
    under[top : top + thick] = 0
    step = int(rng.integers(3, 12))
    ink = float(image.min()) + rng.uniform(0, 0.3) * np.ptp(image)
    rows[top : top + max(2, thick // 4), ::step] = ink
    rows[top : top + max(2, thick // 2), :: 5 * step] = ink


def _charge(rng: np.random.Generator, image: GreyImage, scene: Scene) -> GreyImage:
    """Add bright streaks and dark shadows along the scan after a few grains."""
    charging = rng.random(len(scene.radius)) < 0.05
    charging[0] = False
    source = scene.per_grain(charging)
    decay = np.exp(-1 / rng.uniform(8, 40))
    streak = _decay_along_rows(source, np.float32(decay))
    return image + rng.uniform(-0.3, 0.4) * streak


@nb.njit(cache=True, nogil=True)
def _draw_strokes(image, points, thick, ink):  # type: ignore[no-untyped-def]
    """Join points by lines `thick` px wide; what lies outside the image is left out."""
    for k in range(len(points) - 1):
        (y0, x0), (y1, x1) = points[k], points[k + 1]
        steps = int(2 * max(abs(y1 - y0), abs(x1 - x0))) + 1
        for step in range(steps + 1):
            y = y0 + (y1 - y0) * step / steps
            x = x0 + (x1 - x0) * step / steps
            for v in range(int(y - thick / 2 + 0.5), int(y + thick / 2 + 0.5) + 1):
                for u in range(int(x - thick / 2 + 0.5), int(x + thick / 2 + 0.5) + 1):
                    if 0 <= v < image.shape[0] and 0 <= u < image.shape[1]:
                        image[v, u] = ink


@nb.njit(cache=True, nogil=True)
def _decay_along_rows(source, decay):  # type: ignore[no-untyped-def]
    out = np.zeros_like(source)
    for y in range(source.shape[0]):
        level = np.float32(0)
        for x in range(source.shape[1]):
            level = max(source[y, x], level * decay)
            out[y, x] = level
    return out
