"""Collect one grain: crops of the image and all maps, and their measurements."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from grainsmith.errors import MismatchError
from grainsmith.gallery.annotations import Bar, bars_of, richer_of, subtitle_of, title_of
from grainsmith.gallery.colors import hue_of
from grainsmith.gallery.field import sample_nearest
from grainsmith.gallery.map_readout import (
    GrainReading,
    bar_of,
    crop_around,
    grain_box,
    place_on_map,
    read_grain_on_map,
)

if TYPE_CHECKING:
    from grainsmith.data import ElementMap
    from grainsmith.gallery.field import Floats, GalleryField, ImageRGB
    from grainsmith.gallery.map_readout import Crop, GrainOnMap

_OUTLINE = (255, 255, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class ComboSettings:
    """Settings of a combo.

    Attributes
    ----------
    scale : str
        "per map": each map from 0 to its 99.5th percentile. "shared": all maps of one unit
        from 0 to the largest of these percentiles.
    overlay : tuple of str
        Elements of red, green and blue; "" = automatic: elements in which the grain is richer than
        its surroundings, then those in which it differs most.
    margin_pct : float
        Margin around the grain, in per cent of its longer side.
    tile_px : int
        Side of one image.
    columns : int
        Images per row; 0 = about as wide as high.
    """

    scale: str = field(default="per map", metadata={"choices": ["per map", "shared"]})
    overlay: tuple[str, str, str] = field(default=("", "", ""), metadata={"hidden": True})
    margin_pct: float = 20.0
    tile_px: int = 160
    columns: int = field(default=0, metadata={"hidden": True})

    def __post_init__(self) -> None:
        if self.scale not in ("per map", "shared"):
            raise ValueError(f"scale must be 'per map' or 'shared', got {self.scale!r}")
        if not 0 <= self.margin_pct <= 500:
            raise ValueError(f"margin_pct must lie in 0..500, got {self.margin_pct}")
        if not 32 <= self.tile_px <= 2000:
            raise ValueError(f"tile_px must lie in 32..2000, got {self.tile_px}")
        if self.columns < 0:
            raise ValueError(f"columns must be 0 (chosen) or more, got {self.columns}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ComboTile:
    """One image of a combo, (tile_px, tile_px, 3), with its texts.

    `scale_bar` is the length of the scale bar as a share of the side; 0 = none.
    """

    title: str
    image: ImageRGB
    caption: str = ""
    note: str = ""
    warning: str = ""
    scale_bar: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Combo:
    """All images and readings of one grain.

    Attributes
    ----------
    label : int
        The grain.
    title, subtitle : str
        Mineral with score and runner-up; size and width of the crop.
    richer : str
        Elements in which the grain is significantly richer than its surroundings.
    tiles : tuple of ComboTile
        Image, maps, overlay of three elements, principal components.
    readings : tuple of GrainReading
        One per map.
    bars : tuple of Bar
        Empty without a grain table.
    bars_title : str
        Description of the comparison.
    columns : int
        Tiles per row.
    """

    label: int
    title: str
    subtitle: str
    richer: str
    tiles: tuple[ComboTile, ...]
    readings: tuple[GrainReading, ...]
    bars: tuple[Bar, ...]
    bars_title: str
    columns: int


PLAIN_COMBO = ComboSettings()


def make_combo(
    field_of_view: GalleryField, label: int, settings: ComboSettings = PLAIN_COMBO
) -> Combo:
    """Collect all images and readings of one grain.

    Parameters
    ----------
    field_of_view : GalleryField
        From `prepare_field`.
    label : int
        The grain.
    settings : ComboSettings
        Layout and scaling.

    Raises
    ------
    MismatchError
        The grain does not exist, or an element of the overlay has no map.
    """
    box = grain_box(field_of_view.labels, label)
    crop = crop_around(box, margin_pct=settings.margin_pct, tile_px=settings.tile_px)
    area_px = int((field_of_view.labels[box[0] : box[2], box[1] : box[3]] == label).sum())
    mask = sample_nearest(field_of_view.labels, np.eye(3), crop.rows, crop.columns) == label
    edge = mask & ~ndimage.binary_erosion(mask)
    placed = _place_all(field_of_view, label, crop)
    readings = tuple(
        read_grain_on_map(
            element_map, field_of_view.transforms[element_map.element].verdict, on_map, area_px
        )
        for element_map, on_map in zip(field_of_view.maps, placed, strict=True)
    )
    values = [
        on_map.tile(element_map.values)
        for element_map, on_map in zip(field_of_view.maps, placed, strict=True)
    ]
    tiles = (
        _image_tile(field_of_view, crop, edge),
        *_map_tiles(field_of_view, values, readings, edge, settings),
        *_mixture_tiles(field_of_view, values, readings, edge, settings),
    )
    bars, bars_title = bars_of(field_of_view, label, readings)
    return Combo(
        label=label,
        title=title_of(field_of_view, label),
        subtitle=subtitle_of(field_of_view, label, crop),
        richer=richer_of(readings),
        tiles=tiles,
        readings=readings,
        bars=bars,
        bars_title=bars_title,
        columns=settings.columns or int(np.ceil(np.sqrt(1.6 * (len(tiles) + bool(bars))))),
    )


def _place_all(field_of_view: GalleryField, label: int, crop: Crop) -> list[GrainOnMap]:
    # Maps with the same grid and transform share the position of the grain.
    by_grid: dict[tuple[object, ...], GrainOnMap] = {}
    placed = []
    for element_map in field_of_view.maps:
        transform = field_of_view.transforms[element_map.element]
        key = (element_map.values.shape, transform.matrix.tobytes())
        if key not in by_grid:
            by_grid[key] = place_on_map(
                field_of_view.labels, label, crop, transform, element_map.values.shape
            )
        placed.append(by_grid[key])
    return placed


def _image_tile(field_of_view: GalleryField, crop: Crop, edge: npt.NDArray[np.bool_]) -> ComboTile:
    low, high = field_of_view.image_limits
    grey = sample_nearest(field_of_view.image, np.eye(3), crop.rows, crop.columns)
    grey_share = np.clip((np.nan_to_num(grey, nan=low) - low) / (high - low), 0, 1)
    image = (255 * grey_share).astype(np.uint8)
    if image.ndim == 2:
        image = np.repeat(image[..., np.newaxis], 3, axis=2)
    share_of_side, text = bar_of(field_of_view.pixel_size_um, crop.side)
    return ComboTile(
        title="Image",
        image=_outlined(image, edge),
        caption=f"bar {text}",
        scale_bar=share_of_side,
    )


def _map_tiles(
    field_of_view: GalleryField,
    values: list[Floats],
    readings: tuple[GrainReading, ...],
    edge: npt.NDArray[np.bool_],
    settings: ComboSettings,
) -> list[ComboTile]:
    tiles = []
    for element_map, shown, reading in zip(field_of_view.maps, values, readings, strict=True):
        low, high = _limits(field_of_view, element_map, settings)
        share = np.clip((np.nan_to_num(shown, nan=low) - low) / (high - low), 0, 1)
        shades = (np.arange(256)[:, np.newaxis] / 255 * hue_of(element_map.element)).astype(
            np.uint8
        )
        image = shades[(255 * share).astype(np.uint8)]
        tiles.append(
            ComboTile(
                title=element_map.name,
                image=_outlined(image, edge),
                caption=_measured(reading),
                note=_against_around(reading) + f"{low:.3g}–{high:.3g}",
                warning="" if reading.aligned else f"alignment: {reading.verdict}",
            )
        )
    return tiles


def _limits(
    field_of_view: GalleryField, element_map: ElementMap, settings: ComboSettings
) -> tuple[float, float]:
    if settings.scale == "per map":
        return field_of_view.map_limits[element_map.element]
    limits = [
        field_of_view.map_limits[other.element]
        for other in field_of_view.maps
        if other.kind == element_map.kind
    ]
    return min(low for low, _ in limits), max(high for _, high in limits)


def _mixture_tiles(
    field_of_view: GalleryField,
    values: list[Floats],
    readings: tuple[GrainReading, ...],
    edge: npt.NDArray[np.bool_],
    settings: ComboSettings,
) -> list[ComboTile]:
    if len(field_of_view.maps) < 3 or field_of_view.composite is None:
        return []
    chosen = overlay_elements(field_of_view, readings, settings)
    elements = [element_map.element for element_map in field_of_view.maps]
    channels = []
    for element in chosen:
        low, high = field_of_view.map_limits[element]
        shown = np.nan_to_num(values[elements.index(element)], nan=low)
        channels.append(255 * np.clip((shown - low) / (high - low), 0, 1))
    overlay = np.stack(channels, axis=2).astype(np.uint8)
    components = field_of_view.composite.colors(np.stack(values), field_of_view.counted)
    red, green, blue = chosen
    return [
        ComboTile(
            title="Overlay",
            image=_outlined(overlay, edge),
            caption=f"R {red}  G {green}  B {blue}",
        ),
        ComboTile(title="PC 1-3", image=_outlined(components, edge), caption="of all maps"),
    ]


def overlay_elements(
    field_of_view: GalleryField, readings: tuple[GrainReading, ...], settings: ComboSettings
) -> tuple[str, str, str]:
    """Choose the three elements of the overlay.

    Elements from the settings come first, then those in which the grain is significantly richer,
    then those in which it differs most, richer or poorer.

    Raises
    ------
    MismatchError
        An element of the settings has no map.
    """
    elements = [reading.element for reading in readings]
    missing = [element for element in settings.overlay if element and element not in elements]
    if missing:
        raise MismatchError(
            f"there is no map of {', '.join(missing)} for the overlay; "
            f"choose among {', '.join(elements)}"
        )
    rest = sorted(
        readings,
        key=lambda reading: (not reading.stands_out, -abs(np.nan_to_num(reading.sigmas))),
    )
    free = iter([reading.element for reading in rest if reading.element not in settings.overlay])
    red, green, blue = (element or next(free) for element in settings.overlay)
    return red, green, blue


def _outlined(image: ImageRGB, edge: npt.NDArray[np.bool_]) -> ImageRGB:
    drawn = image.copy()
    drawn[edge] = _OUTLINE
    return drawn


def _measured(reading: GrainReading) -> str:
    if np.isnan(reading.mean):
        return "outside the map"
    # Show the digits that are significant given the error.
    digits = int(np.clip(-np.floor(np.log10(reading.error)), 0, 4)) if reading.error > 0 else 2
    error = "?" if np.isnan(reading.error) else f"{reading.error:.{digits}f}"
    return f"{reading.mean:.{digits}f} ± {error} {reading.unit}"


def _against_around(reading: GrainReading) -> str:
    return f"▲ {min(reading.sigmas, 999):.0f}σ  " if reading.stands_out else ""
