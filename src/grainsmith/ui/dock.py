"""The Grainsmith dock: the active layers on top, a tab per step, the status below."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize, Qt, QTimer
from qtpy.QtGui import QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QAbstractButton,
    QButtonGroup,
    QGridLayout,
    QSizePolicy,
    QStackedWidget,
    QTabWidget,
    QToolButton,
    QVBoxLayout,
    QWidget,
)

from grainsmith.ui.editing.autosave import AutosaveManager
from grainsmith.ui.layers.geometry import pixel_size_um_of
from grainsmith.ui.layers.metadata import OverlayMetadata, Role, role_of
from grainsmith.ui.panels.base import WIDTH_PX
from grainsmith.ui.panels.close_guard import CloseGuard
from grainsmith.ui.panels.edit.deleted_bar import DeletedBar
from grainsmith.ui.panels.edit.recovery import RecoveryBar
from grainsmith.ui.panels.keys import MAIN_KEYS
from grainsmith.ui.panels.layer_bar import LayerBar
from grainsmith.ui.panels.messages import NO_IMAGE, missing_text
from grainsmith.ui.panels.mosaic_region import RegionPanel
from grainsmith.ui.panels.save_bar import SaveBar
from grainsmith.ui.session import session_of
from grainsmith.ui.status_bar import status_text
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
"""Title and class of each panel in the order of the work; imported when first shown."""

_STYLE = """
QToolButton { padding: 6px 2px; border: none; border-radius: 3px;
              background: rgba(128, 128, 128, 45); }
QToolButton:hover { background: rgba(128, 128, 128, 90); }
QToolButton:checked { background: rgba(80, 110, 235, 190); color: white; font-weight: bold; }
"""
"""Greys with an alpha suit napari's dark and light themes."""

_COLUMNS = 5
"""Ten titles do not fit into one row of 320 px."""

_STATUS_DELAY_MS = 300
"""A stroke of the brush sends many events; the grains are counted once they have stopped."""

_HELPER_ROLES = (Role.DATA_BAR, Role.TRUTH, Role.MAP)
"""Layers that napari selects because they were added last, but that nobody works on."""


