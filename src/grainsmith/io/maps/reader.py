"""Open a folder of element maps: first what each file is taken for, then the maps.

The guesses are values that a table shows and a user corrects before anything is read.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from grainsmith.data import ElementMap, SemImage, no_progress
from grainsmith.errors import GrainsmithError, Hint, MismatchError, ReadError
from grainsmith.io.images.reader import read_image
from grainsmith.io.maps import cube_maps, image_map, text_map
from grainsmith.io.maps.filenames import parse_map_name
from grainsmith.io.maps.h5oina import read_h5oina

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grainsmith.data import OnProgress

KINDS = ("counts", "wt%", "at%", "picture")
"""What the numbers of a map may be."""

BAR_AUTO = -1
"""The bar of an image is found by itself."""

_TABLES, _PICTURES, _OINA = text_map.SUFFIXES, image_map.SUFFIXES, (".h5oina",)
_CUBES = cube_maps.SUFFIXES
SUFFIXES = (*_TABLES, *_PICTURES, *_OINA, *_CUBES)
"""Of the files in a folder that are looked at."""

_SAME_ASPECT = 0.03
_LABEL_STEMS = ("_masks", "_labels", "_grains")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapGuess:
    """What a file is taken for, to be corrected by the user.

    Attributes
    ----------
    path : str
        The file.
    what : str
        "map", "image" (an electron or optical picture), "container" (a file of several) or
        "left out".
    element, line : str
        Symbol and X-ray line of a map. Of a cube of spectra `line` names the lines that become
        maps, "Si Ka, Fe Ka"; "" = those that stand out.
    kind : str
        "counts", "wt%", "at%" or "picture"; "" = by the numbers themselves.
    use : bool
        Whether it is opened.
    channel : str
        Of a coloured picture: see `image_map.CHANNELS`.
    bar_rows : int
        Of a picture: rows of a burnt-in bar at the bottom, which are cut off; `BAR_AUTO` = found.
    note : str
        Why it is taken so.
    """

    path: str
    what: str
    element: str = ""
    line: str = ""
    kind: str = ""
    use: bool = True
    channel: str = "auto"
    bar_rows: int = BAR_AUTO
    note: str = ""

    @property
    def name(self) -> str:
        """The file's name."""
        return Path(self.path).name


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFolder:
    """What was opened.

    Attributes
    ----------
    maps : tuple of ElementMap
        The element maps that could be read.
    images : tuple of SemImage
        The electron or optical images beside them.
    problems : tuple of GrainsmithError
        One for each file that could not be opened; the others are there all the same.
    notes : tuple of str
        What was done or noticed, in the user's words.
    """

    maps: tuple[ElementMap, ...] = ()
    images: tuple[SemImage, ...] = ()
    problems: tuple[GrainsmithError, ...] = ()
    notes: tuple[str, ...] = ()


def guess_maps(paths: str | Path | Iterable[str | Path]) -> tuple[MapGuess, ...]:
    """Return what the files of a folder, or a selection of files, are taken for.

    Parameters
    ----------
    paths : str, Path, or several of them
        A folder, or files.

    Returns
    -------
    tuple of MapGuess
        Elements in the order of the periodic table, then images, then what is left out. Of several
        files for one element only the first is used: tables before images.

    Raises
    ------
    ReadError
        The folder does not exist, or holds no file that could be a map.
    """
    files = _files(paths)
    guesses = [_guess(file) for file in files]
    if not guesses:
        raise ReadError(
            f"{paths} holds no map: looked for files that end in {', '.join(SUFFIXES)}."
        )
    return _without_doubles(sorted(guesses, key=_order))


def _files(paths: str | Path | Iterable[str | Path]) -> list[Path]:
    if isinstance(paths, str | Path):
        folder = Path(paths)
        if not folder.exists():
            raise ReadError(f"{folder} does not exist.")
        if not folder.is_dir():
            return [folder]
        return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)
    return [Path(path) for path in paths]


def _guess(path: Path) -> MapGuess:
    if path.suffix.lower() in _OINA:
        return MapGuess(path=str(path), what="container", note="Oxford: images and maps inside")
    if path.suffix.lower() in _CUBES:
        return _guess_cube(path)
    if path.stem.endswith(_LABEL_STEMS):
        return MapGuess(path=str(path), what="left out", use=False, note="labels of grains")
    name = parse_map_name(path)
    if name.what == "electron" and path.suffix.lower() in _PICTURES:
        return MapGuess(path=str(path), what="image", note="by its name")
    if name.what == "element":
        return MapGuess(
            path=str(path), what="map", element=name.element, line=name.line, kind=name.unit
        )
    why = "an overlay, legend or mask" if name.what == "left out" else "no element in its name"
    return MapGuess(path=str(path), what="left out", use=False, note=why)


def _guess_cube(path: Path) -> MapGuess:
    try:
        return MapGuess(path=str(path), what="container", note=cube_maps.describe_cube(path))
    except ReadError as error:
        # HDF5 holds many things; a header of Ripple that fails is a cube that is broken.
        if path.suffix.lower() == ".rpl":
            return MapGuess(path=str(path), what="container", note="cube that cannot be read")
        return MapGuess(path=str(path), what="left out", use=False, note=str(error))


def _order(guess: MapGuess) -> tuple[int, bool, bool, str]:
    kinds = ("container", "map", "image", "left out")
    # K and L lines before M, and the measured table before its image.
    is_picture = Path(guess.path).suffix.lower() in _PICTURES
    return kinds.index(guess.what), is_picture, "b" in guess.line, guess.path


