"""Evaluate the registration against known transforms, and for images that must not be moved.

    python benchmarks/align.py [--trials 40] [--null-trials 200] [--only PART] [--json]

The counts of real maps are smoothed to rates, transformed, and resampled as Poisson counts, so that
no noise is shared. Phase correlation of scikit-image, Mattes mutual information of SimpleITK and
StackReg are run on the same trials where installed (`pip install pystackreg`; its licence requires
its own terms and a citation, so that nothing else depends on it). Real maps come from the folder of
shared data; synthetic fields are used without it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage
from skimage.registration import phase_cross_correlation

from grainsmith.align import AlignSettings, MovingImage, align_maps, register_images
from grainsmith.io.images.reader import read_image
from grainsmith.samples import sample_field

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from grainsmith.align.landmarks import Matrix

DATA = Path(os.environ.get("GRAINSMITH_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))
ELEMENTS = ("Si", "Fe", "S", "Cr", "P", "Mg", "Ca", "Al", "Ni", "Ti")
COUNTS = (80, 10, 3, 1)
FIELDS = (("plain", "plain", 5), ("hard", "hard", 5), ("hard, 60 times the counts", "hard", 300))
"""Name, difficulty, and counts where a pixel is all of one element: 50 times the sparsest mean."""
Array = np.ndarray[Any, np.dtype[Any]]


def real_rates() -> list[Array]:
    """Return rates of the ten maps of a meteorite, or of a synthetic field."""
    folder = DATA / "sem_eds_meteorite"
    if folder.is_dir():
        maps = [read_image(folder / f"obj1_{one}_counts.tif").image for one in ELEMENTS]
    else:
        maps = [one.values for one in sample_field("plain", counts_per_px=60).maps]
    return [ndimage.gaussian_filter(one.astype(float), 0.8) for one in maps]


def reference_of(rates: Array, rng: np.random.Generator) -> Array:
    """Return an image of other contrast with noise of its own: bright is dark, and bent."""
    share = 1 - rates / rates.max()
    return (200 * share**1.5 + rng.normal(0, 6, rates.shape)).clip(0, 255).astype(np.uint8)


def counted(rates: Array, counts: float, rng: np.random.Generator) -> Array:
    """Return Poisson counts of a mean."""
    return rng.poisson(rates.clip(0) / rates.mean() * counts)


def similarity(shape: tuple[int, ...], rng: np.random.Generator) -> Matrix:
    """Return a turn and zoom of up to 1 degree and 1 percent, and a shift: moving -> reference."""
    angle, zoom = np.radians(rng.uniform(-1, 1)), 1 + rng.uniform(-0.01, 0.01)
    centre = (np.array(shape) - 1) / 2
    matrix = np.eye(3)
    along, across = zoom * np.cos(angle), zoom * np.sin(angle)
    matrix[:2, :2] = [[along, across], [-across, along]]
    matrix[:2, 2] = centre - matrix[:2, :2] @ centre + rng.uniform(-10, 10, 2)
    return matrix


def moved(rates: Array, matrix: Matrix) -> Array:
    """Return what the moving image shows of rates on the grid of the reference."""
    return ndimage.affine_transform(
        rates, matrix[:2, :2], matrix[:2, 2], order=3, mode="nearest"
    ).clip(0)


def shift_trials(trials: int, rng: np.random.Generator) -> Iterator[tuple[str, Array, Array, Any]]:
    """Yield name, reference, moving and truth of real maps moved by parts of pixels."""
    rates = real_rates()
    for trial in range(trials):
        one, counts = rates[trial % len(rates)], COUNTS[trial // len(rates) % len(COUNTS)]
        matrix = np.eye(3)
        matrix[:2, 2] = rng.uniform(-10, 10, 2)
        yield (
            f"{counts} counts",
            reference_of(one, rng),
            counted(moved(one, matrix), counts, rng),
            matrix,
        )


def coarse_trials(trials: int, rng: np.random.Generator) -> Iterator[tuple[str, Array, Array, Any]]:
    """Yield maps with a quarter of the pixels along each side."""
    rates = real_rates()
    for trial in range(trials):
        one = rates[trial % len(rates)]
        matrix = np.eye(3)
        matrix[:2, 2] = rng.uniform(-10, 10, 2)
        fine = moved(one, matrix)
        height, width = (n // 4 for n in fine.shape)
        coarse = fine[: height * 4, : width * 4].reshape(height, 4, width, 4).mean((1, 3))
        yield "4x coarser", reference_of(one, rng), counted(coarse, 40, rng), matrix


def turned_trials(trials: int, rng: np.random.Generator) -> Iterator[tuple[str, Array, Array, Any]]:
    """Yield maps turned and zoomed by up to 1 degree and 1 percent, at 5 counts and more."""
    rates = real_rates()
    for trial in range(trials):
        one = rates[trial % len(rates)]
        matrix = similarity(one.shape, rng)
        counts = (5, 10, 80)[trial % 3]
        yield "turned", reference_of(one, rng), counted(moved(one, matrix), counts, rng), matrix


def pair_trials(trials: int, rng: np.random.Generator) -> Iterator[tuple[str, Array, Array, Any]]:
    """Yield PPL against XPL moved, in four parts of the image.

    It is put together of images of single grains, whose own PPL and XPL lie up to 0.15 px apart.
    """
    folder = DATA / "thinsection_ppl_xpl_composite"
    if not folder.is_dir():
        return
    corners = ((300, 300), (20, 20), (600, 100), (100, 600))
    ppl, xpl = (read_image(folder / f"se3_{one}_image.png").image for one in ("ppl", "xpl"))
    for trial in range(trials):
        top, left = corners[trial % len(corners)]
        crop = np.s_[top : top + 512, left : left + 512]
        matrix = np.eye(3)
        matrix[:2, 2] = rng.uniform(-10, 10, 2)
        shift = (*-matrix[:2, 2], 0)
        yield "PPL-XPL", ppl[crop], ndimage.shift(xpl, shift, order=1)[crop], matrix


def null_trials(trials: int, rng: np.random.Generator) -> Iterator[tuple[str, Array, Array]]:
    """Yield references with what shows nothing of them: nothing may be moved."""
    rates = real_rates()
    shape = rates[0].shape
    strange = sorted(DATA.glob("sem_ampis*/*image.png")) + sorted(DATA.glob("gravel*/*image.jpg"))
    for trial in range(trials):
        still = reference_of(rates[trial % len(rates)], rng)
        kind = ("empty", "noise", "rare", "specks", "mirrored", "unrelated")[trial % 6]
        if kind == "empty":
            yield kind, still, np.full(shape, float(rng.choice([0, 0, 7, np.nan])))
        elif kind == "noise":
            yield kind, still, rng.poisson(rng.choice([0.1, 1, 10]), shape)
        elif kind == "rare":
            yield kind, still, rng.poisson(rng.choice([0.003, 0.01, 0.03]), shape)
        elif kind == "specks":
            yield kind, still, _specks(shape, rng)
        elif kind == "mirrored" or not strange:
            other = rates[rng.integers(len(rates))][::-1]
            yield kind, still, counted(other, 20, rng)
        else:
            picture = read_image(strange[rng.integers(len(strange))]).image
            grey = picture.mean(-1) if picture.ndim == 3 else picture
            size = [min(a, b) for a, b in zip(grey.shape, shape, strict=True)]
            yield kind, still[: size[0], : size[1]], grey[: size[0], : size[1]]


def _specks(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    rates = np.full(shape, rng.choice([0.003, 0.1, 0.5]))
    for _ in range(rng.integers(1, 15)):
        y, x = rng.integers(0, np.array(shape) - 12)
        rates[y : y + rng.integers(3, 12), x : x + rng.integers(3, 12)] += rng.integers(5, 100)
    return rng.poisson(rates)


def by_us(still: Array, moving: Array, settings: AlignSettings | None = None) -> tuple[Matrix, str]:
    """Return our transform on the grid of the reference, and the verdict."""
    factor = still.shape[0] / moving.shape[0]
    start = np.diag([factor, factor, 1.0])
    start[:2, 2] = (factor - 1) / 2
    row = register_images(still, [MovingImage(image=moving, name="", start=start)], settings).rows[
        0
    ]
    return row.moved, row.transform.verdict


def by_phase(still: Array, moving: Array) -> tuple[Matrix, str]:
    """Return scikit-image's phase correlation, to a tenth of a pixel."""
    grey, other = _greys(still, moving)
    shift = phase_cross_correlation(grey, other, upsample_factor=10)[0]
    matrix = np.eye(3)
    matrix[:2, 2] = shift
    return matrix, "aligned"


