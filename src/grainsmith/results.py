"""Results of the public functions, which show themselves in notebooks and save themselves."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.io.labels.label_metadata import LabelMetadata

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from grainsmith.data import LabelImage, SemImage

__all__ = ["ElementCombo", "GrainLabels"]


@dataclass(frozen=True, kw_only=True, repr=False)
class GrainLabels:
    """The grains of one field: a label image with what is known of it.

    Behaves as an array of labels where one is expected, and shows itself in notebooks.

    Attributes
    ----------
    labels : (Y, X) int32 array
        0 is background, every other value one grain.
    table : DataFrame
        Index `label`; `confidence`, `flow_error` and `probability` after `segment`.
    image : SemImage or None
        The image the grains were found in.
    metadata : LabelMetadata
        Pixel size, data bar, source and notes of the labels; `save` keeps them in the file.
    """

    labels: LabelImage
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    image: SemImage | None = None
    metadata: LabelMetadata = field(default_factory=LabelMetadata)

    @property
    def pixel_size_um(self) -> float:
        """Side of a pixel in µm; 0 = unknown."""
        return self.metadata.pixel_size_um

    @property
    def notes(self) -> tuple[str, ...]:
        """What was assumed, left out or doubtful."""
        return self.metadata.notes

    def __len__(self) -> int:
        ids = np.unique(self.labels)
        return int(np.count_nonzero(ids))

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        return np.array(self.labels, dtype=dtype, copy=True if copy is None else copy)

    def __repr__(self) -> str:
        rows, columns = self.labels.shape
        size = f", {self.pixel_size_um:.4g} µm per pixel" if self.pixel_size_um else ""
        return f"<GrainLabels: {len(self)} grains, {rows} x {columns} px{size}>"

    def _repr_html_(self) -> str:
        from matplotlib.figure import Figure

        figure = Figure(figsize=(6, 6), layout="tight")
        self.plot(figure.add_subplot())
        encoded = b64encode(_png(figure)).decode()
        return f'<p>{escape(repr(self))}</p><img src="data:image/png;base64,{encoded}">'

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the outlines of the grains over their image.

        Parameters
        ----------
        axes : matplotlib Axes, optional
            A new figure by default.
        """
        from matplotlib import pyplot
        from skimage.segmentation import find_boundaries

        if axes is None:
            _, axes = pyplot.subplots()
        axes.imshow(self._shown_image(), cmap="gray")
        outlines = np.ma.masked_equal(find_boundaries(self.labels, mode="inner"), False)
        axes.imshow(outlines, cmap="autumn", interpolation="nearest")
        axes.set_axis_off()
        return axes

    def save(self, path: str | Path) -> Path:
        """Write the labels as a TIFF that Cellpose, ImageJ and QuPath open.

        Parameters
        ----------
        path : str or Path
            Ends in .tif or .tiff. The metadata are kept in the file.
        """
        from grainsmith.io.labels.label_image import write_labels

        write_labels(path, self.labels, metadata=self.metadata)
        return Path(path)

    def to_csv(self, path: str | Path) -> Path:
        """Write the table of the grains as CSV."""
        from grainsmith.io.tables.grain_table import write_table

        write_table(path, self.table)
        return Path(path)

    def _shown_image(self) -> npt.NDArray[Any]:
        if self.image is None:
            return np.zeros(self.labels.shape, np.uint8)
        return self.image.image


@dataclass(frozen=True, kw_only=True)
class ElementCombo:
    """One grain in its image and in every element map, side by side.

    Attributes
    ----------
    grain_id : int
    pixels : (Y, X, 3) uint8 array
        The drawn combo.
    title : str
        Mineral and size of the grain.
    """

    grain_id: int
    title: str
    pixels: npt.NDArray[np.uint8] = field(repr=False)

    def _repr_png_(self) -> bytes:
        from matplotlib.figure import Figure

        rows, columns = self.pixels.shape[:2]
        figure = Figure(figsize=(columns / 100, rows / 100), dpi=100)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        self.plot(axes)
        return _png(figure)

    def save(self, path: str | Path) -> Path:
        """Write the combo as PNG."""
        from grainsmith.io.images.png import write_png

        write_png(path, self.pixels)
        return Path(path)

    def plot(self, axes: Axes | None = None) -> Axes:
        """Draw the combo."""
        from matplotlib import pyplot

        if axes is None:
            _, axes = pyplot.subplots()
        axes.imshow(self.pixels)
        axes.set_axis_off()
        return axes


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
