"""Small fields on disk: bright discs with maps of three elements, quick to segment."""

import numpy as np
import tifffile

from grainsmith.io.images.reader import write_image
from grainsmith.pipeline.recipe import ClassifySettings, Recipe, ReportSettings
from grainsmith.segment import SegmentSettings
from grainsmith.statistics import StatisticsSettings

SIDE = 224

QUICK = Recipe(
    segment=SegmentSettings(diameter_px=30, two_scales=False, device="cpu"),
    classify=ClassifySettings(rules=""),
    statistics=StatisticsSettings(n_bootstrap=20),
    report=ReportSettings(report=False, pictures=False),
)
"""Everything that takes time and is tested elsewhere left out."""

RULES = """\
units: relative
minerals:
  quartz: {range: {Si: [60, 100]}}
  olivine: {range: {Fe: [60, 100]}}
"""


def make_field(folder, seed, *, maps=True, name="BSE", pixel_size_um=0.5):
    """Write a field; return the path of its image."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:SIDE, :SIDE]
    labels = np.zeros((SIDE, SIDE), int)
    places = [(28 + 56 * i, 28 + 56 * j) for i in range(4) for j in range(4)]
    for number, place in enumerate(places, start=1):
        cy, cx = np.array(place) + rng.uniform(-5, 5, 2)
        labels[(y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(13, 20) ** 2] = number
    picture = np.where(labels > 0, 30000, 4000) + rng.normal(0, 600, labels.shape)
    path = folder / f"{name}.tif"
    write_image(path, picture.clip(0, 65535).astype(np.uint16), pixel_size_um=pixel_size_um)
    if maps:
        for element, share in (("Si", labels % 2), ("Fe", (labels > 0) * (1 - labels % 2))):
            counts = rng.poisson(1 + 20 * share).astype(np.uint16)
            tifffile.imwrite(folder / f"{element} Ka1.tif", counts)
    return path


def make_samples(root, per_sample=3, samples=("A", "B")):
    """Write ROOT/<sample>/<field>/ with maps; return ROOT."""
    for s, sample in enumerate(samples):
        for number in range(per_sample):
            make_field(root / sample / f"f{number}", 10 * s + number)
    return root
