"""Before and after: two models on the same fields."""

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
from grainsmith.train.rehearsal import rehearsed_fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    import numpy.typing as npt

    from grainsmith.data import Image, LabelImage
    from grainsmith.io.dataset import LoadedField
    from grainsmith.models.model import Model

OTHER_IOU = 0.1
"""A grain found by both models has changed if its IoU with the truth differs by more."""


class ComparableField(Protocol):
    """What can be judged on: a field of a training set, or one made for it."""

    @property
    def name(self) -> str:
        """Unique among the fields."""
        ...

    @property
    def role(self) -> str:
        """One of `train`, `validation`, `test` or `made`."""
        ...

    def load(self) -> LoadedField:
        """Return image, true labels and weight."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FieldComparison:
    """Two models on one field.

    Attributes
    ----------
    name, role : str
        Role "made" marks the fields that say what was forgotten.
    before, after : Score
    gained, lost, changed : list of int
        True grains found (IoU 0.5) by the second model only, by the first only, and by both but
        better or worse by more than 0.1 of IoU.
    labels_before, labels_after : (Y, X) int32 array
        What the models found.
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
    """Two models on some fields.

    Attributes
    ----------
    before, after : str
        The models.
    fields : tuple of FieldComparison
    """

    before: str
    after: str
    fields: tuple[FieldComparison, ...]

    def summary(self) -> dict[str, Any]:
        """Return all but the label images, ready for JSON, with the mean AP of each role."""
        rows = []
        for one in self.fields:
            row = {name: getattr(one, name) for name in ("name", "role", "gained", "lost")}
            row |= {"changed": one.changed, "before": asdict(one.before)}
            rows.append({**row, "after": asdict(one.after)})
        means = {}
        for role in dict.fromkeys(one.role for one in self.fields):
            group = [one for one in self.fields if one.role == role]
            means[role] = {
                side: _mean([getattr(one, side).ap50 for one in group])
                for side in ("before", "after")
            }
        return {"before": self.before, "after": self.after, "ap50": means, "fields": rows}

    def write(self, folder: Path) -> None:
        """Write `comparison.json` and the labels, NAME_before.tif and NAME_after.tif."""
        for one in self.fields:
            write_labels(folder / f"{one.name}_before.tif", one.labels_before)
            write_labels(folder / f"{one.name}_after.tif", one.labels_after)
        write_json(folder / "comparison.json", self.summary())


def read_comparison(folder: Path) -> ModelComparison:
    """Read what `ModelComparison.write` wrote; raise ReadError where it is missing or broken."""
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
    made: bool = True,
    on_progress: OnProgress = no_progress,
) -> ModelComparison:
    """Segment fields with two models and compare both with the truth.

    Parameters
    ----------
    before, after : str or Model
        Names, files, or models that are loaded.
    fields : iterable of ComparableField
        Loaded one after the other. What is not trusted in them does not count.
    settings : SegmentSettings, optional
        Of the segmentation; its model is not looked at.
    made : bool
        Judge on made fields of every look too: they show what was forgotten.
    on_progress : callable
        Told (fields done, fields in all); called within a field as well, so raising in it stops
        the work within one tile.

    Raises
    ------
    GrainsmithError
        A model or a field cannot be read.
    """
    chosen = settings or SegmentSettings()
    wanted: Sequence[ComparableField] = [*fields, *(rehearsed_fields() if made else ())]
    models = [load_model(one) if isinstance(one, str) else one for one in (before, after)]
    found = []
    for done, one in enumerate(wanted):
        on_progress(done, len(wanted))
        loaded = one.load()
        both = [
            segmented(loaded.image, model, chosen, lambda *_, k=done: on_progress(k, len(wanted)))
            for model in models
        ]
        found.append(compare_labels(one.name, one.role, loaded, *both))
    on_progress(len(wanted), len(wanted))
    return ModelComparison(before=models[0].name, after=models[1].name, fields=tuple(found))


def segmented(
    image: Image, model: Model, settings: SegmentSettings, on_progress: OnProgress = no_progress
) -> LabelImage:
    """Return the labels that a user would get."""
    return draw_grains(
        predict(image, settings, model=model, on_progress=on_progress), settings
    ).labels


def score_trusted(loaded: LoadedField, labels: LabelImage) -> tuple[Score, LabelImage, LabelImage]:
    """Score what lies in the trusted part; return the labels of truth and model that counted."""
    truth = _inside(loaded.labels, loaded.weight)
    inside = _inside(labels, loaded.weight)
    return score_labels(truth, inside), truth, inside


def compare_labels(
    name: str, role: str, loaded: LoadedField, before: LabelImage, after: LabelImage
) -> FieldComparison:
    """Compare the labels of two models with the truth of a field."""
    score_before, truth, inside_before = score_trusted(loaded, before)
    score_after, _, inside_after = score_trusted(loaded, after)
    old, new = (match_labels(truth, one) for one in (inside_before, inside_after))
    both = old.keys() & new.keys()
    return FieldComparison(
        name=name,
        role=role,
        before=score_before,
        after=score_after,
        gained=sorted(new.keys() - old.keys()),
        lost=sorted(old.keys() - new.keys()),
        changed=sorted(k for k in both if abs(new[k] - old[k]) > OTHER_IOU),
        labels_before=before,
        labels_after=after,
    )


# --- how


def _inside(labels: LabelImage, weight: npt.NDArray[np.float32]) -> LabelImage:
    """Leave out the grains of which more than half is not trusted."""
    if (weight > 0).all():
        return labels
    all_of_it = np.bincount(labels.ravel())
    trusted = np.bincount(labels.ravel(), weights=(weight > 0).ravel())
    kept: LabelImage = np.where((trusted >= all_of_it / 2)[labels], labels, 0).astype(np.int32)
    return kept


def _mean(values: list[float]) -> float:
    numbers = [value for value in values if value == value]
    return float(np.mean(numbers)) if numbers else float("nan")


def _score(row: dict[str, Any]) -> Score:
    """Return a score as it was written: JSON knows no not-a-number."""
    values: dict[str, Any] = {k: float("nan") if v is None else v for k, v in row.items()}
    return Score(**values)
