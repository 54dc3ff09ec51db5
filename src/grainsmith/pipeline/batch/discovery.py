"""Find the images and maps of fields by folders, file names or a sheet."""

from __future__ import annotations

import csv
import re
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.errors import GrainsmithError, Hint, MismatchError, ReadError
from grainsmith.io.images.reader import SUFFIXES as IMAGE_SUFFIXES
from grainsmith.io.maps.filenames import parse_map_name
from grainsmith.io.maps.reader import SUFFIXES as MAP_SUFFIXES
from grainsmith.io.mosaics.reader import is_mosaic
from grainsmith.pipeline.batch.manifest import NAME as MANIFEST
from grainsmith.settings import unknown_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

SHEET_COLUMNS = ("sample", "field", "image", "maps", "pixel_size_um")

_BACKSCATTERED = re.compile(r"(?<![a-z])(bsed?|bsd|cbs|abs|qbsd|compo|be[ci])(?![a-z])", re.I)
_LABEL_ENDINGS = ("_masks", "_labels", "_grains")
_FORBIDDEN = set('/\\:*?"<>|')


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldFiles:
    """Files of one field.

    Attributes
    ----------
    sample, field : str
        Names; the results go to OUT/<sample>/<field>.
    image : str
        The image.
    maps : tuple of str
        Files of its element maps, or folders of them; may be empty.
    pixel_size_um : float
        Pixel size of the sheet; 0 = as the file says.
    problem : GrainsmithError, optional
        Why it cannot be processed.
    """

    sample: str
    field: str
    image: str = ""
    maps: tuple[str, ...] = ()
    pixel_size_um: float = 0.0
    problem: GrainsmithError | None = None

    @property
    def name(self) -> str:
        """Sample and field, e.g. "S1/03"."""
        return f"{self.sample}/{self.field}"

    def inputs(self) -> list[Path]:
        """Return all input files."""
        files = [Path(self.image)]
        for path in map(Path, self.maps):
            inside = sorted(path.iterdir()) if path.is_dir() else [path]
            files += [file for file in inside if file.suffix.lower() in MAP_SUFFIXES]
        return files


def find_fields(paths: Sequence[str | Path]) -> tuple[FieldFiles, ...]:
    """Find the fields in folders and among files.

    A folder with one image is a field, its other files are its maps; a folder of several images
    is a sample, each image a field with the maps that begin with its name (`03.tif`,
    `03_Si.tif`, or a folder `03` or `03_maps`); a folder of folders is a sample of such fields, or
    several samples.

    Parameters
    ----------
    paths : sequence of str or Path

    Raises
    ------
    ReadError
        A path does not exist, or there is no field in all of them.
    MismatchError
        Two fields have one name.
    """
    found: list[FieldFiles] = []
    files = []
    for path in map(Path, paths):
        if not path.exists():
            raise ReadError(f"{path} does not exist")
        if path.is_dir() and not is_mosaic(path):
            found += _in_folder(path.resolve(), path.resolve().name)
        else:
            files.append(path.resolve())
    for folder in dict.fromkeys(file.parent for file in files):
        mine = [file for file in files if file.parent == folder]
        found += [files for files in _in_folder(folder, folder.name) if Path(files.image) in mine]
        known = {files.image for files in found}
        found += [
            FieldFiles(sample=folder.name, field=file.stem, image=str(file))
            for file in mine
            if str(file) not in known
        ]
    if not found:
        raise ReadError(
            f"{', '.join(map(str, paths))}: no image found; looked for files ending in "
            f"{', '.join(IMAGE_SUFFIXES)}"
        )
    return checked(found)


