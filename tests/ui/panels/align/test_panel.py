"""The Maps and Align panels in a real viewer: open a folder, align, look, mend, save, load."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("napari")

from napari.layers import Image
from qtpy.QtGui import QKeySequence
from qtpy.QtWidgets import QShortcut

from grainsmith.align import AlignSettings, DisplacementField
from grainsmith.io.images.reader import write_image
from grainsmith.io.maps.reader import BAR_AUTO, open_maps
from grainsmith.ui.layers.geometry import transform_of
from grainsmith.ui.layers.metadata import MapMetadata, role_of
from grainsmith.ui.panels.align.import_maps import MapsPanel
from grainsmith.ui.panels.align.panel import AlignPanel
from grainsmith.ui.panels.align.preview import PREVIEW_MODES
from grainsmith.ui.plugin.reader import read_maps

WAIT_MS = 120_000


@pytest.fixture
def folder(tmp_path):
    """A BSE image, two maps of one pass moved by (3, -2), an empty one, and half the pixels."""
    rng = np.random.default_rng(0)
    noise = [ndimage.gaussian_filter(rng.normal(size=(160, 160)), 4) for _ in range(2)]
    quartz, iron = noise[0] > 0.01, (noise[0] <= 0.01) & (noise[1] > 0)
    bse = 40 + 60 * quartz + 140 * iron
    write_image(tmp_path / "BSE.tif", bse.astype(np.uint8), pixel_size_um=0.5)
    for name, grains in (("Si Ka1", quartz), ("Fe Ka1", iron)):
        moved = ndimage.shift(grains.astype(float), (3, -2), order=1, mode="nearest")
        counts = rng.poisson(20 * moved.reshape(80, 2, 80, 2).mean((1, 3)) + 0.5)
        write_image(tmp_path / f"{name}.tif", counts.astype(np.uint16))
    write_image(tmp_path / "Zr La1.tif", np.zeros((80, 80), np.uint16))
    (tmp_path / "Ca.csv").write_text("1,2\n3\n4,5\n")
    return tmp_path


@pytest.fixture
def opened(viewer, folder, qtbot, monkeypatch):
    """The folder's layers, opened by the Maps panel."""
    monkeypatch.setattr("grainsmith.ui.plugin.reader.show_error", lambda _text: None)
    maps = MapsPanel(viewer)
    viewer.window.add_dock_widget(maps, name="Maps")
    maps.show_files(str(folder))
    maps.open()
    qtbot.waitUntil(lambda: len(viewer.layers) == 4, timeout=WAIT_MS)
    return maps


@pytest.fixture
def panel(viewer, opened):
    widget = AlignPanel(viewer)
    viewer.window.add_dock_widget(widget, name="Align")
    return widget


def align(panel, qtbot):
    panel.align()
    qtbot.waitUntil(lambda: not panel.running, timeout=WAIT_MS)


def shift_px(panel, name):
    layer = panel.viewer.layers[name]
    return transform_of(layer, panel.reference).matrix[:2, 2] - 0.5  # half a pixel: the start


def choose(panel, name):
    panel.select_map(name)


def test_folder_opens_with_units_hues_and_the_same_field(viewer, opened):
    silicon = viewer.layers["Si Ka1"]
    assert silicon.blending == "additive"
    assert [str(unit) for unit in silicon.units] == ["micrometer"] * 2
    corner = silicon.data_to_world((79.5, 79.5))
    np.testing.assert_allclose(corner, viewer.layers["BSE"].data_to_world((159.5, 159.5)))
    assert MapMetadata.of(silicon).element == "Si"
    assert "line 2" in opened.message  # the bad file is told


def test_guesses_can_be_corrected(viewer, folder):
    maps = MapsPanel(viewer)
    maps.show_files(str(folder))
    names = [one.name for one in maps.guesses()]
    row = names.index("Si Ka1.tif")
    maps._table.cellWidget(row, 1).setCurrentText("Mg")
    maps._table.cellWidget(row, 3).setCurrentText("wt%")
    assert maps.guesses()[row].bar_rows == BAR_AUTO
    maps._table.cellWidget(row, 5).setValue(16)
    guess = maps.guesses()[row]
    assert guess.bar_rows == 16
    assert (guess.element, guess.kind, guess.use) == ("Mg", "wt%", True)
    maps.show_files(str(folder / "nowhere"))
    assert "does not exist" in maps.message


