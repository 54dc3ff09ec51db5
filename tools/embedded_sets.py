"""Labelled images that the embedded model is trained and validated on.

Each set says what of its images may be learnt from: parts without labels and wide outlines get
weight 0. The images that validate are never trained on; those of one article, microscope field or
stretch of film stay on one side.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy import ndimage
from skimage.segmentation import find_boundaries

from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_labels
from grainsmith.segment.normalize import resize, to_grey
from grainsmith.segment.prediction import typical_diameter_px
from grainsmith.train import Tile

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from grainsmith.data import LabelImage

T = TypeVar("T", bound=np.generic)

WIDEST_PX = 60.0
"""Images whose grains are wider than this on the network's grid are reduced when they are read."""
_IMAGE_CAP = 0.04
"""Largest share of the real tiles that come from one image, on average over its set."""
_FEW_GRAINS = 3
"""Images with fewer labels show the particle of interest; its neighbours are often unlabelled."""


@dataclass(frozen=True, kw_only=True)
class ImageSet:
    """A folder of images `STEM_image.*` with labels `STEM_masks.tif`.

    Attributes
    ----------
    name : str
        Folder name.
    validation : tuple of str
        Stems, or beginnings of stems, that are never trained on.
    validation_share : float
        Share of the articles in `articles.csv` that validate in addition.
    edge_px : int
        Width of the border in which grains are not labelled.
    rim_px : int
        Width of the outline that is not trusted, on both sides.
    background : float
        Weight of the background; 0 where grains may be unlabelled.
    background_of : dict of str to float
        Exceptions by stem.
    validation_only : bool
        Whether no image of the set is trained on.
    cap : float
        Largest share of the real tiles.
    """

    name: str
    validation: tuple[str, ...] = ()
    validation_share: float = 0.0
    edge_px: int = 0
    rim_px: int = 0
    background: float = 1.0
    background_of: dict[str, float] = field(default_factory=dict)
    validation_only: bool = False
    cap: float = 0.3


