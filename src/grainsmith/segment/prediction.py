"""Prediction of an image: octaves, tiles, blending and progress."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.data import OnProgress, no_progress
from grainsmith.segment.contrast import faint_grains, grain_contrasts
from grainsmith.segment.flows import find_boxes
from grainsmith.segment.masks import draw_octave
from grainsmith.segment.merging import MIN_QUALITY, MIN_QUALITY_FOR_SCALE, merge_octaves
from grainsmith.segment.normalize import MARGIN_PX, add_margin, grid_shape, resize, to_grey
from grainsmith.segment.orientation import Orientation
from grainsmith.segment.stopwatch import Stopwatch
from grainsmith.segment.types import NOT_PREDICTED, Prediction, ScalePrediction, SegmentSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.data import Image, LabelImage
    from grainsmith.models.model import Model
    from grainsmith.segment.merging import Candidates

COARSE_RATIO = 0.5
"""Scale of each octave relative to the next finer one."""
MAX_SCALE = 3.5
"""Enlarging an image more than this costs time and adds no detail."""
_COARSEST_SIDE_PX = 32
"""The longest side of an image, or of 4096 px of it, on the grid of the coarsest octave."""
_LARGEST_SIDE_PX = 4096
_OVERLAP_PX = 64
_USUAL_DIAMETER_PX = 30.0
_FIRST_SIDE_PX = 1024
"""Octaves on whose grid the image is no longer than this are always predicted ..."""
_FIRST_SCALE = (0.25, 1.0)
"""... as are those up to the lower of these scales, and none above the higher one."""
_SMALL_PX = 25.0
"""Grains smaller than this on the network's grid are better found at the next finer octave."""
_SMALL_SHARE = 0.25
"""Share of small grains, by number, for which the finer octave is predicted."""


def predict(
    image: Image,
    settings: SegmentSettings,
    *,
    model: Model | None = None,
    on_progress: OnProgress = no_progress,
) -> Prediction:
    """Predict flows and grain probability of an image; parameters as for `segment_image`."""
    watch = Stopwatch()
    grey, note = to_grey(image)
    watch.lap("normalise")
    shape = (grey.shape[0], grey.shape[1])
    if note:
        return _nothing(shape, note, settings)
    if model is None:
        from grainsmith.models.registry import load_model

        model = load_model(settings.model, device=settings.device)
        watch.lap("load")
    octaves = _Octaves(grey, model, settings, on_progress)
    estimated = settings.diameter_px == 0
    octaves.run()
    diameter_px = octaves.typical_diameter_px() if estimated else settings.diameter_px
    watch.lap("network")
    return Prediction(
        octaves=tuple(octaves.predictions),
        shape=shape,
        diameter_px=float(diameter_px),
        estimated=estimated,
        model=model.name,
        fingerprint=model.fingerprint,
        seconds=watch.seconds,
        grey=grey.astype(np.float16),
    )


def estimate_diameter(
    grey: npt.NDArray[np.float32], model: Model, settings: SegmentSettings
) -> float:
    """Estimate the diameter that sets the finest scale of a normalised image, in its pixels.

    Returns
    -------
    float
        0 for a model that takes images as they are.
    """
    if not model.diameter_px:
        return 0.0
    octaves = _Octaves(grey, model, settings, no_progress)
    octaves.run()
    return model.diameter_px / octaves.predictions[0].scale


def network_scale(model: Model, diameter_px: float, shape: tuple[int, int]) -> float:
    """Return the network pixels per image pixel at which a grain has the size the model expects."""
    if not diameter_px:
        return 1.0
    scale = (model.diameter_px or _USUAL_DIAMETER_PX) / diameter_px
    return float(np.clip(scale, min(1.0, 8 / min(shape)), MAX_SCALE))


def network_scales(scale: float, shape: tuple[int, int], settings: SegmentSettings) -> list[float]:
    """Return the scale of every octave, finest first."""
    scales = [scale]
    side = min(max(shape), _LARGEST_SIDE_PX)
    while settings.two_scales and scales[-1] * COARSE_RATIO * side >= _COARSEST_SIDE_PX:
        scales.append(scales[-1] * COARSE_RATIO)
    return scales


