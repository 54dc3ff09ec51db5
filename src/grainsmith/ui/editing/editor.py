"""The editor: selecting and correcting grains, as called by buttons, keys and the mouse."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, cast
from weakref import WeakSet

import numpy as np
from napari.layers import Labels
from psygnal import Signal

import grainsmith.clean as clean
from grainsmith.data import Transform
from grainsmith.errors import GrainsmithError, MismatchError
from grainsmith.ui.editing.history import History, history_of
from grainsmith.ui.editing.insertion import Insertion
from grainsmith.ui.editing.mouse import label_at
from grainsmith.ui.editing.overlays import PREVIEW, UNCOVERED, Overlays
from grainsmith.ui.editing.tools import ActiveTool, box_corners, step_name
from grainsmith.ui.layers.geometry import transform_of
from grainsmith.ui.layers.metadata import Role, role_of
from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import numpy.typing as npt
    from napari.layers import Image

    from grainsmith.clean import Patch
    from grainsmith.ui.session import Session

    Point = tuple[float, float]


def reports_errors(action: Callable[..., Any]) -> Callable[..., Any]:
    """Let an action of the editor send its GrainsmithError as a message instead of raising it."""

    @wraps(action)
    def reporting(self: Editor, *args: Any, **kwargs: Any) -> Any:
        try:
            return action(self, *args, **kwargs)
        except GrainsmithError as error:
            self.message.emit(message_of(error))
            return None

    return reporting


class Editor:
    """Every correction of the active grains; a part of the session.

    Attributes
    ----------
    selection : Selection
        The selected grains, shared with table and plots.
    overlays : Overlays
        Outlines and previews on the grains.
    tool : ActiveTool
        The mode of the mouse.
    edited : psygnal signal
        Sent without arguments when grains or their states changed.
    message : psygnal signal
        Sent with a sentence for the user.
    """

    edited = Signal()
    message = Signal(str)

    def __init__(self, session: Session) -> None:
        self._layers = session.layers
        self._active = session.active
        self.selection = session.selection
        self.overlays = session.part(Overlays)
        self.tool = ActiveTool(session)
        self._current: History | None = None
        self._histories: WeakSet[History] = WeakSet()
        self._active.grains_changed.connect(self._on_grains)
        self._on_grains()

    # --- the grains

    @property
    def layer(self) -> Labels:
        """The layer of the active grains; MismatchError without grains."""
        if self._active.grains is None:
            raise MismatchError("There are no grains yet. Segment the image, or open labels.")
        return self._active.grains

    @property
    def history(self) -> History:
        """The history of the active grains; MismatchError without grains that can be edited."""
        history = history_of(self.layer)
        if history not in self._histories:
            self._histories.add(history)
            # Given `message.emit` itself, psygnal would call it to count its arguments.
            history.message.connect(self._on_message)
            history.changed.connect(self._on_history)
            # napari's own switch: brush and eraser leave all but the selected grain alone.
            history.layer.preserve_labels = True
            history.layer.events.mode.connect(self._on_layer_mode)
        self._current = history
        return history

    @property
    def image_pixels(self) -> npt.NDArray[Any] | None:
        """Pixels of the active image, (Y, X) or (Y, X, 3)."""
        return None if self._active.image is None else np.asarray(self._active.image.data)

    @property
    def selected(self) -> tuple[int, ...]:
        """The selected grains, in the order of their selection."""
        return self.selection.labels

    # --- selecting

    @reports_errors
    def select(self, grains: Iterable[int], *, additive: bool = False) -> None:
        """Select grains; with `additive` toggle them instead."""
        index = self.history.index
        present = [grain for grain in dict.fromkeys(grains) if grain in index]
        if additive:
            before = self.selected
            added = [grain for grain in present if grain not in before]
            present = [grain for grain in before if grain not in present] + added
        self.selection.select(present)

    def set_mode(self, mode: str) -> None:
        """Set the mode of the mouse; the present one again returns to selecting."""
        self.overlays.hide(PREVIEW)
        self.tool.set_mode(mode)

    def stop(self) -> None:
        """Leave the mode; while selecting, clear the selection."""
        if self.tool.mode == "choose":
            self.select(())
        else:
            self.set_mode("choose")

    def rest(self) -> None:
        """Leave the mode and remove its overlays, because the panel is hidden."""
        if self.tool.mode != "choose":
            self.set_mode("choose")
        self.overlays.remove(PREVIEW, UNCOVERED)

    # --- correcting

    @reports_errors
    def delete(self) -> None:
        """Delete the selected grains."""
        self._edit_selected("Delete", clean.delete)
        self.select(())

    @reports_errors
    def merge(self) -> None:
        """Merge the selected grains; with fewer than two, join grains by a drawn line."""
        if len(self.selected) < 2:
            self.set_mode("join")
            return
        first = self.selected[0]
        self._edit_selected("Join", clean.merge)
        self.select([first])

    @reports_errors
    def fill_holes(self) -> None:
        """Fill the holes of the selected grains."""
        self._edit_selected("Fill holes", clean.fill_holes)

    @reports_errors
    def keep_largest(self) -> None:
        """Keep only the largest piece of each selected grain."""
        self._edit_selected("Trim", clean.keep_largest)

    @reports_errors
    def smooth(self) -> None:
        """Smooth the outlines of the selected grains."""
        self._edit_selected("Smooth", clean.smooth)

    @reports_errors
    def grow(self) -> None:
        """Grow the selected grains by a pixel."""
        self._edit_selected("Grow", clean.grow)

    @reports_errors
    def shrink(self) -> None:
        """Shrink the selected grains by a pixel."""
        self._edit_selected("Shrink", clean.shrink)

    @reports_errors
    def cut(self, line: Sequence[Point]) -> None:
        """Cut the selected grains that a line crosses, or else all grains that it crosses."""
        patches = self._cut_patches(line)
        self.overlays.hide(PREVIEW)
        name = step_name("Split", _grains_in(patches, "old"))
        self._apply(name, patches, "The line crosses no grain from side to side. Draw it longer.")

    @reports_errors
    def join(self, line: Sequence[Point]) -> None:
        """Merge all grains under a line."""
        self.overlays.hide(PREVIEW)
        grains = clean.grains_under(self.layer.data, line)
        patches = clean.merge(self.layer.data, self.history.index, grains)
        self._apply(step_name("Join", grains), patches)

    @reports_errors
    def split_by_lobes(self) -> None:
        """Propose a cut at the necks of the selected grain; called again, apply it."""
        if self.tool.mode == "seeds":
            self._split_at_seeds()
            return
        grain = self._only_selected()
        seeds = clean.propose_seeds(self.layer.data, self.history.index, grain)
        self.set_mode("seeds")
        if len(seeds) < 2:
            self.message.emit("No neck was found: click one point in each part, then W.")
            return
        self.tool.seeds = [(float(y), float(x)) for y, x in seeds]
        self._preview_seeds()
        self.message.emit(f"{len(seeds)} parts proposed: W cuts, Q does not, a click adds a part.")

    @reports_errors
    def split_by_chemistry(self) -> None:
        """Cut the selected grain where two compositions meet, by the maps or else the image."""
        grain = self._only_selected()
        channels = _channels(self._active.image, self._active.maps, self.layer)
        patches = clean.split_by_chemistry(self.layer.data, self.history.index, grain, channels)
        self._apply(step_name("Split by chemistry", [grain]), patches)

    @reports_errors
    def insert(self, point: Point) -> None:
        """Insert the grain at (y, x), found by the model's prediction or else by gray level."""
        insertion = Insertion.at(self.layer, self._active.image, self.history.index, point)
        patches = insertion.patches(self.layer.data, self.history.index)
        name = step_name("Insert", _grains_in(patches, "new"))
        inserted = self.history.apply(name, patches, new_state="drawn")
        insertion.grain, insertion.step = next(iter(inserted)), self.history.last
        self.tool.begin_insertion(insertion, self.layer)
        self.select(inserted)

    @reports_errors
    def copy_from(self, other: Labels, point: Point) -> None:
        """Copy the grain at (y, x) of another labels layer of the same field."""
        y, x = (round(value) for value in point)
        patches = clean.copy_grain(self.layer.data, self.history.index, other.data, (y, x))
        self.select(self.history.apply("Copy", patches, new_state="drawn"))

    @reports_errors
    def set_state(self, state: str, grains: Iterable[int] = ()) -> None:
        """Set the state of grains, by default of the selected ones."""
        index = self.history.index
        grains = [grain for grain in tuple(grains) or self.selected if grain in index]
        if not grains:
            raise MismatchError("No grain is selected. Click one first.")
        verbs = {"accepted": "Accept", "auto": "Unlock", "edited": "Unlock"}
        name = step_name(verbs.get(state, f"Call {state}"), grains)
        self.history.set_states(name, dict.fromkeys(grains, state))

    @reports_errors
    def accept(self) -> None:
        """Accept and lock the selected grains; unlock them where all are accepted already."""
        are_locked = set(self.selected) <= self.history.locked
        self.set_state("edited" if are_locked else "accepted")

    @reports_errors
    def reject(self) -> None:
        """Delete the selected grains and record that they were no grains."""
        grains = self.selected
        self._edit_selected("Reject", clean.delete)
        self.history.set_states("Reject", dict.fromkeys(grains, "rejected"), amend=True)
        self.select(())

    @reports_errors
    def undo(self) -> None:
        """Undo the last step."""
        self.history.undo()

    @reports_errors
    def redo(self) -> None:
        """Redo the step that was undone last."""
        self.history.redo()

    # --- the mouse

    @property
    def draws(self) -> bool:
        """Whether dragging draws a line."""
        return self.tool.draws

    @reports_errors
    def on_click(self, point: Point, *, additive: bool) -> None:
        """Handle a click at (y, x)."""
        if self.tool.mode == "insert":
            self.insert(point)
        elif self.tool.mode == "copy":
            self.copy_from(self._other_labels(), point)
        elif self.tool.mode == "seeds":
            self.tool.seeds.append(point)
            self._preview_seeds()
        else:
            grain = label_at(self.layer, point)
            self.select([grain] if grain else (), additive=additive)

    @reports_errors
    def on_stroke(self, points: list[Point], *, done: bool) -> None:
        """Handle a line that is being drawn, or is done."""
        if not done:
            self._preview_stroke(points)
        elif self.tool.mode == "cut":
            self.cut(points)
        elif self.tool.mode == "join":
            self.join(points)
        else:
            self.overlays.hide(PREVIEW)
            outline = box_corners(points) if self.tool.mode == "box" else points
            inside = clean.grains_inside(self.layer.data, self.history.index, outline)
            self.select(inside, additive=True)

    @reports_errors
    def on_wheel(self, steps: float) -> bool:
        """Enlarge (up) or shrink the grain that was inserted last; return whether there is one."""
        insertion, history = self.tool.insertion, self.history
        if insertion is None or self.tool.mode != "insert" or insertion.step is not history.last:
            return False
        insertion.resize(steps)
        patches = insertion.patches(self.layer.data, history.index)
        self.tool.insertion = None  # so that `_on_history` does not end it while its step changes
        name = step_name("Insert", [insertion.grain])
        history.apply(name, patches, new_state="drawn", amend=True)
        self.tool.insertion, insertion.step = insertion, history.last
        return True

    # --- helpers

    def _edit_selected(self, verb: str, operation: Callable[..., tuple[Patch, ...]]) -> None:
        labels, index = self.layer.data, self.history.index
        if not self.selected:
            raise MismatchError("No grain is selected. Click one first, Shift+click more.")
        patches = operation(labels, index, self.selected)
        self._apply(step_name(verb, self.selected), patches)

    def _apply(self, name: str, patches: Sequence[Patch], reason: str = "") -> None:
        """Apply an edit; `reason` says why an empty one does nothing."""
        if not patches:
            raise MismatchError(reason or f"{name}: nothing to change.")
        self.history.apply(name, patches)

    def _only_selected(self) -> int:
        if len(self.selected) != 1:
            raise MismatchError(f"{len(self.selected)} grains are selected. Select one to split.")
        return self.selected[0]

    def _other_labels(self) -> Labels:
        """Return the uppermost visible labels layer of the same field besides the grains."""
        for other in reversed(self._layers):
            if (
                isinstance(other, Labels)
                and role_of(other) in (Role.NONE, Role.GRAINS, Role.TRUTH)
                and other is not self.layer
                and other.visible
                and not other.multiscale
                and other.data.shape == self.layer.data.shape
            ):
                return cast("Labels", other)
        raise MismatchError("No other labels are visible. Show the layer to copy from.")

    def _cut_patches(self, line: Sequence[Point]) -> tuple[Patch, ...]:
        labels, index = self.layer.data, self.history.index
        crossed = set(clean.grains_under(labels, line))
        # A line beside the selected grains is meant for those that it crosses.
        return clean.split_by_line(labels, index, line, crossed & set(self.selected))

    def _split_at_seeds(self) -> None:
        seeds, grain = self.tool.seeds, self._only_selected()
        self.set_mode("choose")
        patches = clean.split_by_seeds(self.layer.data, self.history.index, grain, seeds)
        self._apply(step_name("Split", [grain]), patches)

    def _preview_seeds(self) -> None:
        if len(self.tool.seeds) > 1:
            labels, grain = self.layer.data, self._only_selected()
            patches = clean.split_by_seeds(labels, self.history.index, grain, self.tool.seeds)
            self.overlays.preview_patches(self.layer, patches)

    def _preview_stroke(self, points: Sequence[Point]) -> None:
        mode = self.tool.mode
        patches = self._cut_patches(points) if mode == "cut" and len(points) > 1 else ()
        line = box_corners(points) if mode == "box" else points
        self.overlays.preview_stroke(self.layer, line, patches, closed=mode in ("box", "lasso"))

    # --- events

    def _on_grains(self, _layer: object = None) -> None:
        for kind in (PREVIEW, UNCOVERED):
            self.overlays.hide(kind)
        self.tool.reset()

    def _on_message(self, text: str) -> None:
        self.message.emit(text)

    def _on_layer_mode(self, _event: object) -> None:
        self.tool.end_insertion()

    def _on_history(self) -> None:
        """Deselect grains that an edit or an undo removed; outline the others again."""
        grains, history = self._active.grains, self._current
        if grains is None or history is None or history is not history_of(grains):
            return
        insertion = self.tool.insertion
        if insertion is not None and insertion.step is not history.last:
            self.tool.end_insertion()
        present = tuple(grain for grain in self.selected if grain in history.index)
        if present == self.selected:
            self.overlays.outline_selection()
        else:
            self.selection.select(present)
        self.edited.emit()


def _channels(
    image: Image | None, maps: Iterable[Image], grains: Labels
) -> list[tuple[npt.NDArray[Any], Transform]]:
    """Return the element maps with their transforms, or without maps the channels of the image."""
    reference = image if image is not None else grains
    channels = [
        (np.asarray(layer.data), transform_of(layer, reference)) for layer in maps if not layer.rgb
    ]
    if channels or image is None:
        return channels
    pixels = np.asarray(image.data)
    planes = [pixels] if pixels.ndim == 2 else list(np.moveaxis(pixels, -1, 0)[:3])
    return [(plane, Transform()) for plane in planes]


def _grains_in(patches: Sequence[Patch], side: Literal["old", "new"]) -> list[int]:
    """Return the grains of the changed pixels, before or after an edit."""
    labels = {int(n) for patch in patches for n in np.unique(getattr(patch, side)[patch.changed])}
    return sorted(labels - {0})
