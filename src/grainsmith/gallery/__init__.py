"""Draw grains: element combos (one grain in all images) and contact sheets.

`prepare_field` prepares a field once, `make_combo` collects the data of one grain, `draw_combo`
draws it and `save_combo` writes it to a file.
"""

from grainsmith.gallery.combo import Combo, ComboSettings, make_combo
from grainsmith.gallery.combo_image import draw_combo
from grainsmith.gallery.field import GalleryField, composite_image, prepare_field
from grainsmith.gallery.files import combo_name, save_combo, save_combos
from grainsmith.gallery.map_readout import GrainReading
from grainsmith.gallery.sheet import SheetSettings, contact_sheet

__all__ = [
    "Combo",
    "ComboSettings",
    "GalleryField",
    "GrainReading",
    "SheetSettings",
    "combo_name",
    "composite_image",
    "contact_sheet",
    "draw_combo",
    "make_combo",
    "prepare_field",
    "save_combo",
    "save_combos",
]
