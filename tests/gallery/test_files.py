import numpy as np
import pandas as pd
import pytest

from grainsmith.data import ElementMap
from grainsmith.errors import MismatchError, WriteError
from grainsmith.gallery import (
    ComboSettings,
    SheetSettings,
    combo_name,
    contact_sheet,
    make_combo,
    prepare_field,
    save_combo,
    save_combos,
)
from grainsmith.gallery.text import width_of, write


@pytest.fixture
def made():
    labels = np.zeros((60, 80), np.int32)
    labels[5:25, 5:15], labels[30:50, 10:50], labels[5:20, 40:70] = 1, 2, 66
    image = (labels * 3 + 20).astype(np.uint8)
    maps = [ElementMap(values=labels % 7 + k, element=e) for k, e in enumerate(("Si", "Fe", "Al"))]
    naming = pd.DataFrame(
        {
            "mineral": ["quartz", "zircon", "quartz"], "score": 1.0, "runner_up": "",
            "runner_up_score": 0.0, "verdict": "named",
        },
        index=[1, 2, 66],
    )  # fmt: skip
    table = pd.DataFrame({f"{e}_mean": [1.0, 2, 3] for e in ("Si", "Fe", "Al")}, index=[1, 2, 66])
    return prepare_field(image, labels, maps, naming=naming, table=table, pixel_size_um=1.0)


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")]
)
def test_a_combo_becomes_a_file(made, tmp_path, suffix, start):
    path = tmp_path / combo_name(66, suffix)
    save_combo(path, make_combo(made, 66))
    assert path.name == f"idx66_ele_combo{suffix}"
    assert path.read_bytes().startswith(start)
    if suffix == ".svg":
        assert "Grain 66" in path.read_text()


def test_other_kinds_of_files_are_refused(made, tmp_path):
    with pytest.raises(WriteError, match=r"written as .png, .svg, .pdf, not as '.bmp'"):
        save_combo(tmp_path / "a.bmp", make_combo(made, 66))


def test_all_combos_with_progress_and_cancel(made, tmp_path):
    steps = []
    written = save_combos(
        made,
        tmp_path,
        [1, 2, 66],
        ComboSettings(tile_px=40),
        on_progress=lambda *s: steps.append(s),
    )
    assert [path.name for path in written] == [combo_name(label) for label in (1, 2, 66)]
    assert steps == [(0, 3), (1, 3), (2, 3), (3, 3)]

    def stop(done, total):
        if done == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        save_combos(made, tmp_path / "stopped", [1, 2, 66], on_progress=stop)
    assert [path.name for path in (tmp_path / "stopped").iterdir()] == [combo_name(1)]


def test_contact_sheet_has_every_grain_once(made):
    sheet = contact_sheet(made, SheetSettings(width_px=400))
    assert sheet.shape[1] == 400
    one_less = contact_sheet(made, SheetSettings(width_px=400, least_area_px=250))
    assert len(one_less) <= len(sheet)
    # Outlines have the colour of the mineral.
    assert (sheet == (0xFF, 0xF3, 0x3B)).all(axis=2).sum() > 50
    with pytest.raises(MismatchError, match="no grain has 5000 px or more"):
        contact_sheet(made, SheetSettings(least_area_px=5000))


@pytest.mark.parametrize("upright", [True, False])
def test_grains_keep_their_size_on_the_sheet(made, upright):
    sheet = contact_sheet(
        made,
        SheetSettings(width_px=600, magnification=1, upright=upright),
        colors={"zircon": "#010203"},
    )
    inside = (sheet == made.labels.dtype.type(0)).all(axis=2)
    outline = (sheet == (1, 2, 3)).all(axis=2)
    rows, columns = np.nonzero(outline)
    extent = sorted([np.ptp(rows) + 1, np.ptp(columns) + 1])
    assert extent == pytest.approx([20, 40], abs=1.5)
    assert not inside.all()


@pytest.mark.parametrize("wrong", [{"width_px": 5}, {"magnification": -1}, {"most_per_mineral": 0}])
def test_bad_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SheetSettings(**wrong)


def test_text_is_cut_to_its_width_and_to_the_image():
    picture = np.zeros((20, 60, 3), np.uint8)
    write(
        picture, "a long line of text", at=(15, 2), size_px=12, color=(255, 0, 0), max_width_px=40
    )
    assert picture[..., 0].any()
    assert not picture[:, 46:].any()
    assert not picture[..., 1:].any()
    write(picture, "µσ±▲", at=(-2, 55), size_px=12, color=(0, 255, 0))
    assert width_of("wide", 12) > width_of("w", 12) > width_of("", 12) == 0


def test_headings_count_the_grains_that_are_left_out(made, monkeypatch):
    texts = []
    monkeypatch.setattr(
        "grainsmith.gallery.sheet.write", lambda image, text, **options: texts.append(text)
    )
    contact_sheet(made, SheetSettings(width_px=400, least_area_px=1))
    total = sum(int(text.split()[0]) for text in texts if text.endswith(" grains"))
    assert total == len(np.unique(made.labels)) - 1
    largest = int(np.bincount(made.labels.ravel())[1:].max())
    texts.clear()
    contact_sheet(made, SheetSettings(width_px=400, least_area_px=largest))
    assert any(text.startswith("the largest 1 of ") or text.startswith("1 grain") for text in texts)
