import numpy as np
import pytest
from scipy import ndimage

from grainsmith.align import (
    AlignSettings,
    MovingImage,
    align_maps,
    fit_points,
    initial_transform,
    leave_one_out_px,
    register_images,
    residuals_px,
    sharpness,
    turn_zoom_and_shear,
)
from grainsmith.data import ElementMap, SemImage

SIZE = 192


def blobs(seed, size=SIZE + 32, grain_px=5.0):
    """Rounded grains of three kinds: (3, Y, X) shares of each, larger than a field all round."""
    noise = np.random.default_rng(seed).normal(size=(3, size, size))
    smooth = np.stack([ndimage.gaussian_filter(one, grain_px) for one in noise])
    kind = smooth.argmax(0)
    return np.stack([ndimage.gaussian_filter((kind == n).astype(float), 0.7) for n in range(3)])


def shifted(rates, dy, dx, size=SIZE):
    """What lies at p + 16 comes to p + 16 + (dy, dx); the middle of it, as a field."""
    moved = ndimage.shift(rates, (dy, dx), order=3, mode="nearest").clip(0)
    return moved[16 : 16 + size, 16 : 16 + size]


def counted(rates, counts, seed):
    return np.random.default_rng(seed).poisson(rates / rates.mean() * counts)


@pytest.fixture(scope="module")
def field():
    """A BSE image and the kinds of grain below it."""
    kinds = blobs(1)
    grey = 60 * kinds[0] + 120 * kinds[1] + 100 * kinds[2]
    image = np.random.default_rng(2).normal(shifted(grey, 0, 0), 6).clip(0, 255).astype(np.uint8)
    return SemImage(image=image, pixel_size_um=0.5), kinds


@pytest.mark.parametrize("counts", [80, 3, 1])
@pytest.mark.parametrize(("dy", "dx"), [(0.0, 0.0), (3.4, -7.6), (-0.5, 0.5)])
def test_shift_of_a_map_is_found_to_a_fraction_of_a_pixel(field, dy, dx, counts):
    image, kinds = field
    moved = ElementMap(values=counted(shifted(kinds[1], -dy, -dx), counts, 3), element="Mg")
    row = align_maps(image, [moved]).rows[0]
    assert row.transform.verdict == "aligned"
    assert row.model == "shift"
    assert row.shift_px == pytest.approx((dy, dx), abs=0.25)
    np.testing.assert_allclose(row.transform.matrix[:2, 2], (dy, dx), atol=0.25)


def test_contrast_may_be_inverse(field):
    image, kinds = field
    dark = ElementMap(values=counted(shifted(1.2 - kinds[1], 2.3, 1.2), 20, 4), element="Al")
    assert align_maps(image, [dark]).rows[0].shift_px == pytest.approx((-2.3, -1.2), abs=0.25)


