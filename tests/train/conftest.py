import pytest
from tests.fixtures.training import write_pair, write_tiny_model
from tests.train.quick import quick_settings


@pytest.fixture
def dataset(tmp_path):
    """Three small fields without a manifest, as for Cellpose."""
    folder = tmp_path / "set"
    for k in range(3):
        write_pair(folder, f"f{k}", k)
    return folder


@pytest.fixture
def tiny(tmp_path):
    """A tiny network with random weights."""
    return write_tiny_model(tmp_path)


@pytest.fixture
def settings(tiny):
    """Few steps, without synthetic fields."""
    return quick_settings(model=str(tiny))
