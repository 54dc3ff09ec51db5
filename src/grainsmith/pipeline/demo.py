"""The main job from end to end on the bundled sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.data import OnProgress, no_progress
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.images.reader import write_image
from grainsmith.pipeline.field.segment import segment_field, settings_dict, write_segmented
from grainsmith.segment import SegmentSettings

if TYPE_CHECKING:
    import pandas as pd

    from grainsmith.pipeline.field.segment import SegmentedField
    from grainsmith.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFiles:
    """What the demonstration leaves behind.

    Attributes
    ----------
    image, labels, table, overview, report : Path
        Image, label image, table of grains, outlines over the image, HTML page.
    summary : str
        One line on what was found.
    """

    image: Path
    labels: Path
    table: Path
    overview: Path
    report: Path
    summary: str


def run_demo(
    folder: str | Path,
    settings: SegmentSettings | None = None,
    *,
    on_progress: OnProgress = no_progress,
) -> DemoFiles:
    """Segment and measure the bundled sample and write everything that a user takes home.

    Parameters
    ----------
    folder : str or Path
        Made where it is missing; files of an earlier demonstration are replaced.
    settings : SegmentSettings, optional
        How grains are found.
    on_progress : callable
        Told (per cent done, 100); raising in it stops the work.
    """
    from grainsmith.pipeline.field.measure import measure_field
    from grainsmith.samples import sample_field

    out, chosen = Path(folder), settings or SegmentSettings()
    on_progress(0, 100)
    image = sample_field("plain").image
    write_image(out / "field.tif", image.image, pixel_size_um=image.pixel_size_um)
    on_progress(10, 100)
    found = segment_field(
        image, chosen, on_progress=lambda done, total: on_progress(10 + 60 * done // total, 100)
    )
    table = measure_field(found.labels, image).join(found.table)
    on_progress(80, 100)
    report = _write(out, found, table, chosen)
    on_progress(100, 100)
    return DemoFiles(
        image=out / "field.tif",
        labels=out / "field_masks.tif",
        table=out / "grains.csv",
        overview=out / "overview.png",
        report=report.html,
        summary=report.summary,
    )


def _write(
    out: Path, found: SegmentedField, table: pd.DataFrame, settings: SegmentSettings
) -> Report:
    from grainsmith.report import write_report
    from grainsmith.report.figures import outline_png

    image = found.image
    write_segmented(out / "field_masks.tif", found, settings, inputs=[out / "field.tif"])
    with atomic_write(out / "grains.csv") as temporary:
        table.to_csv(temporary)
    with atomic_write(out / "overview.png") as temporary:
        temporary.write_bytes(
            outline_png(image.image, found.labels, table, pixel_size_um=image.pixel_size_um)
        )
    return write_report(
        out / "report.html",
        labels=found.labels,
        table=table,
        image=image.image,
        facts={
            "title": "Grainsmith demonstration",
            "source": image.source,
            "pixel_size_source": image.pixel_size_source,
            "data_bar_rows": image.data_bar_rows,
            "model": found.prediction.model,
            "model_sha256": found.prediction.fingerprint,
            "model_settings": settings_dict(settings)["segment"],
            "edits": 0,
        },
    )
