import numpy as np
import pytest
import tifffile

from grainsmith.io.images.reader import read_image
from grainsmith.io.images.sem_metadata import um_per_unit

PIXELS = np.random.default_rng(6).integers(0, 255, (96, 128)).astype(np.uint8)

PHENOM = (
    '<FeiImage version="1.0"><pixelWidth unit="nm">250.0</pixelWidth>'
    '<pixelHeight unit="nm">{height}</pixelHeight></FeiImage>'
)
VELOX = (
    "<Metadata><BinaryResult><PixelSize>"
    '<X unit="m" unitPrefixPower="1">2.5E-07</X><Y unit="m">2.5E-07</Y>'
    "</PixelSize></BinaryResult></Metadata>"
)


@pytest.mark.parametrize(
    ("unit", "um"),
    [("µm", 1), ("um", 1), ("\\u00B5m", 1), ("micron", 1), ("microns", 1), ("micrometer", 1),
     ("micrometre", 1), ("Micrometers", 1), ("nm", 1e-3), ("nanometres", 1e-3), ("Å", 1e-4),
     ("\\u00C5", 1e-4), ("angstrom", 1e-4), ("mm", 1e3), ("m", 1e6), ("pixel", 0), ("inch", 0),
     ("", 0)],
)  # fmt: skip
def test_units_of_length(unit, um):
    assert um_per_unit(unit) == pytest.approx(um)


@pytest.mark.parametrize("text", [PHENOM.format(height="250.0"), VELOX], ids=["Phenom", "Velox"])
@pytest.mark.parametrize("code", [34682, 34683])
def test_xml_of_fei(tmp_path, text, code):
    tag = (code, "s", len(text) + 1, text, True)
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, extratags=[tag])
    assert read_image(tmp_path / "a.tif").pixel_size_um == pytest.approx(0.25)


@pytest.mark.parametrize(("unit", "per_um"), [("micrometer", 1), ("\\u00C5", 1e-4), ("nm", 1e-3)])
def test_units_of_imagej(tmp_path, unit, per_um):
    resolution = (per_um / 0.25, per_um / 0.25)
    tifffile.imwrite(
        tmp_path / "a.tif", PIXELS, imagej=True, resolution=resolution, metadata={"unit": unit}
    )
    assert read_image(tmp_path / "a.tif").pixel_size_um == pytest.approx(0.25)


def test_decimal_comma_and_no_part_of_a_number(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS)
    header = tmp_path / "a.hdr"
    header.write_text("PixelSizeX=2,5e-7\nPixelSizeY=2,5e-7\n")
    assert read_image(path).pixel_size_um == pytest.approx(0.25)
    header.write_text("PixelSizeX=1,234.5\n")
    assert read_image(path).pixel_size_um == 0


@pytest.mark.parametrize("writer", ["ImageJ", "Phenom", "TESCAN", "OME"])
def test_non_square_pixels_give_no_size_and_a_note(tmp_path, writer):
    path = tmp_path / "a.tif"
    if writer == "ImageJ":
        tifffile.imwrite(path, PIXELS, imagej=True, resolution=(4, 2), metadata={"unit": "um"})
    elif writer == "Phenom":
        text = PHENOM.format(height="500.0")
        tifffile.imwrite(path, PIXELS, extratags=[(34683, "s", len(text) + 1, text, True)])
    elif writer == "OME":
        metadata = {"axes": "YX", "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.5}
        tifffile.imwrite(path, PIXELS, ome=True, metadata=metadata)
    else:
        tifffile.imwrite(path, PIXELS)
        (tmp_path / "a.hdr").write_text("PixelSizeX=2.5e-7\nPixelSizeY=5e-7\n")
    image = read_image(path)
    assert image.pixel_size_um == 0
    assert "0.25 x 0.5 µm" in image.notes[0]
    assert "not square" in image.notes[0]
