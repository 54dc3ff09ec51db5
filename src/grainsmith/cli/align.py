"""grainsmith align: positions of element maps on the image of their field."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainsmith.align.settings import AlignSettings
from grainsmith.cli.options import OptionStyle, make_settings, settings_options
from grainsmith.cli.output_paths import check_outputs
from grainsmith.cli.terminal import print_json, progress_bar, show_message

if TYPE_CHECKING:
    from collections.abc import Sequence

    from grainsmith.align import RegistrationResult
    from grainsmith.data import ElementMap, SemImage

_ALIGN_OPTIONS = {
    "max_shift_px": OptionStyle(name="--max-shift"),
    "max_rotation_deg": OptionStyle(name="--max-rotation"),
    "max_zoom_pct": OptionStyle(name="--max-zoom"),
    "same_pass_px": OptionStyle(name="--same-pass"),
}


@settings_options(AlignSettings, _ALIGN_OPTIONS)
def align(
    reference: Annotated[Path, typer.Argument(help="Fixed image, usually the BSE image.")],
    maps: Annotated[
        list[Path], typer.Argument(help="Maps or images to align, or a folder of them.")
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the transforms (.json).")
    ] = None,
    group: Annotated[
        str,
        typer.Option(help="'auto', or a CSV file with lines 'element or file name,group'."),
    ] = "auto",
    resample_bspline: Annotated[
        Path | None,
        typer.Option(help="Folder for straightened copies of deformed maps (.tif)."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Find the positions of MAPS on REFERENCE, with a confidence and a verdict for each."""
    from grainsmith.align import align_maps
    from grainsmith.pipeline.field.registration import (
        alignment_records,
        write_alignment,
        write_straightened,
    )

    settings = make_settings(AlignSettings, given)
    groups_file = None if group == "auto" else Path(group)
    check_outputs({"--output": output}, [reference, *maps, groups_file])
    fixed = _reference(reference)
    moving, problems = _moving(maps, reference)
    for problem in problems:
        show_message(f"left out: {problem}")
    groups = _groups(groups_file, moving) if groups_file else ()
    with progress_bar("Aligning") as on_progress:
        result = align_maps(fixed, moving, settings, groups=groups, on_progress=on_progress)
    records = alignment_records(result, moving)
    if output is not None:
        write_alignment(output, result, records, reference=str(reference))
    if resample_bspline is not None:
        for path in write_straightened(resample_bspline, result, moving):
            show_message(f"written: {path}")
    if json:
        print_json({"reference": str(reference), "maps": records, "problems": problems})
        return
    _print_table(result)


def _reference(path: Path) -> SemImage | ElementMap:
    from grainsmith.errors import ReadError
    from grainsmith.io.images.reader import read_image
    from grainsmith.io.maps.h5oina import read_h5oina
    from grainsmith.io.maps.reader import MapGuess, read_map
    from grainsmith.io.maps.text_map import SUFFIXES

    if path.suffix.lower() == ".h5oina":
        images = read_h5oina(path).images
        if not images:
            raise ReadError(f"{path.name} holds no electron image: name another reference.")
        return images[0]
    if path.suffix.lower() in SUFFIXES:
        return read_map(MapGuess(path=str(path), what="map", element=path.stem))[0]
    return read_image(path)


def _moving(
    paths: Sequence[Path], reference: Path
) -> tuple[list[ElementMap | SemImage], list[str]]:
    """Return maps and images; files named by the user are opened even without an element."""
    from dataclasses import replace

    from grainsmith.errors import ReadError
    from grainsmith.io.maps.reader import guess_maps, open_maps

    missing = [path for path in paths if not path.exists()]
    if missing:
        raise ReadError(f"{missing[0]} does not exist.")
    guesses = [guess for path in paths for guess in guess_maps(path)]
    named = {str(path) for path in paths}
    wanted = [
        replace(guess, what="image", use=True)
        if guess.path in named and guess.what == "left out"
        else guess
        for guess in guesses
        if guess.path in named or guess.what in ("map", "container")
    ]
    opened = open_maps([guess for guess in wanted if guess.path != str(reference)])
    problems = [str(problem) for problem in opened.problems]
    images = [image for image in opened.images if image.source in named]
    if not (opened.maps or images):
        raise ReadError(problems[0] if problems else "there is no map to align")
    return [*opened.maps, *images], problems


def _groups(path: Path, moving: Sequence[ElementMap | SemImage]) -> list[str]:
    from grainsmith.errors import MismatchError, ReadError

    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            named = {row[0].strip(): row[1].strip() for row in csv.reader(file) if len(row) > 1}
    except (OSError, UnicodeDecodeError) as error:
        raise ReadError(f"{path} cannot be read: {error}") from error
    groups = []
    for image in moving:
        keys = (getattr(image, "element", ""), getattr(image, "name", ""), Path(image.source).name)
        matches = [named[key] for key in keys if key in named]
        if not matches:
            raise MismatchError(f"{path.name} names no group for {keys[0] or keys[2]}")
        groups.append(matches[0])
    return groups


def _print_table(result: RegistrationResult) -> None:
    from grainsmith.align import VERDICTS

    typer.echo(
        f"{'map':14s} {'group':8s} {'dy px':>8s} {'dx px':>8s} {'turn °':>7s} {'scale':>7s} "
        f"{'z':>6s} {'resid.':>6s}  verdict"
    )
    for row in result.rows:
        dy, dx = row.shift_px
        residual = f"{row.residual_px:6.2f}" if row.residual_px == row.residual_px else f"{'–':>6s}"
        typer.echo(
            f"{row.name[:14]:14s} {row.group:8s} {dy:8.2f} {dx:8.2f} {row.rotation_deg:7.2f} "
            f"{row.scale:7.4f} {row.transform.z:6.1f} {residual}  "
            f"{VERDICTS[row.transform.verdict]}{' · ' + row.note if row.note else ''}"
        )