SETS = (
    ImageSet(name="sem_ampis_powder", validation=("powder_Sc2_001_001",)),
    ImageSet(
        name="sem_ampis_spheroidite",
        validation=("sph_800C-85H-Q-1", "sph_800C-8H-Q-3"),
        edge_px=14,
    ),
    ImageSet(name="gravel_imagegrains_fh", validation=("3_P1060343_3", "7_P1060359_3")),
    ImageSet(name="pebble_segmenteverygrain", validation_only=True),
    ImageSet(name="sem_emps", validation_share=1 / 6),
    ImageSet(name="sem_superalloy", validation=("super_spot4_", "super_spot7_")),
    ImageSet(
        name="photo_conveyor_rocks",
        validation=("rocks_image15", "rocks_images01"),
        rim_px=2,
        background=0.0,
        cap=0.08,
    ),
    ImageSet(name="photo_thinsection_grain_size_sam", background_of={"Basalt": 0.0}),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LabeledImage:
    """One labelled image.

    Attributes
    ----------
    set_name, stem : str
    image_path, labels_path : Path
    source : ImageSet
    n_grains : int
    validates : bool
        Whether it is kept from training.
    """

    set_name: str
    stem: str
    image_path: Path
    labels_path: Path
    source: ImageSet
    n_grains: int
    validates: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RealField:
    """An image that is ready to be cut into tiles.

    Attributes
    ----------
    tile : Tile
        The whole image.
    diameters_px : (N,) array
        Diameters of its grains, on the grid of `tile`.
    typical_px : float
        Diameter that would set the scale of the segmentation.
    """

    tile: Tile
    diameters_px: npt.NDArray[np.float64]
    typical_px: float


def labeled_images(data: Path) -> list[LabeledImage]:
    """List the images of all sets that hold grains."""
    images = []
    for source in SETS:
        for path in sorted((data / source.name).glob("*_masks.tif")):
            n_grains = np.count_nonzero(np.bincount(read_labels(path).ravel())[1:])
            if not n_grains:
                continue
            stem = path.name.removesuffix("_masks.tif")
            images.append(
                LabeledImage(
                    set_name=source.name,
                    stem=stem,
                    image_path=next(path.parent.glob(f"{stem}_image.*")),
                    labels_path=path,
                    source=source,
                    n_grains=int(n_grains),
                    validates=_validates(source, stem, path.parent),
                )
            )
    return images


def read_field(member: LabeledImage) -> RealField:
    """Read an image with its labels and weights; reduce it where its grains are very wide."""
    image, labels, weight = read_pair(member)
    grey = to_grey(image)[0]
    scale = min(1.0, WIDEST_PX / scale_diameter_px(labels))
    if scale < 1:
        grey = resize(grey, scale)
        labels, weight = (_reduce(plane, grey.shape) for plane in (labels, weight))
    tile = Tile.from_field(grey.astype(np.float32, copy=False), labels, weight)
    diameters = grain_diameters_px(labels)
    return RealField(tile=tile, diameters_px=diameters, typical_px=scale_diameter_px(labels))


def read_pair(
    member: LabeledImage,
) -> tuple[npt.NDArray[np.generic], LabelImage, npt.NDArray[np.float32]]:
    """Read image, labels and weight (0 where nothing is to be learnt) of one image."""
    image, labels = read_image(member.image_path).cropped, read_labels(member.labels_path)
    labels = np.ascontiguousarray(labels[: image.shape[0]])
    return image, labels, _weight(member, labels)


def grain_textures(data: Path) -> dict[str, list[npt.NDArray[np.float32]]]:
    """Read the inner parts of photographs of single grains, in plane light and between polars."""
    folder = data / "thinsection_grain_cutouts"
    return {
        light: [
            _inner_part(to_grey(read_image(path).image)[0].clip(0, 1))
            for path in sorted(folder.glob(f"*/*_{light}.*"))
        ]
        for light in ("ppl", "xpl")
    }


def grain_diameters_px(labels: LabelImage) -> npt.NDArray[np.float64]:
    """Return the diameters of the circles of equal area."""
    areas = np.bincount(labels.ravel())[1:]
    return np.sqrt(areas[areas > 0] * 4 / np.pi)


def scale_diameter_px(labels: LabelImage) -> float:
    """Return the diameter between that of the smaller grains and the median."""
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    median = float(np.sqrt(np.median(areas) * 4 / np.pi))
    return float(np.sqrt(typical_diameter_px(areas) * median))


def sampling_shares(members: list[LabeledImage]) -> npt.NDArray[np.float64]:
    """Return how often each image is drawn: by the square root of the grains, within the caps."""
    n_grains = np.array([member.n_grains for member in members], float)
    sets = np.array([m.set_name for m in members])
    names = sorted(set(sets))
    total = np.array([np.sqrt(n_grains[sets == name].sum()) for name in names])
    caps = {member.set_name: member.source.cap for member in members}
    cap = np.array([min(caps[name], _IMAGE_CAP * (sets == name).sum()) for name in names])
    by_set = _capped(total / total.sum(), cap)
    shares = np.zeros(len(members))
    for name, share in zip(names, by_set, strict=True):
        inside = sets == name
        each = np.sqrt(n_grains[inside])
        shares[inside] = share * each / each.sum()
    return shares / shares.sum()


def _capped(
    shares: npt.NDArray[np.float64], cap: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Cut shares to their caps and divide what is cut off among the others."""
    capped = np.zeros(len(shares), bool)
    while (over := ~capped & (shares > cap)).any():
        capped |= over
        free = np.where(capped, 0, shares)
        spare = max(0.0, 1 - cap[capped].sum())
        shares = np.where(capped, cap, free / max(free.sum(), 1e-9) * spare)
    return shares


def _inner_part(image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the middle of a photograph, whose corners show other grains."""
    top, left = (round(0.15 * n) for n in image.shape)
    return image[top : image.shape[0] - top, left : image.shape[1] - left]


def _validates(source: ImageSet, stem: str, folder: Path) -> bool:
    if source.validation_only or stem.startswith(source.validation or ("\0",)):
        return True
    if not source.validation_share:
        return False
    article = _articles(folder / "articles.csv")[stem]
    digest = int(hashlib.sha256(article.encode()).hexdigest()[:8], 16)
    return digest / 16**8 < source.validation_share


@cache
def _articles(path: Path) -> dict[str, str]:
    with path.open(encoding="utf8", newline="") as file:
        return {row["stem"]: row["article"] for row in csv.DictReader(file)}


def _weight(member: LabeledImage, labels: LabelImage) -> npt.NDArray[np.float32]:
    source = member.source
    background = source.background_of.get(member.stem, source.background)
    if member.set_name == "sem_emps" and labels.max() < _FEW_GRAINS:
        background = min(background, 0.2)
    weight = np.where(labels > 0, 1, background).astype(np.float32)
    if source.rim_px:
        edges = find_boundaries(labels, mode="thick")
        weight[ndimage.binary_dilation(edges, iterations=source.rim_px - 1)] = 0
    if edge := source.edge_px:
        weight[:edge] = weight[-edge:] = weight[:, :edge] = weight[:, -edge:] = 0
    return weight


def _reduce(plane: npt.NDArray[T], shape: tuple[int, ...]) -> npt.NDArray[T]:
    """Look up the nearest pixels of a smaller grid."""
    rows, columns = (
        np.minimum(((np.arange(n) + 0.5) * old / n).astype(int), old - 1)
        for n, old in zip(shape, plane.shape, strict=True)
    )
    return np.ascontiguousarray(plane[np.ix_(rows, columns)])
