"""Segment one field, and write its labels."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.data import LabelImage, OnProgress, SemImage, no_progress
from grainsmith.io.files.provenance import provenance, write_json
from grainsmith.io.labels.label_image import write_labels
from grainsmith.io.labels.label_metadata import LabelMetadata
from grainsmith.segment import Prediction, SegmentSettings, draw_grains, predict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentedField:
    """Grains of a field.

    Attributes
    ----------
    image : SemImage
    labels : (Y, X) int32 array
        Of the shape of the image file; the data bar is background.
    table : DataFrame
        Index `label`; columns confidence, flow_error, probability.
    prediction : Prediction
        Output of the network, from which labels are drawn with other thresholds.
    note : str
        Reason if there is no grain.
    """

    image: SemImage
    labels: LabelImage
    table: pd.DataFrame
    prediction: Prediction
    note: str = ""

    def facts(self) -> dict[str, Any]:
        """Return a JSON-ready summary of the result."""
        return {
            "image": self.image.source,
            "n_grains": len(self.table),
            "diameter_px": round(self.prediction.diameter_px, 2),
            "diameter_estimated": self.prediction.estimated,
            "pixel_size_um": self.image.pixel_size_um,
            "pixel_size_source": self.image.pixel_size_source,
            "data_bar_rows": self.image.data_bar_rows,
            "mean_confidence": float(self.table["confidence"].mean()) if len(self.table) else 0.0,
            "model": self.prediction.model,
            "model_sha256": self.prediction.fingerprint,
            "seconds": {name: round(value, 3) for name, value in self.prediction.seconds.items()},
            "notes": [*self.image.notes, *([self.note] if self.note else [])],
        }

    def label_metadata(self) -> LabelMetadata:
        """Return what a file of the labels states about the field."""
        return LabelMetadata(
            pixel_size_um=self.image.pixel_size_um,
            pixel_size_source=self.image.pixel_size_source,
            data_bar_rows=self.image.data_bar_rows,
            source=self.image.source,
            notes=(*self.image.notes, *([self.note] if self.note else [])),
        )


def segment_field(
    image: SemImage, settings: SegmentSettings, *, on_progress: OnProgress = no_progress
) -> SegmentedField:
    """Find the grains of a field.

    Parameters
    ----------
    image : SemImage
        Its data bar is left out and stays background.
    settings : SegmentSettings
    on_progress : callable
        Receives (finished tiles, all tiles); an exception in it stops within one tile.
    """
    prediction = predict(image.cropped, settings, on_progress=on_progress)
    grains = draw_grains(prediction, settings)
    return SegmentedField(
        image=image,
        labels=with_data_bar(grains.labels, image),
        table=grains.table,
        prediction=prediction,
        note=grains.note,
    )


def write_segmented(
    path: Path, result: SegmentedField, settings: SegmentSettings, *, inputs: Sequence[Path]
) -> None:
    """Write the labels of a field, and their provenance to a JSON beside them.

    Parameters
    ----------
    path : Path
        Ends in .tif; the JSON has the same stem.
    result : SegmentedField
    settings : SegmentSettings
        Settings of the segmentation.
    inputs : sequence of Path
        Files that were read; their SHA-256 is recorded.
    """
    facts = result.facts()
    write_labels(path, result.labels, metadata=result.label_metadata())
    model = {"name": result.prediction.model, "sha256": result.prediction.fingerprint}
    origin = provenance(list(inputs), settings=settings_dict(settings), model=model)
    write_json(path.with_suffix(".json"), {**facts, "provenance": origin})


def with_data_bar(labels: LabelImage, image: SemImage) -> LabelImage:
    """Extend labels by the data bar of the image, as background."""
    if not image.data_bar_rows:
        return labels
    bar = np.zeros((image.data_bar_rows, labels.shape[1]), np.int32)
    return np.concatenate([labels, bar])


def with_pixel_size(image: SemImage, pixel_size_um: float) -> SemImage:
    """Return the image with a pixel size given by the user; 0 keeps that of the file."""
    if pixel_size_um == 0:
        return image
    return replace(image, pixel_size_um=pixel_size_um, pixel_size_source="given by hand")


def settings_dict(settings: SegmentSettings) -> dict[str, Any]:
    """Return settings as they are recorded with a result."""
    return {"segment": asdict(settings)}
