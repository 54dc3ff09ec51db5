"""One image from one file: makers' tags, kinds of pixels, data bars, broken files."""

import numpy as np
import pytest
import tifffile
from PIL import Image as Pillow
from PIL import ImageDraw

from grainsmith.errors import ReadError
from grainsmith.io.images.data_bar import find_data_bar
from grainsmith.io.images.reader import read_image

RNG = np.random.default_rng(5)
FIELD = RNG.normal(120, 20, (96, 128)).clip(0, 255).astype(np.uint8)
WITH_ROWS = np.vstack([FIELD, np.zeros((12, 128), np.uint8)])


def _tag(code, text, *, kind="s"):
    raw = text.encode("cp1252")
    return [(code, kind, len(raw), raw, True)]


def _tescan_tag(text):
    raw = b"\x01\x02head\x00" + text.encode()
    return [(50431, "B", len(raw), raw, True)]


FEI = (
    "[User]\r\nDate=1\r\n[Scan]\r\nPixelWidth={size}\r\n"
    "[Image]\r\nResolutionX={x}\r\nResolutionY={y}\r\n"
)
ZEISS = "\r\n".join(
    ["AP_{key}", "Name = {value}", "AP_PIXEL_SIZE", "Pixel Size = 99.0 nm", "DP_END", "End = 1", ""]
)
XMP = "<x:xmpmeta><rdf:li PixelSizeX='2.5e-7'/></x:xmpmeta>"
OME = (
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="128" SizeY="96" SizeC="1" '
    'SizeZ="1" SizeT="1" PhysicalSizeX="250" PhysicalSizeXUnit="nm"/></Image></OME>'
)

TAGS = [
    pytest.param(
        WITH_ROWS, _tag(34682, FEI.format(size=2.5e-7, x=128, y=96)), 0.25, 12, id="fei-with-bar"
    ),
    pytest.param(FIELD, _tag(34680, FEI.format(size=2.5e-7, x=128, y=96)), 0.25, 0, id="fei-34680"),
    pytest.param(
        FIELD, _tag(34682, FEI.format(size=2.5e-7, x=64, y=48)), 0.125, 0, id="fei-saved-larger"
    ),
    pytest.param(
        FIELD,
        _tag(34118, ZEISS.format(key="IMAGE_PIXEL_SIZE", value="250 nm")),
        0.25,
        0,
        id="zeiss-image-pixel-size",
    ),
    pytest.param(
        FIELD, _tag(34118, ZEISS.format(key="WIDTH", value="32.0 µm")), 0.25, 0, id="zeiss-width"
    ),
    pytest.param(
        FIELD, _tag(34118, ZEISS.format(key="MAG", value="99 X")), 0.099, 0, id="zeiss-last-resort"
    ),
    pytest.param(
        WITH_ROWS,
        _tescan_tag("[MAIN]\nImageStripSize=12\nPixelSizeX=2.5e-7\n"),
        0.25,
        12,
        id="tescan",
    ),
    pytest.param(FIELD, _tag(700, XMP, kind="B"), 0.25, 0, id="point-electronic"),
    pytest.param(
        FIELD, _tag(34682, "[Scan]\r\nPixelWidth=nonsense\r\n"), 0.0, 0, id="fei-nonsense"
    ),
    pytest.param(FIELD, [], 0.0, 0, id="nothing"),
]


@pytest.mark.parametrize(("pixels", "tags", "size_um", "bar"), TAGS)
def test_makers_tags(tmp_path, pixels, tags, size_um, bar):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, extratags=tags, metadata=None)
    image = read_image(path)
    assert image.pixel_size_um == pytest.approx(size_um)
    assert image.data_bar_rows == bar
    assert bool(image.pixel_size_source) == (size_um > 0)
    np.testing.assert_array_equal(image.image, pixels)
    assert any("pixel size" in note.lower() for note in image.notes)
    assert any("data bar" in note for note in image.notes) == (bar > 0)


HITACHI = "[SemImageFile]\r\nInstructName=SU\r\nPixelSize=250\r\nDataSize={size}\r\n"
JEOL = "$CM_FULL_SIZE {size}\r\n$$SM_MICRON_BAR 40\r\n$$SM_MICRON_MARKER 10um\r\n".replace(
    "$$", "$$"
)
SIDE_FILES = [
    pytest.param("a.hdr", "[MAIN]\nPixelSizeX=2.5e-7\n", "utf-8", 0, 0.25, id="tescan"),
    pytest.param("a-tif.hdr", "[MAIN]\nPixelSizeX=2.5e-7\n", "utf-8", 0, 0.25, id="tescan-dash"),
    pytest.param("a.txt", HITACHI.format(size="128x108"), "utf-8", 0, 0.25, id="hitachi"),
    pytest.param("a.TXT", HITACHI.format(size="128x96"), "utf-16", 12, 0.25, id="hitachi-utf16"),
    pytest.param("a.txt", JEOL.format(size="128 96"), "utf-8", 12, 0.25, id="jeol"),
    pytest.param("a.txt", JEOL.format(size="256 192"), "utf-8", 0, 0.5, id="jeol-saved-smaller"),
    pytest.param("a.txt", "dear diary", "utf-8", 0, 0.0, id="somebody's-notes"),
]


