"""The image with its grains: outlines in the minerals' colours, and a bar of a round length."""

import numpy as np
import pytest
from PIL import Image

from grainsmith.errors import MismatchError
from grainsmith.io.exchange import LabelledField, class_rgb, write_overlay_image
from grainsmith.io.exchange.overlay_image import bar_um


@pytest.mark.parametrize(
    ("width_um", "bar"), [(1000, 200), (999, 100), (300, 50), (0.7, 0.1), (60_000, 10_000)]
)
def test_bars_are_of_round_length(width_um, bar):
    assert bar_um(width_um) == pytest.approx(bar)


def test_outlines_lie_inside_and_have_the_minerals_colour(tmp_path):
    labels = np.zeros((100, 200), np.int32)
    labels[10:30, 10:40], labels[50:70, 10:40] = 1, 2
    image = np.linspace(0, 60_000, labels.size).reshape(labels.shape).astype(np.uint16)
    field = LabelledField(
        labels=labels, name="f", image=image, minerals={1: "quartz"}, pixel_size_um=2.0
    )
    write_overlay_image(tmp_path / "f.png", field)
    with Image.open(tmp_path / "f.png") as picture:
        pixels = np.asarray(picture)
    assert tuple(pixels[10, 10]) == class_rgb("quartz")
    assert tuple(pixels[50, 10]) == (255, 200, 0)
    assert len(set(pixels[9, 10])) == 1
    white = (pixels[93:97] == 255).all(axis=2)
    assert white.sum(axis=1).max() == 25  # 50 µm at 2 µm per pixel


def test_a_picture_is_needed(tmp_path):
    bare = LabelledField(labels=np.ones((3, 3), np.int32), name="bare")
    with pytest.raises(MismatchError, match="has no image"):
        write_overlay_image(tmp_path / "f.png", bare)
