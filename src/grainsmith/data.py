"""The values that travel between the rooms: frozen, without behaviour beyond their own arithmetic.

Axes are (Y, X) everywhere, (Y, X, 3) for colour, (C, Y, X) for stacks of maps. A pixel size of 0
means *unknown*: then lengths stay in pixels and no micrometre is invented.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

LabelImage = npt.NDArray[np.int32]
"""(Y, X) int32; 0 is background, every other value one grain."""

Image = npt.NDArray[Any]
"""(Y, X) grey or (Y, X, 3) colour; any real dtype."""

OnProgress = Callable[[int, int], None]
"""Called as on_progress(done, total). What it raises stops the work and is passed on."""


def no_progress(done: int, total: int) -> None:
    """Report to nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SemImage:
    """One image of a field of view, as its file holds it.

    Attributes
    ----------
    image : (Y, X) or (Y, X, 3) array
        All rows of the file, the data bar included, so that labels have the file's shape.
    pixel_size_um : float
        Side of one pixel in µm; 0 where the file does not say.
    pixel_size_source : str
        Where the pixel size was found, e.g. "Zeiss tag ap_image_pixel_size".
    data_bar_rows : int
        Rows at the bottom that hold a burnt-in data bar; they are never segmented.
    source : str
        Path of the file, or a name for a synthetic image.
    notes : tuple of str
        What the reader did or noticed, in the user's words: shown, never silent.
    """

    image: Image
    pixel_size_um: float = 0.0
    pixel_size_source: str = ""
    data_bar_rows: int = 0
    source: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.image.ndim not in (2, 3):
            raise ValueError(f"image must be (Y, X) or (Y, X, 3), got shape {self.image.shape}")
        if self.pixel_size_um < 0:
            raise ValueError(f"pixel_size_um must be 0 (unknown) or more, got {self.pixel_size_um}")
        if not 0 <= self.data_bar_rows < max(1, self.image.shape[0]):
            raise ValueError(
                f"data_bar_rows must be 0..{self.image.shape[0] - 1}, got {self.data_bar_rows}"
            )

    @property
    def cropped(self) -> Image:
        """The image without its data bar, (Y', X) or (Y', X, 3)."""
        return self.image[: self.image.shape[0] - self.data_bar_rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class ElementMap:
    """One element's map of a field of view, in its native pixels.

    Attributes
    ----------
    values : (Y, X) array
        Counts, wt%, at% or grey values; NaN where nothing was measured.
    element : str
        Chemical symbol, e.g. "Si".
    line : str
        X-ray line such as "Ka1"; "" where unknown.
    kind : str
        "counts", "wt%", "at%" or "picture" (a stretched grey picture: no ratios between elements).
    pixel_size_um : float
        Side of one map pixel in µm; 0 where unknown.
    source : str
        File and data set it came from.
    window : tuple of float
        (top, left, height, width) of the map in shares of its image's field, where the file says
        so; empty = not said.
    """

    values: npt.NDArray[Any]
    element: str
    line: str = ""
    kind: str = "counts"
    pixel_size_um: float = 0.0
    source: str = ""
    window: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.window) not in (0, 4) or any(share <= 0 for share in self.window[2:]):
            raise ValueError(f"window must be (top, left, height, width), got {self.window}")
        if self.values.ndim != 2:
            raise ValueError(f"a map must be (Y, X), got shape {self.values.shape}")
        if self.kind not in ("counts", "wt%", "at%", "picture"):
            raise ValueError(f"kind must be counts, wt%, at% or picture, got {self.kind!r}")

    @property
    def name(self) -> str:
        """Element and line, e.g. "Si Ka1"."""
        return f"{self.element} {self.line}".strip()


def _identity() -> npt.NDArray[np.float64]:
    return np.eye(3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transform:
    """Where a moving image lies on its reference.

    Attributes
    ----------
    matrix : (3, 3) float array
        Takes homogeneous pixel coordinates (y, x, 1) of the moving image to those of the
        reference. Pixel centres are at whole numbers.
    z : float
        Confidence of the estimate (height of the peak in robust standard deviations); 0 = none.
    verdict : str
        "not aligned", "aligned", "unsure", "inherited" (from its acquisition group) or "by hand".
    """

    matrix: npt.NDArray[np.float64] = field(default_factory=_identity)
    z: float = 0.0
    verdict: str = "not aligned"

    def __post_init__(self) -> None:
        if self.matrix.shape != (3, 3) or not np.isfinite(self.matrix).all():
            raise ValueError(f"matrix must be a finite 3 x 3 array, got {self.matrix!r}")

    @classmethod
    def from_shift(cls, dy_px: float, dx_px: float, **facts: Any) -> Transform:
        """Return a pure translation of (dy, dx) reference pixels."""
        matrix = np.eye(3)
        matrix[:2, 2] = dy_px, dx_px
        return cls(matrix=matrix, **facts)

    def apply(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return (N, 2) points (y, x) of the moving image as points of the reference."""
        yx = np.asarray(points, dtype=float)
        moved: npt.NDArray[np.float64] = yx @ self.matrix[:2, :2].T + self.matrix[:2, 2]
        return moved

    def inverse(self) -> Transform:
        """Return the way back, reference -> moving, with the same confidence and verdict."""
        back = np.linalg.inv(self.matrix).astype(np.float64)
        return Transform(matrix=back, z=self.z, verdict=self.verdict)

    def look_up(
        self, image: npt.NDArray[Any], shape: tuple[int, int], *, outside: float = 0
    ) -> npt.NDArray[Any]:
        """Return what of the reference lies under each pixel of the moving image.

        Parameters
        ----------
        image : (Y, X) or (Y, X, 3) array
            Lies on the grid of the reference, such as the labels of its grains.
        shape : (int, int)
            Rows and columns of the moving image.
        outside : float
            Value where the reference has no pixel.

        Returns
        -------
        (rows, columns) or (rows, columns, 3) array
            The nearest pixel, never a mixture: labels stay labels.
        """
        found = np.full((*shape, *image.shape[2:]), outside, dtype=image.dtype)
        columns = np.arange(shape[1])
        for row in range(shape[0]):
            y = self.matrix[0, 0] * row + self.matrix[0, 1] * columns + self.matrix[0, 2]
            x = self.matrix[1, 0] * row + self.matrix[1, 1] * columns + self.matrix[1, 2]
            iy, ix = np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
            inside = (iy >= 0) & (iy < image.shape[0]) & (ix >= 0) & (ix < image.shape[1])
            found[row, inside] = image[iy[inside], ix[inside]]
        return found
