"""Straightened copies of bent maps, beside the maps."""

import numpy as np

from grainsmith.align import DisplacementField, MapRegistration, RegistrationResult
from grainsmith.data import ElementMap, Transform
from grainsmith.io.images.reader import read_image
from grainsmith.pipeline.field.registration import alignment_records, write_straightened


def test_only_bent_maps_get_a_copy(tmp_path):
    values = np.arange(80, dtype=np.uint16).reshape(8, 10)
    maps = [
        ElementMap(values=values, element=one, pixel_size_um=0.5, source=f"{one}.tif")
        for one in ("Si", "Fe")
    ]
    bend = DisplacementField(
        knots_px=np.ones((7, 7, 2)), origin_px=np.zeros(2), spacing_px=np.full(2, 3.0)
    )
    rows = [
        MapRegistration(
            name=one.name,
            group="pass 1",
            transform=Transform(verdict="aligned"),
            moved=np.eye(3),
            shape=values.shape,
            bend=bend if one.element == "Fe" else None,
        )
        for one in maps
    ]
    found = RegistrationResult(rows=tuple(rows))
    (written,) = write_straightened(tmp_path / "straight", found, maps)
    assert written.name == "Fe straightened.tif"
    copy = read_image(written)
    np.testing.assert_array_equal(copy.image[:-1, :-1], values[1:, 1:])
    assert copy.pixel_size_um == 0.5
    assert ["bend" in one for one in alignment_records(found, maps)] == [False, True]
