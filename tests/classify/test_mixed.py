import numpy as np
import pytest

from grainsmith.classify.mixed import MixedSettings, find_mixed
from grainsmith.data import ElementMap, Transform
from grainsmith.errors import MismatchError

# Si, Al, K in counts a pixel
QUARTZ, FELDSPAR = (4.5, 0.05, 0.05), (2.8, 1.0, 0.9)


def field(size=24, columns=12, rows=8, brightness=1.0, seed=1):
    """Squares of two minerals; every third square is half quartz, half feldspar."""
    labels = np.kron(
        np.arange(1, rows * columns + 1).reshape(rows, columns), np.ones((size, size), int)
    ).astype(np.int32)
    phase = np.kron(np.arange(rows * columns).reshape(rows, columns) % 2, np.ones((size, size)))
    x = np.arange(labels.shape[1]) % size
    mixed = labels % 3 == 0
    phase = np.where(mixed, np.broadcast_to(x < size * 0.4, labels.shape), phase).astype(int)
    random = np.random.default_rng(seed)
    maps = tuple(
        ElementMap(
            values=random.poisson(brightness * np.array([q, f])[phase]).astype(np.uint16),
            element=element,
        )
        for element, q, f in zip(("Si", "Al", "K"), QUARTZ, FELDSPAR, strict=True)
    )
    return labels, maps


@pytest.mark.parametrize("brightness", [1.0, 5.0, 200.0])
def test_two_mineral_grains_are_found_and_pure_ones_left_alone(brightness):
    labels, maps = field(brightness=brightness)
    found = find_mixed(labels, maps, {})
    planted = found.index % 3 == 0
    assert found["mixed"][planted].mean() >= 0.9
    assert found["mixed"][~planted].mean() <= 0.05
    assert found["purity"][planted & found["mixed"]].mean() == pytest.approx(0.6, abs=0.08)
    assert (found["purity"][~found["mixed"]] == 1).all()


def test_maps_of_two_passes_are_brought_together():
    labels, maps = field(brightness=5)
    shifted = ElementMap(values=np.roll(maps[1].values, (2, 3), (0, 1)), element="Al")
    found = find_mixed(labels, (maps[0], shifted, maps[2]), {"Al": Transform.from_shift(-2, -3)})
    assert found["mixed"][found.index % 3 == 0].mean() >= 0.9
    assert found["mixed"][found.index % 3 != 0].mean() <= 0.1


def test_zoning_is_no_second_mineral():
    labels = np.ones((60, 60), np.int32)
    ramp = 1 + 0.1 * (np.arange(60) / 60 - 0.5)
    values = np.random.default_rng(0).poisson(50 * np.broadcast_to(ramp, (60, 60)))
    found = find_mixed(labels, [ElementMap(values=values, element="Ca")], {})
    assert not found["mixed"].any()


def test_what_cannot_be_judged_says_so():
    labels, maps = field(size=2, rows=2, columns=2)
    outside = find_mixed(labels, maps, {m.element: Transform.from_shift(100, 0) for m in maps})
    for found in (find_mixed(labels, maps, {}), outside):
        assert list(found.index) == [1, 2, 3, 4]
        assert found["purity"].isna().all()
        assert not found["mixed"].any()
    flat = [ElementMap(values=np.zeros((40, 40)), element="Zr")]
    assert find_mixed(np.ones((40, 40), np.int32), flat, {})["purity"].iloc[0] == 1
    with pytest.raises(MismatchError, match="no element map"):
        find_mixed(labels, (), {})


def test_progress_counts_grains_and_can_stop():
    labels, maps = field(rows=1, columns=4)
    calls = []
    find_mixed(labels, maps, {}, on_progress=lambda *done: calls.append(done))
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    "wrong",
    [{"least_part_pct": 60}, {"least_contrast_pct": -1}, {"least_pixels": 1}],
)
def test_bad_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MixedSettings(**wrong)
