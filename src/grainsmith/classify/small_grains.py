"""Whether a grain of few map pixels is of two minerals, every one of its pixels used.

A small grain has hardly a core: each of its map pixels holds light of its neighbours too. So that
light is computed (the neighbours' own composition, spread as wide as the maps are blurred), and the
counts of the grain are explained by one composition, and by two that meet along a straight line.
The grain is of two where the second explains more than it does for grains drawn from the first.
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
_TRIED_ON = 60
"""Grains that the blur of the maps is learned from."""
_LEAST_OWN = 0.2  # of a pixel's light: below it the pixel says nothing of the grain
_LEAST_SHOWN = 0.1  # of a grain's light: a half with less lies in a gap of the map
_LEAST_VARIANCE = 0.2  # counts; one stray count is no proof
_RIM_ERROR = 0.25  # of the light that the rim adds or takes: blur and outline are not known better
_ROUNDS, _SURE = 99, 0.95  # a test at 5 %
_REACH = 3.0  # standard deviations of the blur


@dataclass(frozen=True, slots=True)
class TwoPhaseSplit:
    """The best cut of a grain in two.

    Attributes
    ----------
    share : float
        Of the smaller half, 0..0.5.
    contrast_pct : float
        Half the sum of the differences of all elements, in per cent of their sum.
    real : bool
        Whether noise alone does not make such halves.
    """

    share: float
    contrast_pct: float
    real: bool


@dataclass(frozen=True, slots=True)
class _Seen:
    """A grain on one map.

    Attributes
    ----------
    values : (P,) float array
        What the map holds.
    own : (P,) float array
        What share of the grain's light each pixel gets, 0..1.
    foreign : (P,) float array
        Light of the neighbours.
    halves : (K, P) float array
        What `own` becomes for one side of each cut.
    counted : bool
        Whether the map holds counts.
    noise : float
        Standard deviation of a pixel; 0 for counts, which tell their own.
    """

    values: Floats
    own: Floats
    foreign: Floats
    halves: Floats
    counted: bool
    noise: float


class TwoPhaseTest:
    """Grains of few map pixels and all that shines into them.

    Parameters
    ----------
    labels : (Y, X) int32 array
        Grains on the image.
    maps : sequence of ElementMap
        In their native pixels, each on its own grid.
    transforms : mapping of str to Transform
        Element -> map to image; the identity where missing.
    on_look : callable
        Called for every grain that the blur is learned from; what it raises stops the work.
    """

    def __init__(
        self,
        labels: LabelImage,
        maps: Sequence[ElementMap],
        transforms: Mapping[str, Transform],
        on_look: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_look = on_look
        self._labels = labels
        self._boxes = ndimage.find_objects(labels)
        self._maps = [(each, transforms.get(each.element, Transform())) for each in maps]

    def halve(self, label: int) -> TwoPhaseSplit | None:
        """Cut one grain where its halves differ most; None where the maps do not show it."""
        seen = self._look(label, self.blur_px)
        if not seen:
            return None
        found = np.sum([_gains(one, one.values[np.newaxis]) for one in seen], axis=0)[:, 0]
        best = int(found.argmax())
        random = np.random.default_rng(label)
        # One cut that is not rare by chance cannot be the best of many: no need to draw grains.
        real = found[best] >= chi2.ppf(_SURE, len(seen))
        if real:
            chance = np.sum([_gains(one, _drawn(one, random)) for one in seen], axis=0).max(axis=0)
            real = found[best] > np.quantile(chance, _SURE)
        pairs = np.array([_pair(one, best) for one in seen])
        total = max(pairs.sum() / 2, np.finfo(float).tiny)
        share = float(np.mean([one.halves[best].sum() / one.own.sum() for one in seen]))
        return TwoPhaseSplit(
            share=min(share, 1 - share),
            contrast_pct=float(50 * np.abs(pairs[:, 0] - pairs[:, 1]).sum() / total),
            real=bool(real),
        )

    @cached_property
    def blur_px(self) -> float:
        """Standard deviation of the maps' blur, in map pixels: the one that explains them best."""
        present = [label for label, box in enumerate(self._boxes, 1) if box is not None]
        some = present[:: max(1, len(present) // _TRIED_ON)]
        misfits = np.zeros(len(_BLURS_PX))
        for label in some:
            self._on_look()
            for place, blur in enumerate(_BLURS_PX):
                seen = self._look(label, blur, cut=False)
                misfits[place] += sum(_misfit(one) for one in seen)
        return _BLURS_PX[int(misfits.argmin())]

    @cached_property
    def _light(self) -> list[Floats]:
        """For each map the (labels + 1,) means of what lies under it, 0 = beside all grains."""
        highest = int(self._labels.max(initial=0))
        under: dict[tuple[object, ...], _Under] = {}
        means = []
        for each, place in self._maps:
            key = _key(each, place)
            if key not in under:
                under[key] = _look_under(self._labels, each, place)
            means.append(_means(under[key], each, highest))
        return means

    def _look(self, label: int, blur_px: float, *, cut: bool = True) -> list[_Seen]:
        box = self._boxes[label - 1]
        grids: dict[tuple[object, ...], _Grid] = {}
        found = []
        for (each, place), light in zip(self._maps, self._light, strict=True):
            key = _key(each, place)
            if key not in grids:
                grids[key] = _Grid(self._labels, label, box, place, each.values.shape, blur_px, cut)
            grid = grids[key]
            values = each.values[grid.rows, grid.columns].astype(float)
            measured = np.isfinite(values)
            if not measured.any():
                continue
            counted = each.kind == "counts"
            found.append(
                _Seen(
                    values=values[measured],
                    own=grid.own[measured],
                    foreign=grid.light_of(light)[measured],
                    halves=grid.halves[:, measured],
                    counted=counted,
                    noise=0.0 if counted else grid.noise_of(values),
                )
            )
        return found


class _Grid:
    """The pixels of one map that a grain shines into, and how much of it each one sees."""

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
        # To compare blurs, all of them must explain the same pixels.
        keep = own >= (_LEAST_OWN if cut else 0)
        self.rows, self.columns = pixels[:, keep]
        self.own, self._points = own[keep], self._points[:, keep]
        self.halves = self._sampled(_cut(mask)) if cut else np.empty((0, len(self.own)))

    def light_of(self, means: Floats) -> Floats:
        """Return the (P,) light of all that is not the grain."""
        others = np.where(self._crop == self._label, 0.0, means[self._crop])
        return self._sampled(others[np.newaxis].astype(np.float32))[0]

    def noise_of(self, values: Floats) -> float:
        """Return the standard deviation of a pixel, from neighbours in a row of the grain."""
        beside = (np.diff(self.rows) == 0) & (np.diff(self.columns) == 1)
        beside &= np.minimum(self.own[1:], self.own[:-1]) >= np.median(self.own)
        beside &= np.isfinite(np.diff(values))
        if not beside.any():
            return float(np.nanstd(values))
        return float(np.sqrt((np.diff(values)[beside] ** 2).mean() / 2))

    def _sampled(self, pictures: npt.NDArray[np.float32]) -> Floats:
        blurred = ndimage.gaussian_filter(
            pictures, (0, self._sigma, self._sigma), mode="nearest", truncate=_REACH
        )
        return np.array(
            [ndimage.map_coordinates(one, self._points, order=1) for one in blurred], dtype=float
        ).reshape(len(pictures), -1)


def _pixels_under(
    crop: LabelImage, place: Transform, shape: tuple[int, ...], start: Floats
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return the map's pixels that lie in a crop of the image: (2, P) places on both."""
    height, width = crop.shape
    corners = [(y, x) for y in (0, height - 1) for x in (0, width - 1)]
    there = place.inverse().apply(np.array(corners, float) + start)
    low = np.clip(np.floor(there.min(axis=0)), 0, np.array(shape)).astype(int)
    high = np.clip(np.ceil(there.max(axis=0)) + 1, 0, np.array(shape)).astype(int)
    pixels = np.mgrid[low[0] : high[0], low[1] : high[1]].reshape(2, -1)
    points = place.apply(pixels.T) - start
    inside = np.asarray(((points >= 0) & (points <= [height - 1, width - 1])).all(axis=1))
    return pixels[:, inside], points[inside].T


def _cut(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return (K, Y, X) parts of a grain on one side of a straight line."""
    ys, xs = np.nonzero(mask)
    parts = np.zeros((_ANGLES * len(_CUTS), *mask.shape), np.float32)
    for turn in range(_ANGLES):
        angle = np.pi * turn / _ANGLES
        along = ys * np.sin(angle) + xs * np.cos(angle)
        for place, cut in enumerate(np.quantile(along, _CUTS)):
            side = along <= cut
            parts[turn * len(_CUTS) + place, ys[side], xs[side]] = 1
    return parts


_Under = tuple["LabelImage", npt.NDArray[np.bool_]]
"""Label under each pixel of a map (-1 outside), and whether no other label is beside it."""


def _key(each: ElementMap, place: Transform) -> tuple[object, ...]:
    return each.values.shape, place.matrix.tobytes()


def _look_under(labels: LabelImage, each: ElementMap, place: Transform) -> _Under:
    height, width = each.values.shape
    on_map = place.look_up(labels, (height, width), outside=-1)
    inner = (ndimage.minimum_filter(on_map, 3) == ndimage.maximum_filter(on_map, 3)) & (on_map >= 0)
    return on_map, inner


def _means(under: _Under, each: ElementMap, highest: int) -> Floats:
    on_map, inner = under
    measured = np.isfinite(each.values)
    values = np.where(measured, each.values, 0).astype(float)
    means = np.zeros(highest + 1)
    # Where a grain has no inner pixel, all of them count; gaps of the map are no darkness.
    for mask in ((on_map >= 0) & measured, inner & measured):
        pixels = np.bincount(on_map[mask], minlength=highest + 1)
        total = np.bincount(on_map[mask], values[mask], minlength=highest + 1)
        means[pixels > 0] = total[pixels > 0] / pixels[pixels > 0]
    return means


def _model(seen: _Seen) -> tuple[Floats, Floats, Floats]:
    """Return the (P,) light of one composition, its variance, and the part of it not by chance."""
    power = max(float(seen.own @ seen.own), 1e-12)  # a map may show the rim of a grain's crop alone
    amount = max(float((seen.values - seen.foreign) @ seen.own) / power, 0.0)
    light = seen.foreign + amount * seen.own
    rim = _RIM_ERROR * (seen.foreign + (1 - np.minimum(seen.own, 1)) * amount)
    chance = np.maximum(light, _LEAST_VARIANCE) if seen.counted else np.full(len(light), 1.0)
    if not seen.counted:
        chance *= max(seen.noise, 1e-9) ** 2
    return light, chance + rim**2, rim


def _misfit(seen: _Seen) -> float:
    """Return how badly one composition explains a grain: twice the negative log-likelihood."""
    light, _, _ = _model(seen)
    if seen.counted:
        light = np.maximum(light, 0.01)
        return float(2 * (light - seen.values * np.log(light)).sum())
    return float(((seen.values - light) ** 2).sum() / max(seen.noise, 1e-9) ** 2)


def _gains(seen: _Seen, values: Floats) -> Floats:
    """Return (K, R): by how much two compositions lower the chi-squared of (R, P) values."""
    light, variance, _ = _model(seen)
    weight = 1 / variance
    own_square = float((seen.own * weight) @ seen.own)
    beside = (seen.halves @ (weight * seen.own)) / own_square
    parting = seen.halves - beside[:, np.newaxis] * seen.own
    power = np.maximum((parting**2) @ weight, 1e-12)
    left = (values - light) * weight
    gains: Floats = (parting @ left.T) ** 2 / power[:, np.newaxis]
    return gains


def _drawn(seen: _Seen, random: np.random.Generator) -> Floats:
    """Return (R, P) values of a grain of one composition, by chance."""
    light, _, rim = _model(seen)
    size = (_ROUNDS, len(light))
    blurred = light + rim * random.standard_normal(size)
    if seen.counted:
        drawn: Floats = random.poisson(np.clip(blurred, 0, None)).astype(float)
        return drawn
    noisy: Floats = blurred + seen.noise * random.standard_normal(size)
    return noisy


def _pair(seen: _Seen, cut: int) -> tuple[float, float]:
    """Return the amounts in the two halves; the same for both where the map shows but one."""
    parts = np.column_stack([seen.halves[cut], seen.own - seen.halves[cut]])
    if parts.sum(axis=0).min() < _LEAST_SHOWN * seen.own.sum():
        amount = float((seen.values - seen.foreign) @ seen.own / (seen.own @ seen.own))
        return max(amount, 0.0), max(amount, 0.0)
    amounts = np.linalg.lstsq(parts, seen.values - seen.foreign, rcond=None)[0]
    return max(float(amounts[0]), 0.0), max(float(amounts[1]), 0.0)
