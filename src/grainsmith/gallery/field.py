"""A field of view, made ready for images of its grains."""

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
Picture = npt.NDArray[np.uint8]

_SAMPLE = 200
"""Rows and columns that limits and principal components are learned from."""
_LOW_PCT, _HIGH_PCT = 1.0, 99.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Composite:
    """Principal components 1-3 of all maps as red, green and blue.

    Attributes
    ----------
    centre, weight : (C,) float arrays
        A map's value is made comparable as (value - centre) * weight, of its root for counts.
    axes : (3, C) float array
        The components.
    low, high : (3,) float arrays
        Drawn as black and as full colour.
    """

    centre: Floats
    weight: Floats
    axes: Floats
    low: Floats
    high: Floats

    def colours(self, values: Floats, counted: npt.NDArray[np.bool_]) -> Picture:
        """Return (..., 3) colours of (C, ...) map values; what is not a number is black."""
        flat = _comparable(values.reshape(len(values), -1), counted)
        scores = self.axes @ ((flat - self.centre[:, np.newaxis]) * self.weight[:, np.newaxis])
        share = (scores - self.low[:, np.newaxis]) / (self.high - self.low)[:, np.newaxis]
        rgb = 255 * np.clip(np.nan_to_num(share), 0, 1)
        return rgb.T.astype(np.uint8).reshape(*values.shape[1:], 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryField:
    """Everything that images of grains are made from.

    Attributes
    ----------
    image : (Y, X) or (Y, X, 3) array
        BSE, SE or light image.
    labels : (Y, X) int32 array
        Grains on it.
    maps : tuple of ElementMap
        In their native pixels.
    transforms : dict of str to Transform
        Element -> map to image.
    table, naming : DataFrame
        Grain table and minerals, index `label`; empty where there are none.
    pixel_size_um : float
        Of the image; 0 where unknown.
    image_limits : (float, float)
        Drawn as black and white.
    map_limits : dict of str to (float, float)
        Element -> values drawn as black and as full colour.
    composite : Composite or None
        None with fewer than three maps.
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
        """Which of the maps hold counts."""
        return np.array([each.kind == "counts" for each in self.maps], dtype=bool)


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
    """Learn once what all images of a field share: limits of the greys, colours of the maps.

    Parameters
    ----------
    image : (Y, X) or (Y, X, 3) array
        With or without its data bar; `labels` lie on its upper left.
    labels : (Y, X) int32 array
        Grains.
    maps : sequence of ElementMap
        May be empty: then combos show the image alone.
    transforms : mapping of str to Transform
        Element -> map to image; a map without one counts as not aligned.
    table, naming : DataFrame
        Grain table and minerals, index `label`.
    pixel_size_um : float
        Of the image; 0 where unknown.

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
    placed = {each.element: (transforms or {}).get(each.element, Transform()) for each in maps}
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
        map_limits={each.element: _map_limits(each) for each in maps},
        composite=_composite(labels.shape, maps, placed),
    )


def composite_image(field_of_view: GalleryField) -> Picture:
    """Return principal components 1-3 of all maps as a (Y, X, 3) image on the first map's grid.

    A check of a mineral map that needs no names (Buse & Kearns 2018): what differs in composition
    differs in colour.

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
    picture = np.empty((*first.values.shape, 3), np.uint8)
    for row in range(len(picture)):
        points = to_image.apply(np.column_stack([np.full_like(columns, row), columns]))
        values = [
            sample_nearest(
                each.values,
                field_of_view.transforms[each.element].inverse().matrix,
                points[:, 0],
                points[:, 1],
            )
            for each in field_of_view.maps
        ]
        picture[row] = field_of_view.composite.colours(np.stack(values), field_of_view.counted)
    return picture


def sample_nearest(
    picture: npt.NDArray[np.generic], to_picture: Floats, rows: Floats, columns: Floats
) -> Floats:
    """Return the nearest pixels of an image at points of the reference.

    Parameters
    ----------
    picture : (Y, X) or (Y, X, 3) array
        Any image.
    to_picture : (3, 3) float array
        Pixel coordinates of the reference -> of the image.
    rows, columns : float arrays of one shape
        Points on the reference.

    Returns
    -------
    float array of their shape, and 3 for colour
        NaN outside the image.
    """
    y = to_picture[0, 0] * rows + to_picture[0, 1] * columns + to_picture[0, 2]
    x = to_picture[1, 0] * rows + to_picture[1, 1] * columns + to_picture[1, 2]
    iy, ix = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
    inside = (iy >= 0) & (iy < picture.shape[0]) & (ix >= 0) & (ix < picture.shape[1])
    found = np.full((*rows.shape, *picture.shape[2:]), np.nan)
    found[inside] = picture[iy[inside], ix[inside]]
    return found


def _limits(values: npt.NDArray[np.generic]) -> tuple[float, float]:
    finite = np.asarray(values, dtype=float)
    finite = finite[np.isfinite(finite)]
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [_LOW_PCT, _HIGH_PCT])
    return float(low), float(high) if high > low else float(low) + 1.0


def _map_limits(each: ElementMap) -> tuple[float, float]:
    step = [max(1, n // (4 * _SAMPLE)) for n in each.values.shape]
    low, high = _limits(each.values[:: step[0], :: step[1]])
    # Nothing is black in a map of counts or per cents: only so do two maps compare by eye.
    return (min(low, 0.0) if each.kind != "picture" else low, high)


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
                each.values, transforms[each.element].inverse().matrix, rows, columns
            ).ravel()
            for each in maps
        ]
    )
    counted = np.array([each.kind == "counts" for each in maps])
    values = _comparable(values, counted)
    values = values[:, np.isfinite(values).all(axis=0)]
    if values.shape[1] < len(maps):
        return None
    centre, spread = values.mean(axis=1), values.std(axis=1)
    # Roots of counts have the same noise in all maps; others are brought to the same spread.
    weight = np.where(counted | (spread == 0), 1.0, 1 / np.where(spread > 0, spread, 1))
    centred = (values - centre[:, np.newaxis]) * weight[:, np.newaxis]
    _, vectors = np.linalg.eigh(centred @ centred.T)
    axes = vectors[:, :-4:-1].T
    axes = axes * np.where(axes.sum(axis=1, keepdims=True) < 0, -1, 1)
    low, high = np.percentile(axes @ centred, [_LOW_PCT, 100 - _LOW_PCT], axis=1)
    return Composite(
        centre=centre, weight=weight, axes=axes, low=low, high=np.maximum(high, low + 1e-9)
    )


def _comparable(values: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
    rooted: Floats = np.where(
        counted[:, np.newaxis], np.sqrt(np.clip(values, 0, None) + 0.375), values
    )
    return rooted
