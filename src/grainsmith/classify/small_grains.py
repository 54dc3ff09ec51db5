"""Test whether small grains consist of two minerals, using all of their map pixels.

A small grain has hardly any core: each of its map pixels contains signal of the neighbours. This
signal is modelled (the mean composition of the neighbours, spread by the blur of the maps), and the
counts of the grain are explained by one composition, and by two that meet along a straight line.
The grain is mixed if two compositions explain significantly more than for simulated grains of one.

Derivation
----------
For one map, the expected value of pixel p is `foreign[p] + amount * own[p]`: `own` is the share of
the grain's blurred mask in the pixel, `foreign` the blurred means of all other grains, and `amount`
the least-squares composition of the grain (`_model`). A line through the grain splits `own` into
`halves` and the rest. Two amounts instead of one add one parameter orthogonal to `own`; its squared
projection on the weighted residuals is the gain in chi-squared (`_gains`), summed over all maps.
The null distribution of the largest gain over all lines is simulated (`_drawn`).

Constants
---------
- 12 directions and lines at 30, 50 and 70 % of the grain (`_ANGLES`, `_CUTS`): the parts have at
least
  30 %, neighbouring lines share most of their pixels, so that a finer search gains little.
- Blurs of 0.4 to 1.6 map pixels (`_BLURS_PX`): from sharp maps to an interaction volume of the size
  of a few pixels. The blur is that with the smallest misfit over 60 grains (`_BLUR_SAMPLE`).
- Pixels with less than 20 % of the grain (`_MIN_OWN`) carry mainly signal of others; a part with
less
  than 10 % of the grain's signal on a map (`_MIN_PART`) lies in a gap of that map.
- A variance of at least 0.2 counts (`_MIN_VARIANCE`) keeps a single count in an empty map from
being
  significant.
- 25 % of the signal that crosses the rim (`_RIM_ERROR`) is uncertain, because neither blur nor
outline
  are known better.
- 99 simulations and a quantile of 0.95 (`_ROUNDS`, `_CONFIDENCE`) are a test at 5 %.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.stats import chi2

from grainsmith.data import Transform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from grainsmith.classify.naming_table import Floats
    from grainsmith.data import ElementMap, LabelImage

_ANGLES, _CUTS = 12, (0.3, 0.5, 0.7)
_BLURS_PX = (0.4, 0.8, 1.2, 1.6)
_BLUR_SAMPLE = 60
_MIN_OWN = 0.2
_MIN_PART = 0.1
_MIN_VARIANCE = 0.2
_RIM_ERROR = 0.25
_ROUNDS, _CONFIDENCE = 99, 0.95
_REACH = 3.0  # standard deviations of the blur


@dataclass(frozen=True, slots=True)
class TwoPhaseSplit:
    """Best split of a grain into two compositions.

    Attributes
    ----------
    share : float
        Share of the smaller part, 0..0.5.
    contrast_pct : float
        Half the sum of the differences of all elements, in per cent of their sum.
    real : bool
        Whether the split is significant.
    """

    share: float
    contrast_pct: float
    real: bool


@dataclass(frozen=True, slots=True)
class _GrainOnMap:
    """Observation of a grain on one map.

    Attributes
    ----------
    values : (P,) float array
        Map values.
    own : (P,) float array
        Share of the grain in each pixel, 0..1.
    foreign : (P,) float array
        Expected signal of the neighbours.
    halves : (K, P) float array
        The part of `own` on one side of each line.
    counted : bool
        Whether the map is in counts.
    noise : float
        Standard deviation of a pixel; 0 for counts, whose noise follows from the counts.
    """

    values: Floats
    own: Floats
    foreign: Floats
    halves: Floats
    counted: bool
    noise: float


class TwoPhaseTest:
    """Test for two compositions in grains of few map pixels.

    Parameters
    ----------
    labels : (Y, X) int32 array
        Grains on the image.
    maps : sequence of ElementMap
        Maps in native pixels, each on its own grid.
    transforms : mapping of str to Transform
        Element -> transform from map to image; identity by default.
    on_grain : callable
        Called for every grain used to estimate the blur; an exception stops the work.
    """

    def __init__(
        self,
        labels: LabelImage,
        maps: Sequence[ElementMap],
        transforms: Mapping[str, Transform],
        on_grain: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_grain = on_grain
        self._labels = labels
        self._boxes = ndimage.find_objects(labels)
        self._maps = [
            (element_map, transforms.get(element_map.element, Transform())) for element_map in maps
        ]

    def split(self, label: int) -> TwoPhaseSplit | None:
        """Split a grain along the line with the largest gain; None outside the maps."""
        views = self._observe(label, self.blur_px)
        if not views:
            return None
        gains = np.sum([_gains(view, view.values[np.newaxis]) for view in views], axis=0)[:, 0]
        best = int(gains.argmax())
        random = np.random.default_rng(label)
        # A gain that is not significant for one line is not significant for the best of many.
        real = gains[best] >= chi2.ppf(_CONFIDENCE, len(views))
        if real:
            chance = np.sum([_gains(view, _drawn(view, random)) for view in views], axis=0).max(
                axis=0
            )
            real = gains[best] > np.quantile(chance, _CONFIDENCE)
        pairs = np.array([_amounts(view, best) for view in views])
        total = max(pairs.sum() / 2, np.finfo(float).tiny)
        share = float(np.mean([view.halves[best].sum() / view.own.sum() for view in views]))
        return TwoPhaseSplit(
            share=min(share, 1 - share),
            contrast_pct=float(50 * np.abs(pairs[:, 0] - pairs[:, 1]).sum() / total),
            real=bool(real),
        )

    @cached_property
    def blur_px(self) -> float:
        """Standard deviation of the blur of the maps, in map pixels, with the smallest misfit."""
        present = [label for label, box in enumerate(self._boxes, 1) if box is not None]
        some = present[:: max(1, len(present) // _BLUR_SAMPLE)]
        misfits = np.zeros(len(_BLURS_PX))
        for label in some:
            self._on_grain()
            for place, blur in enumerate(_BLURS_PX):
                views = self._observe(label, blur, cut=False)
                misfits[place] += sum(_misfit(view) for view in views)
        return _BLURS_PX[int(misfits.argmin())]

    @cached_property
    def _mean_signal(self) -> list[Floats]:
        """Mean of each map under every label, (labels + 1,); 0 = background."""
        highest = int(self._labels.max(initial=0))
        under: dict[tuple[object, ...], _LabelsOnMap] = {}
        means = []
        for element_map, place in self._maps:
            key = _key(element_map, place)
            if key not in under:
                under[key] = _labels_on_map(self._labels, element_map, place)
            means.append(_means(under[key], element_map, highest))
        return means

    def _observe(self, label: int, blur_px: float, *, cut: bool = True) -> list[_GrainOnMap]:
        box = self._boxes[label - 1]
        grids: dict[tuple[object, ...], _Grid] = {}
        views = []
        for (element_map, place), light in zip(self._maps, self._mean_signal, strict=True):
            key = _key(element_map, place)
            if key not in grids:
                grids[key] = _Grid(
                    self._labels, label, box, place, element_map.values.shape, blur_px, cut
                )
            grid = grids[key]
            values = element_map.values[grid.rows, grid.columns].astype(float)
            measured = np.isfinite(values)
            if not measured.any():
                continue
            counted = element_map.kind == "counts"
            views.append(
                _GrainOnMap(
                    values=values[measured],
                    own=grid.own[measured],
                    foreign=grid.light_of(light)[measured],
                    halves=grid.halves[:, measured],
                    counted=counted,
                    noise=0.0 if counted else grid.noise_of(values),
                )
            )
        return views


class _Grid:
    """Pixels of one map that contain signal of a grain, and its share in each of them."""

    def __init__(
        self,
        labels: LabelImage,
        label: int,
        box: tuple[slice, ...],
        place: Transform,
        shape: tuple[int, ...],
        blur_px: float,
        cut: bool,
    ) -> None:
        pixel = float(np.sqrt(abs(np.linalg.det(place.matrix[:2, :2]))))
        self._sigma = blur_px * pixel
        margin = int(np.ceil((_REACH * max(_BLURS_PX) + 1) * pixel))
        start = [max(0, side.start - margin) for side in box]
        stop = [min(n, side.stop + margin) for side, n in zip(box, labels.shape, strict=True)]
        self._crop = labels[start[0] : stop[0], start[1] : stop[1]]
        self._label = label
        pixels, self._points = _pixels_under(self._crop, place, shape, np.array(start, float))
        mask = self._crop == label
        own = self._sampled(mask[np.newaxis].astype(np.float32))[0]
        # Blurs are compared on the same pixels.
        keep = own >= (_MIN_OWN if cut else 0)
        self.rows, self.columns = pixels[:, keep]
        self.own, self._points = own[keep], self._points[:, keep]
        self.halves = self._sampled(_halves(mask)) if cut else np.empty((0, len(self.own)))

    def light_of(self, means: Floats) -> Floats:
        """Compute the (P,) expected signal of everything but the grain."""
        others = np.where(self._crop == self._label, 0.0, means[self._crop])
        return self._sampled(others[np.newaxis].astype(np.float32))[0]

    def noise_of(self, values: Floats) -> float:
        """Estimate the noise of a pixel from neighbours within rows of the grain."""
        beside = (np.diff(self.rows) == 0) & (np.diff(self.columns) == 1)
        beside &= np.minimum(self.own[1:], self.own[:-1]) >= np.median(self.own)
        beside &= np.isfinite(np.diff(values))
        if not beside.any():
            return float(np.nanstd(values))
        return float(np.sqrt((np.diff(values)[beside] ** 2).mean() / 2))

    def _sampled(self, masks: npt.NDArray[np.float32]) -> Floats:
        blurred = ndimage.gaussian_filter(
            masks, (0, self._sigma, self._sigma), mode="nearest", truncate=_REACH
        )
        return np.array(
            [ndimage.map_coordinates(channel, self._points, order=1) for channel in blurred],
            dtype=float,
        ).reshape(len(masks), -1)


def _pixels_under(
    crop: LabelImage, place: Transform, shape: tuple[int, ...], start: Floats
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Find the map pixels in a crop of the image: (2, P) positions on map and crop."""
    height, width = crop.shape
    corners = [(y, x) for y in (0, height - 1) for x in (0, width - 1)]
    there = place.inverse().apply(np.array(corners, float) + start)
    low = np.clip(np.floor(there.min(axis=0)), 0, np.array(shape)).astype(int)
    high = np.clip(np.ceil(there.max(axis=0)) + 1, 0, np.array(shape)).astype(int)
    pixels = np.mgrid[low[0] : high[0], low[1] : high[1]].reshape(2, -1)
    points = place.apply(pixels.T) - start
    inside = np.asarray(((points >= 0) & (points <= [height - 1, width - 1])).all(axis=1))
    return pixels[:, inside], points[inside].T


