"""The fields of a set, as a trainer sees them: checked, split, read only when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import psutil

from grainsmith.data import OnProgress, no_progress
from grainsmith.errors import GrainsmithError, Hint, MismatchError, ReadError
from grainsmith.io.dataset import ROLES, propose_split, read_dataset
from grainsmith.io.files.atomic_write import fingerprint
from grainsmith.segment.normalize import to_grey
from grainsmith.segment.prediction import typical_diameter_px
from grainsmith.train.tiles import Tile

if TYPE_CHECKING:
    from pathlib import Path

    from grainsmith.io.dataset import Dataset, LoadedField, TrainingField

_SHARE_OF_MEMORY = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What is learnt from and what is judged on.

    Attributes
    ----------
    train, validation : tuple of TrainingField
    diameters_px : dict of str to float
        Diameter that sets the scale. `segment` sets it by the smaller grains that it finds; as it
        never finds all of them, it comes to lie between their diameter and the median.
    areas_px : dict of str to int
        Trusted pixels.
    facts : list of dict
        Name, role, number of grains and fingerprints of every field, for the record.
    notes : list of str
        What the user should know.
    seen : bool
        There is no field to validate on but those that are trained on.
    """

    train: tuple[TrainingField, ...]
    validation: tuple[TrainingField, ...]
    diameters_px: dict[str, float]
    areas_px: dict[str, int]
    facts: list[dict[str, Any]]
    notes: list[str]
    seen: bool = False


def prepare(
    folder: str | Path, validation: str = "auto", *, on_progress: OnProgress = no_progress
) -> TrainingData:
    """Read every field once and say who trains and who validates.

    Parameters
    ----------
    folder : str or Path
        A training set.
    validation : str
        "auto", "none" (all train, the last weights are kept), or the folder of a training set of
        which every field validates.
    on_progress : callable
        Told (fields read, fields in all).

    Raises
    ------
    ReadError
        A file is missing or broken, or larger than the memory.
    MismatchError
        An image and its labels differ in size, or no training field holds a grain.
    """
    dataset = read_dataset(folder)
    if not dataset.fields:
        raise MismatchError(f"{folder} holds no field", hint=Hint.ADD_FIELDS)
    train, judged, notes = _split(dataset, validation)
    judged = [replace(one, role="validation") for one in judged]
    diameters: dict[str, float] = {}
    areas: dict[str, int] = {}
    facts = []
    both = [(one, "train") for one in train] + [(one, "validation") for one in judged]
    for done, (one, role) in enumerate(both):
        on_progress(done, len(both))
        fact, diameters[one.name], areas[one.name] = _look_at(one, role)
        facts.append(fact)
    on_progress(len(both), len(both))
    empty = [one.name for one in train if not diameters[one.name]]
    useful = tuple(one for one in train if diameters[one.name])
    if not useful:
        raise MismatchError(
            f"no training field of {folder} holds a trusted grain: label or accept some first"
        )
    if empty:
        notes.append(f"without a trusted grain, so not learnt from: {', '.join(empty)}")
    if not judged:
        notes.append(
            "no field validates: the curve is of what is trained on and cannot say whether "
            "training helps, and the last weights are kept"
        )
    return TrainingData(
        train=useful,
        validation=tuple(judged) or useful,
        diameters_px=diameters,
        areas_px=areas,
        facts=facts,
        notes=notes,
        seen=not judged,
    )


class Fields:
    """Fields ready to be cut, read when they are first needed, the oldest let go.

    Parameters
    ----------
    study : TrainingData
    most_bytes : int
        Memory to use; 0 = a quarter of what is free. One field is held whatever its size.
    """

    def __init__(self, study: TrainingData, most_bytes: int = 0) -> None:
        self._members = {one.name: one for one in (*study.validation, *study.train)}
        self._most = most_bytes or int(_SHARE_OF_MEMORY * psutil.virtual_memory().available)
        self._held: OrderedDict[str, Tile] = OrderedDict()

    @property
    def held_bytes(self) -> int:
        """Memory in use now."""
        return sum(tile.nbytes for tile in self._held.values())

    def __getitem__(self, name: str) -> Tile:
        """Return a whole field by name."""
        if name in self._held:
            self._held.move_to_end(name)
            return self._held[name]
        loaded = load(self._members[name])
        labels = np.ascontiguousarray(loaded.labels)
        grey = to_grey(loaded.image)[0].astype(np.float32, copy=False)
        tile = Tile.of(grey, labels, loaded.weight)
        self._held[name] = tile
        while self.held_bytes > self._most and len(self._held) > 1:
            self._held.popitem(last=False)
        return tile


def load(one: TrainingField) -> LoadedField:
    """Load a field; name it where it cannot be read or does not fit into memory."""
    try:
        return one.load()
    except MemoryError as error:
        raise ReadError(f"{one.name} is larger than the free memory: cut it into pieces") from error
    except GrainsmithError as error:
        if one.name in str(error):
            raise
        raise type(error)(f"{one.name}: {error}") from error


# --- how


def _split(
    dataset: Dataset, validation: str
) -> tuple[list[TrainingField], list[TrainingField], list[str]]:
    by_role = {role: list(dataset.of_role(role)) for role in ROLES}
    if validation == "none":
        return by_role["train"] + by_role["validation"], [], []
    if validation != "auto":
        other = read_dataset(validation).fields
        if not other:
            raise MismatchError(
                f"{validation} holds no field to validate on: add some, or validate on 'auto'"
            )
        train = by_role["train"] + by_role["validation"]
        double = {one.name for one in train} & {one.name for one in other}
        if double:
            raise MismatchError(
                f"{', '.join(sorted(double))}: both to train and to validate on; leave them out of "
                "one of the two folders"
            )
        return train, list(other), []
    if by_role["validation"] or not by_role["train"]:
        return by_role["train"], by_role["validation"], []
    roles = propose_split(dataset)
    kept = [one for one in by_role["train"] if roles[one.name] == "validation"]
    train = [one for one in by_role["train"] if roles[one.name] != "validation"]
    if not kept:
        return train, [], []
    names = ", ".join(one.name for one in kept)
    return train, kept, [f"no field has the role of validation, so kept back for it: {names}"]


def _look_at(one: TrainingField, role: str) -> tuple[dict[str, Any], float, int]:
    loaded = load(one)
    _, note = to_grey(loaded.image)
    trusted = np.where((loaded.weight > 0) & (note == ""), loaded.labels, 0)
    areas = np.bincount(trusted.ravel())[1:]
    areas = areas[areas > 0]
    diameter = _scale_diameter_px(areas) if len(areas) else 0.0
    files = [name for name in (one.image, one.labels, one.weight) if name]
    fact = {
        "name": one.name,
        "role": role,
        "n_grains": len(areas),
        "diameter_px": round(diameter, 2),
        "licence": one.license,
        "sha256": {name: fingerprint(one.folder / name) for name in files},
    }
    return fact, diameter, int((loaded.weight > 0).sum())


def _scale_diameter_px(areas_px: npt.NDArray[np.int64]) -> float:
    median = float(np.sqrt(np.median(areas_px) * 4 / np.pi))
    return float(np.sqrt(typical_diameter_px(areas_px) * median))