def test_lines_of_a_cube_are_chosen_in_the_table(viewer, tmp_path):
    cube = np.zeros((4, 5, 700), np.uint16)
    cube[..., 174] = cube[..., 640] = 9
    (tmp_path / "rock.raw").write_bytes(cube.tobytes())
    (tmp_path / "rock.rpl").write_text(
        "key\tvalue\nwidth\t5\nheight\t4\ndepth\t700\noffset\t0\ndata-length\t2\n"
        "data-type\tunsigned\nbyte-order\tlittle-endian\nrecord-by\tvector\nev-per-chan\t10\n"
    )
    maps = MapsPanel(viewer)
    maps.show_files(tmp_path)
    maps._table.item(0, 2).setText("Fe Ka")
    (guess,) = maps.guesses()
    assert (guess.what, guess.line) == ("container", "Fe Ka")
    maps.add_maps(open_maps([guess]))
    assert [layer.name for layer in maps.roles.maps] == ["Fe Ka"]
    dropped = read_maps(str(tmp_path / "rock.rpl"))
    assert [options["name"] for _, options, _ in dropped] == ["Si Ka", "Fe Ka"]


def test_align_undo_align(panel, qtbot):
    before = panel.viewer.layers["Si Ka1"].data.copy()
    align(panel, qtbot)
    np.testing.assert_allclose(shift_px(panel, "Si Ka1"), (-3, 2), atol=0.3)
    np.testing.assert_allclose(shift_px(panel, "Zr La1"), (-3, 2), atol=0.3)
    verdicts = [panel._table.item(row, 4).text() for row in range(3)]
    assert sorted(verdicts) == ["aligned", "aligned", "by its pass"]
    assert "1 moved with their pass; 1 pass" in panel.message
    np.testing.assert_array_equal(panel.viewer.layers["Si Ka1"].data, before)
    panel.undo()
    np.testing.assert_allclose(shift_px(panel, "Si Ka1"), 0, atol=1e-9)
    assert MapMetadata.of(panel.viewer.layers["Si Ka1"]).registration.verdict == "not aligned"
    align(panel, qtbot)
    align(panel, qtbot)  # a second time starts where the files say, not where the first ended
    np.testing.assert_allclose(shift_px(panel, "Si Ka1"), (-3, 2), atol=0.3)


def test_refinement_is_a_choice_and_says_what_is_missing(panel, monkeypatch):
    monkeypatch.setattr("grainsmith.align.simpleitk.find_spec", lambda name: None)
    monkeypatch.setattr(panel._form, "settings", lambda: AlignSettings(refine="affine"))
    panel.align()
    assert "pip install 'grainsmith[registration]'" in panel.message


def test_arrow_keys_nudge_and_undo(panel, qtbot):
    choose(panel, "Fe Ka1")
    panel.arrow_keys.setChecked(True)
    layer = panel.viewer.layers["Fe Ka1"]
    assert panel.viewer.layers.selection.active == layer
    keymap = {str(key): slot for key, slot in layer.keymap.items()}
    keymap["Down"](layer)
    keymap["Alt+Right"](layer)
    np.testing.assert_allclose(shift_px(panel, "Fe Ka1"), (1, 0.1))
    np.testing.assert_allclose(shift_px(panel, "Si Ka1"), 0, atol=1e-9)
    assert MapMetadata.of(layer).registration.verdict == "by hand"
    assert panel._table.item(panel._table.currentRow(), 2).text() == "+1.0  +0.1"
    panel.undo()
    panel.undo()
    np.testing.assert_allclose(shift_px(panel, "Fe Ka1"), 0, atol=1e-9)
    panel.arrow_keys.setChecked(False)
    assert not any(layer.keymap.values())


def test_save_and_load(panel, qtbot, tmp_path):
    align(panel, qtbot)
    path = str(tmp_path / "t.json")
    panel.save(path)
    panel.undo()
    panel.load(path)
    np.testing.assert_allclose(shift_px(panel, "Fe Ka1"), (-3, 2), atol=0.3)
    assert MapMetadata.of(panel.viewer.layers["Fe Ka1"]).registration.verdict == "aligned"
    (tmp_path / "bad.json").write_text("{}")
    panel.load(str(tmp_path / "bad.json"))
    assert "no transform that is understood" in panel.message


def test_points_say_what_is_missing_and_move_the_map(panel):
    choose(panel, "Si Ka1")
    points = panel.landmarks
    points._model.setCurrentText("similarity")
    points.begin()
    on_reference, on_map = points.layers
    assert "2 more pairs needed" in points.note
    for y, x in ((20, 30), (120, 100), (60, 140)):
        on_reference.add((y, x))
        assert panel.viewer.layers.selection.active == on_map
        on_map.add(((y - 0.5 - 4) / 2, (x - 0.5 + 6) / 2))
    assert "residual 0.00 px" in points.note
    assert "when left out, off by 0.00 px" in points.note
    points.undo()
    assert (len(on_reference.data), len(on_map.data)) == (3, 2)
    points.undo()
    points.apply()
    np.testing.assert_allclose(shift_px(panel, "Si Ka1"), (4, -6), atol=1e-6)
    panel.undo()
    np.testing.assert_allclose(shift_px(panel, "Si Ka1"), 0, atol=1e-9)
    points.stop()
    assert len(panel.viewer.layers) == 4


