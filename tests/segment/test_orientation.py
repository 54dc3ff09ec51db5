import numpy as np
import pytest

from grainsmith.segment.orientation import Orientation
from grainsmith.segment.types import ScalePrediction

RNG = np.random.default_rng(4)
WAYS = [
    pytest.param(lambda a, k=k, m=m: np.rot90(a[:, ::-1] if m else a, k), id=f"turn-{90 * k}-{m}")
    for k in range(4)
    for m in (False, True)
]


@pytest.mark.parametrize("shape", [(40, 61), (50, 50)])
@pytest.mark.parametrize("way", WAYS)
def test_all_turned_and_mirrored_copies_come_to_the_same_position(way, shape):
    picture = RNG.random(shape).astype(np.float32)
    copy = np.ascontiguousarray(way(picture))
    expected = Orientation.upright(picture).do(picture)
    np.testing.assert_array_equal(Orientation.upright(copy).do(copy), expected)


@pytest.mark.parametrize(
    "turn", [Orientation(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
)
def test_flows_are_turned_back_with_the_picture(turn):
    """Downhill of a turned surface, turned back, is downhill of the surface."""
    surface = RNG.random((30, 44)).astype(np.float32)
    turned = turn.do(surface)
    said = ScalePrediction(flows=np.stack(np.gradient(turned)), probability=turned, scale=1.0)
    back = turn.undo(said)
    np.testing.assert_array_equal(back.probability, surface)
    np.testing.assert_allclose(back.flows, np.stack(np.gradient(surface)), atol=1e-6)
