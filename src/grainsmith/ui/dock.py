"""The Grainsmith dock: the layers' roles on top, a tab for every step, one line of status below."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, QTimer
from qtpy.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QSizePolicy,
    QStackedWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.metadata import OverlayMetadata, Role, role_of
from grainsmith.ui.panels.base import WIDTH_PX
from grainsmith.ui.panels.close_guard import CloseGuard
from grainsmith.ui.panels.edit.recovery import RecoveryBar
from grainsmith.ui.panels.layer_bar import LayerBar
from grainsmith.ui.panels.messages import NO_IMAGE, missing_text
from grainsmith.ui.panels.mosaic_region import RegionPanel
from grainsmith.ui.session import session_of
from grainsmith.ui.status_bar import status_text
from grainsmith.ui.widgets.controls import label
from grainsmith.ui.widgets.layouts import scrolled
from grainsmith.ui.widgets.lifetime import connect_while_alive

if TYPE_CHECKING:
    import napari
    from napari.layers import Image
    from qtpy.QtGui import QDragEnterEvent, QDropEvent, QShowEvent

PANELS: tuple[tuple[str, str], ...] = (
    ("Open", "grainsmith.ui.panels.open:OpenPanel"),
    ("Segment", "grainsmith.ui.panels.segment:SegmentPanel"),
    ("Clean", "grainsmith.ui.panels.edit.panel:CleanPanel"),
    ("Align", "grainsmith.ui.panels.align.panel:AlignPanel"),
    ("Grains", "grainsmith.ui.panels.grains.panel:GrainsPanel"),
    ("Table", "grainsmith.ui.panels.table:TablePanel"),
    ("Statistics", "grainsmith.ui.panels.statistics:StatisticsPanel"),
    ("Train", "grainsmith.ui.panels.train.panel:TrainPanel"),
    ("Export", "grainsmith.ui.panels.export:ExportPanel"),
    ("Batch", "grainsmith.ui.panels.batch.panel:BatchPanel"),
)
"""Title and place of every step's panel, in the order of the work; imported when first shown."""

_LOOK = """
QToolButton { padding: 6px 2px; border: none; border-radius: 3px;
              background: rgba(128, 128, 128, 45); }
QToolButton:hover { background: rgba(128, 128, 128, 90); }
QToolButton:checked { background: rgba(80, 110, 235, 190); color: white; font-weight: bold; }
"""
"""Greys with an alpha suit napari's dark and light themes."""

_COLUMNS = 5
"""Ten words do not fit into one row of 320 px; two rows of five do."""

_STATUS_DELAY_MS = 300
"""A stroke of the brush sends many events; the status is counted once they have stopped."""


class GrainsmithDock(QWidget):
    """Everything in one dock; each panel is also a dock of its own."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._roles = session_of(viewer).active
        self._tabs, self._steps = _step_bar()
        session_of(viewer).part(AutosaveManager)
        self._stack = QStackedWidget()
        self._built: dict[str, QWidget] = {}
        self._status = label("", tip="Grains · size · scale · unsaved edits")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(6)
        layout.addWidget(RecoveryBar(viewer))
        layout.addWidget(RegionPanel(viewer, only_with_mosaic=True))
        layout.addWidget(LayerBar(viewer))
        layout.addWidget(self._tabs)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._status)
        for title, step in self._steps.items():
            step.clicked.connect(partial(self._on_step, title))
        self.setMinimumWidth(300)
        # Else napari puts an empty stretch below, the larger the more docks there have been.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self.setAcceptDrops(True)
        self._timer = QTimer(self, singleShot=True, interval=_STATUS_DELAY_MS)
        self._timer.timeout.connect(self._show_status)
        connect_while_alive(self, self._roles.changed, self._on_roles)
        connect_while_alive(self, self._roles.image_changed, self._on_image)
        connect_while_alive(self, self._roles.grains_edited, self._on_edited)
        self._on_roles()
        self._on_image(self._roles.image)  # files named on the command line are open already
        self.show_panel(PANELS[0][0])

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """From now on the window asks before it closes over unsaved grains."""
        super().showEvent(event)
        session_of(self._viewer).part(CloseGuard).watch(self)

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Open a little wider than a panel needs: the scroll bar takes its share."""
        return QSize(WIDTH_PX + 20, 600)

    def show_panel(self, title: str) -> QWidget:
        """Open a tab, building its panel when it is wanted for the first time, and return it."""
        if title not in self._built:
            panel = _build(dict(PANELS)[title], self._viewer)
            self._stack.addWidget(scrolled(panel))
            self._built[title] = panel
        panel = self._built[title]
        self._steps[title].setChecked(True)
        self._stack.setCurrentIndex(list(self._built).index(title))
        return panel

    @property
    def status(self) -> str:
        """The line at the bottom."""
        return str(self._status.text())

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802  (Qt's name)
        """Take files: dropped here, napari need not ask which reader is meant."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802  (Qt's name)
        """Open dropped files."""
        for url in event.mimeData().urls():
            self._viewer.open(url.toLocalFile(), plugin="grainsmith")

    def _on_step(self, title: str, _checked: bool = False) -> None:
        self.show_panel(title)

    def _on_roles(self) -> None:
        self._timer.start()
        QTimer.singleShot(0, self._drop_orphans)

    def _on_edited(self) -> None:
        self._timer.start()

    def _drop_orphans(self) -> None:
        """Remove the marks of data bars whose images are gone."""
        names = {layer.name for layer in self._roles.images}
        for layer in list(self._viewer.layers):
            if role_of(layer) == Role.DATA_BAR and OverlayMetadata.of(layer).image not in names:
                self._viewer.layers.remove(layer)

    def _on_image(self, image: Image | None) -> None:
        if image is None:
            return
        if pixel_size_um_of(image) > 0:
            self._viewer.canvas.overlays.scale_bar.visible = True
        # After napari has selected what was added last: the mark of a data bar, a sample's truth.
        QTimer.singleShot(0, self._select_picture)

    def _select_picture(self) -> None:
        selection = self._viewer.layers.selection
        beside = ("data bar", "truth", "map")
        if selection.active is not None and role_of(selection.active) in beside:
            selection.active = self._roles.image

    def _show_status(self) -> None:
        text = status_text(self._roles.image, self._roles.grains)
        self._status.setText(text or missing_text(self._roles, NO_IMAGE))


def _step_bar() -> tuple[QWidget, dict[str, QToolButton]]:
    bar, group = QWidget(), QButtonGroup()
    bar.setStyleSheet(_LOOK)
    group.setParent(bar)
    grid = QGridLayout(bar)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(2)
    steps: dict[str, QToolButton] = {}
    for index, (title, _) in enumerate(PANELS):
        step = QToolButton()
        step.setText(title)
        step.setCheckable(True)
        step.setSizePolicy(step.sizePolicy().Policy.Expanding, step.sizePolicy().Policy.Fixed)
        group.addButton(step)
        grid.addWidget(step, index // _COLUMNS, index % _COLUMNS)
        steps[title] = step
    return bar, steps


def _build(place: str, viewer: napari.viewer.Viewer) -> QWidget:
    module, _, name = place.partition(":")
    panel = getattr(import_module(module), name)(viewer)
    native: QWidget = getattr(panel, "native", panel)
    if native is not panel:
        # A magicgui container lives as long as somebody holds it.
        native.panel = panel  # type: ignore[attr-defined]
    return native
