import numpy as np
import pytest
import tifffile

from grainsmith.io.mosaics.reader import open_mosaic
from grainsmith.pipeline.mosaic import normalization
from grainsmith.segment.normalize import to_grey
from grainsmith.segment.orientation import Orientation

TURNS = [Orientation(u, r, e) for u in (False, True) for r in (False, True) for e in (False, True)]


@pytest.mark.parametrize("turn", TURNS)
def test_windows_and_labels_go_to_the_turned_picture_and_back(turn):
    plane = np.random.default_rng(1).random((40, 60)).astype(np.float32)
    turned = turn.apply(plane)
    assert turned.shape == normalization.oriented_shape(turn, plane.shape)
    window = (3, 17, 20, 55)
    y0, y1, x0, x1 = normalization.oriented_window(turn, window, plane.shape)
    assert np.array_equal(turned[y0:y1, x0:x1], turn.apply(plane[3:17, 20:55]))
    assert normalization.source_window(turn, (y0, y1, x0, x1), plane.shape) == window
    labels = (plane * 100).astype(np.int32)
    assert np.array_equal(normalization.revert_labels(turn, turn.apply(labels)), labels)


@pytest.mark.parametrize("shape", [(300, 300), (300, 220), (201, 333)])
@pytest.mark.parametrize("flip", [False, True])
def test_greys_and_turn_are_those_of_the_picture_in_one_piece(tmp_path, monkeypatch, shape, flip):
    monkeypatch.setattr(normalization, "_STRIP_PX", 20_000)  # many strips
    rng = np.random.default_rng(7)
    pixels = (rng.random(shape) * np.linspace(1, 3, shape[0])[:, None] * 60).astype(np.uint8)
    pixels = pixels[::-1, ::-1] if flip else pixels
    tifffile.imwrite(tmp_path / "m.tif", pixels, tile=(64, 64))
    mosaic = open_mosaic(tmp_path / "m.tif")
    low, high = normalization.gray_limits(mosaic)
    grey, _ = to_grey(pixels)
    assert np.allclose(
        normalization.normalize_window(mosaic, (0, shape[0], 0, shape[1]), low, high), grey
    )
    assert normalization.canonical_orientation(mosaic, low, high) == Orientation.canonical(grey)
