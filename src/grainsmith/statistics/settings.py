"""Settings of grain-size statistics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Size = Literal["ecd", "feret_min", "feret_max", "best_short", "best_long", "minor", "major"]

EdgeRule = Literal["weights", "guard", "drop", "count all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatisticsSettings:
    """Settings of `summarize`.

    Attributes
    ----------
    size : str
        Size measure of a grain: a column of the grain table without its unit. "ecd" is the usual
        one in image analysis, "feret_min" is closest to sieving.
    edge_rule : str
        Treatment of grains at the edge of the field. "weights": grains cut off by the edge are left
        out, and the others are weighted by the inverse of their probability to lie entirely inside
        (Miles & Lantuejoul, ISO 13322-1): unbiased. "guard": grains with their centre in a frame
        along the edge are left out: unbiased, but uses fewer grains. "drop": grains cut off are
        left out without correction: large grains are underestimated. "count all": cut grains are
        counted with their visible size: too small.
    guard_px : float
        Width of the guard frame in pixels; 0 = half the largest grain.
    drop_below_resolution : bool
        Leave out grains marked `below_resolution`.
    n_bootstrap : int
        Number of bootstrap samples for the 95 % intervals; 0 = no intervals.
    scale_error_pct : float
        Standard error of the pixel size in per cent, included in the intervals.
    seed : int
        Seed of the bootstrap, which makes reports reproducible.
    """

    size: Size = field(default="ecd", metadata={"label": "Size"})
    edge_rule: EdgeRule = field(default="weights", metadata={"label": "Edge"})
    guard_px: float = field(
        default=0.0, metadata={"label": "Guard (px, 0 = auto)", "min": 0.0, "max": 1e5}
    )
    drop_below_resolution: bool = field(
        default=False, metadata={"label": "Leave out grains below resolution"}
    )
    n_bootstrap: int = field(
        default=1000, metadata={"label": "Resamplings", "min": 0, "max": 100_000}
    )
    scale_error_pct: float = field(
        default=0.0, metadata={"label": "Scale error (%)", "min": 0.0, "max": 50.0, "step": 0.1}
    )
    seed: int = field(default=1, metadata={"label": "Seed", "min": 0, "max": 2**31 - 1})

    def __post_init__(self) -> None:
        if self.size not in get_args(Size):
            raise ValueError(f"size must be one of {get_args(Size)}, got {self.size!r}")
        if self.edge_rule not in get_args(EdgeRule):
            raise ValueError(
                f"edge_rule must be one of {get_args(EdgeRule)}, got {self.edge_rule!r}"
            )
        for name in ("guard_px", "n_bootstrap", "scale_error_pct", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
