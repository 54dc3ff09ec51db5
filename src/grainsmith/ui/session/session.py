"""Session: everything that the panels of one viewer share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakKeyDictionary, ref

from grainsmith.ui.layers.proxy import unwrap
from grainsmith.ui.session.active_layers import ActiveLayers
from grainsmith.ui.session.measurements import Measurements
from grainsmith.ui.session.mosaic_piece import OpenPiece
from grainsmith.ui.session.panel_settings import PanelSettings
from grainsmith.ui.session.selection import Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    import napari
    from napari.components import LayerList
    from napari.layers import Labels

T = TypeVar("T")

_SESSIONS: WeakKeyDictionary[Any, Session] = WeakKeyDictionary()
"""The only registry of viewers; a session lives as long as its viewer."""


def session_of(viewer: napari.viewer.Viewer) -> Session:
    """Return the session of a viewer, creating it on first use.

    Parameters
    ----------
    viewer : napari viewer or ViewerModel
        A proxy of it gives the same session.
    """
    viewer = unwrap(viewer)
    if viewer not in _SESSIONS:
        _SESSIONS[viewer] = Session(viewer)
    return _SESSIONS[viewer]


def open_sessions() -> list[Session]:
    """Return the sessions of all open viewers."""
    return list(_SESSIONS.values())


class Session:
    """State of one viewer.

    Attributes
    ----------
    layers : LayerList
        Layers of the viewer.
    active : ActiveLayers
        The image, grains and maps that are worked on.
    selection : Selection
        The grains that are selected in table, plots and image.
    settings : PanelSettings
        The recipe that the panels show.
    mosaic_piece : OpenPiece
        The piece of a mosaic that is being edited.

    Notes
    -----
    Packages above this one add their own parts, one per viewer, through `part`::

        editor = session_of(viewer).part(Editor)
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        # Held weakly: the registry would otherwise keep its own key alive.
        self._viewer = ref(viewer)
        self.layers: LayerList = viewer.layers
        self.active = ActiveLayers(self.layers)
        self.selection = Selection(self.active)
        self.settings = PanelSettings()
        self.mosaic_piece = OpenPiece(self.layers)
        self._measurements: WeakKeyDictionary[Labels, Measurements] = WeakKeyDictionary()
        self._parts: dict[Callable[[Session], Any], Any] = {}

    @property
    def viewer(self) -> napari.viewer.Viewer:
        """The viewer; RuntimeError once it is closed."""
        viewer = self._viewer()
        if viewer is None:
            raise RuntimeError("the viewer of this session is closed")
        return viewer

    def measurements(self, layer: Labels) -> Measurements:
        """Return the measurements of a labels layer, creating them on first use."""
        if layer not in self._measurements:
            self._measurements[layer] = Measurements(layer, self.active)
        return self._measurements[layer]

    def part(self, kind: Callable[[Session], T]) -> T:
        """Return the session's only object of a class, creating it on first use.

        Parameters
        ----------
        kind : type
            A class of a higher package, whose constructor takes the session.
        """
        if kind not in self._parts:
            self._parts[kind] = kind(self)
        return cast("T", self._parts[kind])
