"""Draw a contact sheet ("knolling"): all grains by mineral and size, at one scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from grainsmith.data import no_progress
from grainsmith.errors import MismatchError
from grainsmith.gallery.field import sample_nearest
from grainsmith.gallery.map_readout import bar_of
from grainsmith.gallery.text import write
from grainsmith.minerals import colors_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from grainsmith.data import OnProgress
    from grainsmith.gallery.field import Floats, GalleryField, ImageRGB

_PAPER, _INK, _DIM = (26, 27, 32), (238, 238, 238), (165, 168, 178)
_PLAIN = "#c8c8c8"
_GAP, _HEAD = 6, 26


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetSettings:
    """Layout of a contact sheet.

    Attributes
    ----------
    width_px : int
        Width of the sheet.
    magnification : float
        Pixels of the sheet per pixel of the image; 0 = the largest grain takes a fifth of the
        width, but at most 3.
    most_per_mineral : int
        Number of grains shown per mineral, largest first; the heading gives the total.
    least_area_px : int
        Smaller grains are left out, but counted in the heading.
    upright : bool
        Rotate the long axis of each grain upright.
    """

    width_px: int = 1600
    magnification: float = 0.0
    most_per_mineral: int = 200
    least_area_px: int = 30
    upright: bool = True

    def __post_init__(self) -> None:
        if not 200 <= self.width_px <= 20_000:
            raise ValueError(f"width_px must lie in 200..20000, got {self.width_px}")
        if self.magnification < 0:
            raise ValueError(f"magnification must be 0 (chosen) or more, got {self.magnification}")
        if self.most_per_mineral < 1:
            raise ValueError(f"most_per_mineral must be 1 or more, got {self.most_per_mineral}")


@dataclass(frozen=True, slots=True)
class _Grain:
    label: int
    area_px: int
    middle: Floats
    axis: Floats
    extent: Floats


def contact_sheet(
    field_of_view: GalleryField,
    settings: SheetSettings = SheetSettings(),
    *,
    colors: Mapping[str, str] | None = None,
    on_progress: OnProgress = no_progress,
) -> ImageRGB:
    """Draw the contact sheet of a field.

    Parameters
    ----------
    field_of_view : GalleryField
        From `prepare_field`; grains without a mineral are one group.
    settings : SheetSettings
        Layout.
    colors : mapping of str to str
        Mineral -> "#rrggbb" of the outlines; by default from the library.
    on_progress : OnProgress
        Called with (grains drawn, total).

    Returns
    -------
    (Y, X, 3) uint8 array

    Raises
    ------
    MismatchError
        No grain is large enough to draw.
    """
    measured = _measure(field_of_view.labels)
    grains = [grain for grain in measured if grain.area_px >= settings.least_area_px]
    if not grains:
        raise MismatchError(f"no grain has {settings.least_area_px} px or more: nothing to lay out")
    groups = _groups(field_of_view, grains)
    totals = {name: len(members) for name, members in _groups(field_of_view, measured).items()}
    largest = max(float(grain.extent.max()) for grain in grains)
    zoom = settings.magnification or min(3.0, settings.width_px / 5 / largest)
    outlines = {**colors_of(groups, colors), "grains": _PLAIN}
    strips, done = [], 0
    for mineral, members in groups.items():
        shown = members[: settings.most_per_mineral]
        images = []
        for grain in shown:
            images.append(_cut_out(field_of_view, grain, zoom, outlines[mineral], settings.upright))
            done += 1
            on_progress(done, len(grains))
        strips.append(_heading(mineral, len(shown), totals[mineral], settings.width_px))
        strips.append(_shelves(images, settings.width_px))
    on_progress(len(grains), len(grains))
    return np.concatenate([*strips, _footer(field_of_view, zoom, settings.width_px)])


def _measure(labels: npt.NDArray[np.int32]) -> list[_Grain]:
    grains = []
    for label, box in enumerate(ndimage.find_objects(labels), 1):
        if box is None:
            continue
        points = np.argwhere(labels[box] == label).astype(float)
        points += [box[0].start, box[1].start]
        middle = points.mean(axis=0)
        _, vectors = np.linalg.eigh(
            np.cov((points - middle).T, bias=len(points) < 2) + 1e-9 * np.eye(2)
        )
        along = (points - middle) @ vectors[:, ::-1]
        grains.append(
            _Grain(label, len(points), middle, vectors[:, 1], np.abs(along).max(axis=0) + 2)
        )
    return grains


def _groups(field_of_view: GalleryField, grains: list[_Grain]) -> dict[str, list[_Grain]]:
    naming = field_of_view.naming
    by_mineral: dict[str, list[_Grain]] = {}
    for grain in sorted(grains, key=lambda grain: -grain.area_px):
        name = str(naming.loc[grain.label, "mineral"]) if grain.label in naming.index else "grains"
        by_mineral.setdefault(name, []).append(grain)
    areas = {name: sum(grain.area_px for grain in own) for name, own in by_mineral.items()}
    return {name: by_mineral[name] for name in sorted(areas, key=lambda name: -areas[name])}


def _cut_out(
    field_of_view: GalleryField, grain: _Grain, zoom: float, color: str, upright: bool
) -> ImageRGB:
    down = grain.axis if upright else np.array([1.0, 0.0])
    across = np.array([down[1], -down[0]])
    # Boxes of upright grains are tight; others fit any orientation.
    half = grain.extent if upright else np.full(2, float(grain.extent.max()))
    steps = [(np.arange(-h * zoom, h * zoom + 1)) / zoom for h in half]
    u, v = np.meshgrid(*steps, indexing="ij")
    rows = grain.middle[0] + u * down[0] + v * across[0]
    columns = grain.middle[1] + u * down[1] + v * across[1]
    mask = sample_nearest(field_of_view.labels, np.eye(3), rows, columns) == grain.label
    low, high = field_of_view.image_limits
    grey = sample_nearest(field_of_view.image, np.eye(3), rows, columns)
    share = np.clip((np.nan_to_num(grey, nan=low) - low) / (high - low), 0, 1)
    image = (255 * share).astype(np.uint8)
    if image.ndim == 2:
        image = np.repeat(image[..., np.newaxis], 3, axis=2)
    image[~mask] = _PAPER
    image[mask & ~ndimage.binary_erosion(mask)] = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return image


def _shelves(images: list[ImageRGB], width_px: int) -> ImageRGB:
    """Arrange images in rows from left to right, each row as high as its highest image."""
    rows: list[list[ImageRGB]] = [[]]
    free = width_px - _GAP
    for image in images:
        if image.shape[1] + _GAP > free and rows[-1]:
            rows.append([])
            free = width_px - _GAP
        rows[-1].append(image)
        free -= image.shape[1] + _GAP
    strips = []
    for row in rows:
        strip = np.full((max(map(len, row)) + _GAP, width_px, 3), _PAPER, np.uint8)
        left = _GAP
        for image in row:
            target = strip[: len(image), left : left + image.shape[1]]
            target[:] = image[:, : target.shape[1]]
            left += image.shape[1] + _GAP
        strips.append(strip)
    return np.concatenate(strips)


def _heading(mineral: str, shown: int, total: int, width_px: int) -> ImageRGB:
    strip = np.full((_HEAD, width_px, 3), _PAPER, np.uint8)
    count = f"{total}" if shown == total else f"the largest {shown} of {total}"
    write(strip, mineral, at=(18, _GAP), size_px=14, color=_INK, bold=True)
    write(
        strip,
        f"{count} grains" if mineral != "grains" else count,
        at=(18, 220),
        size_px=11,
        color=_DIM,
    )
    return strip


def _footer(field_of_view: GalleryField, zoom: float, width_px: int) -> ImageRGB:
    strip = np.full((_HEAD, width_px, 3), _PAPER, np.uint8)
    share, text = bar_of(field_of_view.pixel_size_um, width_px / 4 / zoom)
    length = round(share * width_px / 4)
    strip[12:15, _GAP : _GAP + length] = _INK
    write(strip, f"{text}, all at one scale", at=(18, 2 * _GAP + length), size_px=11, color=_DIM)
    return strip
