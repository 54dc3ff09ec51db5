"""Choosing and correcting grains: what buttons, keys and the mouse all call.

One editor per viewer. It works on the layer in the role of grains, writes through its history
alone, and answers the user by `told` instead of raising.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from napari.layers import Labels

from grainsmith import clean
from grainsmith.errors import MismatchError
from grainsmith.ui.editing.chemistry import channels_for
from grainsmith.ui.editing.insertion import Insertion
from grainsmith.ui.editing.overlays import PREVIEW
from grainsmith.ui.editing.selection_tools import Choice, told_to_user
from grainsmith.ui.editing.tools import box_of, called
from grainsmith.ui.layers.metadata import role_of
from grainsmith.ui.session.active_layers import active_layers_of
from grainsmith.ui.session.selection import selection_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import napari

    from grainsmith.clean import Patch

    Point = tuple[float, float]

_OF_VIEWER: WeakKeyDictionary[Any, Editor] = WeakKeyDictionary()


def editor_of(viewer: napari.viewer.Viewer) -> Editor:
    """Return the editor of a viewer, the same one to every panel."""
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _OF_VIEWER:
        _OF_VIEWER[real] = Editor(real.layers, active_layers_of(viewer), selection_of(viewer))
    return _OF_VIEWER[real]


class Editor(Choice):
    """Every correction, as buttons, keys and the mouse call it."""

    # --- acting on what is chosen

    @told_to_user
    def delete(self) -> None:
        """Delete the chosen grains."""
        self._edit("Delete", clean.delete)
        self.choose(())

    @told_to_user
    def merge(self) -> None:
        """Make one grain of the chosen ones; with fewer than two, join by a drawn line."""
        if len(self.chosen) < 2:
            self.set_mode("join")
            return
        first = self.chosen[0]
        self._edit("Merge", clean.merge)
        self.choose([first])

    @told_to_user
    def fill_holes(self) -> None:
        """Fill the holes of the chosen grains."""
        self._edit("Fill holes", clean.fill_holes)

    @told_to_user
    def keep_largest(self) -> None:
        """Keep only the largest piece of each chosen grain."""
        self._edit("Keep largest", clean.keep_largest)

    @told_to_user
    def smooth(self) -> None:
        """Round off the outlines of the chosen grains."""
        self._edit("Smooth", clean.smooth)

    @told_to_user
    def grow(self) -> None:
        """Let the chosen grains grow by a pixel."""
        self._edit("Grow", clean.grow)

    @told_to_user
    def shrink(self) -> None:
        """Shrink the chosen grains by a pixel."""
        self._edit("Shrink", clean.shrink)

    @told_to_user
    def cut(self, line: Sequence[Point]) -> None:
        """Cut grains along a line: the chosen ones that it crosses, or else all that it crosses."""
        patches = self._cut_patches(line)
        self.shown.hide(PREVIEW)
        self._do("Cut", patches, "the line goes through no grain from side to side")

    @told_to_user
    def join(self, line: Sequence[Point]) -> None:
        """Make one grain of all that lie under a line."""
        self.shown.hide(PREVIEW)
        grains = clean.grains_under(self.layer.data, line)
        patches = clean.merge(self.layer.data, self.history.index, grains)
        self._do(called("Merge", grains), patches)

    @told_to_user
    def split_by_lobes(self) -> None:
        """Propose a cut at the necks of the chosen grain and show it; called again, do it."""
        if self._mode == "seeds":
            self._finish_seeds()
            return
        grain = self._one()
        seeds = clean.propose_seeds(self.layer.data, self.history.index, grain)
        self.set_mode("seeds")
        self._seeds = [(float(y), float(x)) for y, x in seeds]
        if len(seeds) > 1:
            self._show_seeds()
            self.told.emit(f"{len(seeds)} parts proposed: W cuts, Q does not, a click adds a part")
        else:
            self._seeds = []
            self.told.emit("no neck was found: click one point in each part, then W")

    @told_to_user
    def split_by_chemistry(self) -> None:
        """Cut the chosen grain where two compositions meet, by the maps or else the image."""
        grain = self._one()
        maps = channels_for(self._roles.image, self._roles.maps, self.layer)
        patches = clean.split_by_chemistry(self.layer.data, self.history.index, grain, maps)
        self._do(called("Split by chemistry", [grain]), patches)

    @told_to_user
    def insert(self, point: Point) -> None:
        """Add the grain that is under a point, by the model's prediction or else by the grey."""
        insertion = Insertion.at(self.layer, self._roles.image, self.history.index, point)
        patches = insertion.patches(self.layer.data, self.history.index)
        born = self.history.apply("Add", patches, born="drawn")
        insertion.grain, insertion.step = next(iter(born)), self.history.last
        self._insertion = insertion
        self.layer.mouse_zoom = False
        self.choose(born)

    @told_to_user
    def copy_from(self, other: Labels, point: Point) -> None:
        """Copy the grain under a point of another labels layer of the same field."""
        y, x = (round(value) for value in point)
        patches = clean.copy_grain(self.layer.data, self.history.index, other.data, (y, x))
        self.choose(self.history.apply("Copy", patches, born="drawn"))

    @told_to_user
    def set_state(self, state: str, grains: Iterable[int] = ()) -> None:
        """Give the chosen grains (or those given) a state."""
        index = self.history.index
        grains = [grain for grain in tuple(grains) or self.chosen if grain in index]
        if not grains:
            raise MismatchError("choose a grain first")
        words = {"accepted": "Accept", "auto": "Unlock", "edited": "Unlock"}
        name = called(words.get(state, f"Call {state}"), grains)
        self.history.set_states(name, dict.fromkeys(grains, state))

    @told_to_user
    def accept(self) -> None:
        """Accept and lock the chosen grains; where all are accepted already, unlock them."""
        done = set(self.chosen) <= self.history.locked
        self.set_state("edited" if done else "accepted")

    @told_to_user
    def reject(self) -> None:
        """Delete the chosen grains, and note that they were no grains."""
        grains = self.chosen
        self._edit("Reject", clean.delete)
        self.history.set_states("Reject", dict.fromkeys(grains, "rejected"), amend=True)
        self.choose(())

    @told_to_user
    def undo(self) -> None:
        """Take the last step back."""
        self.history.undo()

    @told_to_user
    def redo(self) -> None:
        """Do the step again that was taken back last."""
        self.history.redo()

    # --- the mouse

    @told_to_user
    def on_click(self, point: Point, *, more: bool) -> None:
        """Take a click."""
        if self._mode == "insert":
            self.insert(point)
        elif self._mode == "copy":
            self.copy_from(self._other_labels(), point)
        elif self._mode == "seeds":
            self._seeds.append(point)
            self._show_seeds()
        else:
            grain = self.grain_at(point)
            self.choose([grain] if grain else (), more=more)

    @told_to_user
    def on_stroke(self, points: list[Point], *, done: bool) -> None:
        """Take a line that is being drawn, or is done."""
        if not done:
            self._show_stroke(points)
        elif self._mode == "cut":
            self.cut(points)
        elif self._mode == "join":
            self.join(points)
        else:
            self.shown.hide(PREVIEW)
            around = box_of(points) if self._mode == "box" else points
            self.choose(clean.grains_inside(self.layer.data, self.history.index, around), more=True)

    @told_to_user
    def on_wheel(self, steps: float) -> bool:
        """Make the grain that was added last larger (up) or smaller; True where there is one."""
        insertion, history = self._insertion, self.history
        if self._mode != "insert" or insertion is None or insertion.step is not history.last:
            return False
        insertion.turn(steps)
        patches = insertion.patches(self.layer.data, history.index)
        self._insertion = None  # while its step changes; see `_on_history`
        history.apply("Add", patches, born="drawn", amend=True)
        self._insertion, insertion.step = insertion, history.last
        return True

    # --- how

    def _edit(self, verb: str, operation: Callable[..., tuple[Patch, ...]]) -> None:
        """Do an operation on the chosen grains."""
        labels, index = self.layer.data, self.history.index
        if not self.chosen:
            raise MismatchError("choose a grain first: click it, shift-click more")
        patches = operation(labels, index, self.chosen)
        self._do(called(verb, self.chosen), patches)

    def _do(self, name: str, patches: Sequence[Patch], nothing: str = "") -> None:
        if not patches:
            raise MismatchError(nothing or f"{name}: there was nothing to do")
        self.history.apply(name, patches)

    def _other_labels(self) -> Labels:
        """Return the uppermost visible labels layer of the same field but the grains and marks."""
        for other in reversed(self._layers):
            of_grains = isinstance(other, Labels) and role_of(other) in ("", "grains", "truth")
            alike = of_grains and other.data.shape == self.layer.data.shape
            if alike and other.visible and not other.multiscale and other is not self.layer:
                return cast("Labels", other)
        raise MismatchError("show another labels layer of this field to copy from")

    def _one(self) -> int:
        if len(self.chosen) != 1:
            raise MismatchError(f"choose one grain to split, not {len(self.chosen)}")
        return self.chosen[0]

    def _cut_patches(self, line: Sequence[Point]) -> tuple[Patch, ...]:
        labels, index = self.layer.data, self.history.index
        crossed = set(clean.grains_under(labels, line))
        # A line beside the chosen grains is meant for those that it crosses.
        return clean.split_by_line(labels, index, line, crossed & set(self.chosen))

    def _finish_seeds(self) -> None:
        seeds, grain = self._seeds, self._one()
        self.set_mode("choose")
        patches = clean.split_by_seeds(self.layer.data, self.history.index, grain, seeds)
        self._do(called("Split", [grain]), patches)

    def _show_seeds(self) -> None:
        if len(self._seeds) > 1:
            labels, grain = self.layer.data, self._one()
            patches = clean.split_by_seeds(labels, self.history.index, grain, self._seeds)
            self.shown.patches(self.layer, patches)

    def _show_stroke(self, points: Sequence[Point]) -> None:
        patches: tuple[Patch, ...] = ()
        if self._mode == "cut" and len(points) > 1:
            patches = self._cut_patches(points)
        line = box_of(points) if self._mode == "box" else points
        self.shown.stroke(self.layer, line, patches, closed=self._mode in ("box", "lasso"))