def read_sheet(path: str | Path) -> tuple[FieldFiles, ...]:
    """Read fields from a table (CSV): one row per field.

    Parameters
    ----------
    path : str or Path
        With the column `image` and, as far as known, `sample`, `field`, `maps` (a folder, or files
        between semicolons) and `pixel_size_um`. Paths count from the folder of the sheet.

    Returns
    -------
    tuple of FieldFiles
        A row whose files are missing has a `problem`: it stops no other.

    Raises
    ------
    ReadError
        The sheet cannot be read, or lacks or misspells a column.
    MismatchError
        Two fields have one name, or a name cannot be a folder's.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            dialect = _dialect(file.readline())
            file.seek(0)
            reader = csv.DictReader(file, dialect=dialect)
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ReadError(f"{path} cannot be read: {error}") from error
    columns = [name.strip() for name in (reader.fieldnames or ()) if name]
    for name in columns:
        if name not in SHEET_COLUMNS:
            raise ReadError(f"{path}: the column {unknown_key(name, SHEET_COLUMNS)}")
    if "image" not in columns:
        raise ReadError(f"{path} has no column 'image' (known: {', '.join(SHEET_COLUMNS)})")
    plain = [{str(k).strip(): str(v or "").strip() for k, v in row.items() if k} for row in rows]
    fields = [_of_row(row, Path(path).resolve()) for row in plain if any(row.values())]
    if not fields:
        raise ReadError(f"{path} holds no row: it must have one for each field")
    return checked(fields)


def checked(fields: Iterable[FieldFiles]) -> tuple[FieldFiles, ...]:
    """Return the fields with mosaics marked; raise MismatchError for unusable names."""
    fields = tuple(_no_mosaic(files) for files in fields)
    for name in (part for files in fields for part in (files.sample, files.field)):
        if not name.strip(" .") or _FORBIDDEN & set(name) or name.startswith("."):
            raise MismatchError(
                f"{name!r} cannot name a sample or field, as it becomes a folder: leave out "
                f"{' '.join(sorted(_FORBIDDEN))} and a dot at its start"
            )
    # Some file systems ignore case.
    duplicates = [k for k, n in Counter(files.name.casefold() for files in fields).items() if n > 1]
    if duplicates:
        both = [files for files in fields if files.name.casefold() == duplicates[0]]
        raise MismatchError(
            f"two fields have the name {both[0].name}: {both[0].image} and {both[1].image}; rename "
            "one, or name them in a sheet"
        )
    return fields


def _no_mosaic(field: FieldFiles) -> FieldFiles:
    if field.problem or not field.image or not is_mosaic(field.image):
        return field
    problem = MismatchError(
        f"{field.image} is a mosaic, too large for a batch",
        hint=Hint.SEGMENT_AS_MOSAIC,
        image=field.image,
        output=f"{field.field}-grains.zarr",
    )
    return replace(field, problem=problem)


def _in_folder(folder: Path, sample: str) -> list[FieldFiles]:
    files = [file for file in _visible(folder) if file.is_file()]
    folders = [path for path in _visible(folder) if path.is_dir()]
    images, maps = _classify_files(files)
    if len(images) == 1 and not any(_contains_images(path) for path in folders):
        return [_field(sample, images[0], [*maps, *folders])]
    found, used = [], set[Path]()
    for image in images:
        mine = _named_after(image, [*maps, *folders])
        used |= set(mine)
        found.append(_field(sample, image, mine))
    for path in folders:
        if path not in used:
            found += _subfolder(path, sample)
    return found


def _subfolder(folder: Path, sample: str) -> list[FieldFiles]:
    """Return the fields of a folder below a sample: one field, or another sample."""
    files = [file for file in _visible(folder) if file.is_file()]
    inside = [path for path in _visible(folder) if path.is_dir()]
    images, maps = _classify_files(files)
    own_maps = [path for path in maps if not any(_named_after(p, [path]) for p in images)]
    if len(images) > 1 and own_maps:
        backscattered = [path for path in images if _BACKSCATTERED.search(path.stem)]
        if len(backscattered) != 1:
            names = ", ".join(path.name for path in images)
            problem = MismatchError(f"{names} may all be the image: name it in a sheet")
            return [FieldFiles(sample=sample, field=folder.name, problem=problem)]
        images = backscattered
    if len(images) == 1 and not any(_contains_images(path) for path in inside):
        return [replace(_field(sample, images[0], [*maps, *inside]), field=folder.name)]
    if maps and not images:
        problem = MismatchError(f"{folder} holds maps but no image")
        return [FieldFiles(sample=sample, field=folder.name, problem=problem)]
    return _in_folder(folder, folder.name)


def _classify_files(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the images and the maps among files, by their names."""
    images, maps = [], []
    for file in files:
        kind = file.suffix.lower()
        if kind == ".h5oina":
            images.append(file)
        elif kind not in MAP_SUFFIXES or file.stem.endswith(_LABEL_ENDINGS):
            continue
        elif parse_map_name(file).what == "element":
            maps.append(file)
        elif kind in IMAGE_SUFFIXES and parse_map_name(file).what != "left out":
            images.append(file)
    elements = Counter(parse_map_name(file).element for file in maps)
    if not images and elements and max(elements.values()) > 1:
        # S1.tif, S2.tif, ...: numbered samples, not maps of sulphur.
        return [path for path in maps if path.suffix.lower() in IMAGE_SUFFIXES], []
    return images, maps


def _contains_images(folder: Path) -> bool:
    """Return whether a folder or one of its subfolders contains images."""
    inside = _visible(folder)
    if _classify_files([path for path in inside if path.is_file()])[0]:
        return True
    return any(_contains_images(path) for path in inside if path.is_dir())


def _named_after(image: Path, others: Iterable[Path]) -> list[Path]:
    """Return the files and folders whose names begin with the image's."""
    start = re.compile(rf"{re.escape(image.stem)}(?:[ _.-].*)?", re.I | re.S)
    return [path for path in others if start.fullmatch(path.stem if path.is_file() else path.name)]


def _field(sample: str, image: Path, maps: Iterable[Path]) -> FieldFiles:
    return FieldFiles(sample=sample, field=image.stem, image=str(image), maps=tuple(map(str, maps)))


def _visible(folder: Path) -> list[Path]:
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise ReadError(f"{folder} cannot be read: {error}") from error
    # Results of batches and mosaics are not fields.
    return [
        path
        for path in inside
        if not path.name.startswith(".")
        and not (path / MANIFEST).exists()
        and not (path.is_dir() and is_mosaic(path))
    ]


def _dialect(first_line: str) -> type[csv.Dialect]:
    class Sheet(csv.excel):
        delimiter = max(",;\t", key=first_line.count)

    return Sheet


def _of_row(row: Mapping[str, str], sheet: Path) -> FieldFiles:
    image = sheet.parent / row["image"] if row["image"] else Path()
    maps = [sheet.parent / path.strip() for path in row.get("maps", "").split(";") if path.strip()]
    size, size_problem = _size(row.get("pixel_size_um", ""))
    missing = [str(path) for path in (image, *maps) if not path.exists()]
    problem: GrainsmithError | None = None
    if not row["image"]:
        problem = ReadError("its row names no image")
    elif missing:
        problem = ReadError(f"{', '.join(missing)} does not exist (named in {sheet.name})")
    return FieldFiles(
        sample=row.get("sample") or sheet.stem,
        field=row.get("field") or image.stem or "field",
        image=str(image),
        maps=tuple(map(str, maps)),
        pixel_size_um=size,
        problem=problem or size_problem,
    )


def _size(text: str) -> tuple[float, GrainsmithError | None]:
    try:
        size = float(text or 0)
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e4:
        return 0.0, ReadError(f"its pixel_size_um must be a number of µm, got {text!r}")
    return size, None
