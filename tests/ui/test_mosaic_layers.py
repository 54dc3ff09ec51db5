import numpy as np
import pytest

from grainsmith.io.omezarr import create_pyramid, fill_coarser, name_labels
from grainsmith.ui.map_layers import get_maps_reader

pytest.importorskip("zarr")


def test_a_mosaic_opens_as_pyramids_with_its_grains(tmp_path):
    folder = tmp_path / "m.zarr"
    picture = np.arange(1500 * 1400, dtype=np.uint16).reshape(1500, 1400)
    for where, name, is_labels in (
        (folder, "m", False),
        (folder / "labels/grains", "grains", True),
    ):
        levels = create_pyramid(
            where, name=name, shape=picture.shape, dtype="i4" if is_labels else "u2",
            pixel_size_um=0.5, labels=is_labels,
        )  # fmt: skip
        levels[0][:] = picture
        fill_coarser(levels, labels=is_labels)
    name_labels(folder, ["grains"])
    image, grains = get_maps_reader(str(folder))(str(folder))
    assert (image[2], grains[2]) == ("image", "labels")
    assert [level.shape for level in image[0]] == [(1500, 1400), (750, 700)]
    assert image[1]["scale"] == grains[1]["scale"] == (0.5, 0.5)
    assert image[1]["units"] == ("um", "um")
    assert np.array_equal(np.asarray(grains[0][1]), picture[::2, ::2])
    assert not isinstance(image[0][0], np.ndarray)  # lazy
