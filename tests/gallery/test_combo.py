import numpy as np
import pandas as pd
import pytest

from grainsmith.data import ElementMap, Transform
from grainsmith.errors import MismatchError
from grainsmith.gallery import (
    ComboSettings,
    composite_image,
    draw_combo,
    make_combo,
    prepare_field,
)


@pytest.fixture
def pieces():
    """A 40 x 60 field: grain 1 rich in Fe, grain 2 in Si, 3 one pixel, 4 at the edge."""
    labels = np.zeros((40, 60), np.int32)
    labels[8:28, 6:26], labels[10:30, 34:54], labels[35, 5], labels[36:, 50:] = 1, 2, 3, 4
    random = np.random.default_rng(0)
    amounts = {"Fe": (0.2, 9, 1, 0, 2), "Si": (0.2, 1, 9, 5, 2), "Al": (0.2, 3, 3, 0, 2)}
    maps = tuple(
        ElementMap(values=random.poisson(np.array(values)[labels]), element=element, line="Ka1")
        for element, values in amounts.items()
    )
    transforms = {
        "Fe": Transform(verdict="aligned"),
        "Si": Transform(verdict="inherited"),
        "Al": Transform(verdict="unsure"),
    }
    image = random.normal(np.array([20.0, 120, 90, 200, 60])[labels], 5).astype(np.float32)
    return image, labels, maps, transforms


def naming(**rows):
    columns = ["mineral", "score", "runner_up", "runner_up_score", "verdict"]
    return pd.DataFrame(
        list(rows.values()), columns=columns, index=pd.Index([int(k[1:]) for k in rows])
    )


def test_a_grain_in_all_its_pictures(pieces):
    combo = make_combo(prepare_field(*pieces, pixel_size_um=0.5), 1)
    titles = [tile.title for tile in combo.tiles]
    assert titles == ["Image", "Fe Ka1", "Si Ka1", "Al Ka1", "Overlay", "PC 1-3"]
    assert all(tile.image.shape == (160, 160, 3) for tile in combo.tiles)
    assert combo.tiles[0].caption == "bar 5 µm"
    assert combo.subtitle == "crop 16 µm"
    assert combo.tiles[4].caption.startswith("R Fe")


def test_readings_are_those_of_the_core_with_their_noise(pieces):
    iron = make_combo(prepare_field(*pieces), 1).readings[0]
    core = pieces[2][0].values[10:26, 8:24]  # more than two pixels under the edge
    assert iron.mean == pytest.approx(core.mean())
    assert iron.error == pytest.approx(np.sqrt(core.sum()) / core.size)
    assert iron.coverage == 1
    assert iron.stands_out
    assert iron.sigmas > 20
    silicon = make_combo(prepare_field(*pieces), 1).readings[1]
    assert not silicon.stands_out or silicon.around < silicon.mean / 1.1


def test_what_a_grain_is_richer_in_is_said_in_counts(pieces):
    combo = make_combo(prepare_field(*pieces), 1)
    iron = combo.readings[0]
    assert combo.richer.startswith(
        f"Richer than around: Fe {iron.mean:.3g} against {iron.around:.3g} cts ({iron.sigmas:.0f}σ)"
    )
    assert combo.richer.endswith("; alignment not sure: Al")
    image, labels, *_ = pieces
    flat = (ElementMap(values=np.ones((40, 60), np.uint16), element="S"),)
    assert make_combo(prepare_field(image, labels, flat), 1).richer.endswith("in no element")
    assert make_combo(prepare_field(image, labels), 1).richer == ""
    narrow, wide = (
        draw_combo(make_combo(prepare_field(*pieces), 1, ComboSettings(columns=n, tile_px=100)))
        for n in (1, 6)
    )
    assert (narrow[:60, :100] > 200).any()
    assert narrow.shape[1] < wide.shape[1]


