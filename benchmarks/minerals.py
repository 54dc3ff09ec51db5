"""Names of grains against the truth: published rules, counting noise, clicked examples, strangers.

    python benchmarks/minerals.py [--json] [--data FOLDER]

1. The rules of GeoMAC (Mimura & Akizawa 2025) on its garnet lherzolite, pixel by pixel in
   first-match mode, against the published counts; then with noise, pixels against whole grains.
2. The sample field of known minerals and misalignment: three clicked grains a mineral; strangers
   and grains of two minerals are planted in it. With and without alignment.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage
from skimage.segmentation import watershed

from grainsmith.classify.examples import ExampleSettings, classify_by_examples
from grainsmith.classify.matching import classify_by_rules, classify_pixels
from grainsmith.classify.mixed import find_mixed
from grainsmith.classify.quantities import Quantity
from grainsmith.classify.rules import Condition, Rule, RuleSet
from grainsmith.data import ElementMap, Transform
from grainsmith.measure import measure_maps
from grainsmith.samples import sample_field

PUBLISHED = {
    "unclassified": 127_859, "blank": 25_710, "Spl": 6_061, "Ol": 304_439, "Opx": 122_785,
    "Cpx": 88_649, "Grt": 92_497,
}  # fmt: skip
CRITERIA = {
    "blank": {"Si": (0, 25), "Mg": (0, 10), "Fe": (0, 5)},
    "Spl": {"Si": (0, 255), "Mg": (60, 95), "Fe": (35, 60)},
    "Ol": {"Si": (0, 255), "Mg": (175, 255), "Fe": (0, 255)},
    "Opx": {"Si": (100, 255), "Mg": (130, 175), "Fe": (0, 255)},
    "Cpx": {"Si": (50, 95), "Mg": (60, 110), "Fe": (0, 255)},
    "Grt": {"Si": (95, 130), "Mg": (50, 90), "Fe": (0, 255)},
}
EXAMPLES_EACH = 3
LEAST_EXAMPLE_PX = 150
"""Nobody clicks a speck as an example."""


def geomac_rules(match: str) -> RuleSet:
    """Return the published criteria."""
    rules = tuple(
        Rule(
            mineral=name,
            conditions=tuple(
                Condition(quantity=Quantity((element,)), low=low, high=high)
                for element, (low, high) in ranges.items()
            ),
        )
        for name, ranges in CRITERIA.items()
    )
    return RuleSet(rules=rules, units="picture", match=match)


def geomac_maps(folder: Path) -> dict[str, Any]:
    """Return the three maps as float arrays."""
    files = {"Si": "1-Si.jpg", "Mg": "2-Mg.jpg", "Fe": "4-Fe.jpg"}
    return {e: np.asarray(Image.open(folder / name), dtype=float) for e, name in files.items()}


def geomac_grains(maps: dict[str, Any]) -> Any:
    """Cut the field into grains where the smoothed maps change: no rule has a part in it."""
    smooth = [ndimage.median_filter(values, 7) for values in maps.values()]
    change = np.sum([ndimage.gaussian_gradient_magnitude(values, 1) for values in smooth], axis=0)
    flat, _ = ndimage.label(ndimage.minimum_filter(change, 15) == change)
    return watershed(change, flat).astype(np.int32)


def geomac(folder: Path) -> dict[str, Any]:
    """Run both experiments on GeoMAC's field."""
    maps = geomac_maps(folder)
    found = classify_pixels(maps, geomac_rules("first"))
    counts = dict(zip(PUBLISHED, np.bincount(found.ravel()).tolist(), strict=True))
    grains = geomac_grains(maps)
    best = geomac_rules("best")
    clear = {element: ndimage.median_filter(values, 5) for element, values in maps.items()}
    truth = classify_pixels(clear, best)
    noisy = {f"{n} counts": _noise(maps, grains, truth, best, n) for n in (80, 10, 3)}
    return {
        "published_counts_met": counts == PUBLISHED,
        "counts": counts,
        "grains": len(np.unique(grains)),
        "noise": noisy,
    }


