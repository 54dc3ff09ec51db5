"""Open a folder of element maps in two steps: guess what each file holds, then read it.

The guesses are shown in a table, and the user corrects them before anything is read.
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
from grainsmith.io.files import vendor_formats
from grainsmith.io.images.reader import read_image
from grainsmith.io.maps import cube_maps, image_map, text_map
from grainsmith.io.maps.filenames import parse_map_name
from grainsmith.io.maps.h5oina import read_h5oina

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from grainsmith.data import OnProgress

KINDS = ("counts", "wt%", "at%", "picture")
"""Kinds of map values."""

BAR_AUTO = -1
"""Detect the bar of an image automatically."""

_TABLES, _IMAGES, _OINA = text_map.SUFFIXES, image_map.SUFFIXES, (".h5oina",)
_CUBES = cube_maps.SUFFIXES
SUFFIXES = (*_TABLES, *_IMAGES, *_OINA, *_CUBES)
"""Of the files in a folder that are considered."""

_SAME_ASPECT = 0.03
_LABEL_STEMS = ("_masks", "_labels", "_grains")


@dataclass(frozen=True, slots=True, kw_only=True)
class MapGuess:
    """Guessed content of a file, to be corrected by the user.

    Attributes
    ----------
    path : str
        The file.
    what : str
        "map", "image" (an electron or optical image), "container" (a file of several) or
        "left out".
    element, line : str
        Symbol and X-ray line of a map. For a spectrum cube, `line` names the lines that become
        maps, "Si Ka, Fe Ka"; "" = those detected.
    kind : str
        "counts", "wt%", "at%" or "picture"; "" = decided by the values.
    use : bool
        Whether to open it.
    channel : str
        For a color image: see `image_map.CHANNELS`.
    bar_rows : int
        For an image: rows of a burnt-in bar at the bottom, which are cropped; `BAR_AUTO` = detect.
    note : str
        Reason of the guess.
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
    """Maps and images that were opened.

    Attributes
    ----------
    maps : tuple of ElementMap
        Element maps that could be read.
    images : tuple of SemImage
        Electron or optical images beside them.
    problems : tuple of GrainsmithError
        One for each file that could not be opened; the others are unaffected.
    notes : tuple of str
        What was converted or assumed, in the user's words.
    """

    maps: tuple[ElementMap, ...] = ()
    images: tuple[SemImage, ...] = ()
    problems: tuple[GrainsmithError, ...] = ()
    notes: tuple[str, ...] = ()


