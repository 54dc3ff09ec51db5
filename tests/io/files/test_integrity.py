"""Truncated and empty files in every reader."""

import numpy as np
import pytest
import tifffile
from PIL import Image

from grainsmith.errors import ReadError
from grainsmith.io.exchange.cellpose import read_seg, write_seg
from grainsmith.io.exchange.field import LabelledField
from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_labels
from grainsmith.io.maps.reader import guess_maps, open_maps
from grainsmith.io.mosaics.reader import open_mosaic

PIXELS = np.random.default_rng(0).integers(0, 200, (600, 500)).astype(np.uint8)


def _tiff(**how):
    return lambda path: tifffile.imwrite(path, PIXELS, **how)


def _picture(**how):
    return lambda path: Image.fromarray(PIXELS).save(path, **how)


KINDS = {
    "strips": ("a.tif", _tiff(rowsperstrip=20)),
    "packed strips": ("a.tif", _tiff(rowsperstrip=20, compression="zlib")),
    "directory last": ("a.tif", _picture(compression="tiff_lzw")),
    "BigTIFF of tiles": ("a.tif", _tiff(tile=(128, 128), bigtiff=True, compression="zlib")),
    "PNG": ("a.png", _picture()),
    "JPEG": ("a.jpg", _picture()),
    "BMP": ("a.bmp", _picture()),
}


def _map(path):
    opened = open_maps(guess_maps(path))
    if opened.problems:
        raise opened.problems[0]
    return opened.maps[0]


READERS = {"picture": read_image, "labels": read_labels, "map": _map, "mosaic": open_mosaic}


EACH = [
    (kind, reader) for kind in KINDS for reader in READERS
    if (KINDS[kind][0] == "a.tif" or reader != "mosaic") and (kind, reader) != ("JPEG", "labels")
]  # fmt: skip


@pytest.mark.parametrize(("kind", "reader"), EACH)
@pytest.mark.parametrize(
    ("share", "word"),
    [(0, "is empty (0 bytes)"), (100, "is cut off"), (0.5, "is cut off"), (1.0, "")],
    ids=["0 bytes", "100 bytes", "half", "whole"],
)
def test_truncated_and_empty_files_are_refused_with_a_remedy(tmp_path, kind, reader, share, word):
    name, write = KINDS[kind]
    whole = tmp_path / name.replace("a.", "Si Ka.")
    write(whole)
    if not word:
        READERS[reader](whole)
        return
    content = whole.read_bytes()
    whole.write_bytes(content[: int(len(content) * share) if share < 1 else share])
    with pytest.raises(ReadError) as raised:
        READERS[reader](whole)
    assert str(whole) in str(raised.value)
    assert word in str(raised.value)
    assert str(raised.value).endswith("Copy or export it again.")


@pytest.mark.parametrize("size", [0, 60, 400])
def test_truncated_cellpose_labels_are_refused(tmp_path, size):
    path = tmp_path / "a_seg.npy"
    write_seg(path, LabelledField(labels=np.tri(40, dtype=np.int32), name="a"))
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ReadError, match=r"is (empty|cut off).*Copy or export it again"):
        read_seg(path, trust_pickle=True)
