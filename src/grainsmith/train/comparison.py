"""Comparison of two models on the same fields."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from grainsmith.data import OnProgress, no_progress
from grainsmith.io.files.provenance import read_json, write_json
from grainsmith.io.labels.label_image import read_labels, write_labels
from grainsmith.models.registry import load_model
from grainsmith.score import Score, match_labels, score_labels
from grainsmith.segment import SegmentSettings, draw_grains, predict
from grainsmith.train.rehearsal import held_out_synthetic_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from grainsmith.data import Image, LabelImage
    from grainsmith.io.dataset import LoadedField
    from grainsmith.models.model import Model

CHANGED_IOU = 0.1
"""Difference of IoU above which a grain found by both models counts as changed."""


class ComparableField(Protocol):
    """Field of a training set, or a synthetic one, with true labels."""

    @property
    def name(self) -> str:
        """Unique among the fields."""
        ...

    @property
    def role(self) -> str:
        """One of `train`, `validation`, `test` or `made` (synthetic)."""
        ...

    def load(self) -> LoadedField:
        """Return image, true labels and weight."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldComparison:
    """Scores and labels of two models on one field.

    Attributes
    ----------
    name, role : str
        Role "made" marks synthetic fields, which show what was forgotten.
    before, after : Score
    gained, lost, changed : list of int
        True grains found (IoU 0.5) by the second model only, by the first only, and by both but
        better or worse by more than 0.1 of IoU.
    labels_before, labels_after : (Y, X) int32 array
        Labels drawn by the models.
    """

    name: str
    role: str
    before: Score
    after: Score
    gained: list[int]
    lost: list[int]
    changed: list[int]
    labels_before: LabelImage
    labels_after: LabelImage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelComparison:
    """Scores and labels of two models on several fields.

    Attributes
    ----------
    before, after : str
        Names of the models.
    fields : tuple of FieldComparison
    """

    before: str
    after: str
    fields: tuple[FieldComparison, ...]

    def summary(self) -> dict[str, Any]:
        """Return scores and changed grains for JSON, with the mean AP@0.5 of each role."""
        rows = []
        for field in self.fields:
            row = {name: getattr(field, name) for name in ("name", "role", "gained", "lost")}
            row |= {"changed": field.changed, "before": asdict(field.before)}
            rows.append({**row, "after": asdict(field.after)})
        means = {}
        for role in dict.fromkeys(field.role for field in self.fields):
            group = [field for field in self.fields if field.role == role]
            means[role] = {
                side: _mean([getattr(field, side).ap50 for field in group])
                for side in ("before", "after")
            }
        return {"before": self.before, "after": self.after, "ap50": means, "fields": rows}

    def write(self, folder: Path) -> None:
        """Write `comparison.json` and the labels, NAME_before.tif and NAME_after.tif."""
        for field in self.fields:
            write_labels(folder / f"{field.name}_before.tif", field.labels_before)
            write_labels(folder / f"{field.name}_after.tif", field.labels_after)
        write_json(folder / "comparison.json", self.summary())


def read_comparison(folder: Path) -> ModelComparison:
    """Read the files of `ModelComparison.write`; raise ReadError if they are missing or damaged."""
    content = read_json(folder / "comparison.json")
    fields = [
        FieldComparison(
            **{name: row[name] for name in ("name", "role", "gained", "lost", "changed")},
            before=_score(row["before"]),
            after=_score(row["after"]),
            labels_before=read_labels(folder / f"{row['name']}_before.tif"),
            labels_after=read_labels(folder / f"{row['name']}_after.tif"),
        )
        for row in content["fields"]
    ]
    return ModelComparison(before=content["before"], after=content["after"], fields=tuple(fields))


def evaluate_models(
    before: str | Model,
    after: str | Model,
    fields: Iterable[ComparableField],
    *,
    settings: SegmentSettings | None = None,
    synthetic: bool = True,
    on_progress: OnProgress = no_progress,
) -> ModelComparison:
    """Segment fields with two models and score both against the true labels.

    Parameters
    ----------
    before, after : str or Model
        Names, weights files, or loaded models.
    fields : iterable of ComparableField
        Loaded one after the other; parts that are not trusted do not count.
    settings : SegmentSettings, optional
        Settings of the segmentation; their model is ignored.
    synthetic : bool
        Evaluate on synthetic fields of every modality, too, which show what was forgotten.
    on_progress : callable
        Called with (fields done, number of fields), also within a field: an exception raised in it
        stops the work within one tile.

    Raises
    ------
    GrainsmithError
        A model or a field cannot be read.
    """
    settings = settings or SegmentSettings()
    members: Sequence[ComparableField] = [*fields]
    if synthetic:
        members = [*members, *held_out_synthetic_fields()]
    models = [load_model(model) if isinstance(model, str) else model for model in (before, after)]
    comparisons = []
    for done, field in enumerate(members):

        def report(*_: int, done: int = done) -> None:
            on_progress(done, len(members))

        report()
        loaded = field.load()
        both = [segment_labels(loaded.image, model, settings, report) for model in models]
        comparisons.append(compare_labels(field.name, field.role, loaded, *both))
    on_progress(len(members), len(members))
    return ModelComparison(before=models[0].name, after=models[1].name, fields=tuple(comparisons))


def segment_labels(
    image: Image, model: Model, settings: SegmentSettings, on_progress: OnProgress = no_progress
) -> LabelImage:
    """Segment an image as a user would; return the labels."""
    return draw_grains(
        predict(image, settings, model=model, on_progress=on_progress), settings
    ).labels


def score_trusted(loaded: LoadedField, labels: LabelImage) -> tuple[Score, LabelImage, LabelImage]:
    """Score labels within the trusted part; return the true and the given labels that counted."""
    truth = _inside(loaded.labels, loaded.weight)
    inside = _inside(labels, loaded.weight)
    return score_labels(truth, inside), truth, inside


def compare_labels(
    name: str, role: str, loaded: LoadedField, before: LabelImage, after: LabelImage
) -> FieldComparison:
    """Score the labels of two models against the true labels of a field."""
    score_before, truth, inside_before = score_trusted(loaded, before)
    score_after, _, inside_after = score_trusted(loaded, after)
    old, new = (match_labels(truth, labels) for labels in (inside_before, inside_after))
    both = old.keys() & new.keys()
    return FieldComparison(
        name=name,
        role=role,
        before=score_before,
        after=score_after,
        gained=sorted(new.keys() - old.keys()),
        lost=sorted(old.keys() - new.keys()),
        changed=sorted(k for k in both if abs(new[k] - old[k]) > CHANGED_IOU),
        labels_before=before,
        labels_after=after,
    )


def _inside(labels: LabelImage, weight: npt.NDArray[np.float32]) -> LabelImage:
    """Remove grains of which more than half is not trusted."""
    if (weight > 0).all():
        return labels
    areas = np.bincount(labels.ravel())
    trusted = np.bincount(labels.ravel(), weights=(weight > 0).ravel())
    kept: LabelImage = np.where((trusted >= areas / 2)[labels], labels, 0).astype(np.int32)
    return kept


def _mean(values: list[float]) -> float:
    numbers = [value for value in values if value == value]
    return float(np.mean(numbers)) if numbers else float("nan")


def _score(row: dict[str, Any]) -> Score:
    """Return a score from JSON, where NaN is null."""
    values: dict[str, Any] = {k: float("nan") if v is None else v for k, v in row.items()}
    return Score(**values)
