"""Fields of a training set: checked, split by role, and read when they are needed."""

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

_MEMORY_SHARE = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """Fields to train on and to validate on.

    Attributes
    ----------
    train, validation : tuple of TrainingField
    diameters_px : dict of str to float
        Grain diameter that sets the scale of each field, between that of its smaller grains and
        the median: the segmentation estimates it from the smaller grains but misses some of them.
    trusted_px : dict of str to int
        Number of trusted pixels.
    records : list of dict
        Name, role, number of grains and fingerprints of every field.
    notes : list of str
        Remarks for the user.
    validates_on_training : bool
        Whether the fields to validate on are those that are trained on, as there are no others.
    """

    train: tuple[TrainingField, ...]
    validation: tuple[TrainingField, ...]
    diameters_px: dict[str, float]
    trusted_px: dict[str, int]
    records: list[dict[str, Any]]
    notes: list[str]
    validates_on_training: bool = False


def load_training_data(
    folder: str | Path, validation: str = "auto", *, on_progress: OnProgress = no_progress
) -> TrainingData:
    """Check every field of a set and divide the fields into training and validation.

    Parameters
    ----------
    folder : str or Path
        A training set.
    validation : str
        "auto", "none" (train on all fields), or the folder of a training set that only validates.
    on_progress : callable
        Called with (fields read, number of fields).

    Raises
    ------
    ReadError
        A file is missing or damaged, or larger than the memory.
    MismatchError
        An image and its labels differ in size, or no training field holds a grain.
    """
    dataset = read_dataset(folder)
    if not dataset.fields:
        raise MismatchError(f"{folder} holds no field", hint=Hint.ADD_FIELDS)
    train, validating, notes = _split(dataset, validation)
    validating = [replace(field, role="validation") for field in validating]
    diameters: dict[str, float] = {}
    trusted_px: dict[str, int] = {}
    records = []
    members = [(field, "train") for field in train]
    members += [(field, "validation") for field in validating]
    for done, (field, role) in enumerate(members):
        on_progress(done, len(members))
        record, diameters[field.name], trusted_px[field.name] = _inspect(field, role)
        records.append(record)
    on_progress(len(members), len(members))
    empty = [field.name for field in train if not diameters[field.name]]
    useful = tuple(field for field in train if diameters[field.name])
    if not useful:
        raise MismatchError(
            f"no training field of {folder} holds a trusted grain: label or accept some first"
        )
    if empty:
        notes.append(f"not trained on, as they hold no trusted grain: {', '.join(empty)}")
    if not validating:
        notes.append(
            "no field validates: the curve shows training fields and cannot tell whether training "
            "helps, and the last weights are kept"
        )
    return TrainingData(
        train=useful,
        validation=tuple(validating) or useful,
        diameters_px=diameters,
        trusted_px=trusted_px,
        records=records,
        notes=notes,
        validates_on_training=not validating,
    )


class FieldCache:
    """Cache of fields prepared for cutting; the least recently used are dropped.

    Parameters
    ----------
    data : TrainingData
    max_bytes : int
        Memory to use; 0 = a quarter of what is free. One field is kept whatever its size.
    """

    def __init__(self, data: TrainingData, max_bytes: int = 0) -> None:
        self._members = {field.name: field for field in (*data.validation, *data.train)}
        self._max_bytes = max_bytes or int(_MEMORY_SHARE * psutil.virtual_memory().available)
        self._tiles: OrderedDict[str, Tile] = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Memory in use."""
        return sum(tile.nbytes for tile in self._tiles.values())

    def __getitem__(self, name: str) -> Tile:
        """Return a whole field by its name."""
        if name in self._tiles:
            self._tiles.move_to_end(name)
            return self._tiles[name]
        loaded = load_field(self._members[name])
        labels = np.ascontiguousarray(loaded.labels)
        grey = to_grey(loaded.image)[0].astype(np.float32, copy=False)
        tile = Tile.from_field(grey, labels, loaded.weight)
        self._tiles[name] = tile
        while self.nbytes > self._max_bytes and len(self._tiles) > 1:
            self._tiles.popitem(last=False)
        return tile


def load_field(field: TrainingField) -> LoadedField:
    """Load a field; errors name it.

    Raises
    ------
    GrainsmithError
        It cannot be read, or does not fit into the memory.
    """
    try:
        return field.load()
    except MemoryError as error:
        raise ReadError(
            f"{field.name} is larger than the free memory: cut it into pieces"
        ) from error
    except GrainsmithError as error:
        if field.name in str(error):
            raise
        raise type(error)(f"{field.name}: {error}") from error


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
        shared = {field.name for field in train} & {field.name for field in other}
        if shared:
            raise MismatchError(
                f"{', '.join(sorted(shared))}: in both the training and the validation set. Remove "
                "them from one of the two"
            )
        return train, list(other), []
    if by_role["validation"] or not by_role["train"]:
        return by_role["train"], by_role["validation"], []
    roles = propose_split(dataset)
    held_out = [field for field in by_role["train"] if roles[field.name] == "validation"]
    train = [field for field in by_role["train"] if roles[field.name] != "validation"]
    if not held_out:
        return train, [], []
    names = ", ".join(field.name for field in held_out)
    return train, held_out, [f"held out for validation, as no field has that role: {names}"]


def _inspect(field: TrainingField, role: str) -> tuple[dict[str, Any], float, int]:
    """Return the record of a field, the grain diameter that sets its scale, and trusted pixels."""
    loaded = load_field(field)
    _, note = to_grey(loaded.image)
    trusted = np.where((loaded.weight > 0) & (note == ""), loaded.labels, 0)
    areas = np.bincount(trusted.ravel())[1:]
    areas = areas[areas > 0]
    diameter = _scale_diameter_px(areas) if len(areas) else 0.0
    files = [name for name in (field.image, field.labels, field.weight) if name]
    record = {
        "name": field.name,
        "role": role,
        "n_grains": len(areas),
        "diameter_px": round(diameter, 2),
        "licence": field.license,
        "sha256": {name: fingerprint(field.folder / name) for name in files},
    }
    return record, diameter, int((loaded.weight > 0).sum())


def _scale_diameter_px(areas_px: npt.NDArray[np.int64]) -> float:
    median = float(np.sqrt(np.median(areas_px) * 4 / np.pi))
    return float(np.sqrt(typical_diameter_px(areas_px) * median))
