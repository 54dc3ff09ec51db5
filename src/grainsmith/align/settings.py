"""Settings of the registration."""

from __future__ import annotations

from dataclasses import dataclass, field

MODELS_OFFERED = ("auto", "shift", "similarity", "affine")
REFINEMENTS = ("none", "affine", "bspline")


@dataclass(frozen=True, slots=True, kw_only=True)
class AlignSettings:
    """Search range of the registration, and required evidence.

    Attributes
    ----------
    model : str
        "shift", "similarity" (with rotation and scale), "affine", or "auto": the simplest model
        that the tiles of the image are consistent with.
    max_shift_px : float
        Largest shift, in pixels of the reference; 0 = half the field.
    max_rotation_deg : float
        Largest rotation, if a shift is not sufficient; 180 = any, for a rotated stage.
    max_zoom_pct : float
        Largest change of scale.
    accept_z : float
        Minimum z of a match.
    accept_ratio : float
        Minimum ratio of the best to the second best peak.
    same_pass_px : float
        Maps whose offsets differ by less belong to one pass.
    refine : str
        Refinement by SimpleITK if the tiles deviate from the transform: "none", "affine", or
        "bspline" (an affine fit, and a displacement field stored next to the matrix).
    """

    model: str = field(
        default="auto", metadata={"label": "Transform", "choices": list(MODELS_OFFERED)}
    )
    max_shift_px: float = field(
        default=0.0, metadata={"label": "Largest shift (px, 0 = any)", "min": 0.0, "max": 1e5}
    )
    max_rotation_deg: float = field(
        default=3.0, metadata={"label": "Largest turn (°)", "min": 0.0, "max": 180.0}
    )
    max_zoom_pct: float = field(
        default=3.0, metadata={"label": "Largest zoom (%)", "min": 0.0, "max": 50.0}
    )
    accept_z: float = field(
        default=9.0, metadata={"label": "Accept from z", "min": 5.0, "max": 100.0}
    )
    accept_ratio: float = field(
        default=2.2, metadata={"label": "Times the runner-up", "min": 1.5, "max": 20.0}
    )
    same_pass_px: float = field(
        default=0.6, metadata={"label": "Same pass within (px)", "min": 0.05, "max": 20.0}
    )

    refine: str = field(
        default="none",
        metadata={
            "label": "Refine by SimpleITK",
            "choices": list(REFINEMENTS),
            "tooltip": "Where a shift is not enough: an affine fit; bspline also records what is "
            "bent. An extra to install",
        },
    )

    def __post_init__(self) -> None:
        if self.model not in MODELS_OFFERED:
            raise ValueError(
                f"model must be one of {', '.join(MODELS_OFFERED)}, got {self.model!r}"
            )
        if self.refine not in REFINEMENTS:
            raise ValueError(f"refine must be one of {', '.join(REFINEMENTS)}, got {self.refine!r}")
        for name, low, high in (
            ("max_shift_px", 0.0, 1e6),
            ("max_rotation_deg", 0.0, 180.0),
            ("max_zoom_pct", 0.0, 50.0),
            ("accept_z", 5.0, 1e3),
            ("accept_ratio", 1.5, 1e3),
            ("same_pass_px", 0.01, 1e3),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} must be {low:g} to {high:g}, got {value}")