def test_doubtful_alignment_is_marked(pieces):
    tiles = make_combo(prepare_field(*pieces), 1).tiles
    assert [tile.warning for tile in tiles[1:4]] == ["", "", "alignment: unsure"]
    image, labels, maps, _ = pieces
    tiles = make_combo(prepare_field(image, labels, maps, {}), 1).tiles
    assert {tile.warning for tile in tiles[1:4]} == {"alignment: not aligned"}


def test_maps_are_drawn_through_their_alignment(pieces):
    image, labels, maps, transforms = pieces
    moved = ElementMap(values=np.roll(maps[0].values, (4, 3), (0, 1)), element="Fe", line="Ka1")
    coarse = ElementMap(values=maps[1].values[::2, ::2], element="Si", line="Ka1")
    halved = Transform(matrix=np.diag([2.0, 2.0, 1.0]), verdict="aligned")
    there = {**transforms, "Fe": Transform.from_shift(-4, -3, verdict="aligned"), "Si": halved}
    before = make_combo(prepare_field(*pieces), 1)
    after = make_combo(prepare_field(image, labels, (moved, coarse, maps[2]), there), 1)
    np.testing.assert_array_equal(before.tiles[1].image, after.tiles[1].image)
    assert after.readings[0].mean == before.readings[0].mean
    assert after.readings[0].around == pytest.approx(before.readings[0].around, abs=0.05)
    assert after.readings[1].mean == pytest.approx(before.readings[1].mean, rel=0.3)
    assert after.readings[1].coverage == pytest.approx(1)


def test_a_grain_outside_a_map_says_so(pieces):
    image, labels, maps, transforms = pieces
    away = {**transforms, "Fe": Transform.from_shift(500, 0, verdict="aligned")}
    combo = make_combo(prepare_field(image, labels, maps, away), 1)
    assert combo.tiles[1].caption == "outside the map"
    assert np.isnan(combo.readings[0].mean)
    assert combo.readings[0].coverage == 0
    nowhere = {one.element: away["Fe"] for one in maps}
    beside = make_combo(prepare_field(image, labels, maps, nowhere), 1)
    assert beside.richer == "Outside all maps"
    assert not combo.readings[0].stands_out
    assert draw_combo(combo).dtype == np.uint8


@pytest.mark.parametrize("label", [3, 4])
def test_specks_and_grains_at_the_edge(pieces, label):
    combo = make_combo(prepare_field(*pieces), label)
    assert draw_combo(combo).any()
    assert combo.readings[1].mean == pytest.approx(
        pieces[2][1].values[pieces[1] == label].mean(), abs=1
    )


def test_the_error_of_one_pixel_that_counts_nothing_is_not_known(pieces):
    image, labels, *_ = pieces
    random = np.random.default_rng(0)
    weights = random.normal(1, 0.1, labels.shape).astype(np.float32)
    weights[labels == 3] = 5
    combo = make_combo(
        prepare_field(image, labels, [ElementMap(values=weights, element="Si", kind="wt%")]), 3
    )
    assert np.isnan(combo.readings[0].error)
    assert combo.tiles[1].caption.startswith("5.00 ± ? wt%")
    assert not combo.readings[0].stands_out
    assert "σ" not in combo.richer


def test_without_maps_the_image_alone(pieces):
    image, labels, *_ = pieces
    combo = make_combo(prepare_field(image, labels), 2)
    assert [tile.title for tile in combo.tiles] == ["Image"]
    rgb = np.repeat(image[..., np.newaxis], 3, axis=2)
    assert draw_combo(make_combo(prepare_field(rgb, labels), 2)).shape[2] == 3


