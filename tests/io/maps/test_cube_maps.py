import h5py
import numpy as np
import pytest

from grainsmith.eds import LINES_KEV, find_lines, line_maps, resolution_ev
from grainsmith.errors import MismatchError
from grainsmith.io.maps.cube_maps import parse_lines, read_cube_maps
from grainsmith.io.maps.reader import guess_maps, open_maps
from grainsmith.io.maps.spectrum_cube import open_cube

HEIGHT, WIDTH, CHANNELS = 24, 20, 1000


def spectra(lines, *, counts=30.0, ground=0.05, seed=0):
    """Silicate on the left, the rest on the right, with a falling continuum under both."""
    kev = np.arange(CHANNELS) * 0.01
    rates = np.zeros((HEIGHT, WIDTH, CHANNELS))
    rates += ground * np.exp(-kev / 3)
    for energy, share, columns in lines:
        sigma = resolution_ev(energy) / 2355
        peak = np.exp(-(((kev - energy) / sigma) ** 2) / 2)
        rates[:, columns] += counts * share * peak / peak.sum()
    return np.random.default_rng(seed).poisson(rates).astype(np.uint16)


def ripple(folder, cube, name="map"):
    header = {
        "width": cube.shape[1], "height": cube.shape[0], "depth": cube.shape[2], "offset": 0,
        "data-length": 2, "data-type": "unsigned", "byte-order": "little-endian",
        "record-by": "vector", "ev-per-chan": 10.0,
    }  # fmt: skip
    lines = "\n".join(f"{key}\t{value}" for key, value in header.items())
    (folder / f"{name}.rpl").write_text(f"key\tvalue\n{lines}\n")
    (folder / f"{name}.raw").write_bytes(cube.astype("<u2").tobytes())
    return folder / f"{name}.rpl"


LEFT, RIGHT = slice(0, 10), slice(10, 20)
ROCK = [
    (LINES_KEV["Si Ka"], 1.0, LEFT),
    (LINES_KEV["O Ka"], 0.5, LEFT),
    (LINES_KEV["Fe Ka"], 1.0, RIGHT),
    (7.058, 0.14, RIGHT),  # Fe K beta, beside Co Ka
    (LINES_KEV["Ti Ka"], 1.0, RIGHT),
    (4.932, 0.14, RIGHT),  # Ti K beta, on V Ka
    (LINES_KEV["S Ka"], 1.0, RIGHT),  # on Mo La, Pb Ma
]


@pytest.fixture
def rock(tmp_path):
    return ripple(tmp_path, spectra(ROCK))


def test_lines_that_stand_out_are_found_and_no_others(rock):
    assert find_lines(open_cube(rock)) == ["O Ka", "Si Ka", "S Ka", "Ti Ka", "Fe Ka"]


def test_continuum_alone_has_no_line(tmp_path):
    path = ripple(tmp_path, spectra([], ground=2.0))
    with pytest.raises(MismatchError, match="Name the lines"):
        read_cube_maps(path)


def test_cube_in_a_folder_becomes_maps_beside_the_others(rock):
    (rock.parent / "Al Ka1.csv").write_text("\n".join(["1,2,3,4,5"] * 6))
    guesses = guess_maps(rock.parent)
    cube = next(one for one in guesses if one.name == "map.rpl")
    assert (cube.what, cube.use) == ("container", True)
    assert cube.note == f"cube of {WIDTH} x {HEIGHT} spectra, {CHANNELS} channels"
    opened = open_maps(guesses)
    names = [one.name for one in opened.maps]
    assert "Al Ka1" in names
    assert {"Si Ka", "Fe Ka", "Ti Ka", "S Ka", "O Ka"} < set(names)
    iron = next(one for one in opened.maps if one.name == "Fe Ka")
    assert iron.kind == "counts"
    assert iron.values[:, RIGHT].mean() > 10 * iron.values[:, LEFT].mean()
    assert any("detected in the spectra" in note for note in opened.notes)


def test_lines_may_be_named(rock):
    maps, _ = read_cube_maps(rock, "Fe; Si Ka, Fe")
    assert [one.name for one in maps] == ["Fe Ka", "Si Ka"]
    with pytest.raises(MismatchError, match="'Xx' is no known line"):
        parse_lines("Si, Xx")


def test_hdf5_that_is_no_cube_is_left_out_and_a_broken_cube_is_told(rock):
    with h5py.File(rock.parent / "other.h5", "w") as file:
        file["numbers"] = np.arange(4)
    rock.with_suffix(".raw").write_bytes(b"cut")
    guesses = guess_maps(rock.parent)
    other = next(one for one in guesses if one.name == "other.h5")
    assert (other.what, other.use) == ("left out", False)
    opened = open_maps(guesses)
    assert not opened.maps
    assert "holds 3" in str(opened.problems[0])


def test_work_on_a_cube_can_be_stopped(rock):
    steps = []

    def stop(done, total):
        steps.append((done, total))
        if len(steps) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_maps(guess_maps(rock), on_progress=stop)


def test_maps_are_the_same_whichever_way_they_are_asked_for(rock):
    by_hand = line_maps(open_cube(rock), ["Si Ka"])[0]
    by_folder, _ = read_cube_maps(rock, "Si")
    np.testing.assert_array_equal(by_hand.values, by_folder[0].values)