@pytest.mark.parametrize(("name", "text", "encoding", "bar", "size_um"), SIDE_FILES)
@pytest.mark.parametrize("suffix", [".tif", ".png"])
def test_header_files_beside(tmp_path, name, text, encoding, bar, size_um, suffix):
    path = tmp_path / f"a{suffix}"
    name = name.replace("-tif", f"-{suffix[1:]}")
    (tmp_path / name).write_bytes(text.encode(encoding))
    if suffix == ".tif":
        tifffile.imwrite(path, WITH_ROWS)
    else:
        Pillow.fromarray(WITH_ROWS).save(path)
    image = read_image(path)
    assert image.pixel_size_um == pytest.approx(size_um)
    assert image.data_bar_rows == bar


@pytest.mark.parametrize(
    ("unit", "resolution", "size_um"),
    [("um", 4.0, 0.25), ("\\u00B5m", 4.0, 0.25), ("nm", 0.004, 0.25), ("pixel", 4.0, 0.0)],
)
def test_imagej(tmp_path, unit, resolution, size_um):
    path = tmp_path / "a.tif"
    tifffile.imwrite(
        path, FIELD, imagej=True, resolution=(resolution, resolution), metadata={"unit": unit}
    )
    assert read_image(path).pixel_size_um == pytest.approx(size_um)


def test_ome(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, FIELD, description=OME, metadata=None)
    assert read_image(path).pixel_size_um == pytest.approx(0.25)


def test_real_zeiss_file(shared_data):
    image = read_image(shared_data / "vendor_sem_tiff_metadata/test_tiff_Zeiss_SEM_512pix.tif")
    # ap_pixel_size of this file is 5.825 nm, that of the 1024-pixel store.
    assert image.pixel_size_um == pytest.approx(5.965 / 512)
    assert image.image.shape == (384, 512)
    assert image.image.dtype == np.uint8
    assert image.data_bar_rows == 34  # the frame begins in row 350; no tag says so


def test_real_fei_file(shared_data):
    image = read_image(shared_data / "vendor_sem_tiff_metadata/FEI-Helios-Ebeam-8bits.tif")
    assert image.pixel_size_um == pytest.approx(3.3724)
    assert image.data_bar_rows == 471 - 442
    assert image.cropped.shape == (442, 512)


# --- kinds of pixels

COLOUR = RNG.integers(0, 256, (20, 30, 3)).astype(np.uint8)
GREY = COLOUR[..., 0]
KINDS = [
    pytest.param(GREY, {}, GREY, id="8-bit"),
    pytest.param(GREY.astype(np.uint16) * 200, {}, GREY.astype(np.uint16) * 200, id="16-bit"),
    pytest.param(
        GREY.astype(">u2"), {"byteorder": ">"}, GREY.astype(np.uint16), id="16-bit-big-endian"
    ),
    pytest.param(GREY.astype(np.float32) / 9, {}, GREY.astype(np.float32) / 9, id="float"),
    pytest.param(COLOUR, {"photometric": "rgb"}, COLOUR, id="colour"),
    pytest.param(
        np.moveaxis(COLOUR, -1, 0), {"photometric": "rgb", "planarconfig": 2}, COLOUR, id="planar"
    ),
    pytest.param(np.dstack([GREY] * 3), {"photometric": "rgb"}, GREY, id="grey-as-rgb"),
    pytest.param(
        np.dstack([GREY, GREY, GREY, GREY // 2]), {"photometric": "rgb"}, GREY, id="grey-as-rgba"
    ),
    pytest.param(np.dstack([COLOUR, GREY]), {"photometric": "rgb"}, COLOUR, id="rgba"),
    pytest.param(255 - GREY, {"photometric": "miniswhite"}, GREY, id="negative"),
    pytest.param(
        GREY,
        {
            "photometric": "palette",
            "colormap": np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1)),
        },
        GREY,
        id="grey-palette",
    ),
    pytest.param(GREY > 99, {}, (GREY > 99).astype(np.uint8) * 255, id="black-and-white"),
    pytest.param(GREY, {"compression": "zlib", "tile": (16, 16)}, GREY, id="tiles"),
]


