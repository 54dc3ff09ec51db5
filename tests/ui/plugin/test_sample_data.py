"""Samples open with unaligned maps and the true grains; the manifest is valid."""

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("napari")

from grainsmith.ui.layers.geometry import transform_of
from grainsmith.ui.layers.images import sem_image_of
from grainsmith.ui.layers.metadata import MapMetadata
from grainsmith.ui.session import session_of

ROOT = Path(__file__).parents[3]


def test_sample_opens_with_maps_and_true_grains(viewer):
    viewer.open_sample("grainsmith", "hard")
    active = session_of(viewer).active
    assert sem_image_of(active.image).data_bar_rows > 0
    assert len(active.maps) == 10
    assert active.grains is None  # the true grains are for comparison only
    assert viewer.layers["true grains"].data.shape == active.image.data.shape
    start = transform_of(active.maps[0], active.image).matrix
    np.testing.assert_allclose(start[:2], [[2, 0, 0.5], [0, 2, 0.5]], atol=1e-9)
    assert not np.allclose(start, MapMetadata.of(active.maps[0]).true_transform)


def test_manifest_is_valid_and_linked():
    from npe2 import PluginManifest

    manifest = PluginManifest.from_file(ROOT / "src" / "grainsmith" / "napari.yaml")
    manifest.validate_imports()
    assert (ROOT / "napari.yaml").read_text() == (ROOT / "src/grainsmith/napari.yaml").read_text()
    assert json.loads(manifest.json())["name"] == "grainsmith"
