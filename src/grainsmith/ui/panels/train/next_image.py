"""The image to label next: the least known one, segmented with the kept model, and opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QVBoxLayout, QWidget

from grainsmith.errors import GrainsmithError
from grainsmith.io.dataset import Dataset, read_dataset, unlabelled_images
from grainsmith.io.images.reader import read_image
from grainsmith.pipeline import segment_field, settings_dict
from grainsmith.segment import SegmentSettings
from grainsmith.ui.editing.segmentation_result import add_or_update_grains
from grainsmith.ui.layers.images import image_layer
from grainsmith.ui.layers.metadata import ImageMetadata
from grainsmith.ui.panels.base import button
from grainsmith.ui.widgets.background import run
from grainsmith.ui.widgets.hints import message_of

if TYPE_CHECKING:
    from grainsmith.data import OnProgress, SemImage
    from grainsmith.pipeline import SegmentedField
    from grainsmith.ui.panels.train.tuning import TuningPanel


class NextField(QWidget):
    """One button; it is there once a model was kept."""

    def __init__(self, panel: TuningPanel) -> None:
        super().__init__()
        self._panel = panel
        self.model = ""
        self._button = button(
            "Segment next field",
            self.segment,
            tip="Of the images without labels in this folder, open the one that is least like "
            "the set, segmented by the kept model",
        )
        lines = QVBoxLayout(self)
        lines.setContentsMargins(0, 0, 0, 0)
        lines.addWidget(self._button)
        self.refresh()

    def refresh(self) -> None:
        """Show the button where there is a model for it."""
        self.setVisible(bool(self.model))

    def segment(self) -> None:
        """Find the next image, segment and open it, in the background."""
        image = self._panel.roles.image
        source = ImageMetadata.of(image).source if image is not None else ""
        settings = SegmentSettings(model=self.model)
        self._panel.show_message("")
        run(
            _next,
            source,
            self._panel.folder,
            settings,
            busy=self._button,
            then=lambda found: self._show(found, settings),
            progress=self._panel.progress,
            title="Finding grains",
            stopped=lambda: self._panel.show_message("Stopped. Nothing was opened."),
        )

    def _show(self, found: tuple[SemImage, SegmentedField] | str, settings: Any) -> None:
        panel = self._panel
        if isinstance(found, str):
            panel.show_message(found)
            return
        picture, field = found
        data, options, _ = image_layer(picture)
        layer = panel.viewer.add_image(data, **options)
        layer = getattr(layer, "__wrapped__", layer)
        panel.roles.image = layer
        add_or_update_grains(
            panel.viewer,
            panel.roles,
            layer,
            field.labels,
            field.table,
            prediction=field.prediction,
            model={"name": field.prediction.model, "sha256": field.prediction.fingerprint},
            settings=settings_dict(settings),
            states={},
        )
        panel.show_message(
            f"{Path(picture.source).name} is least like the set: {len(field.table)} grains. "
            "Correct them, and add."
        )


def _next(
    source: str, training_set: str, settings: SegmentSettings, *, on_progress: OnProgress
) -> tuple[SemImage, SegmentedField] | str:
    from grainsmith.train.novelty import most_novel

    if not source:
        return "Open an image of the folder first: the next one is looked for beside it."
    try:
        there = bool(training_set) and Path(training_set).is_dir()
        known = read_dataset(training_set) if there else Dataset(folder=Path())
        found = unlabelled_images(source, [one.source for one in known.fields])
        path = most_novel(found, known, settings.model, on_progress=on_progress)
        if path is None:
            return "No image of this folder is without labels."
        picture = read_image(path)
        return picture, segment_field(picture, settings, on_progress=on_progress)
    except GrainsmithError as error:
        return message_of(error)
