import numpy as np
import pandas as pd
import pytest

from grainsmith.classify.examples import ExampleSettings, classify_by_examples
from grainsmith.classify.naming_table import keep_manual_names, name_manually
from grainsmith.errors import MismatchError

# Mean counts a pixel of four minerals in Si, Al, K, Fe.
MINERALS = {
    "quartz": (4.5, 0.05, 0.05, 0.05),
    "K-feldspar": (2.8, 1.0, 0.9, 0.05),
    "muscovite": (2.0, 1.9, 0.7, 0.1),
    "magnetite": (0.05, 0.05, 0.05, 5.0),
}
ELEMENTS = ("Si", "Al", "K", "Fe")


def sample(n_per_mineral=40, pixels=150, seed=0):
    """Grain table of Poisson counts, and the true names."""
    rng = np.random.default_rng(seed)
    truth = [name for name in MINERALS for _ in range(n_per_mineral)]
    columns = {}
    for column, element in enumerate(ELEMENTS):
        expected = np.array([MINERALS[name][column] for name in truth])
        counts = rng.poisson(expected * rng.normal(1, 0.02, len(truth)) * pixels)
        columns[f"{element}_mean"] = counts / pixels
        columns[f"{element}_error"] = np.sqrt(counts) / pixels
        columns[f"{element}_counts"] = counts
        columns[f"{element}_coverage"] = np.ones(len(truth))
    index = pd.Index(range(1, len(truth) + 1), name="label")
    return pd.DataFrame(columns, index=index), pd.Series(truth, index=index)


def clicked(truth, names, n):
    return {int(label): name for name in names for label in truth.index[truth == name][:n]}


@pytest.mark.parametrize("n", [1, 3])
def test_nearest_centroid_needs_few_examples(n):
    table, truth = sample()
    learned = classify_by_examples(table, clicked(truth, MINERALS, n))
    assert (learned.naming["mineral"] == truth).mean() >= 0.97
    assert learned.importances.sum() == pytest.approx(1)
    assert np.isnan(learned.score) == (n == 1)


def test_forest_with_more_examples():
    table, truth = sample()
    learned = classify_by_examples(
        table, clicked(truth, MINERALS, 10), ExampleSettings(method="forest")
    )
    assert (learned.naming["mineral"] == truth).mean() >= 0.97
    assert learned.score >= 0.97
    assert np.trace(learned.confusion.to_numpy()) >= 39
    assert learned.confusion.to_numpy().sum() == 40


@pytest.mark.parametrize("method", ["centroid", "forest"])
def test_a_mineral_nobody_clicked_is_unknown(method):
    table, truth = sample()
    known = [name for name in MINERALS if name != "magnetite"]
    learned = classify_by_examples(table, clicked(truth, known, 5), ExampleSettings(method=method))
    assert (learned.naming["mineral"][truth == "magnetite"] == "unknown").all()


def test_grain_outside_the_maps_is_unmapped_and_no_example():
    table, truth = sample()
    table.loc[1, [f"{e}_coverage" for e in ELEMENTS]] = 0.1
    examples = clicked(truth[1:], MINERALS, 2)
    assert classify_by_examples(table, examples).naming.loc[1, "mineral"] == "unmapped"
    with pytest.raises(MismatchError, match="grain 1 lies outside all maps"):
        classify_by_examples(table, {1: "quartz", 80: "muscovite"})


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ({1: "quartz"}, "two minerals"),
        ({}, "two minerals"),
        ({1: "quartz", 9999: "mica"}, "the table has no grain 9999"),
    ],
)
def test_bad_examples_are_refused(examples, message):
    table, _ = sample(n_per_mineral=3)
    with pytest.raises(MismatchError, match=message):
        classify_by_examples(table, examples)


def test_no_map_at_all():
    with pytest.raises(MismatchError, match="no element map"):
        classify_by_examples(pd.DataFrame({"area_px": [3, 4]}, index=[1, 2]), {1: "a", 2: "b"})


def test_one_pixel_grains_are_judged_by_their_noise():
    table, truth = sample(pixels=1)
    learned = classify_by_examples(table, clicked(truth, MINERALS, 10))
    right = learned.naming["mineral"] == truth
    assert 0.5 < right.mean() < 0.99
    assert (learned.naming["verdict"][~right] != "named").mean() > 0.3


def test_names_given_by_hand_stay():
    table, truth = sample()
    examples = clicked(truth, MINERALS, 3)
    first = classify_by_examples(table, examples).naming
    changed = name_manually(first, 7, "tourmaline")
    again = keep_manual_names(classify_by_examples(table, examples).naming, changed)
    assert again.loc[7, ["mineral", "verdict"]].tolist() == ["tourmaline", "by hand"]
    pd.testing.assert_frame_equal(again.drop(7), first.drop(7))
    assert first.loc[7, "mineral"] == "quartz"
    with pytest.raises(MismatchError, match="no grain 999"):
        name_manually(first, 999, "quartz")
    with pytest.raises(MismatchError, match="needs the name"):
        name_manually(first, 7, "  ")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "svm"}, "method must be centroid or forest"),
        ({"stranger_pct": 0}, "stranger_pct must lie"),
        ({"least_probability": 2}, "least_probability must lie"),
        ({"spread_pct": -1}, "spread_pct must be"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ExampleSettings(**wrong)
