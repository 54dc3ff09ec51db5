"""The public functions of Grainsmith, as ``import grainsmith as gs`` offers them.

Every function takes file paths, arrays (numpy, xarray, dask) or the results of the other functions,
and names the unit of every number. Unknown pixel size means pixels: pass ``pixel_size_um``.

>>> import grainsmith as gs
>>> field = gs.datasets.plain()
>>> table = gs.measure(field.labels, pixel_size_um=field.image.pixel_size_um)
>>> round(float(table.ecd_um.median()), 1)
44.9
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from grainsmith.data import ElementMap, OnProgress, SemImage, Transform, no_progress
from grainsmith.errors import MismatchError
from grainsmith.inputs import list_maps, list_transforms, open_grains, open_image, read_labels
from grainsmith.io.images.reader import read_image
from grainsmith.results import ElementCombo, GrainLabels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from grainsmith.align import RegistrationResult
    from grainsmith.inputs import ImageSource, LabelSource
    from grainsmith.io.maps.reader import MapFolder
    from grainsmith.models.model import Model
    from grainsmith.report import Report
    from grainsmith.score import Score
    from grainsmith.statistics import SizeStatistics
    from grainsmith.train import TuningResult

__all__ = [
    "GrainLabels",
    "align",
    "classify",
    "clean",
    "element_combo",
    "load_model",
    "measure",
    "read_image",
    "read_labels",
    "read_maps",
    "report",
    "score",
    "segment",
    "statistics",
    "train",
]


def read_maps(source: str | Path, *, on_progress: OnProgress = no_progress) -> MapFolder:
    """Read the element maps of a folder or file.

    Parameters
    ----------
    source : str or Path
        A folder of maps (tables, images, .h5oina, cubes of spectra) or one such file.
    on_progress : callable
        Called as on_progress(done, total).

    Returns
    -------
    MapFolder
        Its `maps`, the `images` beside them, and the `problems` of files that cannot be read.

    Raises
    ------
    ReadError
        The source does not exist or holds no map.
    """
    from grainsmith.io.maps.reader import open_maps

    return open_maps(source, on_progress=on_progress)


def segment(
    image: ImageSource,
    *,
    pixel_size_um: float = 0.0,
    on_progress: OnProgress = no_progress,
    **settings: Any,
) -> GrainLabels:
    """Find the grains of an image.

    Parameters
    ----------
    image : path, SemImage or (Y, X) or (Y, X, 3) array
        A data bar that the file or the image shows is left out.
    pixel_size_um : float
        Side of a pixel in µm; 0 = as the file says.
    on_progress : callable
        Called as on_progress(tiles done, tiles in all); what it raises stops the work.
    **settings
        Fields of `grainsmith.segment.SegmentSettings`, such as ``model="grains"`` or
        ``diameter_px=30``.

    Returns
    -------
    GrainLabels
        Labels of the image's shape, and the confidence of each grain.

    Examples
    --------
    >>> import grainsmith as gs
    >>> corner = gs.datasets.plain().image.image[:200, :200]
    >>> grains = gs.segment(corner, pixel_size_um=1.5)
    >>> len(grains) > 10
    True
    """
    from grainsmith.pipeline.field.segment import segment_field
    from grainsmith.segment import SegmentSettings

    opened = open_image(image, pixel_size_um)
    found = segment_field(opened, SegmentSettings(**settings), on_progress=on_progress)
    return GrainLabels(
        labels=found.labels,
        table=found.table,
        image=opened,
        metadata=found.label_metadata(),
    )


def clean(
    grains: LabelSource,
    *,
    pixel_size_um: float = 0.0,
    on_progress: OnProgress = no_progress,
    **settings: Any,
) -> GrainLabels:
    """Remove grains by size, shape, confidence and place, fill holes and drop fragments.

    Parameters
    ----------
    grains : path, GrainLabels or (Y, X) integer array
    pixel_size_um : float
        Side of a pixel in µm; 0 = that of `grains`.
    on_progress : callable
        Called as on_progress(grains done, grains in all).
    **settings
        Fields of `grainsmith.clean.CleanSettings`, such as ``min_area_px=50``.

    Examples
    --------
    >>> import grainsmith as gs, numpy as np
    >>> labels = np.array([[1, 0, 4, 4], [0, 0, 4, 4]])
    >>> gs.clean(labels, min_area_px=2)
    <GrainLabels: 1 grains, 2 x 4 px>
    """
    from grainsmith.clean import CleanSettings, clean_labels

    before = open_grains(grains, pixel_size_um)
    cleaning = CleanSettings(**settings)
    result = clean_labels(
        before.labels,
        cleaning,
        pixel_size_um=before.pixel_size_um,
        data_bar_rows=before.metadata.data_bar_rows,
        confidence=before.table.get("confidence"),
        on_progress=on_progress,
    )
    table = before.table.drop(index=list(result.removed), errors="ignore")
    table = table.rename(index=result.renumbered).sort_index()
    metadata = replace(
        before.metadata,
        edge_grains_removed=cleaning.drop_border or before.metadata.edge_grains_removed,
    )
    labels = np.asarray(result.labels, np.int32)
    return replace(before, labels=labels, table=table, metadata=metadata)


def align(
    reference: ImageSource,
    maps: MapFolder | Sequence[ElementMap | SemImage],
    *,
    groups: Sequence[str] = (),
    on_progress: OnProgress = no_progress,
    **settings: Any,
) -> RegistrationResult:
    """Align element maps or other images of the field to a reference image.

    Nothing is resampled, and a map without enough evidence is not moved: its verdict says so.

    Parameters
    ----------
    reference : path, SemImage or array
        The image that stays.
    maps : MapFolder, or sequence of ElementMap or SemImage
    groups : sequence of str
        The acquisition pass of each map; empty = found from the maps.
    on_progress : callable
        Called as on_progress(done, total).
    **settings
        Fields of `grainsmith.align.AlignSettings`.

    Returns
    -------
    RegistrationResult
        `table()` has a row per map: offset, rotation, confidence and verdict.
    """
    from grainsmith.align import AlignSettings, align_maps

    return align_maps(
        open_image(reference),
        list_maps(maps),
        AlignSettings(**settings),
        groups=groups,
        on_progress=on_progress,
    )


def measure(
    grains: LabelSource,
    *,
    image: ImageSource | None = None,
    maps: MapFolder | Sequence[ElementMap] = (),
    transforms: RegistrationResult | Mapping[str, Transform] | Sequence[Transform] | None = None,
    pixel_size_um: float = 0.0,
    on_progress: OnProgress = no_progress,
) -> pd.DataFrame:
    """Measure size, shape, grey values and elements of every grain.

    Parameters
    ----------
    grains : path, GrainLabels or (Y, X) integer array
    image : path, SemImage or array, optional
        For grey values, pixel size and data bar; by default the image of `grains`.
    maps : MapFolder or sequence of ElementMap
        For the mean of every element in every grain.
    transforms : RegistrationResult, mapping or sequence of Transform, optional
        Where the maps lie on the image, as `align` returns it; by default as the files say.
    pixel_size_um : float
        Side of a pixel in µm; 0 = as image or grains say.
    on_progress : callable
        Called as on_progress(grains done, grains in all).

    Returns
    -------
    DataFrame
        One row per grain, index `label`; every column is named with its unit. Its `attrs` hold
        `field_shape_px`, which `statistics` uses, and `notes`.

    Examples
    --------
    >>> import grainsmith as gs, numpy as np
    >>> labels = np.zeros((60, 60), int)
    >>> labels[10:50, 10:50] = 7
    >>> table = gs.measure(labels, pixel_size_um=0.5)
    >>> float(table.loc[7, "area_um2"])
    400.0
    """
    from grainsmith.pipeline.field.measure import combine_metadata, measure_field, with_metadata

    opened = open_grains(grains, pixel_size_um)
    source = opened.image if image is None else open_image(image)
    metadata = combine_metadata(opened.metadata, source, pixel_size_um=pixel_size_um)
    shown = with_metadata(source, metadata)
    listed = [one for one in list_maps(maps) if isinstance(one, ElementMap)]
    table = measure_field(
        opened.labels,
        shown,
        pixel_size_um=metadata.pixel_size_um,
        data_bar_rows=metadata.data_bar_rows,
        maps=listed,
        transforms=list_transforms(transforms, listed, shown, opened.labels),
        on_progress=on_progress,
    )
    height_px, width_px = opened.labels.shape
    table.attrs["field_shape_px"] = (height_px - metadata.data_bar_rows, width_px)
    table.attrs["notes"] = list(metadata.notes)
    return table


def statistics(
    tables: LabelSource | pd.DataFrame | Sequence[pd.DataFrame],
    *,
    field_shape_px: tuple[int, int] | None = None,
    on_progress: OnProgress = no_progress,
    **settings: Any,
) -> SizeStatistics:
    """Compute grain-size statistics with 95 % intervals.

    Parameters
    ----------
    tables : DataFrame or sequence of DataFrame
        The result of `measure` for one field, or for the fields of one sample. Grains that were
        not measured yet are measured first.
    field_shape_px : (int, int), optional
        Rows and columns of each field without its data bar, for tables read from a file.
    on_progress : callable
        Called as on_progress(resamplings done, resamplings in all).
    **settings
        Fields of `grainsmith.statistics.StatisticsSettings`.

    Raises
    ------
    MismatchError
        The shape of a field is unknown, or the fields have different units.

    Examples
    --------
    >>> import grainsmith as gs
    >>> field = gs.datasets.plain()
    >>> table = gs.measure(field.labels, pixel_size_um=field.image.pixel_size_um)
    >>> result = gs.statistics(table)
    >>> result.unit, result.bases
    ('um', ('number', 'area'))
    """
    from grainsmith.statistics import FieldGrains, StatisticsSettings, summarize

    fields = []
    for table in _list_tables(tables):
        shape = field_shape_px or table.attrs.get("field_shape_px")
        if shape is None:
            raise MismatchError(
                "the size of the field is unknown, which the edge correction needs: pass "
                "field_shape_px=(rows, columns)"
            )
        fields.append(FieldGrains(table=table, height_px=shape[0], width_px=shape[1]))
    return summarize(fields, StatisticsSettings(**settings), on_progress=on_progress)


def classify(
    table: pd.DataFrame,
    *,
    rules: str | Path = "library",
    kind: str = "",
    standards: Mapping[int, str] | None = None,
    examples: Mapping[int, str] | None = None,
    clusters: int = 0,
) -> pd.DataFrame:
    """Name the mineral of every grain from its elements.

    Parameters
    ----------
    table : DataFrame
        The result of `measure` with maps.
    rules : str or Path
        A rules file, or "library" for the bundled minerals.
    kind : str
        What the maps hold: "counts", "wt%", "at%" or "picture"; "" = the units of the rules.
    standards : mapping of label to mineral, optional
        Known grains, by which counts become amounts for rules in at% or wt%.
    examples : mapping of label to mineral, optional
        Grains whose mineral is known: the others are named after the most similar ones.
    clusters : int
        Sort the grains into at most this many unnamed clusters instead.

    Returns
    -------
    DataFrame
        Index `label`; `mineral`, `score`, `runner_up`, `runner_up_score` and `verdict`.

    Raises
    ------
    MismatchError
        The table holds no elements.
    """
    from grainsmith.classify.examples import ExampleSettings
    from grainsmith.pipeline.field import classify as workflow

    if examples:
        classifier = workflow.example_classifier(examples, ExampleSettings())
    elif clusters:
        classifier = workflow.cluster_classifier(clusters)
    else:
        opened = workflow.open_rules(str(rules))
        classifier = workflow.rule_classifier(opened, kind=kind, standards=standards)
    return classifier(table).naming


def element_combo(
    grain_id: int,
    grains: LabelSource,
    maps: MapFolder | Sequence[ElementMap],
    *,
    image: ImageSource | None = None,
    transforms: RegistrationResult | Mapping[str, Transform] | Sequence[Transform] | None = None,
    **settings: Any,
) -> ElementCombo:
    """Draw one grain in its image and in every element map.

    Parameters
    ----------
    grain_id : int
        The label of the grain.
    grains : path, GrainLabels or (Y, X) integer array
    maps : MapFolder or sequence of ElementMap
    image : path, SemImage or array, optional
        By default the image of `grains`.
    transforms : RegistrationResult, mapping or sequence of Transform, optional
        Where the maps lie on the image; by default as the files say.
    **settings
        Fields of `grainsmith.gallery.ComboSettings`.

    Raises
    ------
    MismatchError
        There is no such grain, or no image.
    """
    from grainsmith.gallery import ComboSettings, draw_combo, make_combo, prepare_field

    opened = open_grains(grains)
    shown = opened.image if image is None else open_image(image)
    if shown is None:
        raise MismatchError("the combo shows the image of the grains: pass image=")
    listed = [one for one in list_maps(maps) if isinstance(one, ElementMap)]
    placed = list_transforms(transforms, listed, shown, opened.labels)
    view = prepare_field(
        shown.image,
        opened.labels,
        listed,
        {one.element: transform for one, transform in zip(listed, placed, strict=True)},
        pixel_size_um=shown.pixel_size_um,
    )
    combo = make_combo(view, grain_id, ComboSettings(**settings))
    return ElementCombo(grain_id=grain_id, title=combo.title, pixels=draw_combo(combo))


def train(
    training_set: str | Path,
    output: str | Path,
    *,
    resume: bool = False,
    **settings: Any,
) -> TuningResult:
    """Tune a model to a training set of corrected grains.

    Parameters
    ----------
    training_set : str or Path
        A folder of images and masks, as Cellpose writes it.
    output : str or Path
        The weights file to write, ``NAME.pt``; settings and curves go to ``NAME.run`` beside it.
    resume : bool
        Go on with the unfinished run of that output.
    **settings
        Fields of `grainsmith.train.TuneSettings`, such as ``model="grains"`` or ``minutes=5``.

    Returns
    -------
    TuningResult
        The AP@0.5 on the validation fields `before` and `after`, and the `model` file.
    """
    from grainsmith.train import TuneSettings, tune

    run_folder = Path(output).with_suffix(".run")
    return tune(training_set, TuneSettings(**settings), run_folder, resume=resume)


def load_model(name: str = "grains", *, device: str = "auto") -> Model:
    """Load a segmentation model.

    Parameters
    ----------
    name : str
        A bundled or added model, or a weights file.
    device : "auto", "cpu", "cuda" or "mps"

    Raises
    ------
    ModelError
        There is no such model, or its file cannot be used.
    """
    from grainsmith.models.registry import load_model as load

    return load(name, device=device)


def score(truth: LabelSource, labels: LabelSource, *, ignore_border: bool = False) -> Score:
    """Compare a label image with a corrected one.

    Parameters
    ----------
    truth, labels : path, GrainLabels or (Y, X) integer array
    ignore_border : bool
        Leave out grains that touch the edge of the image.

    Returns
    -------
    Score
        Average precision at IoU 0.5, 0.75 and 0.9, and the errors of D50 and D84.

    Examples
    --------
    >>> import grainsmith as gs
    >>> truth = gs.datasets.plain().labels
    >>> gs.score(truth, truth).ap50
    1.0
    """
    from grainsmith.score import score_labels

    return score_labels(
        open_grains(truth).labels, open_grains(labels).labels, ignore_border=ignore_border
    )


def report(
    path: str | Path,
    grains: LabelSource,
    *,
    table: pd.DataFrame | None = None,
    **facts: Any,
) -> Report:
    """Write an HTML page about a field, and the same numbers as JSON beside it.

    Parameters
    ----------
    path : str or Path
        Ends in .html.
    grains : path, GrainLabels or (Y, X) integer array
    table : DataFrame, optional
        The result of `measure`; measured here by default.
    **facts
        What the page shall also state, such as ``title="Sample 7"``.
    """
    from grainsmith.report.write import write_report

    opened = open_grains(grains)
    image = opened.image
    metadata = opened.metadata
    known = {
        "source": metadata.source,
        "pixel_size_source": metadata.pixel_size_source,
        "data_bar_rows": metadata.data_bar_rows,
        "notes": list(metadata.notes),
    }
    return write_report(
        path,
        labels=opened.labels,
        table=measure(opened) if table is None else table,
        image=None if image is None else image.image,
        facts=known | facts,
    )


def _list_tables(tables: Any) -> list[pd.DataFrame]:
    if isinstance(tables, pd.DataFrame):
        return [tables]
    if isinstance(tables, list | tuple) and all(isinstance(one, pd.DataFrame) for one in tables):
        return list(tables)
    return [measure(tables)]