def test_coarse_map_covers_the_same_field(field):
    image, kinds = field
    fine = shifted(kinds[1], 4.0, -6.0)
    coarse = fine.reshape(SIZE // 4, 4, SIZE // 4, 4).mean((1, 3))
    element_map = ElementMap(values=counted(coarse, 60, 5), element="Si")
    np.testing.assert_allclose(initial_transform(element_map, image).matrix[0], (4, 0, 1.5))
    row = align_maps(image, [element_map]).rows[0]
    assert row.shift_px == pytest.approx((-4.0, 6.0), abs=0.4)
    np.testing.assert_allclose(row.transform.matrix[:2, 2], (1.5 - 4, 1.5 + 6), atol=0.4)


@pytest.mark.parametrize(
    ("element_map", "ratio", "first"),
    [
        pytest.param({"values": np.zeros((96, 96))}, 2.0, 0.5, id="by-number-of-pixels"),
        pytest.param({"values": np.zeros((50, 50)), "pixel_size_um": 1.5}, 3.0, 1.0, id="by-size"),
        pytest.param(
            {"values": np.zeros((96, 96)), "window": (0.25, 0.25, 0.5, 0.5)}, 1.0, 48, id="window"
        ),
    ],
)
def test_where_a_map_lies_by_what_its_file_says(field, element_map, ratio, first):
    start = initial_transform(ElementMap(element="Si", **element_map), field[0])
    np.testing.assert_allclose(start.matrix[0], (ratio, 0, first))
    assert start.verdict == "not aligned"


def unmovable(kinds):
    rng = np.random.default_rng(6)
    shape = (SIZE, SIZE)
    sparse = np.zeros(shape)
    sparse[40:44, 30:36] = sparse[100:103, 90:99] = 50
    yx = np.mgrid[:SIZE, :SIZE] / SIZE
    return {
        "empty": np.zeros(shape),
        "constant": np.full(shape, 7),
        "nothing-measured": np.full(shape, np.nan),
        "noise": rng.poisson(3.0, shape),
        "rare-noise": rng.poisson(0.01, shape),
        "shaded-noise": rng.poisson(4 * (1 + yx[0] * yx[1])),
        "two-specks": sparse,
        "another-field": counted(shifted(blobs(99)[1], 0, 0), 50, 7),
        "mirrored": counted(shifted(kinds[1], 0, 0), 50, 8)[::-1],
    }


@pytest.mark.parametrize("name", unmovable(blobs(1)))
def test_what_shows_nothing_of_the_reference_is_not_moved(field, name):
    image, kinds = field
    row = align_maps(image, [ElementMap(values=unmovable(kinds)[name], element="Zr")]).rows[0]
    assert row.transform.verdict in ("not aligned", "unsure")
    np.testing.assert_array_equal(row.transform.matrix, np.eye(3))
    assert row.note


@pytest.fixture(scope="module")
def two_passes(field):
    image, kinds = field
    maps = [
        ElementMap(values=counted(shifted(kinds[kind], *shift), 15, seed), element=element)
        for seed, (element, kind, shift) in enumerate(
            [
                ("Si", 0, (1.2, -2.0)),
                ("Mg", 1, (-3.0, 0.7)),
                ("Fe", 2, (1.2, -2.0)),
                ("Ca", 0, (-3.0, 0.7)),
                ("S", 1, (1.2, -2.0)),
            ]
        )
    ]
    return image, maps


def test_passes_are_found_and_share_their_transform(two_passes):
    image, maps = two_passes
    steps = []
    found = align_maps(image, maps, on_progress=lambda *step: steps.append(step))
    table = found.table().set_index("map")
    assert list(table["group"]) == ["pass 1", "pass 2", "pass 1", "pass 2", "pass 1"]
    for name, shift in {"Si": (-1.2, 2.0), "S": (-1.2, 2.0), "Ca": (3.0, -0.7)}.items():
        assert tuple(table.loc[name, ["dy_px", "dx_px"]]) == pytest.approx(shift, abs=0.15)
    assert table["residual_px"].max() < 0.3
    assert table.loc["Si", "dx_um"] == pytest.approx(table.loc["Si", "dx_px"] / 2)
    assert steps[-1][0] == steps[-1][1] == len(steps)


def test_a_map_that_shows_nothing_goes_with_the_only_pass(two_passes):
    image, maps = two_passes
    empty = ElementMap(values=np.zeros((SIZE, SIZE)), element="Zr")
    last = align_maps(image, [maps[0], maps[2], empty]).rows[-1]
    assert last.transform.verdict == "inherited"
    assert last.shift_px == pytest.approx((-1.2, 2.0), abs=0.15)


def test_a_map_that_shows_nothing_is_not_moved_where_there_are_two_passes(two_passes):
    image, maps = two_passes
    noise = np.random.default_rng(0).poisson(2, (SIZE, SIZE))
    last = align_maps(image, [*maps, ElementMap(values=noise, element="Zr")]).rows[-1]
    assert last.transform.verdict == "not aligned"
    assert "choose" in last.note


def test_named_groups_are_kept(two_passes):
    image, maps = two_passes
    empty = ElementMap(values=np.zeros((SIZE, SIZE)), element="Zr")
    found = align_maps(image, [*maps, empty], groups=["a", "b", "a", "b", "a", "b"])
    assert [row.group for row in found.rows] == ["a", "b", "a", "b", "a", "b"]
    assert found.rows[-1].shift_px == found.rows[1].shift_px
    with pytest.raises(ValueError, match="name a pass for each of 5, got 1"):
        align_maps(image, maps, groups=["a"])


def turned(degrees, zoom, dy, dx):
    angle, centre = np.radians(degrees), (SIZE + 31) / 2
    matrix = np.eye(3)
    along, across = zoom * np.cos(angle), zoom * np.sin(angle)
    matrix[:2, :2] = [[along, across], [-across, along]]
    matrix[:2, 2] = centre - matrix[:2, :2] @ (centre, centre) + (dy, dx)
    return matrix


@pytest.mark.parametrize(
    ("degrees", "zoom", "settings"),
    [
        pytest.param(1.0, 1.01, AlignSettings(), id="small"),
        pytest.param(-2.5, 0.98, AlignSettings(), id="larger"),
        pytest.param(90.0, 1.0, AlignSettings(max_rotation_deg=180), id="turned-stage"),
    ],
)
def test_turn_and_zoom_are_found(degrees, zoom, settings):
    kinds = blobs(5)
    grey = 60 * kinds[0] + 120 * kinds[1] + 100 * kinds[2]
    matrix = turned(degrees, zoom, 2.0, -3.0)
    moving = ndimage.affine_transform(grey, matrix[:2, :2], matrix[:2, 2], order=3).clip(0)
    crop = np.eye(3)
    crop[:2, 2] = 16
    truth = np.linalg.inv(crop) @ matrix @ crop
    pictures = [counted(one[16:-16, 16:-16], 60, 9) for one in (grey, 255 - moving)]
    row = register_images(
        pictures[0], [MovingImage(image=pictures[1], name="XPL", start=np.eye(3))], settings
    ).rows[0]
    assert row.transform.verdict == "aligned"
    assert row.model == "similarity"
    assert row.rotation_deg == pytest.approx(degrees, abs=0.15)
    assert row.scale == pytest.approx(zoom, abs=0.003)
    corners = np.array([(0, 0), (0, SIZE - 1), (SIZE - 1, 0), (SIZE - 1, SIZE - 1)], float)
    wanted = corners @ truth[:2, :2].T + truth[:2, 2]
    assert np.abs(row.transform.apply(corners) - wanted).max() < 0.5


def test_colour_pictures_are_matched_by_their_outlines():
    kinds = blobs(6)
    colors = np.random.default_rng(1).uniform(0, 255, (2, 3, 3))
    ppl, xpl = (np.moveaxis(np.tensordot(colors[n].T, kinds, 1), 0, -1) for n in (0, 1))
    xpl = ndimage.shift(xpl, (2.5, -1.5, 0), order=1)
    crop = np.s_[16:-16, 16:-16]
    row = register_images(
        ppl[crop].astype(np.uint8),
        [MovingImage(image=xpl[crop].astype(np.uint8), name="XPL", start=np.eye(3))],
    ).rows[0]
    assert row.shift_px == pytest.approx((-2.5, 1.5), abs=0.2)


def test_inputs_are_not_changed(two_passes):
    image, maps = two_passes
    before = [image.image.copy(), *(one.values.copy() for one in maps)]
    align_maps(image, maps)
    for old, new in zip(before, [image.image, *(one.values for one in maps)], strict=True):
        np.testing.assert_array_equal(old, new)


def test_cancel_stops_the_work(two_passes):
    def stop(done, total):
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        align_maps(*two_passes, on_progress=stop)


def test_no_maps_give_an_empty_table(field):
    assert align_maps(field[0], []).table().empty


@pytest.fixture(scope="module")
def meteorite(shared_data):
    """Ten maps of a meteorite, five of each of two passes."""
    from grainsmith.io.images.reader import read_image

    folder = shared_data / "sem_eds_meteorite"
    elements = ["Si", "Fe", "S", "Cr", "P", "Mg", "Ca", "Al", "Ni", "Ti"]
    return [
        ElementMap(values=read_image(folder / f"obj1_{element}_counts.tif").image, element=element)
        for element in elements
    ]


def test_blurred_sum_of_all_maps_as_reference_gives_the_two_passes(meteorite):
    total = sum(ndimage.gaussian_filter(one.values.astype(float), 3) for one in meteorite)
    rows = align_maps(ElementMap(values=total, element="Xx"), meteorite).rows
    assert [row.group for row in rows] == ["pass 1"] * 5 + ["pass 2"] * 5
    for row in rows:
        assert row.transform.verdict == "aligned"
        assert row.residual_px < 1.5
        # Both passes differ by a shift of about a pixel: no rotation or scale is fitted.
        assert (row.model, row.scale, row.rotation_deg) == ("shift", 1, 0)
        assert np.hypot(*row.shift_px) < 1


def test_meteorite_passes_are_found(meteorite):
    maps = meteorite
    rows = align_maps(maps[0], maps).rows
    assert len({row.group for row in rows[:5]}) == len({row.group for row in rows[5:]}) == 1
    offset = np.subtract(rows[0].shift_px, rows[5].shift_px)
    np.testing.assert_allclose(offset, (0.9, 0.5), atol=0.3)
    assert max(row.residual_px for row in rows) < 0.5
    assert all(row.transform.verdict == "aligned" for row in rows)


class TestPoints:
    PLACES = np.array([(0, 0), (0, 100), (80, 0), (90, 110)], float)

    @pytest.mark.parametrize("model", ["shift", "similarity", "affine"])
    def test_exact_points_give_the_transform_back(self, model):
        linear = {
            "shift": [[1, 0], [0, 1]],
            "similarity": [[0.9, 0.2], [-0.2, 0.9]],
            "affine": [[1.1, 0.2], [0.05, 0.8]],
        }[model]
        moved = self.PLACES @ np.array(linear).T + (5, -7)
        matrix = fit_points(self.PLACES, moved, model)
        np.testing.assert_allclose(matrix[:2, :2], linear, atol=1e-9)
        np.testing.assert_allclose(residuals_px(self.PLACES, moved, matrix), 0, atol=1e-9)
        np.testing.assert_allclose(leave_one_out_px(self.PLACES, moved, model), 0, atol=1e-9)

    def test_a_misclick_shows_at_its_own_point(self):
        moved = np.add(self.PLACES, (3, 4))
        moved[2] += (0, 9)
        assert leave_one_out_px(self.PLACES, moved, "shift").argmax() == 2

    @pytest.mark.parametrize(
        ("model", "points", "message"),
        [
            ("affine", [(0, 0), (1, 1)], "needs 3 pairs of points, got 2"),
            ("affine", [(0, 0), (1, 1), (2, 2)], "lie on one line"),
            ("similarity", [(4, 4), (4, 4)], "points coincide"),
            ("bent", [(0, 0)], "must be one of shift, similarity, affine"),
        ],
    )
    def test_too_few_points_say_what_is_missing(self, model, points, message):
        with pytest.raises(ValueError, match=message):
            fit_points(points, points, model)

    def test_turn_zoom_and_shear(self):
        angle = np.radians(30)
        matrix = np.eye(3)
        matrix[:2, :2] = 2 * np.array(
            [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
        )
        np.testing.assert_allclose(turn_zoom_and_shear(matrix), (30, 2, 0), atol=1e-9)


def test_sharper_is_sharper():
    kinds = blobs(3)
    sharp = counted(kinds[0] + 0.1, 60, 1)
    blurred = ndimage.gaussian_filter(kinds[0], 3) + 0.1
    assert sharpness(sharp) > sharpness(counted(blurred, 60, 1))
    assert sharpness(sharp) > sharpness(counted(kinds[0] + 0.1, 2, 1))
    assert sharpness(np.zeros((50, 50))) == 0


@pytest.mark.parametrize(
    "wrong",
    [{"model": "bent"}, {"max_rotation_deg": 181}, {"accept_z": 1}, {"max_shift_px": -1}],
)
def test_settings_are_checked(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        AlignSettings(**wrong)
