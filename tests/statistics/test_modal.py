import numpy as np
import pandas as pd
import pytest

from grainsmith.classify.clusters import classify_by_clusters, name_clusters, suggest_names
from grainsmith.errors import MismatchError
from grainsmith.measure import measure_grains
from grainsmith.statistics import (
    FieldGrains,
    StatisticsSettings,
    association_pct,
    contact_matrix,
    modal_percentages,
    summarize,
)


def naming(minerals, verdict="named"):
    return pd.DataFrame(
        {"mineral": minerals, "verdict": verdict},
        index=pd.Index(range(1, len(minerals) + 1), name="label"),
    )


def areas(*values, name="area_um2"):
    return pd.DataFrame({name: values}, index=pd.Index(range(1, len(values) + 1), name="label"))


def test_percentages_by_area_count_and_weight():
    named = naming(["quartz", "quartz", "zircon", "unknown"])
    named.loc[3, "verdict"] = "by hand"
    modal = modal_percentages(areas(30.0, 20.0, 40.0, 10.0), named)
    assert list(modal.index) == ["quartz", "zircon", "unknown"]
    assert modal["area_pct"].tolist() == [50, 40, 10]
    assert modal["count_pct"].tolist() == [50, 25, 25]
    weight = 50 * 2.65 + 40 * 4.65
    assert modal["weight_pct"].tolist()[:2] == pytest.approx([13250 / weight, 18600 / weight])
    assert np.isnan(modal.loc["unknown", "weight_pct"])
    assert modal["n_by_hand"].tolist() == [0, 1, 0]
    assert modal.loc["quartz", "d50_um_number"] == pytest.approx(
        np.mean(2 * np.sqrt(np.array([20, 30]) / np.pi))
    )
    # By Hazen's rule, as all percentiles: 20 and 70 % of the area are finer than the two grains.
    small, large = 2 * np.sqrt(np.array([20, 30]) / np.pi)
    assert modal.loc["quartz", "d50_um_area"] == pytest.approx(small + 0.6 * (large - small))


def test_what_of_a_mode_is_unsure_is_said():
    named = naming(["quartz", "quartz", "zircon"], ["named", "unsure", "named"])
    modal = modal_percentages(areas(30.0, 10.0, 5.0), named)
    assert modal["unsure_pct"].to_dict() == {"quartz": 25.0, "zircon": 0.0}


def test_own_density_goes_before_the_handbook():
    modal = modal_percentages(
        areas(1.0, 1.0, name="area_px"), naming(["quartz", "glass"]), densities={"glass": 2.65}
    )
    assert modal["weight_pct"].tolist() == [50, 50]
    assert "d50_px_number" in modal


def test_interval_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(3)
    truth, covered = 30.0, 0
    for _ in range(60):
        minerals = random.choice(["a", "b"], size=150, p=[0.3, 0.7])
        modal = modal_percentages(
            areas(*random.lognormal(0, 0.5, 150)), naming(minerals), rounds=200
        )
        row = modal.loc["a"]
        assert row["area_pct_low"] <= row["area_pct"] <= row["area_pct_high"]
        covered += row["area_pct_low"] <= truth <= row["area_pct_high"]
    assert covered >= 50


def test_modal_refuses_what_does_not_belong_together():
    with pytest.raises(MismatchError, match="have different grains"):
        modal_percentages(areas(1.0), naming(["a", "b"]))
    with pytest.raises(MismatchError, match="no column area_um2"):
        modal_percentages(areas(1.0, name="size"), naming(["a"]))


LABELS = np.array(
    [
        [1, 1, 2, 2],
        [1, 1, 2, 2],
        [3, 3, 3, 3],
    ],
    np.int32,
)


def test_contacts_are_boundary_lengths():
    contacts = contact_matrix(LABELS, naming(["quartz", "zircon", "quartz"]), gap_px=0)
    # 1|2: 2 sides, 1|3: 2 sides (quartz to quartz, seen from both), 2|3: 2 sides
    assert contacts.to_numpy().tolist() == [[4, 4], [4, 0]]
    assert association_pct(contacts).loc["zircon"].tolist() == [100, 0]
    um = contact_matrix(LABELS, naming(["quartz", "zircon", "quartz"]), gap_px=0, pixel_size_um=0.5)
    assert um.loc["quartz", "zircon"] == 2.0


def test_contacts_reach_over_a_seam_but_not_over_a_pore():
    labels = np.zeros((10, 30), np.int32)
    labels[:, :8], labels[:, 10:15], labels[:, 25:] = 1, 2, 3
    contacts = contact_matrix(labels, naming(["a", "b", "c"]))
    assert contacts.loc["a", "b"] == 10
    assert contacts.loc["b", "c"] == 0
    assert np.isnan(association_pct(contacts).loc["c"]).all()