class _Octaves:
    """Predictions of one image at the scales its grains need, from coarse to fine.

    If no diameter is given, an octave finer than the first ones is predicted only in tiles where
    the grains found so far are small on the network's grid.
    """

    def __init__(
        self,
        grey: npt.NDArray[np.float32],
        model: Model,
        settings: SegmentSettings,
        on_progress: OnProgress,
    ) -> None:
        self.predictions: list[ScalePrediction] = []
        self._candidates: list[Candidates] = []
        self._shape = (grey.shape[0], grey.shape[1])
        self._original, self._settings, self._model = grey, settings, model
        self._orientation = Orientation.canonical(grey)
        self._grey = self._orientation.apply(grey)
        self._runner = TileRunner(model, settings, on_progress)

    def run(self) -> None:
        """Predict the octaves needed."""
        if self._settings.diameter_px or not self._model.diameter_px:
            scale = network_scale(self._model, self._settings.diameter_px, self._shape)
            self._run_all(network_scales(scale, self._shape, self._settings))
            return
        first = _first_scale(self._shape)
        self._run_all(network_scales(first, self._shape, self._settings))
        scale = first
        while scale < MAX_SCALE:
            small = self._small_grains()
            if not small.any():
                return
            scale = min(2 * scale, MAX_SCALE)
            self._predict(scale, self._orientation.apply(small))

    def typical_diameter_px(self) -> float:
        """Return the median grain diameter in image pixels; 0 without a grain."""
        if not self._model.diameter_px:
            return 0.0
        areas = np.bincount(self._merge(MIN_QUALITY).ravel())[1:]
        diameters = np.sqrt(areas[areas > 0] * 4 / np.pi)
        if not len(diameters):
            return self._model.diameter_px / self.predictions[0].scale
        return float(np.median(diameters[diameters > np.percentile(diameters, 90) / 6]))

    def _run_all(self, scales: Sequence[float]) -> None:
        self._runner.plan(self._grey.shape, scales)
        for scale in reversed(scales):
            self._insert(self._runner.run(self._grey, scale))

    def _predict(self, scale: float, wanted: npt.NDArray[np.float32]) -> None:
        self._runner.plan(self._grey.shape, [scale], wanted)
        self._insert(self._runner.run(self._grey, scale, wanted))

    def _insert(self, prediction: ScalePrediction) -> None:
        self.predictions.insert(0, self._orientation.revert(prediction))

    def _merge(self, min_quality: float) -> LabelImage:
        for prediction in reversed(
            self.predictions[: len(self.predictions) - len(self._candidates)]
        ):
            candidates = draw_octave(prediction, self._shape, self._settings, Stopwatch())
            self._candidates.insert(0, candidates)
        labels, _ = merge_octaves(
            self._candidates,
            min_area_px=self._settings.min_area_px,
            min_quality=min_quality,
        )
        if not self._settings.contrast_gate:
            return labels
        faint = np.append(False, faint_grains(grain_contrasts(labels, self._original)))
        return np.where(faint[labels], 0, labels)

    def _small_grains(self) -> npt.NDArray[np.float32]:
        """Mark the centers of grains in image regions where the small grains are numerous.

        Returns
        -------
        (Y, X) float32 array
            1 at the center of every small grain, 0 elsewhere.
        """
        labels, scale = self._merge(MIN_QUALITY_FOR_SCALE), self.predictions[0].scale
        boxes = find_boxes(labels)
        marks = np.zeros(self._shape, np.float32)
        if not len(boxes):
            marks[tuple(n // 2 for n in self._shape)] = float(scale < 1)
            return marks
        areas = np.bincount(labels.ravel())[boxes.ids]
        small = np.sqrt(areas * 4 / np.pi) * scale < _SMALL_PX
        if small.mean() >= _SMALL_SHARE:
            centers = boxes.edges.reshape(-1, 2, 2).mean(axis=2).astype(int)[small]
            marks[centers[:, 0], centers[:, 1]] = 1
        return marks


def _first_scale(shape: tuple[int, int]) -> float:
    octave = np.floor(np.log2(_FIRST_SIDE_PX / max(shape)))
    return float(np.clip(2.0**octave, *_FIRST_SCALE))


class TileRunner:
    """Run a model over scaled images tile by tile and count the tiles."""

    def __init__(self, model: Model, settings: SegmentSettings, on_progress: OnProgress) -> None:
        self.model = model
        self._longest_px = model.tile_px or settings.tile_px
        self._on_progress = on_progress
        self._done = 0
        self._total = 0

    def plan(
        self,
        shape: tuple[int, ...],
        scales: Sequence[float],
        wanted: npt.NDArray[np.float32] | None = None,
    ) -> None:
        """Add the tiles of coming runs to the total."""
        for scale in scales:
            grid = grid_shape((shape[0], shape[1]), scale)
            self._total += len(self._tiles(grid, scale, wanted))
        self._on_progress(self._done, self._total)

    def run(
        self,
        grey: npt.NDArray[np.float32],
        scale: float,
        wanted: npt.NDArray[np.float32] | None = None,
    ) -> ScalePrediction:
        """Predict a (Y, X) image at a scale from overlapping, blended tiles.

        Parameters
        ----------
        grey : (Y, X) float32 array
        scale : float
            Network pixels per image pixel.
        wanted : (Y, X) float32 array, optional
            Only tiles in which it is positive somewhere are predicted.
        """
        small = add_margin(resize(grey, scale))
        total = np.zeros((3, *small.shape), np.float32)
        weight = np.zeros(small.shape, np.float32)
        for area in self._tiles((small.shape[0], small.shape[1]), scale, wanted):
            part = small[area]
            window = tile_weights(part.shape, small.shape)
            total[(slice(None), *area)] += predict_tile(self.model, part) * window
            weight[area] += window
            self._done += 1
            self._on_progress(self._done, self._total)
        unseen = weight == 0
        total /= np.where(unseen, 1, weight)
        total[2][unseen] = NOT_PREDICTED
        offset = (float(MARGIN_PX), float(MARGIN_PX))
        return ScalePrediction(flows=total[:2], probability=total[2], scale=scale, offset=offset)

    def _tiles(
        self, grid: tuple[int, int], scale: float, wanted: npt.NDArray[np.float32] | None
    ) -> list[tuple[slice, slice]]:
        rows, columns = (tile_slices(n, self.model, self._longest_px) for n in grid)
        tiles = list(product(rows, columns))
        if wanted is None:
            return tiles
        return [tile for tile in tiles if wanted[_image_window(tile, scale)].any()]


def _image_window(tile: tuple[slice, slice], scale: float) -> tuple[slice, slice]:
    """Return the image pixels under a tile of the network's grid."""
    rows, columns = (
        slice(
            max(0, int((part.start - MARGIN_PX) / scale)),
            max(0, int(np.ceil((part.stop - MARGIN_PX) / scale))),
        )
        for part in tile
    )
    return rows, columns


def predict_tile(model: Model, part: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Predict one tile of any shape: (3, H, W) flows y and x and logit."""
    output = model.predict(_padded(part, model.stride, model.tile_px))
    return output[:, : part.shape[0], : part.shape[1]]


def tile_slices(length: int, model: Model, longest_px: int) -> list[slice]:
    """Divide a length evenly into stretches that overlap by at least `_OVERLAP_PX`.

    They are as short as their number permits, since pixels shared by two tiles are computed twice.
    """
    if length <= longest_px:
        return [slice(0, length)]
    n = int(np.ceil((length - _OVERLAP_PX) / (longest_px - _OVERLAP_PX)))
    stride = model.stride
    tile = model.tile_px or int(
        stride * np.ceil(((length - _OVERLAP_PX) / n + _OVERLAP_PX) / stride)
    )
    starts = np.linspace(0, length - tile, n).round().astype(int).tolist()
    return [slice(start, start + tile) for start in starts]


def typical_diameter_px(areas_px: npt.NDArray[Any]) -> float:
    """Return the 10th percentile of the grain diameters by number, without crumbs.

    Grains more than six times smaller than the largest tenth count as crumbs.
    """
    diameters = np.sqrt(areas_px * 4 / np.pi)
    return float(np.percentile(diameters[diameters > np.percentile(diameters, 90) / 6], 10))


def _nothing(shape: tuple[int, int], note: str, settings: SegmentSettings) -> Prediction:
    empty = ScalePrediction(
        flows=np.zeros((2, *shape), np.float32),
        probability=np.full(shape, NOT_PREDICTED, np.float32),
        scale=1.0,
    )
    return Prediction(
        octaves=(empty,),
        shape=shape,
        diameter_px=0.0,
        estimated=False,
        model=settings.model,
        fingerprint="",
        seconds={},
        note=note,
    )


def tile_weights(shape: tuple[int, ...], whole: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return blending weights that fall off towards the edges of a tile."""
    ramps = []
    for n, length in zip(shape, whole, strict=True):
        from_edge = np.minimum(np.arange(n), np.arange(n)[::-1]) + 1.0
        ramps.append(np.minimum(from_edge / _OVERLAP_PX, 1.0) if n < length else np.ones(n))
    return np.outer(*ramps).astype(np.float32)


def _padded(part: npt.NDArray[np.float32], stride: int, tile: int) -> npt.NDArray[np.float32]:
    height, width = ((tile if tile else -(-n // stride) * stride) for n in part.shape)
    if part.shape == (height, width):
        return np.ascontiguousarray(part)
    pad = ((0, height - part.shape[0]), (0, width - part.shape[1]))
    return np.pad(part, pad, mode="symmetric")
