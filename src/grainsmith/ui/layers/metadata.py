"""Typed metadata of layers, read from and written to `layer.metadata["grainsmith"]`.

The stored value is a plain dictionary with a `schema_version`, so that napari and other plugins can
copy and save it. A layer may carry several kinds of metadata at once: an image that the user
declares to be an element map keeps what is known of it as an image.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from napari.layers import Layer

SCHEMA_VERSION = 1
_KEY = "grainsmith"
_REGION = re.compile(r"#\d+,\d+,\d+,\d+,[0-9a-f]+$")
"""End of the address of a region of a mosaic, of which the grains were segmented."""


class Role(StrEnum):
    """What a layer is used for."""

    NONE = ""
    IMAGE = "image"
    OTHER_IMAGE = "other image"
    MAP = "map"
    GRAINS = "grains"
    TRUTH = "truth"
    MINERALS = "minerals"
    MOSAIC = "mosaic"
    DATA_BAR = "data bar"
    MARKS = "marks"
    COMPARISON = "comparison"
    CHECK = "check"


def role_of(layer: Layer) -> str:
    """Return the role in a layer's metadata, "" without one; see `Role`."""
    return str(_stored(layer).get("role", "")) if _KEY in layer.metadata else ""


def set_role(layer: Layer, role: Role) -> None:
    """Write the role into a layer's metadata."""
    _stored(layer)["role"] = str(role)