def by_mattes(still: Array, moving: Array) -> tuple[Matrix, str]:
    """Return SimpleITK's Mattes mutual information: a similarity, from rough to fine."""
    import SimpleITK as sitk  # noqa: N813

    fixed, other = (sitk.GetImageFromArray(one.astype(np.float32)) for one in _greys(still, moving))
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(32)
    method.SetMetricSamplingPercentage(0.3, 1)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([8, 4, 2, 1])
    method.SetSmoothingSigmasPerLevel([4, 2, 1, 0.5])
    method.SetInitialTransform(
        sitk.CenteredTransformInitializer(fixed, other, sitk.Similarity2DTransform())
    )
    found = method.Execute(fixed, other)
    points = np.array([(0.0, 0.0), (0.0, 100.0), (100.0, 0.0)])
    images = np.array([found.TransformPoint(point[::-1].tolist())[::-1] for point in points])
    back = np.eye(3)
    back[:2, 2] = images[0]
    back[:2, 0], back[:2, 1] = (images[2] - images[0]) / 100, (images[1] - images[0]) / 100
    return np.linalg.inv(back), "aligned"


def by_stackreg(still: Array, moving: Array) -> tuple[Matrix, str]:
    """Return the similarity that StackReg finds on grey images (Thévenaz et al. 1998)."""
    from pystackreg import StackReg

    fixed, other = _greys(still, moving)
    back = StackReg(StackReg.SCALED_ROTATION).register(fixed, other)  # (x, y), still -> moving
    swap = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=float)
    return swap @ np.linalg.inv(back) @ swap, "aligned"


