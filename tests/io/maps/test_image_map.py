import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from grainsmith.errors import ReadError
from grainsmith.io.maps.image_map import read_image_map

RAMP = np.tile(np.linspace(0, 1, 120), (60, 1))


def _save(tmp_path, colors):
    path = tmp_path / "Fe.png"
    Image.fromarray((np.asarray(colors)[..., :3] * 255).round().astype(np.uint8)).save(path)
    return path


@pytest.mark.parametrize("scale", ["Greens", "hot", "jet", "viridis", "Blues", "rainbow"])
def test_scales_that_do_not_rise_from_black_are_refused(tmp_path, scale):
    path = _save(tmp_path, mpl.colormaps[scale](RAMP))
    with pytest.raises(ReadError, match="rises from black"):
        read_image_map(path)


def test_middle_of_a_rainbow_is_refused(tmp_path):
    path = _save(tmp_path, mpl.colormaps["jet"](0.4 + 0.2 * RAMP))
    with pytest.raises(ReadError, match="rises from black"):
        read_image_map(path)


@pytest.mark.parametrize("hue", [(1, 0, 0), (0, 0.8, 1), (1, 0.6, 0.2), (0.3, 1, 0.3)])
def test_one_hue_from_black_keeps_the_order(tmp_path, hue):
    values, _, notes = read_image_map(_save(tmp_path, RAMP[..., None] * hue))
    assert (np.diff(values[0].astype(int)) >= 0).all()
    assert notes == ("an image of one hue",)