def guess_maps(paths: str | Path | Iterable[str | Path]) -> tuple[MapGuess, ...]:
    """Guess what the files of a folder, or a selection of files, hold.

    Parameters
    ----------
    paths : str, Path, or several of them
        A folder, or files.

    Returns
    -------
    tuple of MapGuess
        Maps, then images, then files to leave out. If several files hold one element, only the
        first is used: tables before images.

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
        considered = (*SUFFIXES, *vendor_formats.SUFFIXES)
        return sorted(file for file in folder.iterdir() if file.suffix.lower() in considered)
    return [Path(path) for path in paths]


def _guess(path: Path) -> MapGuess:
    if path.suffix.lower() in _OINA:
        return MapGuess(path=str(path), what="container", note="Oxford: holds images and maps")
    if path.suffix.lower() in _CUBES:
        return _guess_cube(path)
    if path.stem.endswith(_LABEL_STEMS):
        return MapGuess(path=str(path), what="left out", use=False, note="labels of grains")
    advice = vendor_formats.vendor_advice(path)
    if advice:
        return MapGuess(path=str(path), what="left out", use=False, note=advice)
    name = parse_map_name(path)
    if name.what == "electron" and path.suffix.lower() in _IMAGES:
        return MapGuess(path=str(path), what="image", note="by its name")
    if name.what == "element":
        return MapGuess(
            path=str(path), what="map", element=name.element, line=name.line, kind=name.unit
        )
    is_extra = name.what == "left out"
    why = "an overlay, mask, background or ratio" if is_extra else "no element in its name"
    return MapGuess(path=str(path), what="left out", use=False, note=why)


def _guess_cube(path: Path) -> MapGuess:
    try:
        return MapGuess(path=str(path), what="container", note=cube_maps.describe_cube(path))
    except ReadError as error:
        # HDF5 may hold anything, but a Ripple header that fails is a damaged cube.
        if path.suffix.lower() == ".rpl":
            return MapGuess(path=str(path), what="container", note="cube that cannot be read")
        return MapGuess(path=str(path), what="left out", use=False, note=str(error))


def _order(guess: MapGuess) -> tuple[int, bool, bool, str]:
    kinds = ("container", "map", "image", "left out")
    # K and L lines before M, and the measured table before its image.
    is_image = Path(guess.path).suffix.lower() in _IMAGES
    return kinds.index(guess.what), is_image, "b" in guess.line, guess.path


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
    """Open maps and images; report the files that cannot be read.

    Parameters
    ----------
    guesses : sequence of MapGuess, or a folder
        What to open, or a folder for `guess_maps`.
    on_progress : callable
        Called as on_progress(done, total); an exception from it stops the work.

    Returns
    -------
    MapFolder
        Maps of another field (of another aspect ratio than most) are reported as problems, as are
        second maps of an element.
    """
    if isinstance(guesses, str | Path):
        guesses = guess_maps(guesses)
    wanted = [guess for guess in guesses if guess.use and guess.what != "left out"]
    opened = MapFolder()
    for done, guess in enumerate(wanted):
        # Within a file the count stays the same, but the work can be stopped.
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
            return MapFolder(
                maps=inside.maps,
                images=inside.images,
                problems=inside.problems,
                notes=tuple(f"{guess.name}: {note}" for note in inside.notes),
            )
        if guess.what == "image":
            bar = "auto" if guess.bar_rows == BAR_AUTO else guess.bar_rows
            image = read_image(guess.path, crop_databar=bar)
            return MapFolder(images=(image,))
        element_map, notes = read_map(guess)
    except GrainsmithError as error:
        return MapFolder(problems=(error,))
    except ValueError as error:  # a setting of the user: a bar of more rows than the image
        return MapFolder(problems=(MismatchError(f"{guess.name}: {error}"),))
    return MapFolder(maps=(element_map,), notes=tuple(f"{guess.name}: {note}" for note in notes))


def read_map(guess: MapGuess) -> tuple[ElementMap, tuple[str, ...]]:
    """Read the map of one file.

    Parameters
    ----------
    guess : MapGuess
        Guess of a single map.

    Returns
    -------
    ElementMap, tuple of str
        The map in its native pixels, and notes.

    Raises
    ------
    ReadError
        The file cannot be read as a map.
    """
    size_um = 0.0
    if Path(guess.path).suffix.lower() in _TABLES:
        values, notes = text_map.read_text_map(guess.path)
        finite = values[np.isfinite(values)]
        is_counts = bool(np.all(np.mod(finite, 1) == 0) and not (finite < 0).any())
        kind = guess.kind or ("counts" if is_counts else "wt%")
    else:
        values, size_um, notes = image_map.read_image_map(
            guess.path,
            channel=guess.channel,
            bar_rows="auto" if guess.bar_rows == BAR_AUTO else guess.bar_rows,
        )
        # 8 bits are usually a stretched image; more are counts or concentrations.
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
    """Move maps of other fields, and second maps of an element, to the problems."""
    problems = list(opened.problems)
    usual = _usual_shape([item.values.shape for item in opened.maps if not item.window])
    kept: dict[str, ElementMap] = {}
    for item in opened.maps:
        shape, name = item.values.shape, Path(item.source).name
        if not item.window and not _same_aspect(shape, usual):
            problems.append(
                MismatchError(
                    f"{name} is {shape[1]} x {shape[0]} pixels, the other maps are {usual[1]} x "
                    f"{usual[0]}: another field? Open it alone if it is not."
                )
            )
        elif item.name in kept:
            problems.append(MismatchError(f"{name}: {item.name} was opened already; left out."))
        else:
            kept[item.name] = item
    return replace(opened, maps=tuple(kept.values()), problems=tuple(problems))


def _usual_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the most frequent shape of the most frequent aspect ratio; large ones win ties."""
    counts = Counter(shapes)

    def rank(shape: tuple[int, ...]) -> tuple[int, int, int]:
        n_same_aspect = sum(n for other, n in counts.items() if _same_aspect(shape, other))
        return n_same_aspect, counts[shape], shape[0] * shape[1]

    return max(counts, key=rank, default=(1, 1))


def _same_aspect(shape: tuple[int, ...], other: tuple[int, ...]) -> bool:
    ratio = shape[0] * other[1] / (shape[1] * other[0])
    return bool(abs(np.log(ratio)) < _SAME_ASPECT)