def _halves(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Compute (K, Y, X) masks of the grain on one side of straight lines."""
    ys, xs = np.nonzero(mask)
    parts = np.zeros((_ANGLES * len(_CUTS), *mask.shape), np.float32)
    for turn in range(_ANGLES):
        angle = np.pi * turn / _ANGLES
        along = ys * np.sin(angle) + xs * np.cos(angle)
        for place, cut in enumerate(np.quantile(along, _CUTS)):
            side = along <= cut
            parts[turn * len(_CUTS) + place, ys[side], xs[side]] = 1
    return parts


_LabelsOnMap = tuple["LabelImage", npt.NDArray[np.bool_]]
"""Label under each pixel of a map (-1 outside), and whether all its neighbours have it, too."""


def _key(element_map: ElementMap, place: Transform) -> tuple[object, ...]:
    return element_map.values.shape, place.matrix.tobytes()


def _labels_on_map(labels: LabelImage, element_map: ElementMap, place: Transform) -> _LabelsOnMap:
    height, width = element_map.values.shape
    on_map = place.look_up(labels, (height, width), outside=-1)
    inner = (ndimage.minimum_filter(on_map, 3) == ndimage.maximum_filter(on_map, 3)) & (on_map >= 0)
    return on_map, inner


def _means(under: _LabelsOnMap, element_map: ElementMap, highest: int) -> Floats:
    on_map, inner = under
    measured = np.isfinite(element_map.values)
    values = np.where(measured, element_map.values, 0).astype(float)
    means = np.zeros(highest + 1)
    # Grains without inner pixels use all of their pixels; gaps of the map are ignored.
    for mask in ((on_map >= 0) & measured, inner & measured):
        pixels = np.bincount(on_map[mask], minlength=highest + 1)
        total = np.bincount(on_map[mask], values[mask], minlength=highest + 1)
        means[pixels > 0] = total[pixels > 0] / pixels[pixels > 0]
    return means


def _model(view: _GrainOnMap) -> tuple[Floats, Floats, Floats]:
    """Fit one composition: (P,) expected values, their variance, and the uncertainty of the rim."""
    power = max(float(view.own @ view.own), 1e-12)  # a map may cover the margin of the crop only
    amount = max(float((view.values - view.foreign) @ view.own) / power, 0.0)
    light = view.foreign + amount * view.own
    rim = _RIM_ERROR * (view.foreign + (1 - np.minimum(view.own, 1)) * amount)
    chance = np.maximum(light, _MIN_VARIANCE) if view.counted else np.full(len(light), 1.0)
    if not view.counted:
        chance *= max(view.noise, 1e-9) ** 2
    return light, chance + rim**2, rim


def _misfit(view: _GrainOnMap) -> float:
    """Compute the misfit of one composition: twice the negative log-likelihood."""
    light, _, _ = _model(view)
    if view.counted:
        light = np.maximum(light, 0.01)
        return float(2 * (light - view.values * np.log(light)).sum())
    return float(((view.values - light) ** 2).sum() / max(view.noise, 1e-9) ** 2)


def _gains(view: _GrainOnMap, values: Floats) -> Floats:
    """Compute the gain in chi-squared by two compositions, (K, R), for (R, P) values."""
    light, variance, _ = _model(view)
    weight = 1 / variance
    own_square = float((view.own * weight) @ view.own)
    beside = (view.halves @ (weight * view.own)) / own_square
    contrast = view.halves - beside[:, np.newaxis] * view.own
    power = np.maximum((contrast**2) @ weight, 1e-12)
    left = (values - light) * weight
    gains: Floats = (contrast @ left.T) ** 2 / power[:, np.newaxis]
    return gains


def _drawn(view: _GrainOnMap, random: np.random.Generator) -> Floats:
    """Simulate (R, P) values of a grain of one composition."""
    light, _, rim = _model(view)
    size = (_ROUNDS, len(light))
    blurred = light + rim * random.standard_normal(size)
    if view.counted:
        drawn: Floats = random.poisson(np.clip(blurred, 0, None)).astype(float)
        return drawn
    noisy: Floats = blurred + view.noise * random.standard_normal(size)
    return noisy


def _amounts(view: _GrainOnMap, cut: int) -> tuple[float, float]:
    """Fit the amounts of the two parts; equal if the map shows only one of them."""
    parts = np.column_stack([view.halves[cut], view.own - view.halves[cut]])
    if parts.sum(axis=0).min() < _MIN_PART * view.own.sum():
        amount = float((view.values - view.foreign) @ view.own / (view.own @ view.own))
        return max(amount, 0.0), max(amount, 0.0)
    amounts = np.linalg.lstsq(parts, view.values - view.foreign, rcond=None)[0]
    return max(float(amounts[0]), 0.0), max(float(amounts[1]), 0.0)
