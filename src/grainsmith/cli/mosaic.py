"""grainsmith mosaic: an image too large for memory -> OME-Zarr with its labels, and a table."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from grainsmith.cli.terminal import print_json, progress_bar, say

if TYPE_CHECKING:
    from grainsmith.segment import SegmentSettings


def mosaic(
    image: Annotated[Path, typer.Argument(help="Tiled TIFF, or OME-Zarr 0.4 or 0.5.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder to be made, e.g. OUT.zarr.")
    ],
    maps: Annotated[
        list[Path] | None,
        typer.Option(
            help="Element maps: files, OME-Zarr or a folder; may be given again.",
            show_default=False,
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="Take the settings from its section 'segment'; see `grainsmith recipe`.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help="Name (see `grainsmith models list`) or weights file.")
    ] = "grains",
    diameter: Annotated[
        float, typer.Option(metavar="PX", help="Typical grain diameter; 0 = estimated.", min=0)
    ] = 0.0,
    probability: Annotated[
        float | None,
        typer.Option(help="Logit above which a pixel belongs to a grain.", show_default=False),
    ] = None,
    flow_error: Annotated[
        float, typer.Option(help="Grains with a higher flow error are dropped; 0 keeps all.", min=0)
    ] = 0.5,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    scheduler: Annotated[
        str, typer.Option(help="none, local, local:N or tcp://HOST:PORT.")
    ] = "none",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a stopped run.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Find the grains of a mosaic block by block; memory goes with the block, not the image."""
    from grainsmith.pipeline.mosaic.segment import segment_mosaic
    from grainsmith.segment import SegmentSettings

    settings = SegmentSettings(
        model=model, diameter_px=diameter, flow_threshold=flow_error, device=device
    )
    if probability is not None:
        settings = replace(settings, probability_threshold=probability)
    if recipe is not None:
        settings = _of_recipe(recipe, settings)
    with progress_bar("Finding grains") as on_progress:
        result = segment_mosaic(
            image,
            output,
            settings,
            maps=maps or (),
            scheduler=scheduler,
            resume=resume,
            on_progress=on_progress,
            on_message=say,
        )
    if json:
        print_json(asdict(result))
        return
    say(
        f"one black and white for all blocks: {result.black:g} and {result.white:g}; "
        f"typical diameter {result.diameter_px:.0f} px, halo {result.halo_px} px"
    )
    say(f"{result.n_grains} grains in {result.folder}; their table is its grains.csv")


def _of_recipe(path: Path, asked: SegmentSettings) -> SegmentSettings:
    """Return the settings of a recipe; those of the options must not say something else."""
    from grainsmith.errors import MismatchError
    from grainsmith.pipeline.recipe import read_recipe, segment_only
    from grainsmith.segment import SegmentSettings

    if replace(asked, device="auto") != SegmentSettings():
        raise MismatchError(
            "give --recipe or --model, --diameter, --probability and --flow-error, not both"
        )
    found = segment_only(read_recipe(path))
    return found if asked.device == "auto" else replace(found, device=asked.device)
