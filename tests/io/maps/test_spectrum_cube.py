import h5py
import numpy as np
import pytest

from grainsmith.eds import LINES_KEV
from grainsmith.errors import ReadError
from grainsmith.io.maps.cube_maps import read_cube_maps
from grainsmith.io.maps.spectrum_cube import open_cube

_CHANNELS = 1024
_LINES = ("O Ka", "Si Ka", "Fe Ka")


def _spectra(step_kev=0.01, first_kev=0.0):
    energies = first_kev + step_kev * np.arange(_CHANNELS)
    spectrum = sum(200 * np.exp(-(((energies - LINES_KEV[line]) / 0.06) ** 2)) for line in _LINES)
    return np.tile(np.round(spectrum).astype("<u2"), (4, 6, 1))


def _ripple(tmp_path, spectra, **header):
    spectra.tofile(tmp_path / "a.raw")
    rows, columns, depth = spectra.shape
    pairs = {"width": columns, "height": rows, "depth": depth, "offset": 0, "data-length": 2,
             "data-type": "unsigned", "byte-order": "little-endian",
             "record-by": "vector"}  # fmt: skip
    pairs |= {key.replace("_", "-"): value for key, value in header.items()}
    lines = [";comment", "key\tvalue", *(f"{key}\t{value}" for key, value in pairs.items())]
    path = tmp_path / "a.rpl"
    path.write_bytes("\n".join(lines).encode("latin-1"))
    return path


@pytest.mark.parametrize(
    ("header", "first_kev", "step_kev"),
    [
        pytest.param(
            {"depth_scale": 0.01, "depth_units": "keV", "ev_per_chan": 0}, 0, 0.01, id="HyperSpy"
        ),
        pytest.param({"depth_scale": 10, "depth_units": "eV", "depth_origin": -200}, -0.2, 0.01),
        pytest.param(
            {"depth_scale": 0.01, "depth_units": "keV", "depth_origin": -0.2, "ev_per_chan": 10},
            -0.2, 0.01, id="origin in keV",
        ),
        pytest.param(
            {"depth_scale": 9.8, "depth_units": "eV", "ev_per_chan": 10}, 0, 0.0098, id="exact"
        ),
        pytest.param({"ev_per_chan": 10}, 0, 0.01, id="ev-per-chan only"),
        pytest.param({"depth_scale": "0,01", "depth_units": "keV"}, 0, 0.01, id="decimal comma"),
    ],
)  # fmt: skip
def test_energy_scale_of_ripple(tmp_path, header, first_kev, step_kev):
    path = _ripple(tmp_path, _spectra(step_kev, first_kev), **header)
    cube = open_cube(path)
    assert (cube.first_kev, cube.step_kev) == pytest.approx((first_kev, step_kev))
    maps, _ = read_cube_maps(path)
    assert [element_map.name for element_map in maps] == list(_LINES)


def test_pixel_size_and_non_square_pixels_of_ripple(tmp_path):
    sizes = {"width_scale": 0.5, "width_units": "µm", "height_units": "µm", "ev_per_chan": 10}
    cube = open_cube(_ripple(tmp_path, _spectra(), height_scale=0.5, **sizes))
    assert cube.pixel_size_um == 0.5
    cube = open_cube(_ripple(tmp_path, _spectra(), height_scale=1.0, **sizes))
    assert cube.pixel_size_um == 0
    assert "0.5 x 1 µm" in cube.notes[0]


def _hspy(tmp_path, shape, navigate, units="keV"):
    path = tmp_path / "a.hspy"
    with h5py.File(path, "w") as file:
        group = file.create_group("Experiments/t")
        group["data"] = np.ones(shape, np.uint16)
        for number, is_navigation in enumerate(navigate):
            axis = group.create_group(f"axis-{number}")
            axis.attrs.update({"navigate": is_navigation, "offset": 0.0, "scale": 0.5})
            axis.attrs["units"] = "µm" if number < 2 else units
    return path


def test_stack_of_images_is_no_cube(tmp_path):
    path = _hspy(tmp_path, (5, 40, 50), (True, False, False), units="µm")
    with pytest.raises(ReadError, match="a stack of 5 images, not a cube"):
        open_cube(path)


def test_spectra_in_other_units_are_refused(tmp_path):
    with pytest.raises(ReadError, match="'nm', not in eV or keV"):
        open_cube(_hspy(tmp_path, (4, 5, 60), (True, True, False), units="nm"))
    assert open_cube(_hspy(tmp_path, (4, 5, 60), (True, True, False))).pixel_size_um == 0.5
