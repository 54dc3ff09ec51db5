"""Find the images of a folder that have no labels yet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.io.images.reader import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Collection

_ENDINGS = ("_masks.tif", "_masks.tiff", "_masks.png", "_seg.npy")


def unlabelled_images(current: str | Path, done: Collection[str] = ()) -> list[Path]:
    """Return the images of a folder that have no labels.

    Parameters
    ----------
    current : str or Path
        Current image: the list begins after it, by name, and wraps around.
    done : collection of str
        Files in the training set; only their names are compared.
    """
    current = Path(current)
    if not current.parent.is_dir():
        return []
    excluded = {Path(file).name for file in done} | {current.name}
    names = {path.name for path in current.parent.iterdir()}
    candidates = [
        name
        for name in sorted(names)
        if Path(name).suffix.lower() in SUFFIXES
        and not Path(name).stem.endswith("_masks")
        and name not in excluded
        and not any(f"{Path(name).stem}{ending}" in names for ending in _ENDINGS)
    ]
    after = [name for name in candidates if name > current.name]
    before = candidates[: len(candidates) - len(after)]
    return [current.parent / name for name in (*after, *before)]
