"""grainsmith maps: what the files of a folder are taken for."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer

from grainsmith.cli.terminal import print_json


def maps(
    folder: Annotated[Path, typer.Argument(help="A folder of element maps, or one file.")],
    lines: Annotated[
        str,
        typer.Option(
            help="Lines of cubes that become maps, 'Si Ka, Fe Ka'; else those that stand out."
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print what each file of FOLDER is taken for: element, line, kind, and whether it is used."""
    from grainsmith.io.maps.cube_maps import parse_lines
    from grainsmith.io.maps.reader import guess_maps, open_maps

    parse_lines(lines)  # an unknown line is told before anything is read
    guesses = [
        replace(guess, line=lines) if guess.what == "container" else guess
        for guess in guess_maps(folder)
    ]
    opened = open_maps(guesses)
    if json:
        files = [{**asdict(guess), "file": guess.name} for guess in guesses]
        found = [
            {
                "element": element_map.element,
                "line": element_map.line,
                "kind": element_map.kind,
                "shape": list(element_map.values.shape),
                "pixel_size_um": element_map.pixel_size_um or None,
                "source": element_map.source,
            }
            for element_map in opened.maps
        ]
        images = [
            {"source": image.source, "shape": list(image.image.shape)} for image in opened.images
        ]
        print_json(
            {
                "files": files,
                "maps": found,
                "images": images,
                "problems": [str(problem) for problem in opened.problems],
                "notes": list(opened.notes),
            }
        )
        return
    kinds = {element_map.source: element_map.kind for element_map in opened.maps}
    for guess in guesses:
        what = guess.what if guess.what != "map" else f"{guess.element} {guess.line}".strip()
        kind = kinds.get(guess.path, guess.kind)
        typer.echo(f"{guess.name:40s} {what:12s} {kind:8s} {guess.note}".rstrip())
    for line in (*opened.notes, *opened.problems):
        typer.echo(f"! {line}")