def _without_doubles(guesses: Sequence[MapGuess]) -> tuple[MapGuess, ...]:
    first: dict[str, MapGuess] = {}
    result = []
    for guess in guesses:
        known = first.setdefault(guess.element, guess) if guess.what == "map" else guess
        if known is not guess:
            note = f"{guess.element} is there already: {known.name}"
            result.append(replace(guess, use=False, note=note))
        else:
            result.append(guess)
    return tuple(result)


def open_maps(
    guesses: Sequence[MapGuess] | str | Path, *, on_progress: OnProgress = no_progress
) -> MapFolder:
    """Open maps and images; what cannot be read is told, the rest opens.

    Parameters
    ----------
    guesses : sequence of MapGuess, or a folder
        What to open as what. Of a folder: as `guess_maps` takes it.
    on_progress : callable
        Called as on_progress(done, total); what it raises stops the work.

    Returns
    -------
    MapFolder
        Maps of another field (of clearly another shape than most) are among the problems, as are
        two maps of one element.
    """
    if isinstance(guesses, str | Path):
        guesses = guess_maps(guesses)
    wanted = [guess for guess in guesses if guess.use and guess.what != "left out"]
    opened = MapFolder()
    for done, guess in enumerate(wanted):
        # Within a file the count stands still, and the work can be stopped.
        tick = partial(_tick, on_progress, done, len(wanted))
        tick()
        opened = _joined(opened, _open(guess, tick))
    on_progress(len(wanted), len(wanted))
    return _of_one_field(opened)


def _tick(on_progress: OnProgress, done: int, total: int, *_within: int) -> None:
    on_progress(done, total)


def _joined(first: MapFolder, second: MapFolder) -> MapFolder:
    return MapFolder(
        maps=first.maps + second.maps,
        images=first.images + second.images,
        problems=first.problems + second.problems,
        notes=first.notes + second.notes,
    )


def _open(guess: MapGuess, tick: OnProgress) -> MapFolder:
    try:
        if Path(guess.path).suffix.lower() in _CUBES:
            maps, notes = cube_maps.read_cube_maps(guess.path, guess.line, on_progress=tick)
            return MapFolder(maps=maps, notes=tuple(f"{guess.name}: {note}" for note in notes))
        if guess.what == "container":
            inside = read_h5oina(guess.path)
            return MapFolder(maps=inside.maps, images=inside.images, problems=inside.problems)
        if guess.what == "image":
            bar = "auto" if guess.bar_rows == BAR_AUTO else guess.bar_rows
            image = read_image(guess.path, crop_databar=bar)
            return MapFolder(images=(image,))
        element_map, notes = read_map(guess)
    except GrainsmithError as error:
        return MapFolder(problems=(error,))
    except ValueError as error:  # of what was set by hand: a bar of more rows than there are
        return MapFolder(problems=(MismatchError(f"{guess.name}: {error}"),))
    return MapFolder(maps=(element_map,), notes=tuple(f"{guess.name}: {note}" for note in notes))


def read_map(guess: MapGuess) -> tuple[ElementMap, tuple[str, ...]]:
    """Read the map of one file.

    Parameters
    ----------
    guess : MapGuess
        Of a single map.

    Returns
    -------
    ElementMap, tuple of str
        In its native pixels, and what was noticed.

    Raises
    ------
    ReadError
        The file cannot be read as a map.
    """
    size_um = 0.0
    if Path(guess.path).suffix.lower() in _TABLES:
        values, notes = text_map.read_text_map(guess.path)
        is_counts = bool(
            np.all(np.mod(values[np.isfinite(values)], 1) == 0) and not values.min() < 0
        )
        kind = guess.kind or ("counts" if is_counts else "wt%")
    else:
        values, size_um, notes = image_map.read_image_map(
            guess.path,
            channel=guess.channel,
            bar_rows="auto" if guess.bar_rows == BAR_AUTO else guess.bar_rows,
        )
        # 8 bits are a stretched image as a rule; more are counts or concentrations.
        kind = guess.kind or ("picture" if values.dtype == np.uint8 else "counts")
    if not guess.element:
        raise ReadError(f"the element of {guess.name} is not known", hint=Hint.ENTER_ELEMENT)
    return (
        ElementMap(
            values=values,
            element=guess.element,
            line=guess.line,
            kind=kind,
            pixel_size_um=size_um,
            source=guess.path,
        ),
        notes,
    )


def _of_one_field(opened: MapFolder) -> MapFolder:
    """Move maps that do not belong, and second maps of an element, to the problems."""
    problems = list(opened.problems)
    shapes = Counter(one.values.shape for one in opened.maps if not one.window)
    kept: list[ElementMap] = []
    for one in opened.maps:
        usual = shapes.most_common(1)[0][0] if shapes else one.values.shape
        name = Path(one.source).name
        if not one.window and not _same_field(one.values.shape, usual):
            problems.append(
                MismatchError(
                    f"{name} is {one.values.shape[1]} x {one.values.shape[0]} pixels, the other "
                    f"maps are {usual[1]} x {usual[0]}: another field? Open it alone if it is not."
                )
            )
        elif one.name in {other.name for other in kept}:
            problems.append(MismatchError(f"{name}: {one.name} was opened already; left out."))
        else:
            kept.append(one)
    return replace(opened, maps=tuple(kept), problems=tuple(problems))


def _same_field(shape: tuple[int, ...], usual: tuple[int, ...]) -> bool:
    ratio = shape[0] * usual[1] / (shape[1] * usual[0])
    return bool(abs(np.log(ratio)) < _SAME_ASPECT)
