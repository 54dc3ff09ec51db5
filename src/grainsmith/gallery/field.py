"""Prepare a field of view for images of its grains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.data import Transform
from grainsmith.errors import MismatchError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grainsmith.data import ElementMap, Image, LabelImage

Floats = npt.NDArray[np.float64]
ImageRGB = npt.NDArray[np.uint8]

_SAMPLE = 200
"""Number of rows and columns sampled for limits and principal components."""
_LOW_PCT, _HIGH_PCT = 1.0, 99.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """Principal components 1-3 of all maps as red, green and blue.

    Attributes
    ----------
    centre, weight : (C,) float arrays
        Values are standardized as (value - centre) * weight, of the square root for counts.
    axes : (3, C) float array
        Components.
    low, high : (3,) float arrays
        Scores drawn as black and as full colour.
    """

    centre: Floats
    weight: Floats
    axes: Floats
    low: Floats
    high: Floats

    def colors(self, values: Floats, counted: npt.NDArray[np.bool_]) -> ImageRGB:
        """Convert (C, ...) map values to (..., 3) colours; NaN is black."""
        flat = _stabilize_noise(values.reshape(len(values), -1), counted)
        scores = self.axes @ ((flat - self.centre[:, np.newaxis]) * self.weight[:, np.newaxis])
        share = (scores - self.low[:, np.newaxis]) / (self.high - self.low)[:, np.newaxis]
        rgb = 255 * np.clip(np.nan_to_num(share), 0, 1)
        return rgb.T.astype(np.uint8).reshape(*values.shape[1:], 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryField:
    """Image, labels, maps and tables of a field, with their display limits.

    Attributes
    ----------
    image : (Y, X) or (Y, X, 3) array
        BSE, SE or light image.
    labels : (Y, X) int32 array
        Grains of the image.
    maps : tuple of ElementMap
        Maps in native pixels.
    transforms : dict of str to Transform
        Element -> transform from map to image.
    table, naming : DataFrame
        Grain table and minerals, index `label`; may be empty.
    pixel_size_um : float
        Pixel size of the image; 0 = unknown.
    image_limits : (float, float)
        Grey values drawn as black and white.
    map_limits : dict of str to (float, float)
        Element -> values drawn as black and as full colour.
    composite : Composite or None
        None for fewer than three maps.
    """

    image: Image
    labels: LabelImage
    maps: tuple[ElementMap, ...]
    transforms: dict[str, Transform]
    table: pd.DataFrame
    naming: pd.DataFrame
    pixel_size_um: float
    image_limits: tuple[float, float]
    map_limits: dict[str, tuple[float, float]]
    composite: Composite | None

    @property
    def counted(self) -> npt.NDArray[np.bool_]:
        """Whether each map is in counts."""
        return np.array([element_map.kind == "counts" for element_map in self.maps], dtype=bool)


def prepare_field(
    image: Image,
    labels: LabelImage,
    maps: Sequence[ElementMap] = (),
    transforms: Mapping[str, Transform] | None = None,
    *,
    table: pd.DataFrame | None = None,
    naming: pd.DataFrame | None = None,
    pixel_size_um: float = 0.0,
) -> GalleryField:
    """Compute what all images of a field share: display limits and principal components.

    Parameters
    ----------
    image : (Y, X) or (Y, X, 3) array
        Image with or without data bar; `labels` start at its upper left corner.
    labels : (Y, X) int32 array
        Grains.
    maps : sequence of ElementMap
        Empty = combos show the image only.
    transforms : mapping of str to Transform
        Element -> transform from map to image; maps without one are not aligned.
    table, naming : DataFrame
        Grain table and minerals, index `label`.
    pixel_size_um : float
        Pixel size of the image; 0 = unknown.

    Raises
    ------
    MismatchError
        The labels are larger than the image.
    """
    if labels.shape[0] > image.shape[0] or labels.shape[1] > image.shape[1]:
        raise MismatchError(
            f"the labels are {labels.shape} and the image is {image.shape[:2]} (rows, columns): "
            "they must be of one field"
        )
    placed = {
        element_map.element: (transforms or {}).get(element_map.element, Transform())
        for element_map in maps
    }
    step = [max(1, n // (4 * _SAMPLE)) for n in image.shape[:2]]
    return GalleryField(
        image=image,
        labels=labels,
        maps=tuple(maps),
        transforms=placed,
        table=pd.DataFrame() if table is None else table,
        naming=pd.DataFrame() if naming is None else naming,
        pixel_size_um=pixel_size_um,
        image_limits=_limits(image[:: step[0], :: step[1]]),
        map_limits={element_map.element: _map_limits(element_map) for element_map in maps},
        composite=_composite(labels.shape, maps, placed),
    )


def composite_image(field_of_view: GalleryField) -> ImageRGB:
    """Draw principal components 1-3 of all maps as a (Y, X, 3) image on the grid of the first map.

    Different compositions have different colours, which checks a mineral map without names (Buse &
    Kearns 2018).

    Raises
    ------
    MismatchError
        There are fewer than three maps.
    """
    if field_of_view.composite is None:
        raise MismatchError(
            f"principal components need three aligned maps, got {len(field_of_view.maps)}"
        )
    first = field_of_view.maps[0]
    to_image = field_of_view.transforms[first.element]
    columns = np.arange(first.values.shape[1], dtype=float)
    image = np.empty((*first.values.shape, 3), np.uint8)
    for row in range(len(image)):
        points = to_image.apply(np.column_stack([np.full_like(columns, row), columns]))
        values = [
            sample_nearest(
                element_map.values,
                field_of_view.transforms[element_map.element].inverse().matrix,
                points[:, 0],
                points[:, 1],
            )
            for element_map in field_of_view.maps
        ]
        image[row] = field_of_view.composite.colors(np.stack(values), field_of_view.counted)
    return image


def sample_nearest(
    image: npt.NDArray[np.generic], to_image: Floats, rows: Floats, columns: Floats
) -> Floats:
    """Sample the nearest pixels of an image at points of the reference.

    Parameters
    ----------
    image : (Y, X) or (Y, X, 3) array
        Image to sample.
    to_image : (3, 3) float array
        From pixels of the reference to pixels of the image.
    rows, columns : float arrays of one shape
        Points of the reference.

    Returns
    -------
    float array
        With the shape of the points (and 3 channels); NaN outside the image.
    """
    y = to_image[0, 0] * rows + to_image[0, 1] * columns + to_image[0, 2]
    x = to_image[1, 0] * rows + to_image[1, 1] * columns + to_image[1, 2]
    iy, ix = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    inside = (iy >= 0) & (iy < image.shape[0]) & (ix >= 0) & (ix < image.shape[1])
    sampled = np.full((*rows.shape, *image.shape[2:]), np.nan)
    sampled[inside] = image[iy[inside], ix[inside]]
    return sampled


def _limits(values: npt.NDArray[np.generic]) -> tuple[float, float]:
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [_LOW_PCT, _HIGH_PCT])
    return float(low), float(high) if high > low else float(low) + 1.0


def _map_limits(element_map: ElementMap) -> tuple[float, float]:
    step = [max(1, n // (4 * _SAMPLE)) for n in element_map.values.shape]
    low, high = _limits(element_map.values[:: step[0], :: step[1]])
    # Maps of counts and per cent start at 0, so that they can be compared by eye.
    return (min(low, 0.0) if element_map.kind != "picture" else low, high)


def _composite(
    shape: tuple[int, ...], maps: Sequence[ElementMap], transforms: Mapping[str, Transform]
) -> Composite | None:
    if len(maps) < 3:
        return None
    rows, columns = np.meshgrid(
        np.linspace(0, shape[0] - 1, min(_SAMPLE, shape[0])),
        np.linspace(0, shape[1] - 1, min(_SAMPLE, shape[1])),
        indexing="ij",
    )
    values = np.stack(
        [
            sample_nearest(
                element_map.values, transforms[element_map.element].inverse().matrix, rows, columns
            ).ravel()
            for element_map in maps
        ]
    )
    counted = np.array([element_map.kind == "counts" for element_map in maps])
    values = _stabilize_noise(values, counted)
    values = values[:, np.isfinite(values).all(axis=0)]
    if values.shape[1] < len(maps):
        return None
    centre, spread = values.mean(axis=1), values.std(axis=1)
    # Square roots of counts have equal noise in all maps; other maps are scaled to equal spread.
    weight = np.where(counted | (spread == 0), 1.0, 1 / np.where(spread > 0, spread, 1))
    centred = (values - centre[:, np.newaxis]) * weight[:, np.newaxis]
    _, vectors = np.linalg.eigh(centred @ centred.T)
    axes = vectors[:, :-4:-1].T
    axes = axes * np.where(axes.sum(axis=1, keepdims=True) < 0, -1, 1)
    low, high = np.percentile(axes @ centred, [_LOW_PCT, 100 - _LOW_PCT], axis=1)
    return Composite(
        centre=centre, weight=weight, axes=axes, low=low, high=np.maximum(high, low + 1e-9)
    )


def _stabilize_noise(values: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
    rooted: Floats = np.where(
        counted[:, np.newaxis], np.sqrt(np.clip(values, 0, None) + 0.375), values
    )
    return rooted
