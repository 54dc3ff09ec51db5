"""Store edits as runs of equal pixels, compact even for whole images.

A deleted grain of 1,000 pixels is some 35 runs, under 1 kB; a renumbering of 4096 x 4096 with
16,000 grains is about 10 MB, where an index and two values per pixel would be 400 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from grainsmith.clean.patch import Box
from grainsmith.errors import MismatchError
from grainsmith.parallel import compiled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from grainsmith.clean.patch import Labels, Mask, Patch

_ROWS = 256  # rows per block, which bounds the memory


@dataclass(frozen=True, eq=False)
class Change:
    """Runs of pixels along rows that held `old` and hold `new`.

    Attributes
    ----------
    shape : (int, int)
        Shape of the label image, (Y, X).
    start : (N,) int64 array
        Flat index of the first pixel of each run.
    length : (N,) int32 array
        Pixels of each run; runs do not cross rows.
    old, new : (N,) int array
        Labels of each run before and after.
    """

    shape: tuple[int, int]
    start: npt.NDArray[np.int64]
    length: npt.NDArray[np.int32]
    old: npt.NDArray[Any]
    new: npt.NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Memory in bytes."""
        return sum(part.nbytes for part in (self.start, self.length, self.old, self.new))

    @property
    def n_pixels(self) -> int:
        """Number of changed pixels."""
        return int(self.length.sum())

    @property
    def touched(self) -> set[int]:
        """Grains that lose or gain pixels."""
        return set(np.unique(np.concatenate([self.old, self.new])).tolist()) - {0}

    @property
    def box(self) -> Box:
        """Bounding box of all runs; empty without runs."""
        return self.box_of(np.ones(len(self.start), bool))

    def box_of(self, chosen: Mask) -> Box:
        """Return the bounding box of the chosen runs, (N,) bool."""
        if not chosen.any():
            return Box(0, 0, 0, 0)
        rows, columns = np.divmod(self.start[chosen], self.shape[1])
        ends = columns + self.length[chosen]
        corners = rows.min(), columns.min(), rows.max() + 1, ends.max()
        return Box(*(int(corner) for corner in corners))

    def inverse(self) -> Change:
        """Return the inverse change."""
        return Change(self.shape, self.start, self.length, self.new, self.old)

    def chosen(self, runs: Mask) -> Change:
        """Return the change of the chosen runs only, (N,) bool."""
        return Change(
            self.shape, self.start[runs], self.length[runs], self.old[runs], self.new[runs]
        )

    def pixels(self) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]]:
        """Yield rows, columns and new labels of the changed pixels in blocks."""
        ends = np.cumsum(self.length, dtype=np.int64)
        block = _ROWS * max(self.shape[1], 1024)
        cuts = np.searchsorted(ends, np.arange(block, self.n_pixels + block, block), side="right")
        for first, last in pairwise([0, *cuts.tolist()]):
            length = self.length[first:last]
            begin = np.repeat(np.cumsum(length, dtype=np.int64) - length, length)
            flat = np.repeat(self.start[first:last], length)
            flat += np.arange(len(flat), dtype=np.int64) - begin
            rows, columns = np.divmod(flat, self.shape[1])
            yield rows, columns, np.repeat(self.new[first:last], length)

    def is_done_in(self, labels: Labels) -> bool:
        """Return whether all changed pixels have their new labels already."""
        return all(bool((labels[y, x] == values).all()) for y, x, values in self.pixels())

    def write(self, labels: Labels) -> None:
        """Write the new labels of the changed pixels, in place."""
        if labels.shape != self.shape:
            raise MismatchError(
                f"this edit was made on labels of {self.shape}, these are {labels.shape}"
            )
        for rows, columns, values in self.pixels():
            labels[rows, columns] = values


def pack(patches: Iterable[Patch], shape: tuple[int, int]) -> Change:
    """Convert disjoint patches to runs.

    Parameters
    ----------
    patches : iterable of Patch
    shape : (int, int)
        Of the label image.
    """
    return _join(shape, [_runs(p.old, p.new, p.box.y0, p.box.x0, shape[1]) for p in patches])


