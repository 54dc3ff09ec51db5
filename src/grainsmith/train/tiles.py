"""Training tiles: pieces of fields, augmented, with the targets of the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numba as nb
import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.measure import label

from grainsmith.segment.flows import flows_from_labels
from grainsmith.segment.normalize import MARGIN_PX, add_margin

if TYPE_CHECKING:
    from grainsmith.data import LabelImage


_MIN_WEIGHT, _MAX_WEIGHT = 0.3, 5.0
"""Limits of the weight of a grain's pixels."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A piece of a field, or a whole field, to learn from.

    Attributes
    ----------
    image : (H, W) float32 array
        Normalised grey.
    labels : (H, W) int32 array
        True grains.
    weight : (H, W) float32 array
        Weight of a pixel in the loss: 0 where labels are not trusted, 1 in the background, and in
        grains the higher the smaller they are.
    flows : (2, H, W) float32 array
        True flows of whole grains. Where the edge of a tile cuts a grain, they still point to the
        centre of the whole grain; pointing to the centre of the remainder, they would teach the
        network where tiles end.
    """

    image: npt.NDArray[np.float32]
    labels: LabelImage
    weight: npt.NDArray[np.float32]
    flows: npt.NDArray[np.float32]

    @classmethod
    def from_field(
        cls,
        image: npt.NDArray[np.float32],
        labels: LabelImage,
        weight: npt.NDArray[np.float32] | None = None,
    ) -> Self:
        """Prepare a whole field; without `weight` all of it is trusted."""
        if weight is None:
            weight = np.ones(labels.shape, np.float32)
        counts = grain_weights(labels, weight > 0)
        image, weight = add_margin(image), add_margin(counts[labels] * weight)
        labels = _add_label_margin(labels)
        return cls(image, labels, weight, flows_from_labels(labels))

    @property
    def trusted_share(self) -> float:
        """Share of the pixels with a weight above 0."""
        return float((self.weight > 0).mean())

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return sum(plane.nbytes for plane in (self.image, self.labels, self.weight, self.flows))


def _add_label_margin(labels: LabelImage) -> LabelImage:
    """Mirror labels at the edges; grains cut by an edge continue, copies of others are new."""
    around = np.pad(labels, MARGIN_PX, mode="symmetric")
    pieces = label(around, connectivity=1, background=0)
    own = np.zeros(pieces.max() + 1, bool)
    own[np.unique(pieces[MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX])] = True
    copies = around.max() + pieces
    return np.where(own[pieces] | (around == 0), around, copies).astype(np.int32)


def grain_weights(labels: LabelImage, trusted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Compute the weight of each grain's pixels in the loss.

    With equal weights, a grain of half the diameter would count a quarter as much, and the smaller
    half of the grains nearly nothing, although grains are counted and D50 is taken by number. So
    the weight is inversely proportional to the grain's diameter, 1 at the median of the field, and
    limited to `_MIN_WEIGHT`..`_MAX_WEIGHT`.

    Parameters
    ----------
    labels : (Y, X) int32 array
    trusted : (Y, X) bool array
        Other pixels do not count, in the median either.

    Returns
    -------
    (N + 1,) float32 array
        Weight of each label; 1 for the background.
    """
    areas = np.bincount(labels.ravel(), weights=trusted.ravel())
    grains = areas[1:][areas[1:] > 0]
    if not len(grains):
        return np.ones(len(areas), np.float32)
    relative = np.sqrt(np.median(grains) / np.maximum(areas, 1))
    counts = np.clip(relative, _MIN_WEIGHT, _MAX_WEIGHT).astype(np.float32)
    counts[0] = 1
    return counts


def cut_tile(rng: np.random.Generator, field: Tile, *, size_px: int, scale: float) -> Tile:
    """Cut a scaled, rotated, flipped tile at a random position of a field.

    Parameters
    ----------
    rng : numpy Generator
        Draws position and orientation.
    field : Tile
        The whole field, at least one pixel; pixels beyond its edges get weight 0.
    size_px : int
        Side of the tile.
    scale : float
        Tile pixels per field pixel.
    """
    height, width = field.labels.shape
    span = size_px / scale
    y0 = rng.uniform(min(0.0, height - span), max(0.0, height - span))
    x0 = rng.uniform(min(0.0, width - span), max(0.0, width - span))
    # Shrinking without smoothing first would turn texture into noise.
    image = field.image if scale >= 0.8 else ndimage.gaussian_filter(field.image, 0.4 / scale)
    turn, flip = int(rng.integers(4)), bool(rng.integers(2))
    place = (y0, x0, 1 / scale, size_px)
    *planes, flows = _resample(image, field.labels, field.weight, field.flows, *place)
    image, labels, weight = (
        np.rot90(plane[:, ::-1] if flip else plane, turn).copy() for plane in planes
    )
    return Tile(image, labels, weight, _turned_flows(flows, turn, flip=flip))


