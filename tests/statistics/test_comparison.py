"""Variance between fields and comparison of samples, against what they were drawn from."""

import numpy as np
import pandas as pd
import pytest

from grainsmith.errors import MismatchError
from grainsmith.statistics import FieldGrains, StatisticsSettings, compare_samples, field_spread
from grainsmith.statistics.modal import modal_percentages

QUICK = StatisticsSettings(edge_rule="count all", n_bootstrap=200)


def field_of(sizes, *, scaled=True):
    d = np.asarray(sizes, float)
    columns = {
        "ecd_px": d, "area_px": d**2, "top_px": 10, "left_px": 10, "height_px": 3, "width_px": 3,
        "touches_edge": False, "below_resolution": False,
    }  # fmt: skip
    if scaled:
        columns |= {"ecd_um": d, "area_um2": d**2}
    table = pd.DataFrame(columns, index=pd.RangeIndex(1, len(d) + 1, name="label"))
    return FieldGrains(table=table, height_px=1000, width_px=1000)


def sample(seed, *, between, within=0.5, median=50.0, fields=12, grains=200):
    rng = np.random.default_rng(seed)
    means = np.log2(median) + between * rng.standard_normal(fields)
    return [field_of(2 ** (m + within * rng.standard_normal(grains))) for m in means]


def test_variance_components_are_found_again():
    found = [field_spread(sample(seed, between=0.3), QUICK) for seed in range(12)]
    assert np.mean([one.between_sd_log2 for one in found]) == pytest.approx(0.3, rel=0.12)
    assert np.mean([one.within_sd_log2 for one in found]) == pytest.approx(0.5, rel=0.03)
    share = 0.3**2 / (0.3**2 + 0.5**2)
    assert np.mean([one.between_share for one in found]) == pytest.approx(share, rel=0.2)
    one = found[0]
    assert one.fields.n.tolist() == [200] * 12
    assert one.d50_sd["d50_um_number"] == pytest.approx(one.fields.d50_um_number.std())
    assert list(one.curves.columns) == ["size_um", *map(str, range(12))]


def test_fields_that_do_not_differ_have_a_share_near_nothing():
    shares = [field_spread(sample(s, between=0.0), QUICK).between_share for s in range(10)]
    assert np.mean(shares) < 0.01


def test_one_field_tells_nothing_of_others():
    assert np.isnan(field_spread(sample(1, between=0, fields=1), QUICK).between_share)


def test_a_difference_of_samples_is_found_and_its_interval_holds_it():
    a, b = sample(1, between=0.05), sample(2, between=0.05, median=75.0)
    found = compare_samples(a, b, QUICK)
    row = found.differences.loc["d50_um_number"]
    assert row.low < 25 < row.high
    assert row.low > 15
    assert row.ratio == pytest.approx(1.5, rel=0.06)
    assert found.ks > 0.3
    assert found.ks_p < 1e-6


def test_equal_samples_are_not_told_apart_though_their_fields_differ():
    pairs = [(sample(s, between=0.3), sample(s + 100, between=0.3)) for s in range(20)]
    found = [compare_samples(a, b, QUICK) for a, b in pairs]
    assert np.mean([one.ks_p < 0.05 for one in found]) < 0.3
    holds = [one.differences.loc["d50_um_number"] for one in found]
    assert np.mean([row.low < 0 < row.high for row in holds]) > 0.7
    # Grains of one field are alike: such samples are worth far fewer grains than they have.
    assert np.mean([one.n_effective[0] for one in found]) < 300


def test_samples_in_pixels_and_in_um_are_not_compared():
    with pytest.raises(MismatchError, match="pixels"):
        compare_samples([field_of([1, 2])], [field_of([1, 2], scaled=False)], QUICK)


def test_modal_intervals_widen_where_fields_differ():
    rng = np.random.default_rng(3)
    shares = rng.uniform(0.1, 0.9, 8)
    minerals = np.concatenate([np.where(rng.random(300) < s, "quartz", "albite") for s in shares])
    table = pd.DataFrame({"area_px": np.ones(2400)}, index=pd.RangeIndex(2400, name="label"))
    naming = pd.DataFrame({"mineral": minerals, "verdict": "named"}, index=table.index)
    grains = modal_percentages(table, naming).loc["quartz"]
    fields = modal_percentages(table, naming, fields=np.repeat(np.arange(8), 300)).loc["quartz"]
    assert fields.area_pct == grains.area_pct
    width = fields.area_pct_high - fields.area_pct_low
    assert width > 5 * (grains.area_pct_high - grains.area_pct_low)
    assert fields.area_pct_low < 100 * shares.mean() < fields.area_pct_high


def test_a_scale_error_widens_the_intervals_of_the_difference():
    rng = np.random.default_rng(0)
    first, second = ([field_of(median * rng.lognormal(0, 0.1, 400))] for median in (30, 32))
    widths = {}
    for error in (0, 10):
        settings = StatisticsSettings(n_bootstrap=600, scale_error_pct=error)
        row = compare_samples(first, second, settings).differences.loc["d50_um_number"]
        widths[error] = row.high - row.low
        assert row.low < row.difference < row.high
    # Two independent scale errors of 10 %: 1.96 x 10 % x sqrt(30² + 32²) = 8.6 to either side.
    assert widths[0] < 6
    assert widths[10] == pytest.approx(2 * 8.6, rel=0.2)
