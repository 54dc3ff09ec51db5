"""The network looks at an image: scale, tiles, blending, progress."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.data import OnProgress, no_progress
from grainsmith.segment.masks import draw_scale
from grainsmith.segment.normalize import MARGIN_PX, add_margin, grid_shape, resize, scaled, to_grey
from grainsmith.segment.orientation import Orientation
from grainsmith.segment.stopwatch import Stopwatch
from grainsmith.segment.types import LARGE_PX, Prediction, ScalePrediction, SegmentSettings

if TYPE_CHECKING:
    from grainsmith.data import Image
    from grainsmith.models.model import Model

COARSE_RATIO = 0.35
"""The second scale, in parts of the first."""
_COARSE_SIDE_PX = 768
_OVERLAP_PX = 64
_USUAL_DIAMETER_PX = 30.0
_MOST_PASSES = 3
MAX_SCALE = 3.5
"""Enlarging an image more than this costs time and shows nothing new."""
_STEPS = 4
"""Estimated diameters in each doubling."""
_SAME_SCALE = 0.25
"""Natural logarithm of the ratio up to which two scales are as good as one."""


def predict(
    image: Image,
    settings: SegmentSettings,
    *,
    model: Model | None = None,
    on_progress: OnProgress = no_progress,
) -> Prediction:
    """Let the network look at an image; parameters as for `segment_image`."""
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
    orientation = Orientation.canonical(grey)
    grey = orientation.apply(grey)
    runner = _Runner(model, settings, on_progress)
    estimated = settings.diameter_px == 0
    diameter_px = _estimate_diameter(grey, runner, settings) if estimated else settings.diameter_px
    watch.lap("estimate")
    scale = network_scale(model, diameter_px, shape)
    scales = network_scales(scale, shape, settings)
    runner.plan((grey.shape[0], grey.shape[1]), scales)
    fine = runner.run(grey, scale)
    coarse = runner.run(grey, scales[1]) if len(scales) > 1 else None
    watch.lap("network")
    return Prediction(
        fine=orientation.revert(fine),
        coarse=orientation.revert(coarse) if coarse else None,
        shape=shape,
        diameter_px=float(diameter_px),
        estimated=estimated,
        model=model.name,
        fingerprint=model.fingerprint,
        seconds=watch.seconds,
    )


def network_scales(scale: float, shape: tuple[int, int], settings: SegmentSettings) -> list[float]:
    """Return the scale, and the second one where very large grains are looked for too."""
    again = settings.two_scales and scale * max(shape) > 2 * LARGE_PX
    return [scale, scale * COARSE_RATIO] if again else [scale]


def network_scale(model: Model, diameter_px: float, shape: tuple[int, int]) -> float:
    """Network pixels per image pixel; 1 where a model takes images as they are."""
    if not diameter_px:
        return 1.0
    wanted = (model.diameter_px or _USUAL_DIAMETER_PX) / diameter_px
    return float(np.clip(wanted, min(1.0, 8 / min(shape)), MAX_SCALE))


class _Runner:
    """Runs a model over scaled images tile by tile and counts the tiles."""

    def __init__(self, model: Model, settings: SegmentSettings, on_progress: OnProgress) -> None:
        self.model = model
        self._largest = model.tile_px or settings.tile_px
        self._on_progress = on_progress
        self._done = 0
        self._total = 0

    def plan(
        self, shape: tuple[int, int], scales: list[float], *, margin_px: int = MARGIN_PX
    ) -> None:
        """Add the tiles of these runs to the total."""
        for scale in scales:
            grid = grid_shape(shape, scale, margin_px)
            rows, columns = (pieces(n, self.model, self._largest) for n in grid)
            self._total += len(rows) * len(columns)
        self._on_progress(self._done, self._total)

    def run(
        self, grey: npt.NDArray[np.float32], scale: float, *, margin_px: int = MARGIN_PX
    ) -> ScalePrediction:
        """Predict a (Y, X) image at a scale; tiles overlap and are blended, so no seam shows."""
        small = add_margin(resize(grey, scale), margin_px)
        total = np.zeros((3, *small.shape), np.float32)
        weight = np.zeros(small.shape, np.float32)
        rows, columns = (pieces(n, self.model, self._largest) for n in small.shape)
        for area in product(rows, columns):
            part = small[area]
            window = tile_weights(part.shape, small.shape)
            total[(slice(None), *area)] += predict_tile(self.model, part) * window
            weight[area] += window
            self._done += 1
            self._on_progress(self._done, self._total)
        total /= weight
        offset = (float(margin_px), float(margin_px))
        return ScalePrediction(flows=total[:2], probability=total[2], scale=scale, offset=offset)


def predict_tile(model: Model, part: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Let the network look at one tile: (3, H, W) flows y and x and logit of its own shape."""
    prediction = model.predict(_padded(part, model.stride, model.tile_px))
    return prediction[:, : part.shape[0], : part.shape[1]]


