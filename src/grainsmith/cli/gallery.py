"""grainsmith gallery: element combos and contact sheets from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from grainsmith.cli.output_paths import check_outputs
from grainsmith.cli.terminal import print_json, progress_bar, show_message

if TYPE_CHECKING:
    from grainsmith.data import ElementMap, Transform
    from grainsmith.gallery import GalleryField


def gallery(
    labels: Annotated[Path, typer.Argument(help="Label image (TIFF or PNG).")],
    image: Annotated[Path, typer.Option(help="The image that the labels lie on.")],
    maps: Annotated[
        Path | None, typer.Option(help="Folder of element maps.", show_default=False)
    ] = None,
    transforms: Annotated[
        Path | None,
        typer.Option(
            help="From `grainsmith align -o`; else maps are drawn as they are.", show_default=False
        ),
    ] = None,
    minerals: Annotated[
        Path | None, typer.Option(help="CSV of `grainsmith classify`.", show_default=False)
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="CSV of `grainsmith measure`: size, and the bar chart beside each combo.",
            show_default=False,
        ),
    ] = None,
    grain: Annotated[int, typer.Option(help="Number of one grain.", min=0)] = 0,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="PNG, SVG or PDF; default idxN_ele_combo.png.",
            show_default=False,
        ),
    ] = None,
    all_grains: Annotated[
        Path | None,
        typer.Option("--all", help="Folder for the combos of all grains.", show_default=False),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(help="PNG with all grains by mineral and size.", show_default=False),
    ] = None,
    shared_scale: Annotated[
        bool, typer.Option("--shared-scale", help="One scale for all maps of one unit.")
    ] = False,
    overlay: Annotated[
        str, typer.Option(metavar="R,G,B", help="Three elements, e.g. Si,Fe,Ca; default: chosen.")
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw one grain of LABELS in all its maps, or all grains, or a contact sheet."""
    import numpy as np

    from grainsmith.errors import MismatchError
    from grainsmith.gallery import (
        ComboSettings,
        combo_name,
        contact_sheet,
        make_combo,
        save_combo,
        save_combos,
    )
    from grainsmith.io.images.png import write_png

    if not (grain or all_grains or sheet):
        raise MismatchError("give --grain N, --all FOLDER or --sheet FILE")
    target = (output or Path(combo_name(grain))) if grain else None
    check_outputs(
        {"--output": target, "--sheet": sheet},
        [labels, image, maps, transforms, minerals, table],
    )
    settings = ComboSettings(
        scale="shared" if shared_scale else "per map", overlay=_overlay(overlay)
    )
    field = _field(labels, image, maps, transforms, minerals, table)
    facts: dict[str, Any] = {"files": []}
    if target is not None:
        combo = make_combo(field, grain, settings)
        save_combo(target, combo)
        facts["files"].append(str(target))
        facts["grain"] = {"label": grain, "title": combo.title, "elements": _elements(combo)}
    if all_grains is not None:
        numbers = [int(number) for number in np.unique(field.labels) if number > 0]
        with progress_bar("Saving combos") as on_progress:
            written = save_combos(field, all_grains, numbers, settings, on_progress=on_progress)
        facts["files"] += [str(path) for path in written]
    if sheet is not None:
        write_png(sheet, contact_sheet(field))
        facts["files"].append(str(sheet))
    if json:
        print_json(facts)
    else:
        show_message(f"{len(facts['files'])} files written, the last one {facts['files'][-1]}")


def _field(
    labels: Path,
    image: Path,
    maps: Path | None,
    transforms: Path | None,
    minerals: Path | None,
    table: Path | None,
) -> GalleryField:
    from grainsmith.gallery import prepare_field
    from grainsmith.io.images.reader import read_image
    from grainsmith.io.labels.label_image import read_labels
    from grainsmith.io.tables.mineral_table import read_grain_csv

    sem_image = read_image(image)
    opened = _maps(maps)
    placed = _transforms(transforms, opened)
    wanted = ("mineral", "score", "runner_up", "runner_up_score", "verdict")
    naming = read_grain_csv(minerals, wanted=wanted) if minerals is not None else None
    if naming is not None:
        naming["runner_up"] = naming["runner_up"].fillna("")
    return prepare_field(
        sem_image.image,
        read_labels(labels),
        opened,
        placed,
        table=read_grain_csv(table) if table is not None else None,
        naming=naming,
        pixel_size_um=sem_image.pixel_size_um,
    )


def _maps(folder: Path | None) -> list[ElementMap]:
    from grainsmith.io.maps.reader import open_maps

    if folder is None:
        return []
    opened = open_maps(folder)
    for problem in opened.problems:
        show_message(f"left out: {problem}")
    # The first map of an element counts, as an image has one place for each.
    return list(
        {element_map.element: element_map for element_map in reversed(opened.maps)}.values()
    )[::-1]


def _transforms(path: Path | None, maps: list[ElementMap]) -> dict[str, Transform]:
    from grainsmith.io.transforms import read_transforms

    if path is None:
        return {}
    known = read_transforms(path)
    found = {
        element_map.element: known[name]
        for element_map in maps
        for name in (element_map.element, element_map.name, "")
        if name in known
    }
    missing = [element_map.element for element_map in maps if element_map.element not in found]
    if missing:
        show_message(f"not in {path.name}, drawn as not aligned: {', '.join(missing)}")
    return found


def _overlay(text: str) -> tuple[str, str, str]:
    from grainsmith.errors import MismatchError

    parts = [part.strip() for part in text.split(",")] if text else ["", "", ""]
    if len(parts) != 3:
        raise MismatchError(f"--overlay wants three elements such as Si,Fe,Ca, got {text!r}")
    return parts[0], parts[1], parts[2]


def _elements(combo: Any) -> dict[str, dict[str, Any]]:
    return {
        reading.element: {
            "mean": reading.mean,
            "error": reading.error,
            "around": reading.around,
            "sigmas_above_surroundings": reading.sigmas,
            "stands_out": reading.stands_out,
            "unit": reading.unit,
            "coverage": reading.coverage,
            "alignment": reading.verdict,
        }
        for reading in combo.readings
    }
