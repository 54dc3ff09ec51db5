"""Evaluate the classification of grains: published rules, counting noise, examples, unknowns.

    python benchmarks/minerals.py [--json] [--data FOLDER] [--part PART] [--seeds N N N]

1. The rules of GeoMAC (Mimura & Akizawa 2025) on its garnet lherzolite, per pixel in first-match
   mode, compared with the published counts; then with noise, per pixel and per grain, with and
   without the nearest name for grains outside all rules.
2. The sample field with known minerals and misalignment: three example grains per mineral, with
   unknown and mixed grains, aligned by Grainsmith and not aligned. Then fields with other contacts
   and blurs than those assumed in the search for mixed grains.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy import ndimage
from skimage.segmentation import watershed

from grainsmith.align import align_maps, initial_transform
from grainsmith.classify.element_ratios import Quantity
from grainsmith.classify.examples import ExampleSettings, classify_by_examples
from grainsmith.classify.mixed import find_mixed
from grainsmith.classify.rule_matching import classify_by_rules, classify_pixels
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
NOISE_SEEDS = (0, 1, 2, 3, 4)
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
    results = classify_pixels(maps, geomac_rules("first"))
    counts = dict(zip(PUBLISHED, np.bincount(results.ravel()).tolist(), strict=True))
    grains = geomac_grains(maps)
    clear = {element: ndimage.median_filter(values, 5) for element, values in maps.items()}
    truth = classify_pixels(clear, geomac_rules("best"))
    noisy = {n: _noise(maps, grains, truth, n) for n in (80, 10, 3)}
    return {
        "published_counts_met": counts == PUBLISHED,
        "counts": counts,
        "grains": len(np.unique(grains)),
        "gap_area_pct": 100 * float((truth == 0).mean()),
        "noise": {
            f"{n} counts, {way}": value for n, ways in noisy.items() for way, value in ways.items()
        },
    }


def _noise(maps: Any, grains: Any, truth: Any, counts_px: float) -> dict[str, dict[str, float]]:
    """Give the maps so many counts in a pixel, and compare pixels with grains.

    Means over the seeds. `right_pct` is of the area that lies in a rule, where a name too many
    costs nothing; so what is named of the gaps between the rules is told beside it, and
    `right_of_all_pct`, where a gap is right only as unknown.
    """
    drawn = [_noise_once(maps, grains, truth, counts_px, seed) for seed in NOISE_SEEDS]
    results = {}
    for way in drawn[0]:
        rows = pd.DataFrame([one[way] for one in drawn])
        results[way] = {**rows.mean().to_dict(), "right_worst_pct": float(rows["right_pct"].min())}
    return results


def _noise_once(
    maps: Any, grains: Any, truth: Any, counts_px: float, seed: int
) -> dict[str, dict[str, float]]:
    rng = np.random.default_rng(seed)
    grey_per_count = np.mean(list(maps.values())) / counts_px
    counted = {e: rng.poisson(values / grey_per_count) for e, values in maps.items()}
    rules = geomac_rules("best")
    by_pixel = classify_pixels({e: n * grey_per_count for e, n in counted.items()}, rules)
    elements = [
        ElementMap(values=n.astype(np.uint16), element=e, kind="counts") for e, n in counted.items()
    ]
    table = measure_maps(grains, elements, {e: Transform() for e in counted})
    for element in counted:
        for column in ("mean", "error"):
            table[f"{element}_{column}"] *= grey_per_count
        table = table.drop(columns=f"{element}_counts")
    results = {"pixels": _against(by_pixel, truth)}
    for gaps in ("nearest", "unknown"):
        naming = classify_by_rules(table, replace(rules, gaps=gaps))
        codes, unsure = np.zeros(grains.max() + 1, int), np.zeros(grains.max() + 1, bool)
        codes[naming.index] = [["unknown", *CRITERIA].index(name) for name in naming["mineral"]]
        unsure[naming.index] = naming["verdict"] == "unsure"
        results[f"grains, gaps {gaps}"] = {
            **_against(codes[grains], truth),
            "unsure_pct": 100 * float(unsure[grains].mean()),
        }
    return results


def _against(results: Any, truth: Any) -> dict[str, float]:
    named = truth > 0
    modes = dict(zip(CRITERIA, _modes(results), strict=True))
    return {
        "right_pct": 100 * float((results == truth)[named].mean()),
        "gap_named_pct": 100 * float((results > 0)[~named].mean()),
        "right_of_all_pct": 100 * float((results == truth).mean()),
        "unknown_pct": 100 * float((results == 0).mean()),
        "mode_error": float(np.abs(_modes(results) - _modes(truth)).mean()),
        **{f"{name}_pct": share for name, share in modes.items()},
        **{
            f"{name}_off": modes[name] - true
            for name, true in zip(CRITERIA, _modes(truth), strict=True)
        },
    }


def _modes(codes: Any) -> Any:
    """Modal per cent of the six classes, without what lies in none."""
    sizes = np.bincount(codes[codes > 0], minlength=len(CRITERIA) + 1)[1:]
    return 100 * sizes / sizes.sum()


def sample(difficulty: Any, seed: int, *, aligned: bool, **off_model: Any) -> list[dict[str, Any]]:
    """Name the sample's grains with three examples each, placed by `align_maps` or as they came.

    The clicked grains take no part in the score.
    """
    field = sample_field(difficulty, seed=seed, **off_model)
    placed = _found(field) if aligned else _as_they_came(field)
    table = measure_maps(field.labels, field.maps, placed)
    truth = field.minerals.loc[table.index]
    area = np.bincount(field.labels.ravel())[table.index]
    mixed = find_mixed(field.labels, field.maps, placed)
    two, strange = truth["planted"] == "mixed", truth["planted"] == "unknown"
    clicked = _clicked(truth, area)
    plain = ~two & ~strange & ~truth.index.isin(list(clicked))
    results = {
        "mixed_planted": int(two.sum()),
        "mixed_found": int(mixed["mixed"][two].sum()),
        "mixed_found_pct": 100 * float(mixed["mixed"][two].mean()),
        "mixed_false_pct": 100 * float(mixed["mixed"][~two].mean()),
    }
    rows = []
    for method in ("centroid", "forest"):
        naming = classify_by_examples(table, clicked, ExampleSettings(method=method)).naming
        right = naming["mineral"] == truth["mineral"]
        rows.append(
            {
                "field": " ".join((difficulty, str(seed), *map(str, off_model.values()))),
                "method": method,
                "aligned": aligned,
                "judged": int(plain.sum()),
                "right_pct": 100 * float(right[plain].mean()),
                "right_area_pct": 100 * float(area[plain & right].sum() / area[plain].sum()),
                "strangers_unknown_pct": 100
                * float((naming["mineral"][strange] == "unknown").mean()),
                **results,
            }
        )
    return rows


def _found(field: Any) -> dict[str, Transform]:
    rows = align_maps(field.image, field.maps).rows
    return {each.element: row.transform for each, row in zip(field.maps, rows, strict=True)}


def _as_they_came(field: Any) -> dict[str, Transform]:
    return {each.element: initial_transform(each, field.image) for each in field.maps}


def _clicked(truth: pd.DataFrame, area: Any) -> dict[int, str]:
    rng = np.random.default_rng(0)
    chosen: dict[int, str] = {}
    fit = truth[(truth["planted"] == "").to_numpy() & (area >= LEAST_EXAMPLE_PX)]
    for mineral, grains in fit.groupby("mineral"):
        some = rng.choice(grains.index, min(EXAMPLES_EACH, len(grains)), replace=False)
        chosen |= {int(label): str(mineral) for label in some}
    return chosen


def samples(difficulty: str, seeds: list[int]) -> list[dict[str, Any]]:
    """Run the sample fields, aligned and not."""
    return [
        row
        for seed in seeds
        for aligned in (True, False)
        for row in sample(difficulty, seed, aligned=aligned)
    ]


def off_model(seeds: list[int]) -> list[dict[str, Any]]:
    """Run hard fields that are not made as grains of two minerals are looked for."""
    return [
        row
        for seed in seeds
        for change in (
            {"contact": "curved", "map_blur_px": 1.0},
            {"contact": "rim", "map_blur_px": 0.6},
        )
        for row in sample("hard", seed, aligned=True, **change)
    ]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--part", choices=("all", "geomac", "plain", "hard", "off"), default="all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help="of the fields")
    chosen = parser.parse_args()
    folder, part = chosen.data / "eds_geomac", chosen.part
    result: dict[str, Any] = {"geomac": {}, "samples": []}
    if part in ("all", "geomac") and folder.is_dir():
        result["geomac"] = geomac(folder)
    for difficulty in ("plain", "hard"):
        if part in ("all", difficulty):
            result["samples"] += samples(difficulty, chosen.seeds)
    if part in ("all", "off"):
        result["samples"] += off_model(chosen.seeds)
    if chosen.json:
        print(json.dumps(result))
        return
    if result["geomac"]:
        print(f"published pixel counts met: {result['geomac']['published_counts_met']}")
        print(f"area in gaps between the rules: {result['geomac']['gap_area_pct']:.1f} %")
        print(pd.DataFrame(result["geomac"]["noise"]).round(2).T.to_string())
    if result["samples"]:
        print(pd.DataFrame(result["samples"]).round(1).to_string(index=False))


if __name__ == "__main__":
    main()