class GrainsmithDock(QWidget):
    """All panels in one dock."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self._viewer = viewer
        self._session = session_of(viewer)
        self._active = self._session.active
        self._session.part(AutosaveManager)
        self._tabs, self._tab_buttons = _tab_bar()
        self._stack = QStackedWidget()
        self._panels: dict[str, QWidget] = {}
        self._main_buttons: dict[str, QAbstractButton] = {}
        self._save_bar = SaveBar(viewer)
        self._lay_out()
        self._bind_main_keys()
        self.setAcceptDrops(True)
        self._timer = QTimer(self, singleShot=True, interval=_STATUS_DELAY_MS)
        self._timer.timeout.connect(self._show_status)
        connect_while_alive(self, self._active.changed, self._on_layers)
        connect_while_alive(self, self._active.image_changed, self._on_image)
        connect_while_alive(self, self._active.grains_edited, self._on_edited)
        self._on_layers()
        self._on_image(self._active.image)  # files of the command line are open already
        self.show_panel(PANELS[0][0])

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.setSpacing(6)
        layout.addWidget(RecoveryBar(self._viewer))
        layout.addWidget(DeletedBar(self._viewer))
        layout.addWidget(RegionPanel(self._viewer, only_with_mosaic=True))
        layout.addWidget(LayerBar(self._viewer))
        layout.addWidget(self._tabs)
        layout.addWidget(self._stack, 1)
        layout.addWidget(self._save_bar)
        self.setMinimumWidth(300)
        # Otherwise napari adds an empty stretch below, the larger the more docks there have been.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)

    def _bind_main_keys(self) -> None:
        """Connect the tabs, and let the key of each main action work whichever tab is shown."""
        for title, tab_button in self._tab_buttons.items():
            tab_button.clicked.connect(partial(self._on_tab, title))
            if title not in MAIN_KEYS:
                continue
            shortcut = QShortcut(QKeySequence(MAIN_KEYS[title]), self)
            shortcut.setContext(Qt.ShortcutContext.WindowShortcut)
            shortcut.activated.connect(partial(self._run_main_action, title))
            # A panel with the same key may be open beside the dock.
            shortcut.activatedAmbiguously.connect(partial(self._run_main_action, title))

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802  (Qt's name)
        """Guard the window against closing over unsaved grains."""
        super().showEvent(event)
        self._session.part(CloseGuard).watch(self)

    def sizeHint(self) -> QSize:  # noqa: N802  (Qt's name)
        """Open a little wider than a panel, because the scroll bar takes some width."""
        return QSize(WIDTH_PX + 20, 600)

    def show_panel(self, title: str) -> QWidget:
        """Open a tab, building its panel on first use, and return the panel."""
        if title not in self._panels:
            self._build_panel(title)
        self._tab_buttons[title].setChecked(True)
        self._stack.setCurrentIndex(list(self._panels).index(title))
        return self._panels[title]

    @property
    def status(self) -> str:
        """The line at the bottom."""
        return self._save_bar.status

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802  (Qt's name)
        """Accept files: dropped here, napari does not ask for a reader."""
        if event.mimeData().hasUrls():
            event.acceptProposedAction()

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802  (Qt's name)
        """Open dropped files."""
        for url in event.mimeData().urls():
            self._viewer.open(url.toLocalFile(), plugin="grainsmith")

    def _build_panel(self, title: str) -> None:
        panel = _create(dict(PANELS)[title], self._viewer)
        self._panels[title] = panel
        self._stack.addWidget(scrolled(panel))
        key = QKeySequence(MAIN_KEYS.get(title, ""))
        for button in panel.findChildren(QAbstractButton):
            if not key.isEmpty() and button.shortcut() == key:
                button.setShortcut(QKeySequence())  # the dock has it, for all tabs
                self._main_buttons[title] = button

    def _run_main_action(self, title: str) -> None:
        panel = self.show_panel(title)
        button = self._main_buttons[title]
        if isinstance(panel, QTabWidget):
            pages = range(panel.count())
            panel.setCurrentIndex(
                next(page for page in pages if panel.widget(page).isAncestorOf(button))
            )
        button.click()

    def _on_tab(self, title: str, _checked: bool = False) -> None:
        self.show_panel(title)

    def _on_layers(self) -> None:
        self._timer.start()
        QTimer.singleShot(0, self._remove_orphans)

    def _on_edited(self) -> None:
        self._timer.start()

    def _remove_orphans(self) -> None:
        """Remove the marks of data bars whose images are gone."""
        names = {layer.name for layer in self._active.images}
        for layer in list(self._viewer.layers):
            if role_of(layer) == Role.DATA_BAR and OverlayMetadata.of(layer).image not in names:
                self._viewer.layers.remove(layer)

    def _on_image(self, image: Image | None) -> None:
        if image is None:
            return
        if pixel_size_um_of(image) > 0:
            self._viewer.canvas.overlays.scale_bar.visible = True
        # After napari has selected the layer that was added last.
        QTimer.singleShot(0, self._select_image)

    def _select_image(self) -> None:
        selection = self._viewer.layers.selection
        if selection.active is not None and role_of(selection.active) in _HELPER_ROLES:
            selection.active = self._active.image

    def _show_status(self) -> None:
        text = status_text(self._active.image, self._active.grains)
        self._save_bar.show_status(text or missing_text(self._active, NO_IMAGE))


def _tab_bar() -> tuple[QWidget, dict[str, QToolButton]]:
    bar, group = QWidget(), QButtonGroup()
    bar.setStyleSheet(_STYLE)
    group.setParent(bar)
    grid = QGridLayout(bar)
    grid.setContentsMargins(0, 0, 0, 0)
    grid.setSpacing(2)
    buttons: dict[str, QToolButton] = {}
    for position, (title, _) in enumerate(PANELS):
        button = QToolButton()
        button.setText(title)
        button.setCheckable(True)
        button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        if title in MAIN_KEYS:
            button.setToolTip(f"{title}; its main action: {MAIN_KEYS[title]}")
        group.addButton(button)
        grid.addWidget(button, position // _COLUMNS, position % _COLUMNS)
        buttons[title] = button
    return bar, buttons


def _create(path: str, viewer: napari.viewer.Viewer) -> QWidget:
    module, _, name = path.partition(":")
    panel: QWidget = getattr(import_module(module), name)(viewer)
    return panel
