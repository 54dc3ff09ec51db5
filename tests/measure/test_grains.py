"""Drawn figures with known answers: the traps in which measuring programs are caught."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.measure import regionprops_table

from grainsmith.data import ElementMap, Transform
from grainsmith.errors import MismatchError
from grainsmith.measure import (
    changed_labels,
    measure_grains,
    measure_maps,
    pieces_note,
    tile_checksums,
    update_grains,
)


def draw(inside, half, *, at=(0.0, 0.0), turn_deg=0.0):
    """Label 1 where inside(y, x) holds, about the centre `at`, turned counter-clockwise."""
    n = int(half) + 6
    y, x = np.mgrid[-n : n + 1, -n : n + 1].astype(float)
    y, x, angle = y - at[0], x - at[1], np.radians(turn_deg)
    along = x * np.cos(angle) - y * np.sin(angle)
    across = x * np.sin(angle) + y * np.cos(angle)
    return inside(across, along).astype(np.int32)


def disc(radius, **where):
    return draw(lambda y, x: np.hypot(y, x) < radius, radius, **where)


def ellipse(a, b, **where):
    return draw(lambda y, x: (x / a) ** 2 + (y / b) ** 2 <= 1, a, **where)


def rectangle(long, short, **where):
    return draw(lambda y, x: (abs(x) <= long / 2) & (abs(y) <= short / 2), long, **where)


def rounded_square(half, corner, **where):
    def inside(y, x):
        beyond = [np.maximum(abs(v) - (half - corner), 0) for v in (y, x)]
        return np.hypot(*beyond) <= corner

    return draw(inside, 1.5 * half, **where)


def triangle(side, **where):
    def inside(y, x):
        turns = (0, 2 * np.pi / 3, 4 * np.pi / 3)
        return np.all([np.cos(t) * y + np.sin(t) * x <= side / np.sqrt(12) for t in turns], axis=0)

    return draw(inside, side, **where)


def star(long, **where):
    return draw(lambda y, x: np.sqrt(abs(y)) + np.sqrt(abs(x)) <= np.sqrt(long), long, **where)


def one(labels, **kwargs):
    table = measure_grains(labels, **kwargs)
    assert list(table.index) == [1]
    return table.loc[1]


OFF_CENTRE = {"at": (0.3, 0.15)}


@pytest.mark.parametrize("radius", [5, 8, 9, 12, 15.5, 20, 50, 100])
def test_disc(radius):
    grain = one(disc(radius, **OFF_CENTRE))
    assert grain.area_px == pytest.approx(np.pi * radius**2, rel=0.02)
    assert grain.ecd_px == pytest.approx(2 * radius, rel=0.01)
    assert grain[["feret_max_px", "feret_min_px"]].to_list() == pytest.approx(
        [2 * radius] * 2, abs=1
    )
    assert grain.major_px == pytest.approx(grain.minor_px, rel=0.03)
    assert grain.circularity == pytest.approx(1, abs=0.03)
    assert grain.solidity == 1
    assert grain.below_resolution == (2 * radius < 20)


@pytest.mark.parametrize("centre", [(0, 0), (0.5, 0.5), (0.25, 0.4), (0.5, 0.1), (0.37, 0.37)])
def test_no_disc_of_8_px_or_more_is_3_per_cent_from_round(centre):
    for radius in (8, 9, 11, 13, 17, 26):
        # Not clipped at 1: the perimeter itself must fit.
        grain = one(disc(radius, at=centre))
        assert 4 * np.pi * grain.area_px / grain.perimeter_px**2 == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("turn_deg", [0, 20, 45, 110])
def test_ellipse(turn_deg):
    grain = one(ellipse(40, 20, turn_deg=turn_deg, **OFF_CENTRE))
    assert grain.area_px == pytest.approx(np.pi * 800, rel=0.02)
    assert (grain.major_px, grain.minor_px) == pytest.approx((80, 40), rel=0.01)
    assert (grain.feret_max_px, grain.feret_min_px) == pytest.approx((80, 40), abs=1)
    assert grain.aspect_ratio == pytest.approx(2, rel=0.01)
    assert (grain.orientation_deg - turn_deg + 90) % 180 == pytest.approx(90, abs=0.5)
    assert grain.irn == pytest.approx(1, abs=0.03)
    assert (grain.best_long_px, grain.best_short_px) == (grain.major_px, grain.minor_px)


@pytest.mark.parametrize("turn_deg", [0, 17, 45, 80])
def test_rectangle(turn_deg):
    grain = one(rectangle(61, 25, turn_deg=turn_deg))
    assert grain.area_px == pytest.approx(61 * 25, rel=0.02)
    assert grain.feret_max_px == pytest.approx(np.hypot(61, 25), abs=1)
    assert (grain.rect_long_px, grain.rect_short_px) == pytest.approx((61, 25), abs=1)
    assert grain.perimeter_px == pytest.approx(2 * (61 + 25), rel=0.03)
    assert grain.circularity == pytest.approx(4 * np.pi * 61 * 25 / 172**2, rel=0.06)
    assert grain.circularity_iso == pytest.approx(np.sqrt(grain.circularity))
    assert grain.solidity > 0.99
    # The ellipse of equal moments is 2 / sqrt(3) too long for a bar, so its sides are taken.
    assert grain.best_long_px == grain.rect_long_px < grain.major_px


def test_star_is_hollow_and_rough():
    grain = one(star(60))
    assert grain.area_px == pytest.approx(60**2 * 4 / 6, rel=0.03)
    assert grain.solidity == pytest.approx(1 / 3, rel=0.05)
    # An astroid-like arc is 1.62 times its leg; the hull is a square of side 60 sqrt(2).
    assert grain.convexity == pytest.approx(np.sqrt(2) / 1.623, rel=0.05)
    assert grain.irn < 0.6


def test_wadell_roundness_falls_from_disc_to_triangle():
    figures = [disc(40), ellipse(57, 28.5), rectangle(80, 80, turn_deg=17), triangle(120)]
    roundness = [one(figure).roundness_wadell for figure in figures]
    assert roundness == sorted(roundness, reverse=True)
    assert roundness[0] > 0.95
    assert roundness[3] < 0.25


@pytest.mark.parametrize(
    ("half", "share"), [(25, 0.5), (25, 0.75), (60, 0.3), (60, 0.5), (60, 0.75)]
)
def test_wadell_roundness_of_a_rounded_square_is_corner_over_half_side(half, share):
    grain = one(rounded_square(half, half * share, turn_deg=17, at=(0.2, 0.1)))
    assert grain.roundness_wadell == pytest.approx(share, abs=0.1)


def test_corners_are_not_judged_where_there_are_too_few_pixels():
    assert np.isnan(one(disc(4)).roundness_wadell)


def test_one_pixel():
    labels = np.zeros((3, 3), np.int32)
    labels[1, 1] = 1
    grain = one(labels, pixel_size_um=2.0)
    assert (grain.area_px, grain.area_um2) == (1, 4)
    assert (grain.feret_max_um, grain.feret_min_um, grain.aspect_ratio) == (2, 2, 1)
    assert grain.circularity == 1
    assert grain.below_resolution
    assert np.isnan(grain.orientation_deg)


def test_line_of_pixels():
    labels = np.zeros((9, 9), np.int32)
    labels[4, 2:7] = 1
    grain = one(labels)
    assert (grain.feret_max_px, grain.feret_min_px, grain.rect_long_px) == (5, 1, 5)
    assert grain.orientation_deg == 0


def test_a_hole_costs_area_and_adds_perimeter():
    whole, ring = disc(30), disc(30) - np.pad(disc(10), 20)
    assert one(ring).area_px == one(whole).area_px - one(disc(10)).area_px
    assert one(ring).perimeter_px == pytest.approx(2 * np.pi * 40, rel=0.02)
    assert one(ring).solidity < 0.9


def test_touching_grains_do_not_see_each_other():
    alone = disc(12)
    pair = np.hstack([alone[:, 6:-6], 2 * alone[:, 6:-6]])  # they share a side
    table = measure_grains(pair)
    forms = ["area_px", "perimeter_px", "feret_max_px", "circularity", "roundness_wadell"]
    for label in (1, 2):
        assert table.loc[label, forms].to_list() == one(alone)[forms].to_list()


def test_edge_is_exact_and_the_data_bar_is_one():
    labels = np.zeros((20, 30), np.int32)
    for label, (y, x) in enumerate([(0, 5), (5, 0), (8, 26), (15, 10), (1, 1), (11, 20)], start=1):
        labels[y : y + 4, x : x + 4] = label
    assert measure_grains(labels).touches_edge.to_list() == [True, True, True, False, False, False]
    with_bar = measure_grains(labels, data_bar_rows=5).touches_edge
    assert with_bar.to_list() == [True, True, True, True, False, True]


def test_without_a_pixel_size_nothing_is_in_um():
    table = measure_grains(disc(9))
    assert not [name for name in table.columns if "_um" in name]
    scaled = measure_grains(disc(9), pixel_size_um=0.25)
    assert scaled.area_um2[1] == table.area_px[1] / 16
    assert scaled.ecd_um[1] == table.ecd_px[1] / 4


def test_orientation_is_counter_clockwise_from_the_right():
    rising = np.fliplr(np.eye(40, dtype=np.int32))
    assert one(rising).orientation_deg == pytest.approx(45)


def test_no_grains_give_an_empty_table_with_all_columns():
    empty = measure_grains(np.zeros((5, 5), np.int32), pixel_size_um=1.0)
    assert len(empty) == 0
    assert list(empty.columns) == list(measure_grains(disc(5), pixel_size_um=1.0).columns)


def test_numbers_may_be_huge_and_gapped():
    labels = disc(9) * 2_000_000_000
    labels[0, 0] = 7
    table = measure_grains(labels)
    assert list(table.index) == [7, 2_000_000_000]
    assert table.loc[2_000_000_000].area_px == one(disc(9)).area_px


def test_core_is_read_without_the_neighbours():
    labels = disc(15)
    image = np.where(labels > 0, 100, 255).astype(np.uint8)
    image[1:] = np.maximum(image[1:], image[:-1])  # the surroundings smear over the edge
    grain = one(labels, image=image)
    assert (grain.mean_image, grain.median_image, grain.spread_image) == (100, 100, 0)


def test_small_grains_are_read_whole():
    labels = np.zeros((8, 8), np.int32)
    labels[2:4, 2:5] = 1
    image = np.arange(64.0).reshape(8, 8)
    assert one(labels, image=image).mean_image == image[2:4, 2:5].mean()


@pytest.mark.parametrize(
    ("image", "names"),
    [
        pytest.param(np.ones((23, 23, 3), np.uint8), ["red", "green", "blue"], id="colour"),
        pytest.param({"BSE": np.ones((23, 23)), "SE": np.ones((23, 23))}, ["BSE", "SE"], id="two"),
    ],
)
def test_channels_are_named(image, names):
    table = measure_grains(disc(5), image=image)
    assert [f"mean_{name}" for name in names] == [c for c in table if c.startswith("mean_")]


def test_image_of_another_shape_is_refused():
    with pytest.raises(MismatchError, match="choose the image on which the grains were drawn"):
        measure_grains(disc(5), image=np.ones((5, 5)))


@pytest.mark.parametrize(
    ("labels", "kwargs", "message"),
    [
        (np.zeros((3, 3)), {}, "integer array, got .* float64"),
        (np.zeros(3, np.int32), {}, r"got \(3,\)"),
        (np.zeros((3, 3), np.int32), {"pixel_size_um": -1}, "got -1"),
        (np.zeros((3, 3), np.int32), {"data_bar_rows": 4}, "got 4"),
    ],
)
def test_wrong_arguments_are_named(labels, kwargs, message):
    with pytest.raises(ValueError, match=message):
        measure_grains(labels, **kwargs)


def mosaic(seed=0, size=160, grains=60):
    """Irregular grains that touch, with gaps in their numbers."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, size, (grains, 2))
    y, x = np.mgrid[:size, :size]
    distance = np.hypot(y[..., None] - centres[:, 0], x[..., None] - centres[:, 1])
    labels = 3 * (distance.argmin(axis=-1) + 1)
    return np.where(distance.min(axis=-1) < 14, labels, 0).astype(np.int32)