def test_grains_without_a_name_are_left_out():
    contacts = contact_matrix(LABELS, naming(["quartz", "zircon"]), gap_px=0)
    assert contacts.loc["quartz", "zircon"] == 2


def two_kinds():
    random = np.random.default_rng(0)
    si, fe = np.repeat([4.5, 0.1], 30), np.repeat([0.1, 6.0], 30)
    return pd.DataFrame(
        {
            "Si_mean": random.poisson(100 * si) / 100,
            "Fe_mean": random.poisson(100 * fe) / 100,
            "Si_coverage": np.r_[np.ones(59), 0.0],
        },
        index=pd.Index(range(1, 61), name="label"),
    )


def test_clusters_are_found_and_named():
    table = two_kinds()
    found = classify_by_clusters(table)
    assert found["mineral"].nunique() == 3
    assert found.loc[60, "mineral"] == "unmapped"
    assert found["mineral"].iloc[:30].nunique() == 1
    hints = suggest_names(table, found)
    assert hints[found.loc[1, "mineral"]] == "quartz"
    assert hints[found.loc[31, "mineral"]] in ("magnetite", "hematite")
    found.loc[2, ["mineral", "verdict"]] = ["cluster 1", "by hand"]
    named = name_clusters(found, hints.to_dict())
    assert named.loc[1, "mineral"] == "quartz"
    assert named.loc[2, "mineral"] == "cluster 1"


def test_clusters_need_grains():
    with pytest.raises(MismatchError, match="at least 4 grains on the maps, got 3"):
        classify_by_clusters(two_kinds().iloc[:3])
    with pytest.raises(MismatchError, match="got 0"):
        classify_by_clusters(areas(1.0, 2.0, 3.0, 4.0))


@pytest.fixture(scope="module")
def packed():
    """Grains of two sizes, some of them cut off by the edge, and their minerals."""
    random = np.random.default_rng(5)
    labels = np.zeros((300, 400), np.int32)
    y, x = np.mgrid[:300, :400]
    centres = [(cy, cx) for cy in range(0, 301, 30) for cx in range(0, 401, 40)]
    for label, (cy, cx) in enumerate(centres, 1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= random.uniform(4, 14) ** 2] = label
    table = measure_grains(labels, pixel_size_um=0.5)
    minerals = np.where(random.random(len(table)) < 0.4, "quartz", "albite")
    named = pd.DataFrame({"mineral": minerals, "verdict": "named"}, index=table.index)
    return labels, table, named


@pytest.mark.parametrize("rule", ["weights", "guard", "drop", "count all"])
@pytest.mark.parametrize("size", ["ecd", "feret_min"])
def test_d50_is_that_of_the_statistics_for_every_edge_rule(packed, rule, size):
    labels, table, named = packed
    settings = StatisticsSettings(edge_rule=rule, size=size, n_bootstrap=0)
    modal = modal_percentages(table, named, settings=settings, field_shapes=[labels.shape])
    for mineral, grains in table.groupby(named["mineral"]):
        field = FieldGrains(table=grains, height_px=300, width_px=400)
        values = summarize(field, settings).values["value"]
        for basis in ("number", "area"):
            assert modal.loc[mineral, f"d50_um_{basis}"] == values[f"d50_um_{basis}"]


def test_d50_of_several_fields_is_that_of_the_pooled_statistics(packed):
    labels, table, named = packed
    both = pd.concat([table, table.iloc[::3]], ignore_index=True)
    names = pd.concat([named, named.iloc[::3]], ignore_index=True)
    origin = np.repeat([0, 1], [len(table), len(table.iloc[::3])])
    modal = modal_percentages(both, names, fields=origin, field_shapes=[labels.shape] * 2)
    quartz = (names["mineral"] == "quartz").to_numpy()
    fields = [
        FieldGrains(table=both[quartz & (origin == n)], height_px=300, width_px=400) for n in (0, 1)
    ]
    values = summarize(fields, StatisticsSettings(n_bootstrap=0)).values["value"]
    assert modal.loc["quartz", "d50_um_number"] == values["d50_um_number"]


def test_without_a_shape_the_field_reaches_to_the_grains_at_its_edges(packed):
    labels, table, named = packed
    assert table.touches_edge.any()
    given = modal_percentages(table, named, field_shapes=[labels.shape], rounds=10)
    pd.testing.assert_frame_equal(modal_percentages(table, named, rounds=10), given)
