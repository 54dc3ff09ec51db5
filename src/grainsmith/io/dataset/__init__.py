"""Training sets: a folder that grows, what is wrong with it, how to split it, how to publish it."""

from grainsmith.io.dataset.checks import Problem, count_unlabelled, find_problems
from grainsmith.io.dataset.folder import (
    MANIFEST,
    Origin,
    add_field,
    read_dataset,
    remove_field,
    set_roles,
)
from grainsmith.io.dataset.release import ReleaseSettings, write_release
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