def test_agrees_with_scikit_image_where_the_definitions_are_the_same():
    labels = mosaic()
    ours = measure_grains(labels)
    names = ["label", "area", "centroid", "axis_major_length", "axis_minor_length", "bbox"]
    theirs = pd.DataFrame(regionprops_table(labels, properties=names)).set_index("label")
    np.testing.assert_array_equal(ours.index, theirs.index)
    np.testing.assert_array_equal(ours.area_px, theirs.area)
    np.testing.assert_allclose(ours[["y_px", "x_px"]], theirs[["centroid-0", "centroid-1"]])
    # scikit-image takes a pixel as a point; as a square it adds 4² / 12 to the squared axes.
    np.testing.assert_allclose(ours.major_px**2 - 4 / 3, theirs.axis_major_length**2)
    np.testing.assert_allclose(ours.minor_px**2 - 4 / 3, theirs.axis_minor_length**2)
    np.testing.assert_array_equal(ours.top_px + ours.height_px, theirs["bbox-2"])


def test_some_grains_are_measured_as_all_are():
    labels = mosaic()
    table = measure_grains(labels, pixel_size_um=0.3)
    some = measure_grains(labels, pixel_size_um=0.3, only=[9, 30, 31, 99])
    pd.testing.assert_frame_equal(some, table.loc[[9, 30, 99]])


