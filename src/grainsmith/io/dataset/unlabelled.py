"""Which images of a folder nobody has labelled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.io.images.reader import SUFFIXES

if TYPE_CHECKING:
    from collections.abc import Collection

_ENDINGS = ("_masks.tif", "_masks.tiff", "_masks.png", "_seg.npy")


def unlabelled_images(picture: str | Path, done: Collection[str] = ()) -> list[Path]:
    """Return the images of a folder that nobody has labelled.

    Parameters
    ----------
    picture : str or Path
        The present one: the list begins after it, by name, and goes round.
    done : collection of str
        Files that are in a training set already; only their names count.
    """
    picture = Path(picture)
    if not picture.parent.is_dir():
        return []
    names = {Path(one).name for one in done} | {picture.name}
    there = {path.name for path in picture.parent.iterdir()}
    found = [
        name
        for name in sorted(there)
        if Path(name).suffix.lower() in SUFFIXES
        and not Path(name).stem.endswith("_masks")
        and name not in names
        and not any(f"{Path(name).stem}{ending}" in there for ending in _ENDINGS)
    ]
    after = [name for name in found if name > picture.name]
    return [picture.parent / name for name in (*after, *found[: len(found) - len(after)])]