@pytest.mark.parametrize(("stored", "options", "expected"), KINDS)
def test_kinds_of_tiff(tmp_path, stored, options, expected):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, **{"photometric": "minisblack", **options})
    image = read_image(path).image
    assert image.dtype == expected.dtype
    assert image.dtype.isnative
    np.testing.assert_array_equal(image, expected)


def test_colour_palette_is_applied(tmp_path):
    colormap = np.zeros((3, 256), np.uint16)
    colormap[0, 1], colormap[2, 2] = 65535, 65535
    stored = np.array([[0, 1], [2, 1]], np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="palette", colormap=colormap)
    image = read_image(tmp_path / "a.tif")
    assert image.image.tolist() == [
        [[0, 0, 0], [255, 0, 0]],
        [[0, 0, 255], [255, 0, 0]],
    ]


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".jpg"])
@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1", "RGBA"])
def test_kinds_of_pictures(tmp_path, suffix, mode):
    if suffix == ".jpg" and mode in ("P", "1", "RGBA"):
        pytest.skip("no such JPEG")
    picture = Pillow.fromarray(COLOUR).convert(mode)
    picture.save(tmp_path / f"a{suffix}")
    image = read_image(tmp_path / f"a{suffix}").image
    assert image.shape == ((20, 30) if mode in ("L", "1") else (20, 30, 3))
    if mode in ("L", "RGB", "RGBA") and suffix != ".jpg":
        np.testing.assert_array_equal(image, GREY_OF[mode])


GREY_OF = {"L": np.asarray(Pillow.fromarray(COLOUR).convert("L")), "RGB": COLOUR, "RGBA": COLOUR}


def test_16_bit_png(tmp_path):
    wide = GREY.astype(np.uint16) * 250
    Pillow.fromarray(wide).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png").image
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, wide)


