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


NOT_PREDICTED = -20.0
"""Logit of the grain probability in tiles that were not predicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentSettings:
    """Settings of the segmentation.

    Attributes
    ----------
    model : str
        Name of a model, or a weights file.
    diameter_px : float
        Diameter of the smaller grains, which sets the finest scale (larger grains are found at
        coarser ones); 0 = chosen from the image.
    probability_threshold : float
        Logit of the grain probability above which a pixel belongs to a grain; lower it to find dim
        grains and wider outlines.
    flow_threshold : float
        Grains with a higher flow error are dropped; raise it to keep doubtful ones. 0 keeps all.
    min_area_px : int
        Smaller grains are dropped.
    two_scales : bool
        Search for larger grains at all coarser scales, not at the finest scale alone.
    contrast_gate : bool
        Leave out outlines that are far fainter than the other grains, such as background texture.
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
    two_scales: bool = field(default=True, metadata={"label": "Search at coarser scales too"})
    contrast_gate: bool = field(default=True, metadata={"label": "Leave out faint outlines"})
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
    """Output of the network at one scale, on its own grid.

    Attributes
    ----------
    flows : (2, H, W) float32 array
        Unit vectors along y and x.
    probability : (H, W) float32 array
        Logit of the grain probability.
    scale : float
        Network pixels per image pixel.
    offset : (float, float)
        Position (y, x) of the image's origin on the grid, which includes a mirrored margin.
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
    """Output of the network for an image, from which grains can be derived repeatedly.

    Attributes
    ----------
    octaves : tuple of ScalePrediction
        Finest first; each next one has half the scale.
    shape : (Y, X)
        Of the image.
    diameter_px : float
        Typical grain diameter in image pixels: as given, or estimated from the image.
    estimated : bool
        Whether it was estimated.
    model, fingerprint : str
        Name and SHA-256 of the weights.
    seconds : dict of str to float
        Time of the stages.
    grey : (Y, X) float array or None
        Normalised grey values for the contrast gate.
    note : str
        Why there can be no grain ("the image is constant"); "" otherwise.
    """

    octaves: tuple[ScalePrediction, ...]
    shape: tuple[int, int]
    diameter_px: float
    estimated: bool
    model: str
    fingerprint: str
    seconds: dict[str, float]
    grey: npt.NDArray[np.floating] | None = field(default=None, repr=False)
    note: str = ""

    @property
    def fine(self) -> ScalePrediction:
        """The finest octave."""
        return self.octaves[0]

    @property
    def flows(self) -> npt.NDArray[np.float32]:
        """Flows of the finest octave without the margin, (2, H, W)."""
        return self.fine.flows[:, *self._within]

    @property
    def probability(self) -> npt.NDArray[np.float32]:
        """Logit of the finest octave without the margin, (H, W)."""
        return self.fine.probability[self._within]

    @property
    def scale(self) -> float:
        """Network pixels per image pixel at the finest octave."""
        return self.fine.scale

    @property
    def _within(self) -> tuple[slice, slice]:
        (y, x), (height, width) = self.fine.offset, scaled(self.shape, self.scale)
        return slice(int(y), int(y) + height), slice(int(x), int(x) + width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grains:
    """Labels, and the model's assessment of each grain.

    Attributes
    ----------
    labels : (Y, X) int32 array
        1..n in reading order; 0 is background.
    table : DataFrame
        Index `label`; columns `confidence` (0..1), `flow_error` and `probability` (mean, 0..1).
    note : str
        What the user should know: no grain, faint outlines left out, low confidence; "" otherwise.
    seconds : dict of str to float
        Time of the stages.
    """

    labels: LabelImage
    table: pd.DataFrame
    note: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
