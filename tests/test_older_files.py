"""Files that version 0.1 wrote (commit 5b6e66c) stay readable; `data/version_0_1` holds them."""

from pathlib import Path

import numpy as np
import pytest

from grainsmith.io.dataset import read_dataset
from grainsmith.io.labels.autosave import find_recoverable
from grainsmith.io.labels.label_image import read_label_file
from grainsmith.io.labels.review_states import read_states
from grainsmith.io.tables.grain_table import read_table
from grainsmith.io.transforms import read_transforms
from grainsmith.pipeline.recipe import Recipe, read_recipe

OLD = Path(__file__).parent / "data" / "version_0_1"
LABELS = np.zeros((40, 60), np.int32)
LABELS[4:14, 5:20], LABELS[20:36, 30:50] = 1, 2


def test_labels_and_review_states():
    opened = read_label_file(OLD / "field_masks.tif")
    np.testing.assert_array_equal(opened.labels, LABELS)
    assert opened.pixel_size_um == pytest.approx(0.5)
    assert read_states(OLD / "field_masks.tif") == {1: "accepted", 2: "edited"}


def test_grain_table():
    table = read_table(OLD / "grains.csv")
    table = table if table.index.name == "label" else table.set_index("label")
    assert table["area_um2"].to_dict() == {1: 150 * 0.25, 2: 320 * 0.25}


def test_transforms():
    (transform,) = read_transforms(OLD / "transforms.json").values()
    assert transform.matrix[:2, 2].tolist() == [1.5, -2.0]
    assert (transform.z, transform.verdict) == (31.0, "aligned")


def test_recipe_with_all_settings():
    recipe = read_recipe(OLD / "recipe.yaml")
    assert recipe.segment.flow_threshold == 0.5
    assert isinstance(recipe, Recipe)


def test_training_set():
    (field,) = read_dataset(OLD / "training_set").fields
    assert (field.name, field.role, field.pixel_size_um) == ("field", "train", 0.5)
    np.testing.assert_array_equal(field.load().labels, LABELS)


def test_autosave():
    (recovery,) = find_recoverable(OLD / "autosave")
    labels, states, _table = recovery.load()
    np.testing.assert_array_equal(labels, LABELS)
    assert (states, recovery.edits) == ({2: "drawn"}, 3)