def test_first_of_several_pages_is_read_and_it_is_said(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for page in (GREY, GREY.T):
            tiff.write(page)
    image = read_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(image.image, GREY)
    assert any(note.startswith("2 pages") for note in image.notes)


def test_several_channels_are_refused(tmp_path):
    stack = np.zeros((5, 20, 30), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack", planarconfig="separate")
    with pytest.raises(ReadError, match="5 channels"):
        read_image(tmp_path / "a.tif")


# --- the data bar in the image


def _draw_bar(field, *, paper, ink, rows, frame=0, loose=0):
    picture = Pillow.new("L", (field.shape[1], rows), paper)
    draw = ImageDraw.Draw(picture)
    for line in range(max(1, rows // 16)):
        draw.text((6, 2 + 14 * line), "HV 15.0 kV  WD 10.1 mm  BSE", fill=ink)
    draw.line([(field.shape[1] - 90, rows - 5), (field.shape[1] - 20, rows - 5)], fill=ink, width=3)
    if frame:
        draw.rectangle([0, 0, field.shape[1] - 1, rows - 1], outline=ink)
    out = np.vstack([field[: field.shape[0] - rows - loose], np.asarray(picture)])
    return np.vstack([out, field[:loose]]) if loose else out


BIG = RNG.normal(120, 25, (480, 640)).clip(0, 255).astype(np.uint8)
BARS = [
    pytest.param({"paper": 255, "ink": 0, "rows": 40}, 40, id="black-on-white"),
    pytest.param({"paper": 0, "ink": 255, "rows": 30}, 30, id="white-on-black"),
    pytest.param({"paper": 128, "ink": 255, "rows": 64}, 64, id="white-on-grey"),
    pytest.param({"paper": 243, "ink": 0, "rows": 34, "frame": 1, "loose": 2}, 36, id="frame"),
]


@pytest.mark.parametrize(("bar", "rows"), BARS)
@pytest.mark.parametrize("jpeg", [False, True], ids=["lossless", "jpeg"])
def test_a_drawn_bar_is_found(tmp_path, bar, rows, jpeg):
    path = tmp_path / ("a.jpg" if jpeg else "a.png")
    Pillow.fromarray(_draw_bar(BIG, **bar)).save(path, **({"quality": 85} if jpeg else {}))
    image = read_image(path)
    assert abs(image.data_bar_rows - rows) <= (2 if jpeg else 0)
    assert image.image.shape == BIG.shape
    assert any("detected in the image" in note for note in image.notes)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_bar_in_a_deep_picture_is_found(dtype):
    deep = _draw_bar(BIG, paper=255, ink=0, rows=40).astype(dtype) * 200
    assert find_data_bar(deep) == 40


def _blobs(shape, grey):
    """Bright discs on a flat background: what powder on carbon tape looks like."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    out = np.full(shape, grey, np.uint8)
    for cy, cx, r in RNG.uniform((0, 0, 5), (*shape, 30), (60, 3)):
        out[(y - cy) ** 2 + (x - cx) ** 2 < r * r] = 200
    return out


_WITH_BARS = ("vendor_sem_tiff_metadata", "sem_emps")
"""Folders of images of which some have a real data bar."""

NO_BARS = [
    pytest.param(BIG, id="noise"),
    pytest.param(np.zeros((480, 640), np.uint8), id="black"),
    pytest.param(_blobs((480, 640), 0), id="discs-on-black"),
    pytest.param(np.vstack([BIG[:440], np.full((40, 640), 255, np.uint8)]), id="white-margin"),
    pytest.param(np.vstack([BIG[:440], np.full((40, 640), 0, np.uint8)]), id="black-margin"),
    pytest.param(_draw_bar(np.zeros_like(BIG), paper=0, ink=255, rows=40), id="writing-on-black"),
]


@pytest.mark.parametrize("picture", NO_BARS)
def test_what_is_no_bar_is_left(picture):
    assert find_data_bar(picture) == 0


def test_no_bar_is_seen_where_there_is_none(shared_data):
    seen = {}
    for path in sorted(shared_data.glob("*/*")):
        if path.suffix in (".png", ".jpg", ".tif") and path.parent.name not in _WITH_BARS:
            seen[path.name] = read_image(path).data_bar_rows
    assert len(seen) > 30
    assert {name: rows for name, rows in seen.items() if rows} == {}


@pytest.mark.parametrize(
    ("choice", "rows"), [("auto", 40), ("no", 0), (17, 17), ("17", 17), (0, 0)]
)
def test_the_users_word_on_the_bar_counts(tmp_path, choice, rows):
    path = tmp_path / "a.png"
    Pillow.fromarray(_draw_bar(BIG, paper=255, ink=0, rows=40)).save(path)
    assert read_image(path, crop_databar=choice).data_bar_rows == rows


@pytest.mark.parametrize("choice", ["yes", -1, 480])
def test_a_wrong_word_on_the_bar_is_refused(tmp_path, choice):
    path = tmp_path / "a.png"
    Pillow.fromarray(BIG).save(path)
    with pytest.raises(ValueError, match="crop_databar must be"):
        read_image(path, crop_databar=choice)


# --- broken files


def _whole_tiff(tmp_path):
    path = tmp_path / "whole.tif"
    tifffile.imwrite(path, FIELD, extratags=_tag(34682, FEI.format(size=1e-7, x=128, y=96)))
    return path.read_bytes()


def _whole_png(tmp_path):
    path = tmp_path / "whole.png"
    Pillow.fromarray(FIELD).save(path)
    return path.read_bytes()


def _huge_tiff(tmp_path):
    """A header that claims 900 million pixels over a few bytes."""
    path = tmp_path / "huge.tif"
    tifffile.imwrite(path, FIELD, metadata=None)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tags = tiff.pages[0].tags
        for name in ("ImageWidth", "ImageLength", "RowsPerStrip"):
            tags[name].overwrite(30_000)
    return path.read_bytes()


BROKEN = [
    pytest.param("a.tif", lambda _: b"", "is empty", id="0-byte"),
    pytest.param("a.tif", lambda _: b"hello, I am text\n" * 9, "is not a TIFF", id="text"),
    pytest.param("a.png", lambda _: b"%!PS-Adobe-3.0 EPSF-3.0\n", "is not a TIFF", id="postscript"),
    pytest.param("a.tif", lambda at: _whole_tiff(at)[:2000], "is cut off", id="truncated-tiff"),
    pytest.param("a.tif", lambda at: _whole_tiff(at)[:6], "is cut off", id="only-a-head"),
    pytest.param("a.png", lambda at: _whole_png(at)[:3000], "is cut off", id="truncated-png"),
    pytest.param("a.tif", _huge_tiff, "claims", id="huge-claim"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BROKEN)
def test_broken_files_are_named_with_the_reason(tmp_path, name, content, reason):
    path = tmp_path / name
    path.write_bytes(content(tmp_path))
    with pytest.raises(ReadError, match=reason) as caught:
        read_image(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(ReadError, match="does not exist"):
        read_image(tmp_path / "none.tif")
    with pytest.raises(ReadError, match="cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("make", [_whole_tiff, _whole_png], ids=["tiff", "png"])
def test_damaged_bytes_never_raise_anything_else(tmp_path, make):
    whole = make(tmp_path)
    rng = np.random.default_rng(1)
    path = tmp_path / "damaged"
    refused = 0
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(0, min(len(whole), 600), rng.integers(1, 6)):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(bytes(damaged))
        try:
            read_image(path)
        except ReadError:
            refused += 1
    assert refused > 10