def test_names_and_the_grains_it_is_like(pieces):
    table = pd.DataFrame(
        {"Fe_mean": [9.0, 1, 1, 8], "Si_mean": [1.0, 9, 5, 1], "Al_mean": 0.0, "ecd_um": 11.28},
        index=[1, 2, 3, 4],
    )
    names = naming(
        g1=("hematite", 0.97, "ilmenite", 0.02, "named"),
        g2=("quartz", 1.0, "", 0.0, "by hand"),
        g3=("unknown", 0.0, "quartz", 0.3, "unknown"),
        g4=("hematite", 0.9, "", 0.0, "named"),
    )
    made = prepare_field(*pieces, table=table, naming=names)
    combo = make_combo(made, 1)
    assert combo.title == "Grain 1 · hematite 0.97, then ilmenite 0.02"
    assert combo.subtitle.startswith("diameter 11.3 µm")
    assert combo.bars_title == "against 2 hematite"
    assert [bar.element for bar in combo.bars] == ["Fe", "Si"]  # no grain shows aluminium
    assert combo.bars[0].grain == 1
    assert combo.bars[0].group == pytest.approx(8.5 / 9)
    assert make_combo(made, 2).title == "Grain 2 · quartz (by hand)"
    assert make_combo(made, 3).title == "Grain 3 · unknown, nearest quartz"
    assert make_combo(made, 2).bars_title == "against all 4 grains"


def test_a_grain_that_no_map_reaches_is_drawn_beside_all_others(pieces):
    nan = float("nan")
    table = pd.DataFrame(
        {"Fe_mean": [nan, 1, 1, nan], "Si_mean": [nan, 9, 5, nan], "Al_mean": [nan, 1, 1, nan]},
        index=[1, 2, 3, 4],
    )
    names = naming(
        g1=("unmapped", 0.0, "", 0.0, "unmapped"),
        g2=("quartz", 1.0, "", 0.0, "named"),
        g3=("quartz", 1.0, "", 0.0, "named"),
        g4=("unmapped", 0.0, "", 0.0, "unmapped"),
    )
    combo = make_combo(prepare_field(*pieces, table=table, naming=names), 1)
    assert combo.bars_title == "against all 4 grains"
    assert draw_combo(combo).any()


def test_one_scale_for_all_maps_is_written_down(pieces):
    made = prepare_field(*pieces)
    notes = [
        [
            tile.note.split()[-1]
            for tile in make_combo(made, 1, ComboSettings(scale=scale)).tiles[1:4]
        ]
        for scale in ("per map", "shared")
    ]
    assert len(set(notes[0])) > 1
    assert len(set(notes[1])) == 1


def test_the_overlay_can_be_chosen(pieces):
    made = prepare_field(*pieces)
    combo = make_combo(made, 1, ComboSettings(overlay=("Al", "", "Si")))
    assert combo.tiles[4].caption == "R Al  G Fe  B Si"
    with pytest.raises(
        MismatchError, match=r"no map of Zr for the overlay; choose among Fe, Si, Al"
    ):
        make_combo(made, 1, ComboSettings(overlay=("Zr", "", "")))


@pytest.mark.parametrize("label", [0, 99, -1])
def test_a_grain_that_is_not_there(pieces, label):
    with pytest.raises(MismatchError, match=f"there is no grain {label}"):
        make_combo(prepare_field(*pieces), label)


def test_labels_larger_than_the_image_are_refused(pieces):
    image, labels, *_ = pieces
    with pytest.raises(MismatchError, match="must be of one field"):
        prepare_field(image[:20], labels)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"scale": "log"}, "scale must be"),
        ({"margin_pct": -1}, "margin_pct must lie"),
        ({"tile_px": 3}, "tile_px must lie"),
        ({"columns": -1}, "columns must be"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        ComboSettings(**wrong)


def test_principal_components_part_the_minerals(pieces):
    image, labels, maps, _ = pieces
    picture = composite_image(prepare_field(*pieces)).astype(float)
    assert picture.shape == (*maps[0].values.shape, 3)
    one, other = (picture[labels == label].mean(axis=0) for label in (1, 2))
    assert np.abs(one - other).max() > 60
    with pytest.raises(MismatchError, match="three aligned maps, got 2"):
        composite_image(prepare_field(image, labels, maps[:2]))
