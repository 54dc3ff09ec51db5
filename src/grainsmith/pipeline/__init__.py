"""The steps in a row: one field, and the demonstration of all of them."""

from grainsmith.pipeline.demo import DemoFiles, run_demo
from grainsmith.pipeline.field.segment import (
    SegmentedField,
    segment_field,
    settings_dict,
    with_data_bar,
    with_pixel_size,
    write_segmented,
)

__all__ = [
    "DemoFiles",
    "SegmentedField",
    "run_demo",
    "segment_field",
    "settings_dict",
    "with_data_bar",
    "with_pixel_size",
    "write_segmented",
]