def _known_values(cls: type[Any], stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the stored values that are fields of a dataclass."""
    return {field.name: stored[field.name] for field in fields(cls) if field.name in stored}


def _values_of(metadata: Any) -> dict[str, Any]:
    """Return the fields of a dataclass instance without converting their values."""
    return {field.name: getattr(metadata, field.name) for field in fields(metadata)}


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerMetadata:
    """Base of the kinds of metadata; each field is a key of the stored dictionary."""

    ROLE: ClassVar[Role] = Role.NONE

    @classmethod
    def of(cls, layer: Layer) -> Self:
        """Return this kind of metadata of a layer; keys that are absent have their defaults."""
        return cls._from_stored(_stored(layer)) if _KEY in layer.metadata else cls()

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> Self:
        """Return the metadata in the keyword arguments of a layer, as a napari writer gets them."""
        stored = options.get("metadata", {}).get(_KEY, {})
        return cls._from_stored(_upgraded(stored))

    @classmethod
    def update(cls, layer: Layer, **changes: Any) -> None:
        """Change some fields of a layer's metadata.

        Raises
        ------
        TypeError
            A name is not a field of this kind of metadata.
        """
        changed = replace(cls(), **changes).for_layer()[_KEY]
        _stored(layer).update({name: changed[name] for name in changes})

    def for_layer(self, role: Role | None = None) -> dict[str, Any]:
        """Return the value of a new layer's keyword argument `metadata`."""
        role = self.ROLE if role is None else role
        stored = {"schema_version": SCHEMA_VERSION, "role": str(role), **self._to_stored()}
        return {_KEY: stored}

    @classmethod
    def _from_stored(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**_known_values(cls, stored))

    def _to_stored(self) -> dict[str, Any]:
        return _values_of(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageMetadata(LayerMetadata):
    """Metadata of an image.

    Parameters
    ----------
    source : str
        File, or address of a region of a mosaic.
    pixel_size_um : float
        Side of a pixel in µm; 0 = unknown.
    pixel_size_source : str
        Where the pixel size comes from.
    data_bar_rows : int
        Height of the data bar in pixels, at the bottom.
    notes : tuple of str
        What the reader found, guessed or left out.
    """

    ROLE = Role.IMAGE

    source: str = ""
    pixel_size_um: float = 0.0
    pixel_size_source: str = ""
    data_bar_rows: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationMetadata:
    """Quality of the transform in a map's affine.

    Parameters
    ----------
    verdict : str
        As `Transform.verdict`.
    z, group_z : float
        Confidence of the map and of its acquisition group, in standard deviations.
    residual_px : float
        Residual in pixels of the image; NaN = unknown.
    model : str
        Kind of transform ("shift", "affine", ...).
    note : str
        Remark for the user.
    bend : dict or None
        Deformation beyond the affine, as `Bend.to_json`.
    """

    verdict: str = "not aligned"
    z: float = 0.0
    group_z: float = 0.0
    residual_px: float = float("nan")
    model: str = ""
    note: str = ""
    bend: dict[str, Any] | None = None

    @classmethod
    def from_stored(cls, stored: Mapping[str, Any]) -> Self:
        """Return the registration in a stored dictionary."""
        return cls(**_known_values(cls, stored))


@dataclass(frozen=True, slots=True, kw_only=True)
class MapMetadata(LayerMetadata):
    """Metadata of an element map.

    Parameters
    ----------
    element, line, kind : str
        As in `ElementMap`.
    pixel_size_um : float
        Side of a pixel of the map in µm; 0 = unknown.
    source : str
        File.
    window : tuple of float
        As `ElementMap.window`.
    registration : RegistrationMetadata or None
        None = the map has not been laid on an image yet.
    start : list of list of float or None
        (3, 3) matrix from pixels of the map to pixels of the image `start_on` before alignment.
    start_on : str
        Name of that image.
    group : str
        Acquisition group.
    straightened_from : str
        Name of the map that this one is a resampled copy of.
    true_transform : list of list of float or None
        Known transform of a synthetic map.
    """

    ROLE = Role.MAP

    element: str = ""
    line: str = ""
    kind: str = "picture"
    pixel_size_um: float = 0.0
    source: str = ""
    window: tuple[float, ...] = ()
    registration: RegistrationMetadata | None = None
    start: list[list[float]] | None = None
    start_on: str = ""
    group: str = ""
    straightened_from: str = ""
    true_transform: list[list[float]] | None = None

    @property
    def is_aligned(self) -> bool:
        """Whether an alignment, or the user, has placed the map."""
        verdict = self.registration.verdict if self.registration is not None else ""
        return verdict not in ("", "not aligned", "unsure")

    @classmethod
    def _from_stored(cls, stored: Mapping[str, Any]) -> Self:
        values = _known_values(cls, stored)
        if values.get("registration") is not None:
            values["registration"] = RegistrationMetadata.from_stored(values["registration"])
        return cls(**values)

    def _to_stored(self) -> dict[str, Any]:
        values = _values_of(self)
        if self.registration is not None:
            values["registration"] = asdict(self.registration)
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class GrainsMetadata(LayerMetadata):
    """Metadata of a labels layer with grains.

    Parameters
    ----------
    image : str
        Name of the layer of the image that the grains lie on.
    source : str or None
        File, or address of a region of a mosaic; None = not read from a file.
    states : dict of int to str
        Review state of the grains that have one other than "auto".
    examples : dict of int to str
        Minerals of the grains that are examples for classification.
    model, settings : dict
        Provenance of a segmentation.
    prediction : Prediction or None
        Output of the network, from which the grains can be drawn again.
    seal : str
        Fingerprint of the labels as they were segmented.
    unsaved_edits : int or None
        Edits since the last save; None = not counted.
    """

    ROLE = Role.GRAINS

    image: str = ""
    source: str | None = None
    states: dict[int, str] = field(default_factory=dict)
    examples: dict[int, str] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    prediction: Any = None
    seal: str = ""
    unsaved_edits: int | None = None

    @property
    def is_from_file(self) -> bool:
        """Whether the labels were read from a file of labels, not segmented."""
        is_region = _REGION.search(self.source or "") is not None
        return bool(self.source) and not self.model and not is_region


@dataclass(frozen=True, slots=True, kw_only=True)
class MosaicMetadata(LayerMetadata):
    """Metadata of a mosaic.

    Parameters
    ----------
    source : str
        Folder or file.
    labels : str
        Name of the labels in that folder; "" for the image.
    """

    ROLE = Role.MOSAIC

    source: str = ""
    labels: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MineralMapMetadata(LayerMetadata):
    """Metadata of a labels layer that shows minerals.

    Parameters
    ----------
    grains : str
        Name of the layer of the grains.
    colors : dict of str to str
        Mineral -> "#rrggbb".
    """

    ROLE = Role.MINERALS

    grains: str = ""
    colors: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlayMetadata(LayerMetadata):
    """Metadata of a helper layer: marks, data bars, comparisons, the truth of a sample.

    Parameters
    ----------
    image : str
        Name of the layer of the image that it belongs to.
    kind : str
        Kind of marks.
    """

    ROLE = Role.MARKS

    image: str = ""
    kind: str = ""


def states_of(layer: Layer) -> dict[int, str]:
    """Return the review states of a layer's grains; changes to the dictionary are kept."""
    states: dict[int, str] = _stored(layer).setdefault("states", {})
    return states


def examples_of(layer: Layer) -> dict[int, str]:
    """Return the mineral examples among a layer's grains; changes to the dictionary are kept."""
    examples: dict[int, str] = _stored(layer).setdefault("examples", {})
    return examples


def follow_rename(layers: Iterable[Layer], old: str, new: str) -> None:
    """Write the new name of an image into the metadata of the layers that belong to it."""
    for layer in layers:
        if old and layer.metadata.get(_KEY, {}).get("image") == old:
            _stored(layer)["image"] = new


def _stored(layer: Layer) -> dict[str, Any]:
    """Return the stored dictionary of a layer, in the present schema."""
    stored: dict[str, Any] = layer.metadata.setdefault(_KEY, {"schema_version": SCHEMA_VERSION})
    return _upgraded(stored)


def _upgraded(stored: dict[str, Any]) -> dict[str, Any]:
    """Bring a stored dictionary of an older schema up to date, in place."""
    if stored.get("schema_version", 0) < 1:
        _upgrade_to_1(stored)
        stored["schema_version"] = 1
    return stored


def _upgrade_to_1(stored: dict[str, Any]) -> None:
    # The first schema had no version. Keys of states became words where a file format has no
    # integer keys.
    if stored.get("role") == "picture":
        stored["role"] = str(Role.OTHER_IMAGE)
    for old, new in (("transform", "registration"), ("colours", "colors"), ("drawn", "seal")):
        if old in stored:
            stored[new] = stored.pop(old)
    for name in ("states", "examples"):
        if name in stored:
            stored[name] = {int(label): value for label, value in stored[name].items()}
    if "notes" in stored:
        stored["notes"] = tuple(stored["notes"])
