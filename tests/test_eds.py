import h5py
import numpy as np
import pytest

from grainsmith.eds import LINES_KEV, line_maps, resolution_ev
from grainsmith.errors import MismatchError, ReadError
from grainsmith.io.maps.spectrum_cube import open_cube

SHAPE = (6, 5, 1000)


@pytest.fixture
def spectra():
    """Silicon on the left, iron on the right, 10 eV a channel."""
    cube = np.zeros(SHAPE, np.uint16)
    cube[:, :2, round(LINES_KEV["Si Ka"] * 100)] = 7
    cube[:, 2:, round(LINES_KEV["Fe Ka"] * 100)] = 9
    return cube


def ripple(folder, spectra, **changes):
    header = {
        "width": 5, "height": 6, "depth": 1000, "offset": 0, "data-length": 2,
        "data-type": "unsigned", "byte-order": "little-endian", "record-by": "vector",
        "ev-per-chan": 10.0, **changes,
    }  # fmt: skip
    lines = "\n".join(f"{name}\t{value}" for name, value in header.items())
    (folder / "map.rpl").write_text(f"key\tvalue\n{lines}\n")
    data = np.moveaxis(spectra, -1, 0) if header["record-by"] == "image" else spectra
    (folder / "map.raw").write_bytes(np.ascontiguousarray(data).astype("<u2").tobytes())
    return folder / "map.rpl"


def hspy(folder, spectra):
    path = folder / "map.hspy"
    with h5py.File(path, "w") as file:
        group = file.create_group("Experiments/EDS")
        group["data"] = spectra
        for number, (scale, units) in enumerate(((2.0, "µm"), (2.0, "µm"), (10.0, "eV"))):
            axis = group.create_group(f"axis-{number}")
            axis.attrs.update(scale=scale, offset=0.0, units=units)
    return path


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(ripple, id="rpl-vector"),
        pytest.param(lambda *words: ripple(*words, **{"record-by": "image"}), id="rpl-image"),
        pytest.param(hspy, id="hspy"),
    ],
)
def test_windows_hold_the_counts_of_their_line(tmp_path, spectra, make):
    steps = []
    silicon, iron = line_maps(
        open_cube(make(tmp_path, spectra)),
        ["Si Ka", "Fe Ka"],
        on_progress=lambda *step: steps.append(step),
    )
    np.testing.assert_array_equal(silicon.values[0], [7, 7, 0, 0, 0])
    np.testing.assert_array_equal(iron.values[5], [0, 0, 9, 9, 9])
    assert (iron.name, iron.kind) == ("Fe Ka", "counts")
    assert steps[-1] == (6, 6)


def test_pixel_size_comes_along(tmp_path, spectra):
    assert open_cube(hspy(tmp_path, spectra)).pixel_size_um == 2.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 65535, "height": 65535}, "claims 65535 x 65535 spectra"),
        ({"depth": 1001}, r"map.raw holds 60,000"),
        ({"data-type": "words"}, "cannot be read as a cube of spectra"),
    ],
)
def test_headers_that_claim_too_much_are_refused(tmp_path, spectra, changes, message):
    with pytest.raises(ReadError, match=message):
        open_cube(ripple(tmp_path, spectra, **changes))


def test_broken_cubes_are_refused(tmp_path):
    (tmp_path / "a.rpl").write_text("key\tvalue\nwidth\t5\n")
    with pytest.raises(ReadError, match="does not say its height, depth, data-length"):
        open_cube(tmp_path / "a.rpl")
    (tmp_path / "a.hspy").write_bytes(b"")
    with pytest.raises(ReadError, match=r"a\.hspy is empty \(0 bytes\)"):
        open_cube(tmp_path / "a.hspy")
    with pytest.raises(
        ReadError,
        match=r"a\.bcf is not a supported cube of spectra: .*as \.hspy",
    ):
        open_cube(tmp_path / "a.bcf")


def test_lines_outside_or_unknown_are_told(tmp_path, spectra):
    cube = open_cube(ripple(tmp_path, spectra[..., :200], depth=200))
    with pytest.raises(MismatchError, match=r"outside the spectra \(0.00 to 1.99 keV\)"):
        line_maps(cube, ["Fe Ka"])
    with pytest.raises(MismatchError, match="no known line"):
        line_maps(cube, ["Xx Ka"])


def test_resolution_is_that_of_manganese_at_manganese():
    assert resolution_ev(5.8987) == pytest.approx(130)
    assert 60 < resolution_ev(LINES_KEV["Si Ka"]) < 100