@pytest.mark.parametrize("mode", PREVIEW_MODES)
def test_every_way_of_looking_gives_the_look_back(panel, qtbot, mode):
    align(panel, qtbot)
    choose(panel, "Si Ka1")
    layers = list(panel.viewer.layers)
    look = [(one.visible, one.colormap.name, one.blending, one.opacity) for one in layers]
    zoom = panel.viewer.scene.camera.zoom
    panel.preview(mode)
    if mode == "flicker":
        was = panel.viewer.layers["Si Ka1"].visible
        panel.preview(mode)
        assert panel.viewer.layers["Si Ka1"].visible is not was
    if mode == "before | after":
        both = panel.viewer.layers["before | after"]
        width = panel.reference.data.shape[1]
        assert both.data.shape[1] > 2 * width
        before, after = both.data[..., :width, 0], both.data[..., -width:, 0]
        assert (before != after).mean() > 0.02  # the map (red) has moved
        np.testing.assert_array_equal(both.data[..., :width, 1], both.data[..., -width:, 1])
    panel.end_preview()
    assert list(panel.viewer.layers) == layers
    assert panel.viewer.scene.camera.zoom == zoom
    assert [(one.visible, one.colormap.name, one.blending, one.opacity) for one in layers] == look
    np.testing.assert_allclose(shift_px(panel, "Si Ka1"), (-3, 2), atol=0.3)


def test_layers_of_another_reader_are_adopted(viewer, folder):
    viewer.open(str(folder / "BSE.tif"), plugin="grainsmith")
    viewer.add_image(np.ones((80, 80)), name="Mg Ka1")
    maps = MapsPanel(viewer)
    viewer.layers.selection = {viewer.layers["Mg Ka1"]}
    maps.adopt()
    layer = viewer.layers["Mg Ka1"]
    assert (role_of(layer), MapMetadata.of(layer).element) == ("map", "Mg")
    np.testing.assert_allclose(layer.data_to_world((79.5, 79.5)), (79.75, 79.75))


def test_dropped_folder_opens_as_maps(viewer, folder):
    (folder / "Ca.csv").unlink()
    viewer.open(str(folder), plugin="grainsmith")
    assert {"BSE", "Si Ka1", "Fe Ka1", "Zr La1"} <= {one.name for one in viewer.layers}


def test_empty_panel_says_what_is_missing(viewer):
    panel = AlignPanel(viewer)
    panel.align()
    assert "Open an image and its maps first" in panel.message


def test_a_pair_of_pictures_needs_no_maps(viewer, qtbot):
    rng = np.random.default_rng(1)
    grains = ndimage.gaussian_filter(rng.normal(size=(128, 128)), 4) > 0
    ppl = (grains * 100 + 50).astype(np.uint8)
    viewer.add_image(ppl, name="PPL")
    viewer.add_image(np.roll(255 - ppl, (2, 5), (0, 1)), name="XPL")
    panel = AlignPanel(viewer)
    panel.select_reference("PPL")
    assert [one.name for one in panel.moving] == ["XPL"]
    align(panel, qtbot)
    shift = transform_of(viewer.layers["XPL"], viewer.layers["PPL"]).matrix[:2, 2]
    np.testing.assert_allclose(shift, (-2, -5), atol=0.2)


def test_open_align_undo_align_nudge_save_reload(viewer, folder, qtbot, tmp_path):
    """What a user does with a field, in one go, with the keys and buttons of the window."""
    (folder / "Ca.csv").unlink()
    viewer.open(str(folder), plugin="grainsmith")
    panel = AlignPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Align")
    align(panel, qtbot)
    panel.undo()
    np.testing.assert_allclose(shift_px(panel, "Fe Ka1"), 0, atol=1e-9)
    align(panel, qtbot)
    choose(panel, "Fe Ka1")
    panel.arrow_keys.setChecked(True)
    layer = viewer.layers["Fe Ka1"]
    found = shift_px(panel, "Fe Ka1")
    {str(key): slot for key, slot in layer.keymap.items()}["Alt+Down"](layer)
    np.testing.assert_allclose(shift_px(panel, "Fe Ka1"), np.add(found, (0.1, 0)))
    path = str(tmp_path / "transforms.json")
    panel.save(path)
    wanted = {one.name: transform_of(one, panel.reference) for one in panel.moving}
    panel.arrow_keys.setChecked(False)
    viewer.layers.clear()
    viewer.open(str(folder), plugin="grainsmith")
    np.testing.assert_allclose(shift_px(panel, "Fe Ka1"), 0, atol=1e-9)
    panel.load(path)
    for name, transform in wanted.items():
        again = transform_of(viewer.layers[name], panel.reference)
        np.testing.assert_allclose(again.matrix, transform.matrix, atol=1e-9)
        assert again.verdict == transform.verdict
    assert transform_of(viewer.layers["Fe Ka1"], panel.reference).verdict == "by hand"


