import numpy as np
import pytest

from grainsmith.data import Transform

LABELS = np.array([[1, 1, 2], [3, 3, 2]], np.int32)


@pytest.mark.parametrize(
    ("transform", "shape", "seen"),
    [
        pytest.param(Transform(), (2, 3), LABELS, id="identity"),
        pytest.param(Transform.from_shift(0.4, -0.4), (2, 3), LABELS, id="less-than-half-a-pixel"),
        pytest.param(Transform.from_shift(1, 0), (2, 3), [[3, 3, 2], [9, 9, 9]], id="down"),
        pytest.param(Transform.from_shift(0, -1), (2, 3), [[9, 1, 1], [9, 3, 3]], id="left"),
        pytest.param(
            Transform(matrix=np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])),
            (4, 6),
            np.kron(LABELS, np.ones((2, 2), int)),
            id="finer",
        ),
        pytest.param(
            Transform(matrix=np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, 1]])),
            (3, 2),
            LABELS.T,
            id="turned",
        ),
    ],
)
def test_look_up_gives_the_nearest_pixel_of_the_reference(transform, shape, seen):
    found = transform.look_up(LABELS, shape, outside=9)
    np.testing.assert_array_equal(found, seen)
    assert found.dtype == LABELS.dtype