def difference(before: Labels, after: Labels) -> Change:
    """Compute the change from one label image to another of the same shape.

    Raises
    ------
    MismatchError
        The shapes differ.
    """
    if before.shape != after.shape:
        raise MismatchError(f"labels of {before.shape} and {after.shape} have no difference")
    start, length = _runs_of_images(before, after)
    flat = before.reshape(-1)[start], after.reshape(-1)[start]
    return Change((before.shape[0], before.shape[1]), start, length, *flat)


def compose(changes: Sequence[Change]) -> Change:
    """Combine at least one change, in order, into one."""
    spots = [[rows * c.shape[1] + columns for rows, columns, _ in c.pixels()] for c in changes]
    flat = np.concatenate([np.zeros(0, np.int64), *(part for parts in spots for part in parts)])
    old = np.concatenate([np.repeat(c.old, c.length) for c in changes])
    new = np.concatenate([np.repeat(c.new, c.length) for c in changes])
    return from_pixels(changes[0].shape, *np.divmod(flat, changes[0].shape[1]), old, new)


def from_pixels(
    shape: tuple[int, int],
    rows: npt.NDArray[Any],
    columns: npt.NDArray[Any],
    old: npt.NDArray[Any],
    new: npt.NDArray[Any],
) -> Change:
    """Convert single pixels to runs.

    Parameters
    ----------
    shape : (int, int)
        Of the label image.
    rows, columns, old, new : (N,) int array
        In temporal order; for a repeated pixel the first old and the last new label are used.
    """
    flat = rows.astype(np.int64) * shape[1] + columns
    order = np.argsort(flat, kind="stable")
    flat, old, new = flat[order], old[order], new[order]
    heads = np.append(True, np.diff(flat) > 0) if len(flat) else np.zeros(0, bool)
    tails = np.append(heads[1:], True) if len(flat) else heads
    real = old[heads] != new[tails]
    return _as_runs(shape, flat[heads][real], old[heads][real], new[tails][real])


@compiled
def _runs_of_images(
    before: Labels, after: Labels
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """Find start and length of the runs in which two label images differ."""
    height, width = before.shape
    start, length = np.empty(1024, np.int64), np.empty(1024, np.int32)
    count = 0
    for y in range(height):
        x = 0
        while x < width:
            old, new, first = before[y, x], after[y, x], x
            x += 1
            while x < width and before[y, x] == old and after[y, x] == new:
                x += 1
            if old != new:
                if count == len(start):
                    start = np.append(start, np.empty(count, np.int64))
                    length = np.append(length, np.empty(count, np.int32))
                start[count], length[count] = y * width + first, x - first
                count += 1
    return start[:count].copy(), length[:count].copy()


_Runs = tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]


def _runs(old: Labels, new: Labels, y0: int, x0: int, width: int) -> _Runs:
    """Compute start, length, old and new of the runs in a window with the corner (y0, x0)."""
    rows, columns = np.nonzero(old != new)
    flat = (rows + y0).astype(np.int64) * width + columns + x0
    change = _as_runs((0, width), flat, old[rows, columns], new[rows, columns])
    return change.start, change.length, change.old, change.new


def _as_runs(
    shape: tuple[int, int], flat: npt.NDArray[np.int64], old: Labels, new: Labels
) -> Change:
    """Convert sorted pixels to runs."""
    if not len(flat):
        return Change(shape, flat, np.zeros(0, np.int32), old, new)
    breaks = (np.diff(flat) != 1) | (np.diff(old) != 0) | (np.diff(new) != 0)
    breaks |= flat[1:] % shape[1] == 0
    first = np.append(0, np.flatnonzero(breaks) + 1)
    length = np.diff(np.append(first, len(flat))).astype(np.int32)
    return Change(shape, flat[first], length, old[first], new[first])


def _join(shape: tuple[int, int], parts: list[_Runs]) -> Change:
    if not parts:
        none = np.zeros(0, np.int32)
        return Change(shape, none.astype(np.int64), none, none, none)
    start, length, old, new = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Change(shape, start, length, old, new)