@settings(deadline=None, max_examples=25)
@given(
    box=st.tuples(*[st.integers(0, 150)] * 2, *[st.integers(1, 90)] * 2),
    value=st.sampled_from([0, 3, 90, 4, 1000]),
)
def test_after_an_edit_the_table_is_that_of_a_full_run(box, value):
    labels = mosaic()
    image = np.random.default_rng(1).integers(0, 255, labels.shape).astype(np.uint8)
    kwargs = {"pixel_size_um": 0.3, "image": image, "data_bar_rows": 10}
    table, sums = measure_grains(labels, **kwargs), tile_checksums(labels)
    edited = labels.copy()
    y, x, height, width = box
    edited[y : y + height, x : x + width] = value
    updated, measured = update_grains(table, edited, tile_checksums(edited) != sums, **kwargs)
    pd.testing.assert_frame_equal(updated, measure_grains(edited, **kwargs), check_dtype=False)
    assert set(changed_labels(labels, edited)) <= set(measured)


def test_columns_of_others_survive_an_edit():
    labels = mosaic()
    table, sums = measure_grains(labels), tile_checksums(labels)
    table["mineral"] = "quartz"
    labels[:20, :20] = 777
    updated, _ = update_grains(table, labels, tile_checksums(labels) != sums)
    assert updated.mineral.drop(777).eq("quartz").all()
    assert pd.isna(updated.mineral[777])


