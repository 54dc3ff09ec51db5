"""Combos of ten olivine grains of the Semarkona meteorite, for looking at.

    python tools/make_meteorite_combos.py DATA OUT

DATA is the folder `sem_eds_meteorite`: ten count maps in two passes and a saturated BSE image.
The grains are segmented on the Mg map, the maps are aligned on it, and the combos of the ten
largest grains with much Mg are written to OUT, with a contact sheet and the labels. The images
are not part of this repository: the maps come from the American Museum of Natural History without
a licence of their own.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from grainsmith.align import align_maps
from grainsmith.gallery import contact_sheet, prepare_field, save_combos
from grainsmith.io.images.png import write_png
from grainsmith.io.labels.label_image import write_labels
from grainsmith.io.maps.reader import guess_maps, open_maps
from grainsmith.measure import measure_grains, measure_maps
from grainsmith.segment import segment_image

COUNT = 10


def main() -> None:
    """Segment, align, measure, draw."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    maps = open_maps(guess_maps(sorted(folder.glob("*_counts.tif")))).maps
    magnesium = next(one for one in maps if one.element == "Mg")
    labels = segment_image(magnesium.values.astype(np.float32)).labels
    alignment = align_maps(magnesium, maps)
    transforms = {one.element: row.transform for one, row in zip(maps, alignment.rows, strict=True)}
    for one in maps:
        place = transforms[one.element]
        dy, dx = place.matrix[:2, 2]
        print(f"{one.element:3s} {place.verdict:12s} z {place.z:6.1f}  ({dy:+.2f}, {dx:+.2f}) px")
    table = measure_grains(labels).join(measure_maps(labels, maps, transforms))
    rich = table[table["Mg_mean"] >= table["Mg_mean"].quantile(0.5)]
    chosen = rich.nlargest(COUNT, "area_px").index
    field = prepare_field(magnesium.values, labels, maps, transforms, table=table)
    print(f"{len(table)} grains; combos of {', '.join(map(str, chosen))} in {out}")
    save_combos(field, out, chosen)
    write_png(out / "sheet.png", contact_sheet(field))
    write_labels(out / "labels.tif", labels)


if __name__ == "__main__":
    main()
