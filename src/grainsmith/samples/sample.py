"""Synthetic sample fields: a BSE image with element maps, true labels, minerals and transforms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import ndimage

from grainsmith.data import ElementMap, SemImage, Transform
from grainsmith.minerals import LIBRARY
from grainsmith.samples.modalities import EPOXY_ATOMIC_NUMBER
from grainsmith.samples.scene import Scene
from grainsmith.samples.shapes import Packing, generate_grains, smooth_noise

if TYPE_CHECKING:
    from grainsmith.data import LabelImage

PIXEL_SIZE_UM = 1.5

_SHARES = {
    "quartz": 0.3,
    "K-feldspar": 0.17,
    "albite": 0.15,
    "biotite": 0.09,
    "almandine": 0.08,
    "apatite": 0.06,
    "ilmenite": 0.07,
    "zircon": 0.08,
}
_UNCOMMON = ("titanite", "monazite")
Contact = Literal["straight", "curved", "rim"]
_PASSES = (("Si", "Al", "K", "Na", "Fe"), ("Mg", "Ca", "Ti", "P", "Zr"))


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleField:
    """Synthetic field of view with its ground truth.

    Attributes
    ----------
    image : SemImage
        16-bit BSE image; that of the hard field has a data bar.
    maps : tuple of ElementMap
        Counts of ten elements, acquired in two passes; they cover the field without the data bar.
    labels : (Y, X) int32 array
        True grains, in the shape of the image.
    minerals : DataFrame
        Index `label`; columns `mineral`, `second_mineral` ("" except in grains of two minerals) and
        `planted` ("", "unknown" for minerals outside the common eight, or "mixed").
    transforms : dict of str to Transform
        True transform of each element's map (map px -> image px).
    """

    image: SemImage
    maps: tuple[ElementMap, ...]
    labels: LabelImage
    minerals: pd.DataFrame
    transforms: dict[str, Transform]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Recipe:
    size_px: int
    packing: Packing
    bse_counts: float
    blur_px: float
    shading: float
    data_bar_rows: int
    binning: int
    passes: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]


def _similarity(dy: float, dx: float, angle_deg: float, scale: float) -> npt.NDArray[np.float64]:
    turn = np.deg2rad(angle_deg)
    matrix = np.eye(3)
    matrix[:2, :2] = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    matrix[:2, 2] = dy, dx
    return matrix


_RECIPES = {
    "plain": _Recipe(
        size_px=768,
        packing=Packing(
            median_radius_px=16, spread=0.35, coverage=1.15, overlap=0.2, clustering=0.6
        ),
        bse_counts=700,
        blur_px=0.7,
        shading=0.02,
        data_bar_rows=0,
        binning=1,
        passes=(_similarity(1.6, -2.3, 0, 1), _similarity(-3.2, 4.1, 0, 1)),
    ),
    "hard": _Recipe(
        size_px=1024,
        packing=Packing(
            median_radius_px=13, spread=0.6, coverage=1.1, overlap=0.35, clustering=0.7
        ),
        bse_counts=90,
        blur_px=1.1,
        shading=0.07,
        data_bar_rows=64,
        binning=2,
        passes=(_similarity(3.4, -2.2, 0.4, 1.004), _similarity(-5.3, 6.7, -0.3, 0.997)),
    ),
}


def sample_field(
    difficulty: Literal["plain", "hard"] = "plain",
    *,
    seed: int = 1,
    counts_per_px: float = 5.0,
    unknown_share: float = 0.04,
    mixed_share: float = 0.04,
    contact: Contact = "straight",
    map_blur_px: float = 0.8,
) -> SampleField:
    """Make a synthetic sample field; the same seed gives the same field on every machine.

    Parameters
    ----------
    difficulty : "plain" or "hard"
        "plain": about 300 grains; maps with the pixels of the image, shifted. "hard": mixed sizes,
        noise, shading, a data bar; maps with pixels twice as wide, shifted, rotated and scaled.
    seed : int
        Seed of the random generator.
    counts_per_px : float
        Expected counts per map pixel at 100 at% of the element (without O, H and C).
    unknown_share, mixed_share : float
        Share of grains of uncommon minerals, and of grains of two minerals.
    contact : "straight", "curved" or "rim"
        Contact of the two minerals of a grain: a line, an arc, or one mineral around the other.
    map_blur_px : float
        Standard deviation of the blur of the element maps, in their pixels.
    """
    if difficulty not in _RECIPES:
        raise ValueError(f"difficulty must be 'plain' or 'hard', got {difficulty!r}")
    recipe = _RECIPES[difficulty]
    rng = np.random.default_rng((seed, sorted(_RECIPES).index(difficulty)))
    shape = (recipe.size_px - recipe.data_bar_rows, recipe.size_px)
    labels = generate_grains(
        rng, shape, recipe.packing, outlines=("angular", "smooth", "rough"), elongation=0.25
    )
    minerals = _name_grains(rng, int(labels.max()), unknown_share, mixed_share)
    second_half = _second_halves(rng, labels, minerals, contact)
    image = _bse(rng, recipe, labels, minerals, second_half)
    maps, transforms = [], {}
    for elements, matrix in zip(_PASSES, recipe.passes, strict=True):
        transform = matrix @ _binning(recipe.binning)
        for element in elements:
            expected = _expected(element, labels, minerals, second_half) * counts_per_px
            maps.append(_measured_map(rng, element, expected, transform, recipe, map_blur_px))
            transforms[element] = Transform(matrix=transform, verdict="aligned")
    bar = np.zeros((recipe.data_bar_rows, recipe.size_px), np.int32)
    return SampleField(
        image=image,
        maps=tuple(maps),
        labels=np.concatenate([labels, bar]),
        minerals=minerals,
        transforms=transforms,
    )


def _name_grains(
    rng: np.random.Generator, n: int, unknown_share: float, mixed_share: float
) -> pd.DataFrame:
    names = list(_SHARES)
    mineral = rng.choice(names, n, p=np.array(list(_SHARES.values())))
    second = np.full(n, "", dtype=object)
    planted = np.full(n, "", dtype=object)
    shuffled = rng.permutation(n)
    n_unknown, n_mixed = round(unknown_share * n), round(mixed_share * n)
    uncommon, mixed = shuffled[:n_unknown], shuffled[n_unknown : n_unknown + n_mixed]
    mineral[uncommon] = rng.choice(_UNCOMMON, n_unknown)
    planted[uncommon], planted[mixed] = "unknown", "mixed"
    second[mixed] = [rng.choice([name for name in names if name != mineral[i]]) for i in mixed]
    return pd.DataFrame(
        {"mineral": mineral.astype(object), "second_mineral": second, "planted": planted},
        index=pd.RangeIndex(1, n + 1, name="label"),
    )


def _second_halves(
    rng: np.random.Generator, labels: LabelImage, minerals: pd.DataFrame, contact: Contact
) -> npt.NDArray[np.bool_]:
    """Return the pixels of the second mineral: about half of each mixed grain."""
    half = np.zeros(labels.shape, bool)
    boxes = ndimage.find_objects(labels)
    for label in minerals.index[minerals["planted"] == "mixed"]:
        box = boxes[label - 1]
        ys, xs = np.nonzero(labels[box] == label)
        angle = rng.uniform(0, 2 * np.pi)
        half[box][ys, xs] = _second_side(ys, xs, angle, contact)
    return half


def _second_side(
    ys: npt.NDArray[np.intp], xs: npt.NDArray[np.intp], angle: float, contact: Contact
) -> npt.NDArray[np.bool_]:
    y, x = ys - ys.mean(), xs - xs.mean()
    along = y * np.sin(angle) + x * np.cos(angle)
    if contact == "straight":
        return along > 0
    if contact == "curved":
        bow = (y * np.cos(angle) - x * np.sin(angle)) ** 2 / max(float(np.hypot(y, x).max()), 1.0)
        return along + bow > float(np.median(along + bow))
    mask = np.zeros((ys.max() + 3, xs.max() + 3), bool)
    mask[ys + 1, xs + 1] = True
    depth = ndimage.distance_transform_edt(mask)[ys + 1, xs + 1]
    return np.asarray(depth <= np.median(depth))


def _spread(
    labels: LabelImage,
    minerals: pd.DataFrame,
    second_half: npt.NDArray[np.bool_],
    value: dict[str, float],
    background: float,
) -> npt.NDArray[np.float32]:
    """Return an image of a property of the minerals."""
    first = np.array([background, *(value[m] for m in minerals["mineral"])], np.float32)
    second = np.array(
        [background, *(value[m] if m else 0.0 for m in minerals["second_mineral"])], np.float32
    )
    return np.where(second_half, second[labels], first[labels])


def _bse(
    rng: np.random.Generator,
    recipe: _Recipe,
    labels: LabelImage,
    minerals: pd.DataFrame,
    second_half: npt.NDArray[np.bool_],
) -> SemImage:
    z = {name: mineral.mean_atomic_number for name, mineral in LIBRARY.items()}
    grey = (_spread(labels, minerals, second_half, z, EPOXY_ATOMIC_NUMBER) - 4.5) / 21
    scene = Scene.of(labels)
    grey += scene.inside * 0.012 * smooth_noise(rng, labels.shape, 6)
    # Polish relief: darker rims, the only trace of a contact between two grains of one mineral.
    grey -= 0.12 * np.exp(-scene.depth / 1.2) * scene.inside * np.clip(grey, 0.1, 1)
    grey += recipe.shading * smooth_noise(rng, labels.shape, 500)
    grey = ndimage.gaussian_filter(np.clip(grey, 0.005, 1), recipe.blur_px)
    counts = rng.poisson(np.clip(grey, 0, None) * recipe.bse_counts)
    image = np.clip(counts / recipe.bse_counts * 40000 + 2000, 0, 65535).astype(np.uint16)
    bar = np.full((recipe.data_bar_rows, recipe.size_px), 1500, np.uint16)
    if recipe.data_bar_rows:  # a scale bar of 100 µm
        middle = recipe.data_bar_rows // 2
        bar[middle - 2 : middle + 2, 40 : 40 + round(100 / PIXEL_SIZE_UM)] = 60000
    return SemImage(
        image=np.concatenate([image, bar]),
        pixel_size_um=PIXEL_SIZE_UM,
        pixel_size_source="synthetic",
        data_bar_rows=recipe.data_bar_rows,
        source="Grainsmith sample",
    )


def _expected(
    element: str, labels: LabelImage, minerals: pd.DataFrame, second_half: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    """Return the atomic share of an element (without O, H, C) plus 1 % of background."""
    share = {name: m.atomic_pct.get(element, 0.0) / 100 for name, m in LIBRARY.items()}
    return _spread(labels, minerals, second_half, share, 0.0) + np.float32(0.01)


def _measured_map(
    rng: np.random.Generator,
    element: str,
    expected: npt.NDArray[np.float32],
    transform: npt.NDArray[np.float64],
    recipe: _Recipe,
    blur_px: float,
) -> ElementMap:
    shape = tuple(n // recipe.binning for n in expected.shape)
    # The X-rays of a pixel come from a volume wider than the beam.
    blurred = ndimage.gaussian_filter(expected, blur_px * recipe.binning)
    rates = ndimage.affine_transform(
        blurred,
        transform[:2, :2],
        offset=transform[:2, 2],
        output_shape=shape,
        order=1,
        mode="nearest",
    )
    return ElementMap(
        values=rng.poisson(rates).astype(np.uint16),
        element=element,
        line="Ka1" if element != "Zr" else "La1",
        kind="counts",
        pixel_size_um=PIXEL_SIZE_UM * recipe.binning,
        source=f"Grainsmith sample {element}",
    )


def _binning(n: int) -> npt.NDArray[np.float64]:
    """Return the transform of a map whose pixels cover n x n image pixels."""
    matrix = np.diag([float(n), float(n), 1.0])
    matrix[:2, 2] = (n - 1) / 2
    return matrix
