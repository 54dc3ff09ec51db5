"""The settings that the panels of a viewer show, together: a recipe, both ways."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakMethod

from psygnal import Signal

from grainsmith.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from qtpy.QtWidgets import QWidget

_OF_VIEWER: WeakKeyDictionary[Any, PanelSettings] = WeakKeyDictionary()


def panel_settings_of(viewer: napari.viewer.Viewer) -> PanelSettings:
    """Return the shown settings of a viewer: the same object to every panel."""
    real = getattr(viewer, "__wrapped__", viewer)
    if real not in _OF_VIEWER:
        _OF_VIEWER[real] = PanelSettings()
    return _OF_VIEWER[real]


@dataclass(eq=False, slots=True)
class _Part:
    """A panel that shows the settings of one step."""

    section: str
    get: Callable[[], Callable[[], Any] | None]
    put: Callable[[], Callable[[Any], None] | None]
    echo: Any = None
    """What it showed right after the last `put`: a box may round, or have no row for a setting."""


class PanelSettings:
    """The settings of all steps as the panels show them.

    A step whose panel is not open has those of the recipe that was loaded last, or the defaults.

    Attributes
    ----------
    changed : psygnal signal
        Sent without arguments after another recipe, or a part of one, was put into the panels.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._start = Recipe()
        self._parts: list[_Part] = []

    def take_part(
        self, section: str, widget: QWidget, get: Callable[[], Any], put: Callable[[Any], None]
    ) -> None:
        """Let a panel show the settings of a step, for as long as its widget lives.

        Parameters
        ----------
        section : str
            Of the recipe: "segment", "clean", ...
        widget : QWidget
        get : bound method
            Returns the settings as shown; may raise ValueError where they clash.
        put : bound method
            Shows other settings.
        """
        # Held weakly: a panel that is closed must not be kept, and its viewer with it.
        part = _Part(section, WeakMethod(get), WeakMethod(put))
        if getattr(self._start, section) != getattr(Recipe(), section):
            self._put(part)
        self._parts.append(part)
        widget.destroyed.connect(lambda: self._parts.remove(part))

    def recipe(self) -> Recipe:
        """Return the recipe that the panels show; raises ValueError where settings clash."""
        sections = {part.section for part in self._parts}
        return replace(self._start, **{name: self.of_step(name) for name in sections})

    def of_step(self, section: str) -> Any:
        """Return the settings of one step; raises ValueError where they clash."""
        found = getattr(self._start, section)
        for part in self._parts:
            if part.section == section and (get := part.get()) is not None:
                found = self._kept(part, get())
        return found

    def show(self, recipe: Recipe) -> None:
        """Show a recipe in all panels, also in those that are opened later.

        Raises
        ------
        GrainsmithError
            A model or a rules file is not there.
        """
        self._start = recipe
        for part in self._parts:
            self._put(part)
        self.changed.emit()

    def _put(self, part: _Part) -> None:
        get, put = part.get(), part.put()
        if get is not None and put is not None:
            put(getattr(self._start, part.section))
            part.echo = get()

    def _kept(self, part: _Part, shown: Any) -> Any:
        # What nobody has touched since it was put stays as exact as the recipe's file has it.
        if part.echo is None:
            return shown
        start = getattr(self._start, part.section)
        names = [one.name for one in fields(shown)]
        kept = [name for name in names if getattr(shown, name) == getattr(part.echo, name)]
        return replace(shown, **{name: getattr(start, name) for name in kept})