def test_every_pixel_counts_in_the_checksums():
    labels = mosaic(size=130)
    sums = tile_checksums(labels)
    assert sums.shape == (3, 3)
    labels[129, 129] += 1
    np.testing.assert_array_equal(np.argwhere(tile_checksums(labels) != sums), [[2, 2]])


def test_only_labels_that_gain_or_lose_are_changed():
    before = np.array([[1, 1, 2, 0], [3, 3, 2, 0]])
    after = np.array([[1, 1, 2, 5], [3, 2, 2, 0]])
    assert changed_labels(before, after).tolist() == [2, 3, 5]


def test_progress_reaches_the_end_and_can_stop():
    seen = []
    measure_grains(mosaic(), on_progress=lambda done, total: seen.append((done, total)))
    assert seen[-1][0] == seen[-1][1] > 0

    def stop(done, total):
        raise InterruptedError

    with pytest.raises(InterruptedError):
        measure_grains(mosaic(), on_progress=stop)


def si_map(values, **kwargs):
    return ElementMap(values=values, element="Si", **kwargs)


def test_map_is_read_in_its_own_pixels_through_its_transform():
    labels = np.zeros((40, 60), np.int32)
    labels[4:24, 8:36] = 5  # rows 2..11, columns 4..17 of a map of half as many pixels
    values = np.full((20, 30), 7.0)
    values[2:12, 4:18] = 30.0
    half = Transform(matrix=np.array([[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]]))
    grain = measure_maps(labels, [si_map(values)], {"Si": half}).loc[5]
    core = (10 - 4) * (14 - 4)
    assert grain.Si_mean == 30
    assert grain.Si_counts == 30 * core
    assert grain.Si_error == pytest.approx(np.sqrt(30 * core) / core)
    assert grain.Si_coverage == 1


