"""Represent edits of labels as patches: a box with its pixels before and after."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from grainsmith.errors import Hint, MismatchError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

Labels = npt.NDArray[Any]
"""(Y, X) of any integer dtype; edits preserve the dtype."""

Mask = npt.NDArray[np.bool_]

_CELL_PX = 256


class Box(NamedTuple):
    """Rows y0..y1 and columns x0..x1 of an image, ends excluded."""

    y0: int
    x0: int
    y1: int
    x1: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Slices of the box in an array."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    @property
    def size(self) -> int:
        """Number of pixels."""
        return max(0, self.y1 - self.y0) * max(0, self.x1 - self.x0)

    def grown(self, by_px: int, shape: tuple[int, ...]) -> Box:
        """Return the box with a margin, clipped to an image of `shape`."""
        return Box(
            max(0, self.y0 - by_px),
            max(0, self.x0 - by_px),
            min(shape[0], self.y1 + by_px),
            min(shape[1], self.x1 + by_px),
        )

    def union(self, other: Box) -> Box:
        """Return the smallest box that contains both."""
        return Box(*np.minimum(self[:2], other[:2]).tolist(), *_larger(self[2:], other[2:]))

    def meets(self, other: Box) -> bool:
        """Return whether the two boxes share a pixel."""
        return (
            self.y0 < other.y1 and other.y0 < self.y1 and self.x0 < other.x1 and other.x0 < self.x1
        )


def _larger(first: Sequence[int], second: Sequence[int]) -> list[int]:
    return [max(a, b) for a, b in zip(first, second, strict=True)]


@dataclass(frozen=True, eq=False)
class Patch:
    """One box of labels before and after an edit.

    Attributes
    ----------
    box : Box
        Position of the patch.
    old, new : (h, w) int array
        Pixels before and after, with the dtype of the labels.
    """

    box: Box
    old: Labels
    new: Labels

    def __post_init__(self) -> None:
        shape = self.box.y1 - self.box.y0, self.box.x1 - self.box.x0
        if self.old.shape != shape or self.new.shape != shape:
            raise ValueError(
                f"a patch of {self.box} needs arrays of {shape}, "
                f"got {self.old.shape} and {self.new.shape}"
            )

    @cached_property
    def changed(self) -> Mask:
        """Changed pixels, (h, w) bool; only these are written."""
        return np.not_equal(self.old, self.new)

    @property
    def touched(self) -> set[int]:
        """Grains that lose or gain pixels."""
        both = np.concatenate([self.old[self.changed], self.new[self.changed]])
        return set(np.unique(both).tolist()) - {0}


def window(labels: Labels, box: Box) -> Labels:
    """Return a copy of the labels in a box, as a plain array."""
    return np.array(labels[box.slices])


def apply_patches(labels: Labels, patches: Iterable[Patch]) -> None:
    """Write the changed pixels of patches into labels, in place."""
    for patch in patches:
        labels[patch.box.slices][patch.changed] = patch.new[patch.changed]


def revert_patches(labels: Labels, patches: Sequence[Patch]) -> None:
    """Undo patches in place, last first."""
    for patch in reversed(patches):
        labels[patch.box.slices][patch.changed] = patch.old[patch.changed]


def disjoint(patches: Iterable[Patch]) -> tuple[Patch, ...]:
    """Make patches disjoint: the first patch to change a pixel keeps it.

    Patches without changes are left out, so an empty tuple means "nothing to do".
    """
    kept: list[Patch] = []
    in_cell: dict[tuple[int, int], list[Patch]] = defaultdict(list)  # for thousands of patches
    for patch in patches:
        cells = list(_cells(patch.box))
        free = patch
        near = {id(earlier): earlier for cell in cells for earlier in in_cell.get(cell, ())}
        for earlier in near.values():
            if earlier.box.meets(patch.box):
                free = _without(free, earlier)
        if free.changed.any():
            kept.append(free)
            for cell in cells:
                in_cell[cell].append(free)
    return tuple(kept)


def _cells(box: Box) -> Iterator[tuple[int, int]]:
    """Yield the cells of a coarse grid that a box overlaps."""
    rows = range(box.y0 // _CELL_PX, (box.y1 - 1) // _CELL_PX + 1)
    columns = range(box.x0 // _CELL_PX, (box.x1 - 1) // _CELL_PX + 1)
    return product(rows, columns)


def _without(patch: Patch, earlier: Patch) -> Patch:
    """Return `patch` without the pixels that `earlier` changes."""
    shared = Box(
        *_larger(patch.box[:2], earlier.box[:2]),
        *np.minimum(patch.box[2:], earlier.box[2:]).tolist(),
    )
    taken = earlier.changed[_within(shared, earlier.box)]
    if not taken.any():
        return patch
    new = patch.new.copy()
    own = _within(shared, patch.box)
    new[own][taken] = patch.old[own][taken]
    return Patch(patch.box, patch.old, new)


def _within(box: Box, outer: Box) -> tuple[slice, slice]:
    return (
        slice(box.y0 - outer.y0, box.y1 - outer.y0),
        slice(box.x0 - outer.x0, box.x1 - outer.x0),
    )


def refuse_locked(patches: Iterable[Patch], locked: set[int]) -> None:
    """Refuse an edit that would change accepted grains.

    Raises
    ------
    MismatchError
        Naming the grains, and how to unlock them.
    """
    hit = sorted(set().union(*(patch.touched for patch in patches)) & locked) if locked else []
    if hit:
        raise MismatchError(
            f"{grains_phrase(hit)} accepted, and accepted grains are locked",
            hint=Hint.UNLOCK_GRAINS,
        )


def grains_phrase(labels: Sequence[int]) -> str:
    """Return "grain 7 is", "grains 7 and 9 are" or "12 grains are"."""
    if len(labels) == 1:
        return f"grain {labels[0]} is"
    if len(labels) <= 4:
        return f"grains {', '.join(map(str, labels[:-1]))} and {labels[-1]} are"
    return f"{len(labels)} grains are"
