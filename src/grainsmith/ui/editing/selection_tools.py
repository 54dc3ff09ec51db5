"""Which grains are chosen and what the mouse is for: the state that all corrections share."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import numpy as np
from psygnal import Signal

from grainsmith.errors import GrainsmithError, MismatchError
from grainsmith.ui.editing.history import History, history_of
from grainsmith.ui.editing.overlays import PREVIEW, UNCOVERED
from grainsmith.ui.editing.tools import DRAWING, MODES
from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import numpy.typing as npt
    from napari.layers import Labels

    from grainsmith.ui.editing.insertion import Insertion
    from grainsmith.ui.session.active_layers import ActiveLayers
    from grainsmith.ui.session.selection import Selection

    Point = tuple[float, float]


def told_to_user(action: Callable[..., Any]) -> Callable[..., Any]:
    """Let an action tell the user what stopped it."""

    @wraps(action)
    def telling(self: Choice, *args: Any, **kwargs: Any) -> Any:
        try:
            return action(self, *args, **kwargs)
        except GrainsmithError as error:
            self.told.emit(message_of(error))
            return None

    return telling


class Choice:
    """Chosen grains and mode of the mouse in one viewer, shown by marks.

    Attributes
    ----------
    chosen_changed : psygnal signal
        Sent with the tuple of chosen grains, which table and plots choose too.
    edited : psygnal signal
        Sent without arguments when grains or their states changed.
    mode_changed : psygnal signal
        Sent with the new mode, one of `MODES`.
    told : psygnal signal
        Sent with a sentence for the user.
    shown : Shown
        The marks over the grains.
    """

    mode_changed = Signal(str)
    edited = Signal()
    told = Signal(str)

    def __init__(self, layers: Any, roles: ActiveLayers, shared: Selection) -> None:
        # The list, not the viewer: who is known by a viewer must not keep it alive.
        self._layers = layers
        self._roles = roles
        self._shared = shared
        self.chosen_changed = shared.changed
        self.shown = shared.shown
        self._mode = "choose"
        self._seeds: list[Point] = []
        self._insertion: Insertion | None = None
        self._held: Labels | None = None  # the layer whose mouse belongs to the mode
        self._watched: History | None = None
        self._known: WeakSet[History] = WeakSet()
        self._roles.grains_changed.connect(self._on_grains)
        self._on_grains()

    # --- what is worked on

    @property
    def layer(self) -> Labels:
        """The grains' layer; MismatchError where there is none."""
        if self._roles.grains is None:
            raise MismatchError("there are no grains yet: segment the image, or open labels")
        return self._roles.grains

    @property
    def history(self) -> History:
        """The history of the grains' layer."""
        history = history_of(self.layer)
        if history not in self._known:
            self._known.add(history)
            # Given `told.emit` itself, psygnal tries it out to count its arguments.
            history.told.connect(self._on_told)
            history.changed.connect(self._on_history)
            # napari's own switch: brush and eraser leave all but the selected grain alone.
            history.layer.preserve_labels = True
            history.layer.events.mode.connect(self._end_insertion)
        self._watched = history
        return history

    @property
    def picture(self) -> npt.NDArray[Any] | None:
        """Pixels of the image that the grains lie on."""
        return None if self._roles.image is None else np.asarray(self._roles.image.data)

    @property
    def chosen(self) -> tuple[int, ...]:
        """The chosen grains, in the order in which they were chosen."""
        return self._shared.labels

    @property
    def mode(self) -> str:
        """What the mouse does, one of `MODES`."""
        return self._mode

    @property
    def draws(self) -> bool:
        """Whether dragging draws a line now."""
        return self._mode in DRAWING

    # --- choosing

    @told_to_user
    def choose(self, grains: Iterable[int], *, more: bool = False) -> None:
        """Choose grains; with `more` those that are new are added, those chosen already let go."""
        index = self.history.index
        new = [grain for grain in dict.fromkeys(grains) if grain in index]
        if more:
            old = [grain for grain in self.chosen if grain not in new]
            new = old + [grain for grain in new if grain not in self.chosen]
        self._shared.choose(new)

    def set_mode(self, mode: str) -> None:
        """Give the mouse another task; the one that it has already puts it back to choosing."""
        mode = "choose" if mode == self._mode else mode
        if mode not in MODES:
            raise ValueError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
        self._mode, self._seeds, self._insertion = mode, [], None
        self.shown.hide(PREVIEW)
        grains = self._held = self._roles.grains
        if grains is not None:
            grains.mode = "pan_zoom"
            self._layers.selection.active = grains
            grains.mouse_pan = not self.draws
            grains.mouse_zoom = True
        self.mode_changed.emit(mode)

    def stop(self) -> None:
        """Leave the mode, or where there is none, choose nothing."""
        if self._mode == "choose":
            self.choose(())
        else:
            self.set_mode("choose")

    def rest(self) -> None:
        """Leave the mode and take its marks away: nobody corrects now."""
        if self._mode != "choose":
            self.set_mode("choose")
        self.shown.remove(PREVIEW, UNCOVERED)

    def grain_at(self, point: Point) -> int:
        """Return the grain at (y, x), 0 where there is none."""
        y, x = (round(value) for value in point)
        labels = self.layer.data
        return int(labels[y, x]) if 0 <= y < labels.shape[0] and 0 <= x < labels.shape[1] else 0

    def _on_told(self, text: str) -> None:
        self.told.emit(text)

    def _on_history(self) -> None:
        """Let go of chosen grains that an edit or an undo took away; show the others' new shape."""
        grains = self._roles.grains
        if grains is None or self._watched is None or self._watched is not history_of(grains):
            return
        if self._insertion is not None and self._insertion.step is not self._watched.last:
            self._end_insertion()
        left = tuple(grain for grain in self.chosen if grain in self._watched.index)
        if left == self.chosen:
            self._shared.mark()
        else:
            self._shared.choose(left)
        self.edited.emit()

    def _end_insertion(self, _event: object = None) -> None:
        """Let the wheel zoom again: other work came after the insertion, or it was undone."""
        if self._insertion is not None:
            self._insertion = None
            self.layer.mouse_zoom = True

    def _on_grains(self, _layer: object = None) -> None:
        held, self._held = self._held, None
        if held is not None and held.mode == "pan_zoom":  # else a tool of napari has its mouse
            held.mouse_pan = held.mouse_zoom = True
        self._mode, self._seeds, self._insertion = "choose", [], None
        for kind in (PREVIEW, UNCOVERED):
            self.shown.hide(kind)
        self.mode_changed.emit(self._mode)
