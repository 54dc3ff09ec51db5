"""Settings and results of the segmentation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from grainsmith.segment.normalize import scaled
from grainsmith.segment.trajectories import TrajectoryCache

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from grainsmith.data import LabelImage

LARGE_PX = 60.0
"""Grains wider than this on the network's grid are looked for once more at a coarser scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """How grains are found.

    Attributes
    ----------
    model : str
        Name of an embedded or added model, or a weights file.
    diameter_px : float
        Diameter of the smaller grains, which sets the scale (large ones are found at two scales);
        0 = estimated from the image.
    probability_threshold : float
        Pixels whose logit of grain probability is higher belong to grains; lower it to find dim
        grains and wider outlines.
    flow_threshold : float
        Grains whose flow error is higher are dropped; raise it to keep doubtful ones. 0 keeps all.
    min_area_px : int
        Smaller grains are dropped.
    two_scales : bool
        Look for grains far larger than the others at a second, coarser scale.
    tile_px : int
        Longest side of a tile on the network's grid.
    device : str
        "auto", "cpu", "cuda" or "mps".
    """

    model: str = field(default="grains", metadata={"label": "Model"})
    diameter_px: float = field(
        default=0.0,
        metadata={"label": "Diameter (px)", "min": 0.0, "max": 2000.0, "tooltip": "0 = estimated"},
    )
    probability_threshold: float = field(
        default=-0.9, metadata={"label": "Probability", "min": -6.0, "max": 6.0, "step": 0.1}
    )
    flow_threshold: float = field(
        default=0.5, metadata={"label": "Flow error", "min": 0.0, "max": 3.0, "step": 0.05}
    )
    min_area_px: int = field(
        default=15, metadata={"label": "Smallest grain (px²)", "min": 1, "max": 1_000_000}
    )
    two_scales: bool = field(default=True, metadata={"label": "Look for very large grains too"})
    tile_px: int = field(
        default=768, metadata={"label": "Tile (px)", "min": 64, "max": 4096, "step": 32}
    )
    device: str = field(
        default="auto", metadata={"label": "Device", "choices": ["auto", "cpu", "cuda", "mps"]}
    )

    def __post_init__(self) -> None:
        if self.diameter_px < 0:
            raise ValueError(f"diameter_px must be 0 (estimated) or more, got {self.diameter_px}")
        if self.min_area_px < 1:
            raise ValueError(f"min_area_px must be 1 or more, got {self.min_area_px}")
        if self.tile_px < 64:
            raise ValueError(f"tile_px must be 64 or more, got {self.tile_px}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalePrediction:
    """What the network said at one scale, on its own grid.

    Attributes
    ----------
    flows : (2, H, W) float32 array
        Steps along y and x.
    probability : (H, W) float32 array
        Logit of the grain probability.
    scale : float
        Network pixels per image pixel.
    offset : (float, float)
        Network pixels (y, x) by which the image begins inside the grid, which goes on beyond it.
    trajectories : TrajectoryCache
        End points computed so far.
    """

    flows: npt.NDArray[np.float32]
    probability: npt.NDArray[np.float32]
    scale: float
    offset: tuple[float, float] = (0.0, 0.0)
    trajectories: TrajectoryCache = field(
        default_factory=TrajectoryCache, repr=False, compare=False
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Everything needed to draw grains again with other thresholds, without the network.

    Attributes
    ----------
    fine : ScalePrediction
        At the scale of the typical grain.
    coarse : ScalePrediction or None
        At the second scale, where it was wanted.
    shape : (Y, X)
        Of the image.
    diameter_px : float
        Diameter that the scale was chosen for, in image pixels.
    estimated : bool
        Whether that was estimated from the image.
    model, fingerprint : str
        Which weights spoke.
    seconds : dict of str to float
        Time of the stages.
    note : str
        Why there can be no grain ("the image is constant"); "" otherwise.
    """

    fine: ScalePrediction
    coarse: ScalePrediction | None
    shape: tuple[int, int]
    diameter_px: float
    estimated: bool
    model: str
    fingerprint: str
    seconds: dict[str, float]
    note: str = ""

    @property
    def flows(self) -> npt.NDArray[np.float32]:
        """Flows of the fine scale, (2, H, W), on the grid of the image alone."""
        return self.fine.flows[:, *self._within]

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """Logit of the fine scale, (H, W), on the grid of the image alone."""
        return self.fine.probability[self._within]

    @property
    def scale(self) -> float:
        """Network pixels per image pixel at the fine scale."""
        return self.fine.scale

    @property
    def _within(self) -> tuple[slice, slice]:
        (y, x), (height, width) = self.fine.offset, scaled(self.shape, self.scale)
        return slice(int(y), int(y) + height), slice(int(x), int(x) + width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grains:
    """Labels and what the model thinks of each.

    Attributes
    ----------
    labels : (Y, X) int32 array
        1..n in reading order; 0 is background.
    table : DataFrame
        Index `label`; columns `confidence` (0..1), `flow_error` and `probability` (mean, 0..1).
    note : str
        Why no grain was found; "" otherwise.
    seconds : dict of str to float
        Time of the stages.
    """

    labels: LabelImage
    table: pd.DataFrame
    note: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
