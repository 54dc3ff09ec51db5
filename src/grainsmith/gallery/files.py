"""Write combos as PNG, or as SVG and PDF with editable text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.data import no_progress
from grainsmith.errors import WriteError
from grainsmith.gallery.combo import PLAIN_COMBO, make_combo
from grainsmith.gallery.combo_image import draw_combo
from grainsmith.gallery.text import wrapped
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.images.png import write_png

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes

    from grainsmith.data import OnProgress
    from grainsmith.gallery.combo import Combo, ComboSettings, ComboTile
    from grainsmith.gallery.field import GalleryField

_KINDS = (".png", ".svg", ".pdf")
_INCH_PER_TILE = 1.7


def combo_name(label: int, suffix: str = ".png") -> str:
    """Return the file name of a grain's combo, e.g. "idx66_ele_combo.png"."""
    return f"idx{label}_ele_combo{suffix}"


def save_combo(path: str | Path, combo: Combo) -> None:
    """Write a combo as PNG, SVG or PDF, by the suffix of the path.

    Raises
    ------
    WriteError
        The suffix is unknown, or the file could not be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _KINDS:
        raise WriteError(f"{path}: a combo is written as {', '.join(_KINDS)}, not as {suffix!r}")
    if suffix == ".png":
        write_png(path, draw_combo(combo))
    else:
        _save_vector(Path(path), combo)


def save_combos(
    field_of_view: GalleryField,
    folder: str | Path,
    labels: Iterable[int],
    settings: ComboSettings = PLAIN_COMBO,
    *,
    suffix: str = ".png",
    on_progress: OnProgress = no_progress,
) -> list[Path]:
    """Write the combos of many grains into a folder.

    Parameters
    ----------
    field_of_view : GalleryField
        From `prepare_field`.
    folder : str or Path
        Created if missing; existing files are replaced.
    labels : iterable of int
        Grains to draw.
    settings : ComboSettings
        Layout and scaling.
    suffix : str
        ".png", ".svg" or ".pdf".
    on_progress : OnProgress
        Called with (files written, total).

    Returns
    -------
    list of Path
        Written files.
    """
    wanted = [int(label) for label in labels]
    written: list[Path] = []
    for label in wanted:
        on_progress(len(written), len(wanted))
        path = Path(folder) / combo_name(label, suffix)
        save_combo(path, make_combo(field_of_view, label, settings))
        written.append(path)
    on_progress(len(wanted), len(wanted))
    return written


def _save_vector(path: Path, combo: Combo) -> None:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    places = len(combo.tiles) + bool(combo.bars)
    columns = min(combo.columns, places)
    rows = -(-places // columns)
    figure = Figure(figsize=(columns * _INCH_PER_TILE, rows * (_INCH_PER_TILE + 0.55) + 0.6))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes:
        axis.set_axis_off()
    for axis, tile in zip(axes, combo.tiles, strict=False):
        _plot_tile(axis, tile)
    if combo.bars:
        _plot_bars(axes[len(combo.tiles)], combo)
    lines = wrapped(combo.richer, 24 * columns, len)
    top = 1 - (0.5 + 0.13 * len(lines)) / figure.get_figheight()
    figure.suptitle("\n".join([combo.title, combo.subtitle, *lines]), x=0.01, ha="left", fontsize=8)
    figure.subplots_adjust(
        left=0.01, right=0.99, bottom=0.06, top=top - 0.02, hspace=0.5, wspace=0.05
    )
    # Keep text as text, so that it can be edited.
    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}), atomic_write(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower(), dpi=200)


def _plot_tile(axis: Axes, tile: ComboTile) -> None:
    axis.imshow(tile.image, interpolation="nearest")
    axis.set_title(tile.title, fontsize=7, pad=2, loc="left")
    text = "\n".join(line for line in (tile.caption, tile.note, tile.warning) if line)
    axis.text(0, -0.04, text, transform=axis.transAxes, va="top", fontsize=5)
    if tile.scale_bar:
        side = tile.image.shape[0]
        axis.plot(
            [0.04 * side, (0.04 + tile.scale_bar) * side], [0.95 * side] * 2, "w-", linewidth=2
        )


def _plot_bars(axis: Axes, combo: Combo) -> None:
    from grainsmith.gallery.colors import hue_of

    axis.set_axis_on()
    place = np.arange(len(combo.bars))
    colors = [np.array(hue_of(bar.element)) / 255 for bar in combo.bars]
    axis.bar(place - 0.2, [bar.grain for bar in combo.bars], 0.4, color=colors)
    axis.bar(
        place + 0.2,
        [bar.group for bar in combo.bars],
        0.4,
        yerr=[bar.group_spread for bar in combo.bars],
        color="0.6",
        error_kw={"linewidth": 0.5},
    )
    axis.set_xticks(place, [bar.element for bar in combo.bars], fontsize=5)
    axis.set_yticks([])
    axis.set_title(combo.bars_title, fontsize=6, pad=2, loc="left")