def pieces(length: int, model: Model, largest: int) -> list[slice]:
    """Return stretches that overlap by at least `_OVERLAP_PX` and cover a length evenly.

    They are no longer than that takes: every pixel that two tiles share is computed twice.
    """
    if length <= largest:
        return [slice(0, length)]
    n = int(np.ceil((length - _OVERLAP_PX) / (largest - _OVERLAP_PX)))
    stride = model.stride
    tile = model.tile_px or int(
        stride * np.ceil(((length - _OVERLAP_PX) / n + _OVERLAP_PX) / stride)
    )
    starts = np.linspace(0, length - tile, n).round().astype(int).tolist()
    return [slice(start, start + tile) for start in starts]


def estimate_diameter(
    grey: npt.NDArray[np.float32], model: Model, settings: SegmentSettings
) -> float:
    """Typical grain diameter of a normalised image, in its pixels; see `SegmentSettings`."""
    return _estimate_diameter(grey, _Runner(model, settings, no_progress), settings)


def _estimate_diameter(
    grey: npt.NDArray[np.float32], runner: _Runner, settings: SegmentSettings
) -> float:
    """Typical grain diameter in image pixels, from quick passes over the middle of the image.

    The first pass is coarse and misses small grains; each next one looks at the scale that the
    last one asked for, until two agree.
    """
    wanted = runner.model.diameter_px
    if not wanted:
        return 0.0
    scale = min(1.0, max(0.5, 512 / max(grey.shape)), _COARSE_SIDE_PX / max(grey.shape))
    diameter_px = wanted
    for _ in range(_MOST_PASSES):
        part = _middle(grey, _COARSE_SIDE_PX / scale)
        shape = (part.shape[0], part.shape[1])
        runner.plan(shape, [scale], margin_px=0)
        areas = _areas_px(runner.run(part, scale, margin_px=0), shape, settings)
        if not len(areas):
            break
        diameter_px = typical_diameter_px(areas)
        asked = float(np.clip(wanted / diameter_px, 32 / min(grey.shape), MAX_SCALE))
        if abs(np.log(asked / scale)) < _SAME_SCALE:
            break
        scale = asked
    # In steps, so that an image cropped by a few pixels is looked at on the same scale.
    return float(wanted * 2 ** (round(_STEPS * np.log2(diameter_px / wanted)) / _STEPS))


def _areas_px(
    prediction: ScalePrediction, shape: tuple[int, int], settings: SegmentSettings
) -> npt.NDArray[np.float64]:
    """Return the areas, in image pixels, of the grains of a quick pass, of those that no edge cuts.

    They are drawn on the coarser of the grids of network and image: finer outlines would not change
    the scale that follows from them.
    """
    if prediction.scale < 1:
        shape = scaled(shape, prediction.scale)
    drawn = replace(prediction, scale=max(1.0, prediction.scale))
    labels, _facts = draw_scale(drawn, shape, settings, Stopwatch())
    areas = np.bincount(labels.ravel())
    areas[0] = 0
    whole = areas > 0
    for edge in (labels[0], labels[-1], labels[:, 0], labels[:, -1]):
        whole[edge] = False
    found = areas[whole if whole.any() else areas > 0]
    return found / min(1.0, prediction.scale) ** 2


def typical_diameter_px(areas_px: npt.NDArray[Any]) -> float:
    """Return the diameter that sets the scale, from the grains found in a quick pass.

    A quick pass misses the smaller grains, and grains lost at too coarse a scale stay lost, while
    large ones are found at two scales. So the 10th percentile by number decides. Crumbs (six times
    smaller than the largest tenth) do not count.
    """
    diameters = np.sqrt(areas_px * 4 / np.pi)
    return float(np.percentile(diameters[diameters > np.percentile(diameters, 90) / 6], 10))


def _nothing(shape: tuple[int, int], note: str, settings: SegmentSettings) -> Prediction:
    nowhere = ScalePrediction(
        flows=np.zeros((2, *shape), np.float32),
        probability=np.full(shape, -10, np.float32),
        scale=1.0,
    )
    return Prediction(
        fine=nowhere,
        coarse=None,
        shape=shape,
        diameter_px=0.0,
        estimated=False,
        model=settings.model,
        fingerprint="",
        seconds={},
        note=note,
    )


def tile_weights(shape: tuple[int, ...], whole: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Weights that fall towards the edge of a tile, where the network sees least."""
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


def _middle(grey: npt.NDArray[np.float32], side: float) -> npt.NDArray[np.float32]:
    """Return the central piece of an image, at most `side` px high and wide."""
    cut = [max(0, int((n - side) // 2)) for n in grey.shape]
    return grey[cut[0] : grey.shape[0] - cut[0], cut[1] : grey.shape[1] - cut[1]]
