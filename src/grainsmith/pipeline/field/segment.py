"""Image -> grains, for one field."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grainsmith.data import LabelImage, OnProgress, SemImage, no_progress
from grainsmith.io.files.provenance import provenance, write_json
from grainsmith.io.labels.label_image import write_labels
from grainsmith.segment import Prediction, SegmentSettings, draw_grains, predict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentedField:
    """A field with its grains.

    Attributes
    ----------
    image : SemImage
        As it was read.
    labels : (Y, X) int32 array
        Of the shape of the image file; the data bar is background.
    table : DataFrame
        Index `label`: confidence, flow_error, probability.
    prediction : Prediction
        To draw again with other thresholds.
    note : str
        Why there is no grain; "" otherwise.
    """

    image: SemImage
    labels: LabelImage
    table: pd.DataFrame
    prediction: Prediction
    note: str = ""

    def facts(self) -> dict[str, Any]:
        """Return what is to be said of the result, ready for JSON."""
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


def segment_field(
    image: SemImage, settings: SegmentSettings, *, on_progress: OnProgress = no_progress
) -> SegmentedField:
    """Find the grains of a field.

    Parameters
    ----------
    image : SemImage
        Its data bar is left out and stays background.
    settings : SegmentSettings
        How grains are found.
    on_progress : callable
        Told (tiles done, tiles in all); raising in it stops within one tile.
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
    path: Path, found: SegmentedField, settings: SegmentSettings, *, inputs: Sequence[Path]
) -> None:
    """Write the labels of a field, and beside them a JSON that says where they come from.

    Parameters
    ----------
    path : Path
        Ends in .tif; the JSON has the same stem.
    found : SegmentedField
    settings : SegmentSettings
        With which it was found.
    inputs : sequence of Path
        Files that were read; their SHA-256 is kept.
    """
    write_labels(path, found.labels, pixel_size_um=found.image.pixel_size_um)
    said = {"name": found.prediction.model, "sha256": found.prediction.fingerprint}
    origin = provenance(list(inputs), settings=settings_dict(settings), model=said)
    write_json(path.with_suffix(".json"), {**found.facts(), "provenance": origin})


def with_data_bar(labels: LabelImage, image: SemImage) -> LabelImage:
    """Give labels of the field the shape of the image file: the data bar is background."""
    if not image.data_bar_rows:
        return labels
    bar = np.zeros((image.data_bar_rows, labels.shape[1]), np.int32)
    return np.concatenate([labels, bar])


def with_pixel_size(image: SemImage, pixel_size_um: float) -> SemImage:
    """Return the image with a pixel size given by hand; 0 keeps what the file says."""
    if pixel_size_um == 0:
        return image
    return replace(image, pixel_size_um=pixel_size_um, pixel_size_source="given by hand")


def settings_dict(settings: SegmentSettings) -> dict[str, Any]:
    """Return settings as they are kept with a result."""
    return {"segment": asdict(settings)}
