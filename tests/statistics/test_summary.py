"""Statistics against closed forms, published limits and simulated fields."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from grainsmith.errors import MismatchError
from grainsmith.statistics import (
    SIZE_CLASSES,
    FieldGrains,
    StatisticsSettings,
    grid_hits,
    size_class,
    summarize,
)
from grainsmith.statistics.classes import kurtosis_word, skewness_word, sorting_word
from grainsmith.statistics.measures import folk_ward, weighted_percentiles

QUICK = StatisticsSettings(n_bootstrap=0)


def table_of(diameters, *, boxes=(5, 5), edge=False, scaled=True):
    """A grain table of discs, all clear of the edge unless said otherwise."""
    d = np.asarray(diameters, dtype=float)
    height, width = np.broadcast_arrays(*boxes, d)[:2]
    columns = {
        "ecd_px": d,
        "area_px": np.pi * d**2 / 4,
        "top_px": 100,
        "left_px": 100,
        "height_px": height,
        "width_px": width,
        "touches_edge": edge,
        "below_resolution": d < 20,
    }
    if scaled:
        columns |= {"ecd_um": d, "area_um2": np.pi * d**2 / 4}
    return pd.DataFrame(columns, index=pd.RangeIndex(1, len(d) + 1, name="label"))


def field_of(diameters, **kwargs):
    return FieldGrains(table=table_of(diameters, **kwargs), height_px=100_000, width_px=100_000)


def log_normal(n, median=100.0, sigma=0.5):
    """The n quantiles of a log-normal population: a sample without chance."""
    return median * np.exp(sigma * norm.ppf((np.arange(n) + 0.5) / n))


def test_percentiles_of_equal_weights_are_hazens():
    sizes = np.sort(np.random.default_rng(0).lognormal(size=57))
    p = (3, 16, 50, 84, 97)
    expected = np.percentile(sizes, p, method="hazen")
    np.testing.assert_allclose(weighted_percentiles(sizes, np.ones(57), p), expected)


def test_weight_2_is_two_of_them_and_weight_0_none():
    sizes = np.array([1.0, 2, 3, 4, 5, 9])
    weights = np.array([1.0, 2, 1, 3, 1, 0])
    halves = weighted_percentiles(sizes, weights, [50])
    assert halves == weighted_percentiles(sizes[:5], weights[:5], [50])
    # Finer than 4 are 4 of 8, and half of its own 3.
    assert weighted_percentiles(sizes, weights, [100 * 5.5 / 8]) == 4


def test_log_normal_population_has_its_closed_form_by_number_and_by_area():
    median, sigma = 100.0, 0.5
    values = summarize(field_of(log_normal(20_000, median, sigma)), QUICK).values.value
    by_area = median * np.exp(2 * sigma**2)
    expected = {
        "d50_um_number": median,
        "d84_um_number": median * np.exp(sigma * norm.ppf(0.84)),
        "d50_um_area": by_area,
        "d16_um_area": by_area * np.exp(sigma * norm.ppf(0.16)),
        "mean_um_number": median * np.exp(sigma**2 / 2),
        "geometric_mean_um_number": median,
        "geometric_sd_number": np.exp(sigma),
        "mean_phi_number": -np.log2(median / 1000),
        "sd_phi_number": sigma / np.log(2),
    }
    assert values[list(expected)].to_dict() == pytest.approx(expected, rel=0.002)
    assert values.kurtosis_phi_number == pytest.approx(3, rel=0.02)


def test_folk_ward_of_a_normal_distribution():
    phi = {p: 3.0 - 0.8 * norm.ppf(p / 100) for p in (5, 16, 25, 50, 75, 84, 95)}
    mean, sorting, skewness, kurtosis = folk_ward(phi)
    assert mean == pytest.approx(3)
    z = norm.ppf
    assert sorting == pytest.approx(0.8 * (z(0.84) / 2 + z(0.95) / 3.3))  # 0.4 % below sigma
    assert skewness == pytest.approx(0, abs=1e-12)
    assert kurtosis == pytest.approx(z(0.95) / (2.44 * z(0.75)))  # 1 by design, to 0.1 %


def test_folk_ward_by_hand():
    # phi_p is coarser by p per cent: D84 = 0.25 mm (2 phi), D16 = 0.0625 mm (4 phi), ...
    phi_of_d = {95: 1.0, 84: 2.0, 75: 2.4, 50: 3.0, 25: 3.5, 16: 4.0, 5: 6.0}
    mean, sorting, skewness, kurtosis = folk_ward(phi_of_d)
    assert mean == pytest.approx(3)
    assert sorting == pytest.approx(2 / 4 + 5 / 6.6)
    assert skewness == pytest.approx(0 + (1 + 6 - 6) / 10)  # positive: a tail of fine grains
    assert kurtosis == pytest.approx(5 / (2.44 * 1.1))


@pytest.mark.parametrize(
    ("word", "value", "expected"),
    [
        (sorting_word, 0.34, "very well sorted"),
        (sorting_word, 0.36, "well sorted"),
        (sorting_word, 0.71, "moderately sorted"),
        (sorting_word, 1.5, "poorly sorted"),
        (sorting_word, 4.5, "extremely poorly sorted"),
        (skewness_word, 0.31, "very fine skewed"),
        (skewness_word, 0.0, "symmetrical"),
        (skewness_word, -0.2, "coarse skewed"),
        (kurtosis_word, 1.0, "mesokurtic"),
        (kurtosis_word, 0.5, "very platykurtic"),
        (kurtosis_word, 3.2, "extremely leptokurtic"),
        (sorting_word, float("nan"), ""),
    ],
)
def test_words_have_the_published_limits(word, value, expected):
    assert word(value) == expected


@pytest.mark.parametrize(
    ("size_um", "expected"),
    [
        (1.0, "clay"),
        (2.0, "very fine silt"),
        (20, "coarse silt"),
        (62.0, "very coarse silt"),
        (63.0, "very fine sand"),
        (300, "medium sand"),
        (3000, "very fine gravel"),
        (70_000, "very small boulder"),
    ],
)
def test_size_classes(size_um, expected):
    assert size_class(size_um) == expected


def test_classes_are_a_phi_wide_and_add_up():
    limits = [lower for _, lower in SIZE_CLASSES[1:]]
    np.testing.assert_allclose(np.diff(np.log2(limits)), 1)
    statistics = summarize(field_of(log_normal(500)), QUICK)
    shares = statistics.classes[["pct_number", "pct_area"]].sum()
    assert shares.to_list() == pytest.approx([100, 100])
    assert statistics.words["mean_number"] == "very fine sand"


def test_pixels_have_no_phi_and_no_classes():
    statistics = summarize(field_of(log_normal(50), scaled=False), QUICK)
    assert statistics.unit == "px"
    assert not statistics.words
    assert statistics.classes.empty
    assert not [name for name in statistics.values.index if "_phi_" in name or "_um_" in name]


def simulated_fields(rng, n_fields, side=1000, sigma=0.5, median=60.0):
    """Discs strewn over more than the field: those that reach in are seen, cut or whole."""
    tables, all_sizes = [], []
    for _ in range(n_fields):
        d = median * np.exp(sigma * rng.standard_normal(400))
        y, x = rng.uniform(-400, side + 400, (2, 400))
        reaches = (abs(y - side / 2) < side / 2 + d / 2) & (abs(x - side / 2) < side / 2 + d / 2)
        d, y, x = d[reaches], y[reaches], x[reaches]
        table = table_of(d, boxes=(d, d))
        table["top_px"], table["left_px"] = y - d / 2, x - d / 2
        inside = (y - d / 2 > 0) & (y + d / 2 < side) & (x - d / 2 > 0) & (x + d / 2 < side)
        table["touches_edge"] = ~inside
        tables.append(FieldGrains(table=table, height_px=side, width_px=side))
        all_sizes.append(d)
    return tables


@pytest.mark.parametrize(
    ("rule", "low", "high"),
    [
        pytest.param("weights", -0.5, 0.5, id="corrected"),
        pytest.param("drop", -8, -3, id="dropped-misses-the-coarse"),
        pytest.param("count all", 2, 8, id="all-catches-too-many-coarse"),
    ],
)
def test_edge_rule_decides_the_bias_of_d84(rule, low, high):
    fields = simulated_fields(np.random.default_rng(3), 400)
    settings = StatisticsSettings(n_bootstrap=0, edge_rule=rule)
    d84 = summarize(fields, settings).values.value.d84_um_number
    truth = 60 * np.exp(0.5 * norm.ppf(0.84))
    assert low < 100 * (d84 / truth - 1) < high


def test_guard_frame_is_unbiased_and_says_what_it_costs():
    fields = simulated_fields(np.random.default_rng(4), 300)
    settings = StatisticsSettings(n_bootstrap=0, edge_rule="guard", guard_px=200)
    statistics = summarize(fields, settings)
    truth = 60 * np.exp(0.5 * norm.ppf(0.84))
    assert statistics.values.value.d84_um_number == pytest.approx(truth, rel=0.02)
    assert statistics.left_out.area_pct > 50


def test_left_out_is_counted():
    table = table_of([10.0, 30, 50, 70])
    table.loc[4, "touches_edge"] = True
    field = FieldGrains(table=table, height_px=1000, width_px=1000)
    settings = StatisticsSettings(n_bootstrap=0, drop_below_resolution=True)
    statistics = summarize(field, settings)
    assert (statistics.n, statistics.left_out.n_edge, statistics.left_out.n_small) == (2, 1, 1)
    expected = 100 * (10**2 + 70**2) / (10**2 + 30**2 + 50**2 + 70**2)
    assert statistics.left_out.area_pct == pytest.approx(expected)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say():
    by_area = 100 * np.exp(2 * 0.5**2)
    truth = {"d50_um_number": 100, "d50_um_area": by_area, "mean_phi_number": -np.log2(0.1)}
    held = dict.fromkeys(truth, 0)
    rng = np.random.default_rng(8)  # 500 samples know the share to +-1 %
    for seed in range(500):
        sizes = 100 * np.exp(0.5 * rng.standard_normal(250))
        settings = StatisticsSettings(n_bootstrap=500, seed=seed)
        values = summarize(field_of(sizes), settings).values
        for name, value in truth.items():
            held[name] += values.low[name] <= value <= values.high[name]
    for name, count in held.items():
        assert 0.93 <= count / 500 <= 0.97, f"{name}: {count / 5} %"


def test_intervals_widen_with_the_scale_error_but_not_what_more_grains_cost():
    field = field_of(log_normal(100))
    one = summarize(field, StatisticsSettings(n_bootstrap=200))
    wide = summarize(field, StatisticsSettings(n_bootstrap=200, scale_error_pct=20))
    width = [s.values.high.d50_um_number - s.values.low.d50_um_number for s in (one, wide)]
    assert width[1] > 1.5 * width[0]
    # s.e. of a log-normal median is 1.253 sigma / root n: n = (1.96 * 1.253 * 0.5 / 0.05)² = 603.
    assert one.more_grains["number"] == pytest.approx(503, rel=0.5)


def test_fields_that_differ_widen_the_interval():
    near, far = field_of(log_normal(200, 80)), field_of(log_normal(200, 120))
    settings = StatisticsSettings(n_bootstrap=200)
    together = pd.concat([near.table, far.table]).reset_index(drop=True)
    one = summarize(
        FieldGrains(table=together, height_px=100_000, width_px=100_000), settings
    ).values
    two = summarize([near, far], settings).values
    assert one.value.d50_um_number == pytest.approx(two.value.d50_um_number)
    width = [v.high.d50_um_number - v.low.d50_um_number for v in (one, two)]
    assert width[1] > 2 * width[0]


def test_a_grid_hits_by_area():
    labels = np.zeros((100, 100), np.int32)
    labels[:50, :100] = 1
    labels[50:, 50:] = 2
    assert grid_hits(labels, 10).to_dict() == {1: 50, 2: 25}
    with pytest.raises(ValueError, match="got 0"):
        grid_hits(labels, 0)


def test_grid_by_number_is_a_basis_of_its_own():
    table = table_of([30.0, 60.0])
    field = FieldGrains(
        table=table, height_px=10**6, width_px=10**6, grid_hits=pd.Series({1: 1, 2: 3, 99: 5})
    )
    statistics = summarize(field, QUICK)
    assert statistics.bases == ("number", "area", "grid")
    assert statistics.values.value.mean_um_grid == pytest.approx((30 + 3 * 60) / 4)


@pytest.mark.parametrize("n", [0, 1])
def test_no_grain_and_one_grain(n):
    statistics = summarize(field_of([50.0][:n]), StatisticsSettings(n_bootstrap=20))
    assert statistics.n == n
    assert statistics.more_grains == {"number": -1, "area": -1}
    if n:
        assert statistics.values.value.d50_um_number == 50


def test_all_grains_at_the_edge_leave_nothing():
    statistics = summarize(field_of([50.0, 60.0], edge=True), QUICK)
    assert statistics.n == 0
    assert statistics.left_out.area_pct == 100


def test_same_seed_same_interval():
    field, settings = field_of(log_normal(60)), StatisticsSettings(n_bootstrap=50, seed=3)
    pd.testing.assert_frame_equal(
        summarize(field, settings).values, summarize(field, settings).values
    )


def test_fields_in_um_and_in_px_do_not_mix():
    with pytest.raises(MismatchError, match="1 of 2 fields have no pixel size"):
        summarize([field_of([50.0]), field_of([50.0], scaled=False)])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"size": "b_axis"}, "got 'b_axis'"),
        ({"edge_rule": "ignore"}, "got 'ignore'"),
        ({"n_bootstrap": -1}, "n_bootstrap must be 0 or more, got -1"),
    ],
)
def test_settings_are_checked(kwargs, message):
    with pytest.raises(ValueError, match=message):
        StatisticsSettings(**kwargs)
