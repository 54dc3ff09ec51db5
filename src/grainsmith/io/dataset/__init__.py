"""Training sets: add fields to a folder, check it, split it, publish it."""

from grainsmith.io.dataset.checks import Problem, count_unlabelled, find_problems
from grainsmith.io.dataset.folder import (
    MANIFEST,
    Origin,
    add_field,
    read_dataset,
    remove_field,
    set_roles,
)
from grainsmith.io.dataset.release import write_release
from grainsmith.io.dataset.release_settings import ReleaseSettings
from grainsmith.io.dataset.schema import ROLES, Dataset, LoadedField, TrainingField
from grainsmith.io.dataset.split import propose_split
from grainsmith.io.dataset.unlabelled import unlabelled_images
from grainsmith.io.dataset.weights import polygons_to_mask, select_trusted

__all__ = [
    "MANIFEST",
    "ROLES",
    "Dataset",
    "LoadedField",
    "Origin",
    "Problem",
    "ReleaseSettings",
    "TrainingField",
    "add_field",
    "count_unlabelled",
    "find_problems",
    "polygons_to_mask",
    "propose_split",
    "read_dataset",
    "remove_field",
    "select_trusted",
    "set_roles",
    "unlabelled_images",
    "write_release",
]
