"""Read and write files; no other package knows a file format.

The functions below are loaded when they are first used (SPEC 1).
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    submod_attrs={
        "images.reader": ["read_image"],
        "labels.label_image": ["read_labels", "write_labels"],
        "maps.reader": ["open_maps", "read_map"],
        "mosaics.reader": ["open_mosaic"],
        "tables.grain_table": ["read_table", "write_table"],
    },
)
