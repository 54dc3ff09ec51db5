"""Clean up all grains at once, with a preview of what would be removed and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from grainsmith.clean.grains import fill_holes, keep_largest
from grainsmith.clean.index import GrainIndex
from grainsmith.clean.patch import apply_patches
from grainsmith.clean.shape import solidity
from grainsmith.data import no_progress
from grainsmith.errors import Hint, MismatchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from grainsmith.clean.patch import Labels, Patch
    from grainsmith.data import OnProgress

_FROM_ZERO = {"min": 0.0, "max": 1e12, "step": 1.0}
_KINDS = {"touches": "edge", "in": "data bar"}
"""Short names of reasons that are not a property of the grain, by their first word."""
_SHARE = {"min": 0.0, "max": 1.0, "step": 0.05}


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanSettings:
    """Settings of the clean-up; 0 and False switch a criterion off.

    Attributes
    ----------
    min_area_um2, max_area_um2 : float
        Smallest and largest area to keep; needs a known pixel size.
    min_area_px, max_area_px : float
        Smallest and largest area to keep, in pixels.
    drop_border : bool
        Remove grains that touch the edge of the image (of the field, where there is a data bar).
    drop_data_bar : bool
        Remove grains that reach into the data bar.
    min_confidence : float
        Remove grains with a lower model confidence, 0..1.
    min_solidity : float
        Remove grains with a lower solidity (area over convex hull area), 0..1.
    fill_holes : bool
        Fill the holes of grains with the grain around them.
    keep_largest : bool
        Keep only the largest piece of every grain.
    relabel : bool
        Relabel the grains 1, 2, 3, ... in the order of their labels.
    """

    min_area_um2: float = field(default=0.0, metadata={"label": "Min area (µm²)", **_FROM_ZERO})
    max_area_um2: float = field(default=0.0, metadata={"label": "Max area (µm²)", **_FROM_ZERO})
    min_area_px: float = field(default=0.0, metadata={"label": "Min area (px)", **_FROM_ZERO})
    max_area_px: float = field(default=0.0, metadata={"label": "Max area (px)", **_FROM_ZERO})
    drop_border: bool = field(default=False, metadata={"label": "Touching the edge"})
    drop_data_bar: bool = field(default=False, metadata={"label": "In the data bar"})
    min_confidence: float = field(default=0.0, metadata={"label": "Min confidence", **_SHARE})
    min_solidity: float = field(default=0.0, metadata={"label": "Min solidity", **_SHARE})
    fill_holes: bool = field(default=False, metadata={"label": "Fill all holes"})
    keep_largest: bool = field(default=False, metadata={"label": "Drop fragments"})
    relabel: bool = field(default=False, metadata={"label": "Renumber 1, 2, 3, …"})

    def __post_init__(self) -> None:
        for name in ("min_area_um2", "max_area_um2", "min_area_px", "max_area_px"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(
                    f"{name} must be 0 (off) or a number above it, got {getattr(self, name)}"
                )
        for name in ("min_confidence", "min_solidity"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie in 0..1, got {getattr(self, name)}")
        for low, high in (("min_area_um2", "max_area_um2"), ("min_area_px", "max_area_px")):
            if 0 < getattr(self, high) < getattr(self, low):
                raise ValueError(f"{high} must not be less than {low}")


@dataclass(frozen=True, eq=False)
class CleanResult:
    """Result of a clean-up.

    Attributes
    ----------
    labels : (Y, X) int array
        New array with the dtype of the input.
    removed : dict of int to str
        Removed grains, by their old label, with the reason.
    filled, trimmed : tuple of int
        Old labels of grains whose holes were filled, and whose fragments were removed.
    renumbered : dict of int to int
        Old to new label of relabelled grains; empty without `relabel`.
    """

    labels: Labels
    removed: dict[int, str]
    filled: tuple[int, ...]
    trimmed: tuple[int, ...]
    renumbered: dict[int, int]


def find_unwanted(
    labels: Labels,
    settings: CleanSettings,
    *,
    pixel_size_um: float = 0.0,
    data_bar_rows: int = 0,
    confidence: pd.Series[float] | None = None,
    index: GrainIndex | None = None,
    on_progress: OnProgress = no_progress,
) -> dict[int, str]:
    """Find the grains that a clean-up would remove, and why.

    Parameters
    ----------
    labels : (Y, X) int array
    settings : CleanSettings
    pixel_size_um : float
        Pixel size; 0 = unknown.
    data_bar_rows : int
        Rows of the data bar at the bottom.
    confidence : Series, optional
        Model confidence of each grain, 0..1, by label; needed for `min_confidence` only. Grains
        without a value are kept.
    index : GrainIndex, optional
        Index of these labels; built if missing.
    on_progress : OnProgress

    Returns
    -------
    dict of int to str
        Label to the first reason, such as "area 12 px < 50 px".

    Raises
    ------
    MismatchError
        A limit in µm² without a pixel size, a confidence limit without confidences, or no known
        data bar.
    """
    _check_known(settings, pixel_size_um, data_bar_rows, labels.shape[0], confidence)
    index = index or GrainIndex(labels)
    reasons: dict[int, str] = {}
    areas = pd.Series(index.areas_px, dtype=float)
    _add_reasons(reasons, "area", areas, " px", settings.min_area_px, settings.max_area_px)
    areas_um2 = areas * pixel_size_um**2
    _add_reasons(reasons, "area", areas_um2, " µm²", settings.min_area_um2, settings.max_area_um2)
    _add_location_reasons(reasons, labels, settings, data_bar_rows)
    if confidence is not None and settings.min_confidence:
        known = confidence[confidence.index.isin(areas.index)]
        _add_reasons(reasons, "confidence", known, "", settings.min_confidence)
    if settings.min_solidity:
        rest = [label for label in index.boxes if label not in reasons]
        solid = solidity(labels, index, rest, on_progress=on_progress)
        _add_reasons(reasons, "solidity", solid, "", settings.min_solidity)
    return reasons


def clean_labels(
    labels: Labels,
    settings: CleanSettings,
    *,
    pixel_size_um: float = 0.0,
    data_bar_rows: int = 0,
    confidence: pd.Series[float] | None = None,
    locked: Iterable[int] = (),
    on_progress: OnProgress = no_progress,
) -> CleanResult:
    """Clean up all grains.

    Holes are filled and fragments removed first, so that the limits apply to the final areas.

    Parameters
    ----------
    labels : (Y, X) int array
        Not changed.
    settings : CleanSettings
    pixel_size_um, data_bar_rows, confidence
        As for `find_unwanted`, which raises the same errors.
    locked : iterable of int
        Accepted grains, which are neither removed nor changed, only relabelled.
    on_progress : OnProgress
        Called with (grains done, total); an exception stops the work.

    Returns
    -------
    CleanResult

    Examples
    --------
    >>> grains = np.array([[1, 0, 4, 4], [0, 0, 4, 4]], dtype=np.int32)
    >>> clean_labels(grains, CleanSettings(min_area_px=2, relabel=True)).labels
    array([[0, 0, 1, 1],
           [0, 0, 1, 1]], dtype=int32)
    """
    _check_known(settings, pixel_size_um, data_bar_rows, labels.shape[0], confidence)
    labels = labels.copy()
    locked_grains = set(locked)
    index = GrainIndex(labels)
    unlocked = [label for label in index.boxes if label not in locked_grains]
    trimmed = (
        _apply_to_each(labels, index, unlocked, keep_largest, on_progress)
        if settings.keep_largest
        else ()
    )
    filled = (
        _apply_to_each(labels, index, unlocked, fill_holes, on_progress)
        if settings.fill_holes
        else ()
    )
    unwanted = find_unwanted(
        labels,
        settings,
        pixel_size_um=pixel_size_um,
        data_bar_rows=data_bar_rows,
        confidence=confidence,
        on_progress=on_progress,
    )
    removed = {label: reason for label, reason in unwanted.items() if label not in locked_grains}
    _remove(labels, index, removed)
    renumbered = _renumber(labels) if settings.relabel else {}
    return CleanResult(labels, removed, filled, trimmed, renumbered)


def _check_known(
    settings: CleanSettings,
    pixel_size_um: float,
    data_bar_rows: int,
    rows: int,
    confidence: pd.Series[float] | None,
) -> None:
    if (settings.min_area_um2 or settings.max_area_um2) and pixel_size_um <= 0:
        raise MismatchError(
            "an area in µm² needs the pixel size, which is unknown", hint=Hint.GIVE_PIXEL_SIZE_OR_PX
        )
    if settings.min_confidence and confidence is None:
        raise MismatchError(
            "these labels carry no confidence (it comes with a segmentation); "
            "leave the confidence limit at 0"
        )
    if settings.drop_data_bar and data_bar_rows <= 0:
        raise MismatchError("the data bar of this image is unknown", hint=Hint.GIVE_DATA_BAR)
    if data_bar_rows > rows:
        raise MismatchError(f"a data bar of {data_bar_rows} rows does not fit into {rows} rows")


def _add_reasons(
    reasons: dict[int, str],
    name: str,
    values: pd.Series[float],
    unit: str,
    low: float,
    high: float = 0.0,
) -> None:
    """Record grains with a value below `low`, or above `high` unless it is 0."""
    for label, value in values[values < low].items():
        reasons.setdefault(int(str(label)), f"{name} {value:.4g}{unit} < {low:g}{unit}")
    for label, value in values[values > high].items() if high else ():
        reasons.setdefault(int(str(label)), f"{name} {value:.4g}{unit} > {high:g}{unit}")


def _add_location_reasons(
    reasons: dict[int, str], labels: Labels, settings: CleanSettings, data_bar_rows: int
) -> None:
    rows = labels.shape[0] - data_bar_rows
    if settings.drop_data_bar:
        for label in np.unique(labels[rows:]).tolist():
            reasons.setdefault(label, "in the data bar")
    if settings.drop_border:
        for label in touching_edge(labels[:rows]):
            reasons.setdefault(label, "touches the edge")
    reasons.pop(0, None)


def count_reasons(removed: Mapping[int, str]) -> str:
    """Summarize reasons, such as "12 by area, 3 by edge"; "" if there are none."""
    kinds = Counter(reason.split(" ")[0] for reason in removed.values())
    return ", ".join(f"{count} by {_KINDS.get(kind, kind)}" for kind, count in kinds.items())


def touching_edge(labels: Labels) -> set[int]:
    """Find the grains with pixels in the outermost rows or columns."""
    if not labels.size:
        return set()
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return set(np.unique(edge).tolist()) - {0}


def _apply_to_each(
    labels: Labels,
    index: GrainIndex,
    grains: list[int],
    operation: Callable[[Labels, GrainIndex, list[int]], tuple[Patch, ...]],
    on_progress: OnProgress,
) -> tuple[int, ...]:
    """Apply an operation to each grain in place and return the changed grains."""
    changed = []
    for done, grain in enumerate(grains):
        patches = operation(labels, index, [grain])
        apply_patches(labels, patches)
        if patches:
            changed.append(grain)
        on_progress(done + 1, len(grains))
    return tuple(changed)


def _remove(labels: Labels, index: GrainIndex, grains: Iterable[int]) -> None:
    for grain in grains:
        window = labels[index.box(grain).slices]
        window[window == grain] = 0


def _renumber(labels: Labels) -> dict[int, int]:
    """Relabel the grains 1..N in ascending order, in place."""
    old = np.unique(labels)
    old = old[old != 0]
    new = np.arange(1, len(old) + 1)
    for rows in range(0, labels.shape[0], 256):
        part = labels[rows : rows + 256]
        place = np.searchsorted(old, part)
        part[...] = np.where(part == 0, 0, place + 1)
    return {a: b for a, b in zip(old.tolist(), new.tolist(), strict=True) if a != b}
