import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from grainsmith import plots


@pytest.fixture
def axes():
    return Figure().add_subplot()


def test_curve_has_a_line_and_a_band_for_each_basis(axes):
    curve = pd.DataFrame({"size_um": [10.0, 20, 40]})
    for basis in ("number", "area"):
        for kind in ("finer", "low", "high"):
            curve[f"{kind}_pct_{basis}"] = [0.0, 50, 100]
    plots.draw_curve(axes, curve, unit="um", bases=("number", "area"))
    assert [line.get_label() for line in axes.lines] == ["by number", "by area"]
    assert len(axes.collections) == 2
    assert axes.get_xlabel() == "grain size (µm)"
    assert axes.get_xscale() == "log"


def test_histogram_counts_every_known_value_once(axes):
    values = np.r_[np.random.default_rng(0).lognormal(size=500), np.nan, np.inf]
    plots.draw_histogram(axes, values, name="size", log=True)
    assert sum(bar.get_height() for bar in axes.patches) == 500


@pytest.mark.parametrize("values", [[], [np.nan], [3.0], [3.0, 3.0, 3.0], [0.0, -1.0]])
def test_histogram_of_next_to_nothing(axes, values):
    plots.draw_histogram(axes, values, name="size", log=True)
    plots.draw_histogram(axes, values, name="size")


def test_petals_of_a_rose_go_with_the_root_of_the_count_and_have_opposites():
    axes = Figure().add_subplot(projection="polar")
    plots.draw_rose(axes, [5.0] * 9 + [185.0] * 7 + [95.0] * 4)
    heights = np.array([bar.get_height() for bar in axes.patches])
    np.testing.assert_array_equal(heights[:18], heights[18:])
    assert heights[[0, 9]].tolist() == [4, 2]


def test_corners_of_the_triangle(axes):
    shares = {"Q": [5, 0, 0, 1], "F": [0, 2, 0, 1], "L": [0, 0, 3, 1]}
    plots.draw_ternary(axes, shares)
    height = np.sqrt(3) / 2
    np.testing.assert_allclose(
        axes.collections[0].get_offsets(), [(0.5, height), (0, 0), (1, 0), (0.5, height / 3)]
    )
    with pytest.raises(ValueError, match="three corners, got"):
        plots.draw_ternary(axes, {"Q": [1], "F": [2]})


def test_scatter_keeps_the_order_of_the_rows(axes):
    table = pd.DataFrame({"ecd_um": [3.0, 1, 2], "solidity": [0.1, 0.2, 0.3]})
    points = plots.draw_scatter(axes, table, "ecd_um", "solidity")
    np.testing.assert_array_equal(points.get_offsets(), table)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("ecd (µm)", "solidity")


def test_curves_of_a_run_show_losses_scores_and_the_best():
    from matplotlib.figure import Figure

    from grainsmith.plots import draw_losses, draw_scores

    events = [{"kind": "step", "step": k, "loss": 2.0 - k / 40} for k in range(1, 41)]
    for k, ap50 in ((0, 0.1), (20, 0.4), (40, None)):
        facts = {"ap50": ap50, "d50_error_pct": 30.0 - k, "best": k == 20, "loss": 1.0}
        events.append({"kind": "validation", "step": k, **facts})
    axes = Figure().add_subplot()
    draw_losses(axes, events)
    assert [line.get_label() for line in axes.lines] == ["training", "validation"]
    assert axes.lines[0].get_xdata()[-1] == 40
    axes = Figure().add_subplot()
    draw_scores(axes, events)
    assert list(axes.lines[0].get_ydata()) == [0.1, 0.4]
    assert list(axes.lines[1].get_xdata()) == [20, 20]
    draw_losses(Figure().add_subplot(), [])
    draw_scores(Figure().add_subplot(), [])
