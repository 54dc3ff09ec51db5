"""Endless synthetic training fields: images with their true labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.samples import arrangements, modalities
from grainsmith.samples.artefacts import add_frame, burn_in, expose, record
from grainsmith.samples.scene import GreyImage, Scene
from grainsmith.samples.textures import INTERIORS, add_film, weaken_contacts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from grainsmith.data import LabelImage

    Arrangement = Callable[[np.random.Generator, tuple[int, int]], LabelImage]

_EMPTY_SHARE = 0.01
_INVERTED_SHARE = 0.12
_BURNT_IN_SHARE = 0.12
_FRAME_SHARE = 0.04


@dataclass(frozen=True, slots=True, kw_only=True)
class Modality:
    """How fields of one kind are made.

    Attributes
    ----------
    share : float
        Share of the fields.
    draw : callable
        (generator, scene) -> image.
    arrangements : dict of callable to float
        (generator, shape) -> labels, and how often each is taken.
    acquire : callable
        (generator, image, scene) -> image with the artefacts of its acquisition.
    interiors : float
        Share of the fields whose grains are zoned, twinned, cleaved or porous.
    weak_contacts : float
        Share of the fields in which touching grains are hard to tell apart.
    film : float
        Share of the fields with faint outlines on the background.
    """

    share: float
    draw: Callable[[np.random.Generator, Scene], GreyImage]
    arrangements: dict[Arrangement, float]
    acquire: Callable[[np.random.Generator, GreyImage, Scene], GreyImage] = record
    interiors: float = 0.0
    weak_contacts: float = 0.0
    film: float = 0.0


MODALITIES = {
    "bse": Modality(
        share=0.15,
        draw=modalities.bse,
        arrangements={
            arrangements.scattered: 0.7,
            arrangements.packed: 0.2,
            arrangements.two_size_classes: 0.1,
        },
        interiors=0.35,
        weak_contacts=0.15,
        film=0.05,
    ),
    "bse_sandstone": Modality(
        share=0.08,
        draw=modalities.bse_sandstone,
        arrangements={arrangements.scattered: 0.5, arrangements.packed: 0.5},
        interiors=0.15,
        weak_contacts=0.15,
    ),
    "se": Modality(
        share=0.18,
        draw=modalities.se,
        arrangements={
            arrangements.scattered: 0.5,
            arrangements.packed: 0.08,
            arrangements.agglomerated: 0.3,
            arrangements.two_size_classes: 0.12,
        },
        interiors=0.1,
        weak_contacts=0.35,
        film=0.25,
    ),
    "transmission": Modality(
        share=0.06,
        draw=modalities.transmission,
        arrangements={
            arrangements.scattered: 0.5,
            arrangements.agglomerated: 0.4,
            arrangements.two_size_classes: 0.1,
        },
        interiors=0.2,
        weak_contacts=0.2,
        film=0.3,
    ),
    "photograph": Modality(
        share=0.10,
        draw=modalities.photograph,
        arrangements={arrangements.scattered: 0.6, arrangements.packed: 0.4},
    ),
    "outcrop": Modality(
        share=0.12,
        draw=modalities.outcrop,
        arrangements={arrangements.gravel_bed: 1.0},
        acquire=expose,
    ),
    "in_matrix": Modality(
        share=0.15,
        draw=modalities.in_matrix,
        arrangements={
            arrangements.scattered: 0.5,
            arrangements.packed: 0.05,
            arrangements.two_size_classes: 0.45,
        },
        weak_contacts=0.15,
        film=0.1,
    ),
    "polycrystal": Modality(
        share=0.05,
        draw=modalities.polycrystal,
        arrangements={arrangements.packed: 0.85, arrangements.agglomerated: 0.15},
    ),
    "plane_light": Modality(
        share=0.05,
        draw=modalities.plane_light,
        arrangements={arrangements.scattered: 0.4, arrangements.packed: 0.6},
        interiors=0.3,
    ),
    "crossed_polars": Modality(
        share=0.06,
        draw=modalities.crossed_polars,
        arrangements={arrangements.scattered: 0.3, arrangements.packed: 0.7},
        interiors=0.3,
    ),
}


def training_field(seed: int | tuple[int, ...], size_px: int = 256) -> tuple[GreyImage, LabelImage]:
    """Make one synthetic field.

    Parameters
    ----------
    seed : int or tuple of int
        The same seed gives the same field.
    size_px : int
        Height and width.

    Returns
    -------
    image : (size_px, size_px) float32 array
        Arbitrary grey scale.
    labels : (size_px, size_px) int32 array
        True grains, numbered 1..n; may hold none.
    """
    rng = np.random.default_rng(seed)
    shares = [modality.share for modality in MODALITIES.values()]
    modality = list(MODALITIES.values())[rng.choice(len(shares), p=shares)]
    labels = _arrange(rng, modality, (size_px, size_px))
    scene = Scene.of(labels)
    image = modality.acquire(rng, _image(rng, modality, scene), scene)
    if rng.random() < _INVERTED_SHARE:
        image = -image
    if rng.random() < _BURNT_IN_SHARE:
        burn_in(rng, image, labels)
    if rng.random() < _FRAME_SHARE:
        add_frame(rng, image, labels)
    return image, labels


def textured_field(
    seed: int | tuple[int, ...], textures: Sequence[GreyImage], size_px: int = 256
) -> tuple[GreyImage, LabelImage]:
    """Make one synthetic thin section from photographs of single grains.

    Parameters
    ----------
    seed, size_px
        As for `training_field`.
    textures : sequence of (Y, X) float32 arrays
        Photographs of the inside of single grains, 0..1, all in one kind of light.

    Returns
    -------
    image, labels
        As for `training_field`.
    """
    rng = np.random.default_rng(seed)
    arrange = arrangements.packed if rng.random() < 0.6 else arrangements.scattered
    scene = Scene.of(arrange(rng, (size_px, size_px)))
    image = expose(rng, modalities.from_textures(rng, scene, textures), scene)
    return image, scene.labels


def _arrange(rng: np.random.Generator, modality: Modality, shape: tuple[int, int]) -> LabelImage:
    if rng.random() < _EMPTY_SHARE:
        return np.zeros(shape, np.int32)
    choices = list(modality.arrangements)
    arrange = choices[rng.choice(len(choices), p=list(modality.arrangements.values()))]
    return arrange(rng, shape)


def _image(rng: np.random.Generator, modality: Modality, scene: Scene) -> GreyImage:
    image = modality.draw(rng, scene)
    if rng.random() < modality.film:
        add_film(rng, scene, image)
    if rng.random() < modality.interiors:
        for k in rng.permutation(len(INTERIORS))[: rng.integers(1, 3)]:
            INTERIORS[k](rng, scene, image)
    if rng.random() < modality.weak_contacts:
        image = weaken_contacts(rng, scene, image)
    return image