def _greys(still: Array, moving: Array) -> tuple[Array, Array]:
    greys = [one.mean(-1) if one.ndim == 3 else one.astype(float) for one in (still, moving)]
    if greys[1].shape != greys[0].shape:
        greys[1] = ndimage.zoom(
            greys[1], greys[0].shape[0] / greys[1].shape[0], order=1, grid_mode=True, mode="nearest"
        )
    return greys[0], np.nan_to_num(greys[1])


def error_px(found: Matrix, truth: Matrix, shape: tuple[int, ...]) -> float:
    """Return the largest error at the corners and the middle of the field."""
    ends = [(y, x) for y in (0, shape[0] - 1) for x in (0, shape[1] - 1)]
    places = np.array([*ends, ((shape[0] - 1) / 2, (shape[1] - 1) / 2)])
    gaps = places @ (found[:2, :2] - truth[:2, :2]).T + found[:2, 2] - truth[:2, 2]
    return float(np.hypot(gaps[:, 0], gaps[:, 1]).max())


def measure(methods: dict[str, Callable[..., Any]], trials: int) -> list[dict[str, Any]]:
    """Return errors and times of every method on every kind of trial."""
    results: dict[tuple[str, str], list[tuple[float, float, bool]]] = {}
    rng = np.random.default_rng(0)
    kinds = (
        shift_trials(trials, rng),
        coarse_trials(max(4, trials // 4), rng),
        turned_trials(max(4, trials // 4), rng),
        pair_trials(max(4, 3 * trials // 10), rng),
    )
    for kind in kinds:
        for name, still, moving, truth in kind:
            for method, align in methods.items():
                started = time.process_time()
                found, verdict = align(still, moving)
                seconds = time.process_time() - started
                accepted = verdict == "aligned"
                error = error_px(found, truth, still.shape)
                results.setdefault((name, method), []).append((error, seconds, accepted))
    return [
        {
            "trials": name,
            "method": method,
            "n": len(rows),
            "accepted": sum(row[2] for row in rows),
            "median_px": float(np.median([row[0] for row in rows if row[2]] or [np.nan])),
            "worst_px": float(max([row[0] for row in rows if row[2]] or [np.nan])),
            "within_1_px": float(np.mean([row[0] < 1 for row in rows])),
            "cpu_s": float(np.median([row[1] for row in rows])),
        }
        for (name, method), rows in results.items()
    ]


def measure_fields() -> dict[str, Any]:
    """Return the errors of the two synthetic fields, all ten maps at a time."""
    errors = {}
    for name, difficulty, counts in FIELDS:
        field = sample_field(difficulty, seed=11, counts_per_px=counts)
        rows = align_maps(field.image, field.maps).rows
        gaps = []
        for one, row in zip(field.maps, rows, strict=True):
            truth = field.transforms[one.element].matrix
            accepted = row.transform.verdict in ("aligned", "inherited")
            if accepted:
                gaps.append(error_px(row.transform.matrix, truth, one.values.shape))
        errors[name] = {"accepted": len(gaps), "maps": len(rows), "worst_px": max(gaps)}
    return errors


def measure_null(trials: int) -> dict[str, Any]:
    """Return how many of what shows nothing was moved."""
    rng = np.random.default_rng(1)
    wrong = [
        {"kind": kind, "dy_dx": found[:2, 2].tolist()}
        for kind, still, moving in null_trials(trials, rng)
        for found, verdict in [by_us(still, moving)]
        if verdict != "not aligned" and verdict != "unsure"
    ]
    return {"trials": trials, "wrongly_accepted": len(wrong), "which": wrong}


def measure_memory() -> dict[str, float]:
    """Return time and peak memory of a shift found at 8192 x 8192, in a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_align_large)


def _align_large() -> dict[str, float]:
    rng = np.random.default_rng(4)
    tile = sample_field("plain", seed=5).image.cropped[:512, :512]
    still = np.kron(tile, np.ones((16, 16), np.uint8))
    # Row by row: the image itself must not set the peak.
    for row in still:
        row += rng.integers(0, 9, row.shape, np.uint8)
    moving = [
        MovingImage(image=np.roll(255 - still, shift, (0, 1)), name=str(shift), start=np.eye(3))
        for shift in ((7, -5), (7, -5))
    ]
    before, started = _peak_mb(), time.perf_counter()
    rows = register_images(still, moving).rows
    return {
        "pictures_mb": 3 * still.nbytes / 2**20,
        "peak_beyond_mb": _peak_mb() - before,
        "peak_mb": _peak_mb(),
        "wall_s": time.perf_counter() - started,
        "worst_px": max(abs(row.shift_px[0] + 7) + abs(row.shift_px[1] - 5) for row in rows),
    }


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure_speed() -> dict[str, float]:
    """Return the time of ten maps of 1024 x 1024, after a first small run."""
    rng = np.random.default_rng(2)
    field = sample_field("plain", seed=3)
    enlarge = np.s_[:1024, :1024]
    moving = [
        MovingImage(
            picture=rng.poisson(np.kron(one.values, np.ones((2, 2)))[enlarge]),
            name=one.element,
            start=np.eye(3),
        )
        for one in field.maps
    ]
    still = np.kron(field.image.cropped, np.ones((2, 2), np.uint8))[enlarge]
    register_images(
        still[:256, :256],
        [MovingImage(image=moving[0].image[:256, :256], name="", start=np.eye(3))],
    )
    wall, cpu = time.perf_counter(), time.process_time()
    register_images(still, moving)
    return {"wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - cpu}


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--null-trials", type=int, default=200)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", choices=PARTS, action="append", help="may be given again")
    options = parser.parse_args()
    parts = {
        "known_truth": lambda: measure(_methods(), options.trials),
        "synthetic_fields": measure_fields,
        "nothing_to_see": lambda: measure_null(options.null_trials),
        "ten_maps_of_1024": measure_speed,
        "memory_8192": measure_memory,
    }
    result = {name: parts[name]() for name in options.only or PARTS}
    if options.json:
        print(json.dumps(result))
        return
    for name, shown in result.items():
        SHOW[name](shown)


def _methods() -> dict[str, Callable[..., Any]]:
    methods: dict[str, Callable[..., Any]] = {"grainsmith": by_us, "phase correlation": by_phase}
    others = (("SimpleITK", "Mattes MI", by_mattes), ("pystackreg", "StackReg", by_stackreg))
    for module, name, method in others:
        if find_spec(module):
            methods[name] = method
        else:
            print(f"{name} is left out: {module} is not installed.", file=sys.stderr)
    return methods


def _show_known(rows: list[dict[str, Any]]) -> None:
    print(
        f"{'trials':12s} {'method':22s} {'n':>3s} {'acc.':>4s} {'median':>8s} {'worst':>8s} "
        f"{'CPU s':>6s}"
    )
    for row in rows:
        print(
            f"{row['trials']:12s} {row['method']:22s} {row['n']:3d} {row['accepted']:4d} "
            f"{row['median_px']:8.3f} {row['worst_px']:8.2f} {row['cpu_s']:6.2f}"
        )


def _show_fields(fields: dict[str, Any]) -> None:
    for name, row in fields.items():
        print(
            f"{name} field: {row['accepted']} of {row['maps']} moved, "
            f"worst {row['worst_px']:.2f} px"
        )


def _show_null(null: dict[str, Any]) -> None:
    print(f"moved though nothing is to be seen: {null['wrongly_accepted']} of {null['trials']}")
    for one in null["which"]:
        print(f"   {one['kind']}: {one['dy_dx']}")


def _show_speed(speed: dict[str, float]) -> None:
    print(f"ten maps of 1024 x 1024: {speed['wall_s']:.1f} s, CPU {speed['cpu_s']:.1f} s")


def _show_memory(memory: dict[str, float]) -> None:
    print(
        f"8192 x 8192, two maps of one pass: {memory['wall_s']:.0f} s, off by "
        f"{memory['worst_px']:.2f} px; peak {memory['peak_mb']:.0f} MB, "
        f"{memory['peak_beyond_mb']:.0f} MB beyond what making the images "
        f"({memory['pictures_mb']:.0f} MB) took"
    )


SHOW: dict[str, Callable[[Any], None]] = {
    "known_truth": _show_known,
    "synthetic_fields": _show_fields,
    "nothing_to_see": _show_null,
    "ten_maps_of_1024": _show_speed,
    "memory_8192": _show_memory,
}
PARTS = tuple(SHOW)


if __name__ == "__main__":
    main()