def _noise(
    maps: Any, grains: Any, truth: Any, rules: RuleSet, counts_px: float
) -> dict[str, float]:
    """Give the maps so many counts in a pixel, and compare pixels with grains."""
    rng = np.random.default_rng(0)
    grey_per_count = np.mean(list(maps.values())) / counts_px
    counted = {e: rng.poisson(values / grey_per_count) for e, values in maps.items()}
    by_pixel = classify_pixels({e: n * grey_per_count for e, n in counted.items()}, rules)
    elements = [
        ElementMap(values=n.astype(np.uint16), element=e, kind="counts") for e, n in counted.items()
    ]
    table = measure_maps(grains, elements, {e: Transform() for e in counted})
    for element in counted:
        for column in ("mean", "error"):
            table[f"{element}_{column}"] *= grey_per_count
        table = table.drop(columns=f"{element}_counts")
    naming = classify_by_rules(table, rules)
    names = ["unknown", *CRITERIA]
    codes = np.zeros(grains.max() + 1, int)
    codes[naming.index] = [names.index(name) for name in naming["mineral"]]
    by_grain, named = codes[grains], truth > 0
    return {
        "pixels_right_pct": 100 * float((by_pixel == truth)[named].mean()),
        "pixels_unclassified_pct": 100 * float((by_pixel == 0)[named].mean()),
        "grains_right_pct": 100 * float((by_grain == truth)[named].mean()),
        "grains_unclassified_pct": 100 * float((by_grain == 0)[named].mean()),
        "mode_error_pixels": _mode_error(by_pixel, truth),
        "mode_error_grains": _mode_error(by_grain, truth),
    }


def _mode_error(found: Any, truth: Any) -> float:
    """Mean absolute error of the modal per cent, in points, over the six classes."""
    modes = [np.bincount(one[one > 0], minlength=7)[1:] for one in (found, truth)]
    shares = [100 * mode / mode.sum() for mode in modes]
    return float(np.abs(shares[0] - shares[1]).mean())


def sample(difficulty: Any, seed: int, *, aligned: bool) -> list[dict[str, Any]]:
    """Name the sample's grains with three examples each, placed rightly or as they came."""
    field = sample_field(difficulty, seed=seed)
    placed = field.transforms if aligned else _as_they_came(field)
    table = measure_maps(field.labels, field.maps, placed)
    truth = field.minerals.loc[table.index]
    area = np.bincount(field.labels.ravel())[table.index]
    mixed = find_mixed(field.labels, field.maps, placed)
    two, strange = truth["planted"] == "mixed", truth["planted"] == "unknown"
    plain = ~two & ~strange
    found = {
        "mixed_found_pct": 100 * float(mixed["mixed"][two].mean()),
        "mixed_found_of_judged_pct": 100
        * float(mixed["mixed"][two & mixed["purity"].notna()].mean()),
        "mixed_false_pct": 100 * float(mixed["mixed"][~two].mean()),
    }
    rows = []
    for method in ("centroid", "forest"):
        naming = classify_by_examples(
            table, _clicked(truth, area), ExampleSettings(method=method)
        ).naming
        right = naming["mineral"] == truth["mineral"]
        rows.append(
            {
                "field": f"{difficulty} {seed}",
                "method": method,
                "aligned": aligned,
                "grains": len(truth),
                "right_pct": 100 * float(right[plain].mean()),
                "right_area_pct": 100 * float(area[plain & right].sum() / area[plain].sum()),
                "strangers_unknown_pct": 100
                * float((naming["mineral"][strange] == "unknown").mean()),
                **found,
            }
        )
    return rows


def _as_they_came(field: Any) -> dict[str, Transform]:
    rows = field.image.field.shape[0] / field.maps[0].values.shape[0]
    return {e: Transform(matrix=np.diag([rows, rows, 1.0])) for e in field.transforms}


def _clicked(truth: pd.DataFrame, area: Any) -> dict[int, str]:
    rng = np.random.default_rng(0)
    chosen: dict[int, str] = {}
    fit = truth[(truth["planted"] == "").to_numpy() & (area >= LEAST_EXAMPLE_PX)]
    for mineral, grains in fit.groupby("mineral"):
        some = rng.choice(grains.index, min(EXAMPLES_EACH, len(grains)), replace=False)
        chosen |= {int(label): str(mineral) for label in some}
    return chosen


def samples() -> list[dict[str, Any]]:
    """Run the sample fields, aligned and not."""
    return [
        row
        for difficulty in ("plain", "hard")
        for seed in (1, 2, 3)
        for aligned in (True, False)
        for row in sample(difficulty, seed, aligned=aligned)
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    chosen = parser.parse_args()
    folder = chosen.data / "eds_geomac"
    result = {"geomac": geomac(folder) if folder.is_dir() else {}, "samples": samples()}
    if chosen.json:
        print(json.dumps(result))
        return
    if result["geomac"]:
        print(f"published pixel counts met: {result['geomac']['published_counts_met']}")
        print(pd.DataFrame(result["geomac"]["noise"]).round(1).to_string())
    print(pd.DataFrame(result["samples"]).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
