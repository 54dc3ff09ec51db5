import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import disk

from grainsmith.classify.mixed import MixedSettings, find_mixed
from grainsmith.classify.small_grains import TwoPhaseTest
from grainsmith.data import ElementMap, Transform

# Si, Al, K in counts a pixel: epoxy, quartz, feldspar, zircon's silicon alone
LIGHT = np.array([(0.05, 0.05, 0.05), (4.5, 0.05, 0.05), (2.8, 1.0, 0.9), (2.3, 0.05, 0.05)])
PITCH = 14


def small_grains(*, kind="counts", blur_px=0.8, brightness=3.0, seed=0):
    """Discs of 9 px across; every fourth is half quartz, half feldspar."""
    labels = np.zeros((8 * PITCH, 12 * PITCH), np.int32)
    phase = np.zeros(labels.shape, int)
    for n in range(96):
        y, x = (np.array(divmod(n, 12)) + 0.5) * PITCH
        ys, xs = disk((y, x), 5, shape=labels.shape)
        labels[ys, xs] = n + 1
        phase[ys, xs] = 1 + n % 3 if n % 4 else np.where(xs < x, 1, 2)
    random = np.random.default_rng(seed)
    maps = []
    for place, element in enumerate(("Si", "Al", "K")):
        expected = ndimage.gaussian_filter(brightness * LIGHT[phase][..., place], blur_px)
        counts = random.poisson(expected)
        values = counts.astype(np.uint16) if kind == "counts" else counts / brightness
        maps.append(ElementMap(values=values, element=element, kind=kind))
    return labels, maps


@pytest.mark.parametrize("kind", ["counts", "wt%"])
def test_small_grains_of_two_minerals_are_found(kind):
    found = find_mixed(*small_grains(kind=kind), {})
    planted = found.index % 4 == 1
    assert found["purity"].notna().all()
    assert found["mixed"][planted].mean() >= 0.9
    assert found["mixed"][~planted].mean() <= 0.05
    assert found["purity"][planted & found["mixed"]].mean() == pytest.approx(0.55, abs=0.1)


@pytest.mark.parametrize("blur_px", [0.4, 0.8, 1.2])
def test_the_blur_is_learned_from_the_maps(blur_px):
    labels, maps = small_grains(blur_px=blur_px, brightness=10)
    assert TwoPhaseTest(labels, maps, {}).blur_px == blur_px


def test_maps_of_other_grids_are_looked_at_where_they_lie():
    labels, maps = small_grains(brightness=10)
    coarse = [
        ElementMap(
            values=one.values.reshape(4 * PITCH, 2, 6 * PITCH, 2).sum((1, 3)), element=one.element
        )
        for one in maps
    ]
    place = Transform(matrix=np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1.0]]))
    halves = TwoPhaseTest(labels, coarse, {one.element: place for one in coarse}).split(1)
    assert halves.real
    assert halves.share == pytest.approx(0.5, abs=0.15)


def test_a_thin_vein_across_the_field_is_no_small_grain():
    labels = np.zeros((260, 260), np.int32)
    for offset in (0, 1):
        labels += np.eye(260, k=offset, dtype=np.int32)
    maps = [ElementMap(values=np.full((260, 260), 5, np.uint16), element="Si")]
    found = find_mixed(labels, maps, {})
    assert found["purity"].isna().all()


def test_a_grain_beside_all_maps_is_not_halved():
    labels, maps = small_grains()
    away = {one.element: Transform.from_shift(500, 0) for one in maps}
    assert TwoPhaseTest(labels, maps, away).split(1) is None


@pytest.mark.parametrize("columns", [150, 162, 168])
def test_maps_that_end_in_the_field_are_used_as_far_as_they_reach(columns):
    labels, maps = small_grains()
    moved = {one.element: Transform.from_shift(0, columns) for one in maps}
    found = find_mixed(labels, maps, moved)
    assert found["purity"].isna().mean() > 0.8


def test_gaps_in_a_map_are_no_darkness():
    labels, maps = small_grains(kind="wt%", brightness=10)
    whole = TwoPhaseTest(labels, maps, {})
    ys, xs = np.nonzero(labels == 2)
    for gap in ((ys[:1], xs[:1]), (ys[xs < xs.mean()], xs[xs < xs.mean()])):
        values = maps[0].values.copy()
        values[gap] = np.nan
        gappy = TwoPhaseTest(
            labels, [ElementMap(values=values, element="Si", kind="wt%"), *maps[1:]], {}
        )
        assert gappy._mean_signal[0][2] == pytest.approx(whole._mean_signal[0][2], rel=0.1)
        assert len(gappy._observe(2, 0.8)) == 3  # the map with the gap still speaks
        assert not gappy.split(2).real or gappy.split(2).contrast_pct < 15
    assert gappy.split(1).real  # its neighbour is still of two minerals


def test_learning_the_blur_can_be_stopped():
    def stop(done, total):
        assert (done, total) == (0, 96)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_mixed(*small_grains(), {}, on_progress=stop)


def test_dark_maps_prove_nothing():
    labels, maps = small_grains()
    dark = [ElementMap(values=np.zeros_like(one.values), element=one.element) for one in maps]
    found = find_mixed(labels, dark, {}, MixedSettings(least_pixels=4))
    assert not found["mixed"].any()
