"""The settings that the panels of a viewer show, read and set together as a recipe."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any
from weakref import WeakMethod

from psygnal import Signal

from grainsmith.pipeline.recipe import Recipe

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(eq=False, slots=True)
class _Section:
    """A panel that shows the settings of one step."""

    name: str
    get: Callable[[], Callable[[], Any] | None]
    put: Callable[[], Callable[[Any], None] | None]
    echo: Any = None
    """Settings as shown right after the last `put`: a box may round, or lack a setting."""


class PanelSettings:
    """The settings of all steps as the panels show them.

    A step whose panel is not open has the settings of the last loaded recipe, or the defaults.

    Attributes
    ----------
    changed : psygnal signal
        Sent without arguments after a recipe, or a part of one, was put into the panels.
    """

    changed = Signal()

    def __init__(self) -> None:
        self._recipe = Recipe()
        self._sections: list[_Section] = []

    def add_section(
        self, name: str, get: Callable[[], Any], put: Callable[[Any], None], *, closed: Any
    ) -> None:
        """Let a panel show the settings of a step.

        Parameters
        ----------
        name : str
            Section of the recipe: "segment", "clean", ...
        get : bound method
            Returns the settings as shown; raises ValueError where they conflict.
        put : bound method
            Shows other settings.
        closed : signal
            Sent when the panel is closed, such as `widget.destroyed`.
        """
        # Held weakly: a closed panel, and its viewer with it, must be freed.
        section = _Section(name, WeakMethod(get), WeakMethod(put))
        if getattr(self._recipe, name) != getattr(Recipe(), name):
            self._put(section)
        self._sections.append(section)
        closed.connect(lambda: self._sections.remove(section))

    def recipe(self) -> Recipe:
        """Return the recipe that the panels show; ValueError where settings conflict."""
        names = {section.name for section in self._sections}
        return replace(self._recipe, **{name: self.of_step(name) for name in names})

    def of_step(self, name: str) -> Any:
        """Return the settings of one step; ValueError where they conflict."""
        settings = getattr(self._recipe, name)
        for section in self._sections:
            if section.name == name and (get := section.get()) is not None:
                settings = self._exact(section, get())
        return settings

    def show(self, recipe: Recipe) -> None:
        """Show a recipe in all panels, also in those that are opened later.

        Raises
        ------
        GrainsmithError
            A model or a rules file is missing.
        """
        self._recipe = recipe
        for section in self._sections:
            self._put(section)
        self.changed.emit()

    def _put(self, section: _Section) -> None:
        get, put = section.get(), section.put()
        if get is not None and put is not None:
            put(getattr(self._recipe, section.name))
            section.echo = get()

    def _exact(self, section: _Section, shown: Any) -> Any:
        """Return the shown settings; untouched ones stay as exact as in the recipe."""
        if section.echo is None:
            return shown
        settings = getattr(self._recipe, section.name)
        names = [field.name for field in fields(shown)]
        untouched = [name for name in names if getattr(shown, name) == getattr(section.echo, name)]
        return replace(shown, **{name: getattr(settings, name) for name in untouched})
