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
def test_rotated_and_flipped_copies_get_the_same_orientation(way, shape):
    image = RNG.random(shape).astype(np.float32)
    copy = np.ascontiguousarray(way(image))
    expected = Orientation.canonical(image).apply(image)
    np.testing.assert_array_equal(Orientation.canonical(copy).apply(copy), expected)


@pytest.mark.parametrize(
    "orientation", [Orientation(a, b, c) for a in (0, 1) for b in (0, 1) for c in (0, 1)]
)
def test_flows_are_reverted_with_the_image(orientation):
    """The gradient of an oriented surface, reverted, is the gradient of the surface."""
    surface = RNG.random((30, 44)).astype(np.float32)
    oriented = orientation.apply(surface)
    prediction = ScalePrediction(
        flows=np.stack(np.gradient(oriented)), probability=oriented, scale=1.0
    )
    back = orientation.revert(prediction)
    np.testing.assert_array_equal(back.probability, surface)
    np.testing.assert_allclose(back.flows, np.stack(np.gradient(surface)), atol=1e-6)
