"""Draw the outlines that a file holds as labels, and report the ones that were left out."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.errors import ReadError
from grainsmith.io.exchange.outlines import draw_polygons, fill_rings
from grainsmith.io.files.limits import check_shape, is_label, max_pixels

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from grainsmith.data import LabelImage
    from grainsmith.io.exchange.outlines import Polygon, Ring

_BAD_OUTLINE = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError)
"""Exceptions of converting one outline; the others of the file are read all the same."""

_REGION_SHARE = 0.9
"""An outline around all others that covers more of the field is a region, not a grain."""

_MIN_CONTAINED = 2
_COVERED = 0.99


@dataclass(frozen=True, slots=True)
class _Outline:
    polygons: list[Polygon]
    label: Any
    mineral: str
    is_region: bool


@dataclass(slots=True)
class OutlineReader:
    """Collects the outlines of a file; a bad one is counted instead of refusing the file.

    Attributes
    ----------
    path : Path
        Source of the outlines.
    """

    path: Path
    _outlines: list[_Outline] = field(default_factory=list)
    _left_out: Counter[str] = field(default_factory=Counter)
    _reason: str = ""

    def add(
        self,
        convert: Callable[[], list[Polygon]],
        *,
        label: Any = 0,
        mineral: str = "",
        is_region: bool = False,
    ) -> None:
        """Add a grain.

        Parameters
        ----------
        convert : callable
            Returns the polygons of the grain; may raise anything that a conversion raises.
        label : int
            Number of the grain in the file, unchecked.
        mineral : str
        is_region : bool
            Whether the file marks it as a region of interest.
        """
        try:
            polygons = convert()
        except _BAD_OUTLINE as error:
            self._reason = self._reason or str(error)
            self.leave_out("outline(s) with too few or invalid points")
            return
        if not polygons:
            self.leave_out("object(s) without an outline")
            return
        self._outlines.append(_Outline(polygons, label, mineral, is_region))

    def leave_out(self, what: str) -> None:
        """Count an object that is not read."""
        self._left_out[what] += 1

    def draw(
        self, shape: tuple[int, ...], *, regions: bool = True, allow_empty: bool = True
    ) -> tuple[LabelImage, dict[int, str], tuple[str, ...]]:
        """Draw all outlines.

        Parameters
        ----------
        shape : (int, int) or ()
            Rows and columns of the field; () = the smallest that holds all outlines.
        regions : bool
            Leave out an outline that encloses all others and covers the field.
        allow_empty : bool
            Accept a file without any outline.

        Returns
        -------
        labels : (Y, X) int32 array
            Numbered as in the file if its numbers are valid and unique, else from 1.
        minerals : dict of int to str
        notes : tuple of str

        Raises
        ------
        ReadError
            No outline could be read or lies in the field, or the field is too large.
        """
        self._check_any(allow_empty=allow_empty)
        notes: list[str] = []
        if not shape:
            shape, note = self._bounding_shape()
            notes.append(note)
        rows, columns = check_shape(shape, f"the field of {self.path}")
        if regions:
            self._drop_region((rows, columns))
        numbers = self._numbers()
        grains = {k: item.polygons for k, item in zip(numbers, self._outlines, strict=True)}
        labels, overlapping = draw_polygons((rows, columns), grains)
        self._count_undrawn(labels, numbers)
        drawn = set(np.unique(labels).tolist())
        minerals = {
            k: item.mineral
            for k, item in zip(numbers, self._outlines, strict=True)
            if item.mineral and k in drawn
        }
        notes += [f"{count:,} {what} left out." for what, count in self._left_out.items()]
        return labels, minerals, (*notes, *overlap_note(overlapping))

    def _check_any(self, *, allow_empty: bool) -> None:
        if self._outlines or (allow_empty and not self._left_out):
            return
        reason = f": {self._reason}" if self._reason else ""
        left_out = ", ".join(f"{count:,} {what}" for what, count in self._left_out.items())
        raise ReadError(f"{self.path} holds no outline of a grain ({left_out or 'none'}){reason}")

    @staticmethod
    def _corners(item: _Outline) -> Ring:
        return np.concatenate([polygon.exterior for polygon in item.polygons])

    def _bounding_shape(self) -> tuple[tuple[int, int], str]:
        corners = np.concatenate([self._corners(item) for item in self._outlines])
        rows, columns = np.maximum(1, np.ceil(corners.max(axis=0))).astype(int).tolist()
        if rows * columns > max_pixels():
            raise ReadError(
                f"{self.path}: its coordinates reach x = {columns:,}, y = {rows:,}. Are they map "
                "coordinates? Export the outlines in pixels of their image."
            )
        note = (
            f"The file does not state the size of its image: {columns} x {rows} px hold all "
            "grains. Import it with its image to get the size."
        )
        return (rows, columns), note

    def _drop_region(self, shape: tuple[int, int]) -> None:
        """Leave out an outline that encloses all others, such as the region of a QuPath project."""
        if len(self._outlines) <= _MIN_CONTAINED:
            return
        sizes = [np.ptp(self._corners(item), axis=0).prod() for item in self._outlines]
        largest = self._outlines[int(np.argmax(sizes))]
        rest = {k: o.polygons for k, o in enumerate(self._outlines, 1) if o is not largest}
        others = draw_polygons(shape, rest)[0] > 0
        inside = np.zeros(shape, bool)
        for polygon in largest.polygons:
            box, mask = fill_rings(polygon.rings, shape)
            inside[box] |= mask
        n_others = int(np.count_nonzero(others))
        encloses = int(np.count_nonzero(inside & others)) >= _COVERED * max(1, n_others)
        if encloses and (largest.is_region or inside.mean() > _REGION_SHARE):
            self._outlines.remove(largest)
            name = f" '{largest.mineral}'" if largest.mineral else ""
            self.leave_out(f"outline(s){name} around all others, a region and not a grain,")

    def _numbers(self) -> list[int]:
        labels = [item.label for item in self._outlines]
        if all(is_label(label) for label in labels) and len(set(labels)) == len(labels):
            return labels
        return list(range(1, len(labels) + 1))

    def _count_undrawn(self, labels: LabelImage, numbers: Sequence[int]) -> None:
        drawn = set(np.unique(labels).tolist())
        shape = np.array(labels.shape)
        for number, item in zip(numbers, self._outlines, strict=True):
            if number in drawn:
                continue
            corners = self._corners(item)
            is_outside = (corners.max(axis=0) <= 0).any() or (corners.min(axis=0) >= shape).any()
            self.leave_out(
                "grain(s) outside the image" if is_outside else "grain(s) that cover no pixel"
            )
        if self._outlines and not drawn - {0}:
            corners = np.concatenate([self._corners(item) for item in self._outlines])
            (top, left), (bottom, right) = corners.min(axis=0), corners.max(axis=0)
            raise ReadError(
                f"{self.path}: none of its {len(self._outlines):,} outlines lies in the image of "
                f"{shape[1]} x {shape[0]} px; they span x = {left:.0f}..{right:.0f}, "
                f"y = {top:.0f}..{bottom:.0f}."
            )


def overlap_note(pixels: int) -> tuple[str, ...]:
    """Return a note on overlapping grains, if there are any."""
    if not pixels:
        return ()
    return (f"Grains overlapped in {pixels:,} pixels: the smaller one was put on top.",)