def augment(
    rng: np.random.Generator,
    image: npt.NDArray[np.float32],
    *,
    inverted: float = 0.15,
    strong_noise: float = 0.0,
) -> npt.NDArray[np.float32]:
    """Vary contrast, gamma, sign, sharpness and noise of an image.

    Parameters
    ----------
    rng : numpy Generator
    image : (H, W) float32 array
        Normalised grey.
    inverted : float
        Probability that dark and bright are exchanged.
    strong_noise : float
        Probability of noise with a standard deviation of 0.1 to 1 of the image's own, of single
        pixels or, as in an enlarged image, of blurred ones.
    """
    varied = np.clip(image, -0.5, 2.0)
    if rng.random() < 0.5:
        varied = np.sign(varied) * np.abs(varied) ** np.exp(rng.normal(0, 0.3))
    if rng.random() < inverted:
        varied = 1 - varied
    if rng.random() < 0.2:
        varied = ndimage.gaussian_filter(varied, rng.uniform(0.3, 1.2))
    if rng.random() < 0.3:
        varied = varied + rng.uniform(0, 0.12) * rng.standard_normal(image.shape, dtype=np.float32)
    if rng.random() < strong_noise:
        varied = varied + _strong_noise(rng, float(varied.std()), image.shape)
    varied = varied * np.exp(rng.normal(0, 0.15)) + rng.normal(0, 0.08)
    return varied.astype(np.float32)


def _strong_noise(
    rng: np.random.Generator, spread: float, shape: tuple[int, ...]
) -> npt.NDArray[np.float32]:
    noise = rng.standard_normal(shape, dtype=np.float32)
    if rng.random() < 0.5:
        noise = ndimage.gaussian_filter(noise, rng.uniform(0.4, 1.5))
    return noise * (spread * rng.uniform(0.1, 1.0) / max(float(noise.std()), 1e-6))


def training_targets(tile: Tile) -> npt.NDArray[np.float32]:
    """Return the targets of a tile: (4, H, W) flow y, flow x, grain (0 or 1), weight."""
    return np.stack([*tile.flows, (tile.labels > 0).astype(np.float32), tile.weight])


def _turned_flows(
    flows: npt.NDArray[np.float32], turn: int, *, flip: bool
) -> npt.NDArray[np.float32]:
    """Flip and rotate a vector field: positions and directions."""
    if flip:
        flows = flows[:, :, ::-1] * np.array([1, -1], np.float32)[:, None, None]
    flows = np.rot90(flows, turn, axes=(1, 2))
    for _ in range(turn):
        # A quarter turn takes "along x" to "against y" and "along y" to "along x".
        flows = np.stack([-flows[1], flows[0]])
    return np.ascontiguousarray(flows)


@nb.njit(cache=True, nogil=True)
def _resample(  # type: ignore[no-untyped-def]
    image, labels, weight, flows, y0, x0, pitch, size
):
    """Interpolate the image, look up the rest; beyond the edge mirrored, with weight 0."""
    height, width = labels.shape
    out_image = np.zeros((size, size), np.float32)
    out_labels = np.zeros((size, size), np.int32)
    out_weight = np.zeros((size, size), np.float32)
    out_flows = np.zeros((2, size, size), np.float32)
    for v in range(size):
        y = y0 + (v + 0.5) * pitch - 0.5
        for u in range(size):
            x = x0 + (u + 0.5) * pitch - 0.5
            i, j = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
            beyond = i < 0 or j < 0 or i >= height or j >= width
            if not beyond:
                out_labels[v, u] = labels[i, j]
                out_weight[v, u] = weight[i, j]
                out_flows[0, v, u] = flows[0, i, j]
                out_flows[1, v, u] = flows[1, i, j]
            yy, xx = _mirror(y, height), _mirror(x, width)
            a, b = int(yy), int(xx)
            c, d = min(a + 1, height - 1), min(b + 1, width - 1)
            fy, fx = yy - a, xx - b
            top = image[a, b] * (1 - fx) + image[a, d] * fx
            bottom = image[c, b] * (1 - fx) + image[c, d] * fx
            out_image[v, u] = top * (1 - fy) + bottom * fy
    return out_image, out_labels, out_weight, out_flows


@nb.njit(cache=True, nogil=True)
def _mirror(position, length):  # type: ignore[no-untyped-def]
    if length == 1:
        return 0.0
    period = 2.0 * (length - 1)
    position = abs(position) % period
    return period - position if position > length - 1 else position