def test_shifted_map_covers_a_part_and_says_so():
    labels = np.zeros((20, 20), np.int32)
    labels[5:15, 5:15] = 1
    labels[0:2, 0:2] = 2
    shifted = Transform.from_shift(0, 10)
    table = measure_maps(labels, [si_map(np.ones((20, 20)))], [shifted])
    assert table.Si_coverage.to_list() == [0.5, 0.0]
    assert table.Si_mean[1] == 1
    assert np.isnan(table.Si_mean[2])


def test_maps_of_one_element_are_told_apart_by_their_line():
    maps = [ElementMap(values=np.ones((23, 23)), element="Fe", line=line) for line in ("Ka", "La")]
    table = measure_maps(disc(5), maps, {"Fe": Transform()})
    assert {"Fe_Ka_mean", "Fe_La_mean"} <= set(table.columns)


def test_error_of_maps_that_are_not_counts_is_the_scatter():
    rng = np.random.default_rng(0)
    values = rng.normal(20, 2, (63, 63))
    labels = disc(25)
    grain = measure_maps(labels, [si_map(values, kind="wt%")], [Transform()]).loc[1]
    assert grain.Si_error == pytest.approx(2 / np.sqrt(np.pi * 23**2), rel=0.1)
    assert np.isnan(grain.Si_counts)


def test_a_map_without_a_transform_is_named():
    with pytest.raises(MismatchError, match=r"map of Si has no transform \(available: Fe, Mg\)"):
        measure_maps(disc(5), [si_map(np.ones((9, 9)))], {"Mg": Transform(), "Fe": Transform()})


@pytest.mark.parametrize("half", [12, 30, 70])
def test_roundness_is_that_of_the_outline_whatever_holes_the_grain_has(half):
    y, x = np.mgrid[: 2 * half + 20, : 2 * half + 20] - half - 10
    for figure in (np.hypot(y, x / 0.7) <= half, np.maximum(abs(y), abs(x)) <= half):
        whole = figure.astype(np.int32)
        holed = whole.copy()
        holed[half + 10, half + 10] = holed[half + 4, half + 12] = 0
        plain, other = (measure_grains(labels).loc[1] for labels in (whole, holed))
        assert other.roundness_wadell == plain.roundness_wadell
        assert other.area_px == plain.area_px - 2
        assert (plain.n_holes, other.n_holes) == (0, 2)


def test_pieces_and_holes_are_those_of_connected_components():
    random = np.random.default_rng(2)
    for _ in range(30):
        mask = ndimage.gaussian_filter(random.random((50, 60)), 1.3) > 0.5
        row = measure_grains(mask.astype(np.int32)).loc[1]
        _, pieces = ndimage.label(mask, np.ones((3, 3)))
        _, background = ndimage.label(np.pad(~mask, 1, constant_values=True))
        assert (row.n_pieces, row.n_holes) == (pieces, background - 1)


def test_labels_in_several_pieces_are_told():
    labels = np.zeros((60, 60), np.int32)
    labels[5:15, 5:15] = 7
    labels[30:50, 30:50] = 3
    assert pieces_note(measure_grains(labels)) == ""
    labels[40:44, 5:9] = 7
    assert pieces_note(measure_grains(labels)).startswith(
        "label 7 lies in several pieces (up to 2)"
    )
    labels[labels > 0] = 255
    assert "up to 3" in pieces_note(measure_grains(labels))
