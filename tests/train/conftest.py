import numpy as np
import pytest
import tifffile
import torch
from tests.train.quick import quick_settings

from grainsmith.models.grainnet import GrainNet
from grainsmith.samples import training_field


def write_field(folder, name, seed, size=64):
    image, labels = training_field((5, seed), size)
    low, high = image.min(), image.max()
    folder.mkdir(exist_ok=True)
    tifffile.imwrite(folder / f"{name}.tif", (255 * (image - low) / (high - low)).astype(np.uint8))
    tifffile.imwrite(folder / f"{name}_masks.tif", labels.astype(np.uint16))
    return labels


@pytest.fixture
def dataset(tmp_path):
    """Three small fields without a manifest, as Cellpose would have them."""
    folder = tmp_path / "set"
    for k in range(3):
        write_field(folder, f"f{k}", k)
    return folder


@pytest.fixture
def tiny(tmp_path):
    """A tiny network of chance weights."""
    torch.manual_seed(0)
    path = tmp_path / "tiny.pt"
    torch.save(GrainNet((1, 4, 8), diameter_px=15).state_dict(), path)
    return path


@pytest.fixture
def settings(tiny):
    """Few steps without made fields among the tiles."""
    return quick_settings(model=str(tiny))
