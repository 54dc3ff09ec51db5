"""Settings of the tuning of a model."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneSettings:
    """How a model is tuned to a training set.

    Attributes
    ----------
    model : str
        Model to start from: a name, or a weights file of the Cellpose 1-3 form.
    validation : str
        "auto" takes the fields whose role is validation, or keeps some back if there are none; a
        folder is a training set that only validates; "none" trains on all fields and keeps the
        last weights.
    epochs : int
        How often the whole set is shown; 0 = chosen from its size.
    minutes : float
        Stop after this time and keep the best weights; 0 = no limit.
    rehearsal_pct : float
        Share of synthetic fields among the tiles, so that the model keeps what it could do.
    start_share_pct : float
        Share of the start model's weights in those that are kept, for the same purpose. If the
        start model scores an AP@0.5 below 0.5 on the validation fields, the share is reduced in
        proportion.
    patience : int
        Stop after this number of validations without gain; 0 = never.
    learning_rate : float
        Highest learning rate.
    batch : int
        Tiles per step; fewer need less memory.
    tile_px : int
        Side of a tile on the network's grid.
    seed : int
        The same seed, set and settings give the same tiles.
    threads : int
        Processor threads; 0 = all.
    device : str
        "auto", "cpu", "cuda" or "mps".
    """

    model: str = field(default="grains", metadata={"label": "Start from"})
    validation: str = field(default="auto", metadata={"label": "Validate on", "folded": True})
    epochs: int = field(
        default=0,
        metadata={"label": "Epochs", "min": 0, "max": 100_000, "tooltip": "0 = by size of the set"},
    )
    minutes: float = field(
        default=8.0, metadata={"label": "At most (min)", "min": 0.0, "max": 10_000.0}
    )
    rehearsal_pct: float = field(
        default=33.0,
        metadata={"label": "Rehearsal (%)", "min": 0.0, "max": 90.0, "step": 5.0, "folded": True},
    )
    start_share_pct: float = field(
        default=50.0,
        metadata={
            "label": "Start model kept (%)",
            "min": 0.0,
            "max": 90.0,
            "step": 5.0,
            "folded": True,
        },
    )
    patience: int = field(
        default=6, metadata={"label": "Patience", "min": 0, "max": 1000, "folded": True}
    )
    learning_rate: float = field(
        default=5e-4,
        metadata={
            "label": "Learning rate",
            "min": 1e-6,
            "max": 1.0,
            "step": 1e-4,
            "folded": True,
        },
    )
    batch: int = field(
        default=6, metadata={"label": "Tiles per step", "min": 1, "max": 256, "folded": True}
    )
    tile_px: int = field(
        default=224,
        metadata={"label": "Tile (px)", "min": 32, "max": 1024, "step": 32, "folded": True},
    )
    seed: int = field(default=0, metadata={"min": 0, "max": 2_000_000_000, "folded": True})
    threads: int = field(
        default=0, metadata={"min": 0, "max": 1024, "folded": True, "tooltip": "0 = all"}
    )
    device: str = field(
        default="auto", metadata={"choices": ["auto", "cpu", "cuda", "mps"], "folded": True}
    )

    def __post_init__(self) -> None:
        least = {"epochs": 0, "minutes": 0, "patience": 0, "batch": 1, "tile_px": 32, "seed": 0}
        for name, limit in least.items():
            if getattr(self, name) < limit:
                raise ValueError(f"{name} must be {limit} or more, got {getattr(self, name)}")
        if self.tile_px % 32:
            raise ValueError(f"tile_px must be a multiple of 32, got {self.tile_px}")
        for name in ("rehearsal_pct", "start_share_pct"):
            if not 0 <= getattr(self, name) <= 90:
                raise ValueError(f"{name} must lie in 0..90, got {getattr(self, name)}")
        if not 0 < self.learning_rate <= 1:
            raise ValueError(f"learning_rate must lie in 0..1, got {self.learning_rate}")


def default_steps(n_fields: int) -> int:
    """Return the number of steps for a set with this number of training fields."""
    return min(3000, 300 + 100 * n_fields)