def test_the_table_tells_shift_in_px_and_um_turn_scale_and_residual(panel, qtbot):
    align(panel, qtbot)
    texts = panel._table.texts(panel.viewer.layers["Si Ka1"])
    px, um = (
        np.array([float(one) for one in texts[name].split()]) for name in ("Shift px", "Shift µm")
    )
    np.testing.assert_allclose(um, 0.5 * px, atol=0.03)
    assert abs(float(texts["Rotation °"])) < 0.2
    assert float(texts["Scale"]) == pytest.approx(1, abs=0.003)
    assert float(texts["Resid. px"]) < 0.3


def _record_bend(layer, bend):
    registration = MapMetadata.of(layer).registration
    MapMetadata.update(layer, registration=replace(registration, bend=bend))


def test_a_bent_map_gets_a_straightened_copy_beside_it(panel, tmp_path):
    choose(panel, "Si Ka1")
    panel.straighten()
    assert "No bend is recorded" in panel.message
    layer = panel.viewer.layers["Si Ka1"]
    bend = DisplacementField(
        knots_px=np.full((7, 7, 2), 2.0), origin_px=np.zeros(2), spacing_px=np.ones(2) * 40
    )
    _record_bend(layer, bend.to_json())
    path = str(tmp_path / "t.json")
    panel.save(path)
    _record_bend(layer, None)
    panel.load(path)
    _record_bend(layer, {"knots_px": [1]})
    panel.straighten()
    assert "cannot be used" in panel.message
    _record_bend(layer, bend.to_json())
    before = layer.data.copy()
    panel.straighten()
    copy = panel.viewer.layers["Si Ka1 straightened"]
    np.testing.assert_array_equal(copy.data[:-1, :-1], before[1:, 1:])  # 2 px of the image
    np.testing.assert_array_equal(layer.data, before)
    assert copy in panel.roles.maps
    assert layer not in panel.roles.maps
    assert (MapMetadata.of(copy).element, MapMetadata.of(copy).straightened_from) == (
        "Si",
        "Si Ka1",
    )
    np.testing.assert_allclose(copy.data_to_world((3, 4)), layer.data_to_world((3, 4)))
    panel.viewer.layers.remove(copy)
    panel.roles.maps = (*panel.roles.maps, layer)
    assert layer in panel.moving


def test_escape_ends_previews_landmarks_and_arrow_keys(panel, qtbot):
    align(panel, qtbot)
    panel.show()
    panel.preview("checkerboard")
    panel.landmarks.begin()
    panel.arrow_keys.setChecked(True)
    layers = len(panel.viewer.layers)
    (escape,) = (s for s in panel.findChildren(QShortcut) if s.key() == QKeySequence("Esc"))
    escape.activated.emit()  # the window of the tests is hidden and gets no keys
    assert len(panel.viewer.layers) == layers - 3
    assert not panel.landmarks.running
    assert not panel.arrow_keys.isChecked()


@pytest.mark.display
def test_screenshots(panel, qtbot, screenshots):
    viewer = panel.viewer
    align(panel, qtbot)
    choose(panel, "Fe Ka1")
    window = viewer.window
    window.resize(1400, 950)
    for name in ("panel", "red-cyan", "checkerboard", "flicker", "before | after"):
        if name != "panel":
            panel.preview(name)
        qtbot.wait(300)
        window.screenshot(
            path=str(screenshots / f"align-{name.replace(' | ', '-')}.png"),
            canvas_only=False,
            flash=False,
        )
    panel.end_preview()
    panel.by_hand.expand()
    panel.landmarks.begin()
    qtbot.wait(300)
    picture = window.screenshot(
        path=str(screenshots / "align-points.png"), canvas_only=False, flash=False
    )
    assert picture.std() > 5
    panel.landmarks.stop()
    assert isinstance(viewer.layers[0], Image)
