"""grainsmith mosaic: image larger than memory -> OME-Zarr with labels, and a table."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from grainsmith.cli.options import make_settings, option_name, settings_options
from grainsmith.cli.segment import SEGMENT_OPTIONS
from grainsmith.cli.terminal import print_json, progress_bar, show_message
from grainsmith.segment.types import SegmentSettings


@settings_options(SegmentSettings, SEGMENT_OPTIONS)
def mosaic(
    image: Annotated[Path, typer.Argument(help="Tiled TIFF, or OME-Zarr 0.4 or 0.5.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder, e.g. OUT.zarr.")],
    maps: Annotated[
        list[Path] | None,
        typer.Option(
            help="Element maps: files, OME-Zarr or a folder; may be repeated.", show_default=False
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="Take the settings from its section 'segment'; see `grainsmith recipe`.",
            show_default=False,
        ),
    ] = None,
    scheduler: Annotated[
        str, typer.Option(help="none, local, local:N or tcp://HOST:PORT.")
    ] = "none",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    *,
    given: dict[str, Any],
) -> None:
    """Find the grains of a mosaic block by block; memory depends on the block, not the image."""
    from grainsmith.pipeline.mosaic.segment import segment_mosaic

    settings = _settings(given, recipe)
    with progress_bar("Finding grains") as on_progress:
        result = segment_mosaic(
            image,
            output,
            settings,
            maps=maps or (),
            scheduler=scheduler,
            resume=resume,
            on_progress=on_progress,
            on_message=show_message,
        )
    if json:
        print_json(asdict(result))
        return
    show_message(
        f"black and white of all blocks: {result.black:g} and {result.white:g}; "
        f"typical diameter {result.diameter_px:.0f} px, halo {result.halo_px} px"
    )
    show_message(f"{result.n_grains} grains in {result.folder}; their table is its grains.csv")


def _settings(given: dict[str, Any], recipe: Path | None) -> SegmentSettings:
    """Return the settings of a recipe or of the options; only --device goes with a recipe."""
    from grainsmith.pipeline.recipe import read_recipe, segment_only

    if recipe is None:
        return make_settings(SegmentSettings, given)
    clashing = [name for name in given if name != "device"]
    if clashing:
        named = ", ".join(option_name(name, SEGMENT_OPTIONS) for name in clashing)
        raise typer.BadParameter(f"give --recipe or {named}, not both")
    return replace(segment_only(read_recipe(recipe)), **given)
