"""grainsmith dataset: a training set that grows, is looked over, split and published."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from grainsmith.cli.terminal import print_json, progress_bar, show_message

dataset = typer.Typer(
    help="Grow a training set, look it over, split it, publish it.", no_args_is_help=True
)


@dataset.command()
def add(
    folder: Annotated[Path, typer.Argument(help="The training set; made where it is missing.")],
    image: Annotated[Path, typer.Argument(help="Image; its data bar is left out.")],
    labels: Annotated[Path, typer.Argument(help="Its grains, of the image's size.")],
    only_accepted: Annotated[
        bool, typer.Option("--only-accepted", help="Trust accepted grains only.")
    ] = False,
    region: Annotated[
        Path | None, typer.Option(help="Mask of what is trusted (0 = not), of the image's size.")
    ] = None,
    role: Annotated[str, typer.Option(help="train, validation or test.")] = "",
    licence: Annotated[str, typer.Option(help="Of the image, such as CC-BY-4.0.")] = "",
    group: Annotated[str, typer.Option(help="Specimen: its fields get one role.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Add a field, or bring it up to date where its image is in the set already."""
    from grainsmith.errors import MismatchError
    from grainsmith.io.dataset import Origin, add_field
    from grainsmith.io.exchange import LabelledField
    from grainsmith.io.images.reader import read_image
    from grainsmith.io.labels.label_image import read_labels
    from grainsmith.io.labels.review_states import read_states

    opened, grains = read_image(image), read_labels(labels)
    mask = read_labels(region) > 0 if region else None
    for path, plane in ((labels, grains), (region, mask)):
        if plane is not None and plane.shape != opened.image.shape[:2]:
            raise MismatchError(
                f"{path} is {plane.shape}, {image} {opened.image.shape[:2]} (rows, columns)"
            )
    rows = opened.cropped.shape[0]
    added = add_field(
        folder,
        LabelledField(
            labels=grains[:rows],
            name=image.stem,
            image=opened.cropped,
            pixel_size_um=opened.pixel_size_um,
            role=_role(role) if role else "",
        ),
        Origin(
            source=str(image),
            pixel_size_source=opened.pixel_size_source,
            states=read_states(labels),
            license=licence,
            group=group,
        ),
        only_accepted=only_accepted,
        region=mask[:rows] if mask is not None else None,
    )
    if json:
        print_json(_facts(added))
        return
    show_message(
        f"{added.name}: {added.n_grains} grains, {added.trusted_pct:.0f} % trusted, {added.role}"
    )


@dataset.command()
def show(
    folder: Annotated[Path, typer.Argument(help="The training set.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """List the fields, and what is wrong with them."""
    from grainsmith.io.dataset import find_problems, read_dataset

    found = read_dataset(folder)
    with progress_bar("Looking at the fields") as on_progress:
        problems = find_problems(found, on_progress=on_progress)
    if json:
        fields = [_facts(field) for field in found.fields]
        print_json({"fields": fields, "problems": [asdict(problem) for problem in problems]})
        return
    for field in found.fields:
        typer.echo(
            f"{field.name:30} {field.role:11} {field.n_grains:6} grains  "
            f"{field.diameter_px:6.1f} px  {field.trusted_pct:3.0f} % trusted"
        )
    for problem in problems:
        show_message(problem.text)


@dataset.command()
def split(
    folder: Annotated[Path, typer.Argument(help="The training set.")],
    validation: Annotated[
        float, typer.Option(help="Share of the grains to validate on.", min=0.01, max=0.9)
    ] = 0.2,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say, change nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Choose fields for validation that stand for the rest; those for testing stay."""
    from grainsmith.io.dataset import propose_split, read_dataset, set_roles

    roles = propose_split(read_dataset(folder), validation_share=validation)
    if not dry_run:
        set_roles(folder, roles)
    if json:
        print_json({"roles": roles})
        return
    for name, role in roles.items():
        typer.echo(f"{name:30} {role}")
    counts = Counter(roles.values())
    show_message(", ".join(f"{count} {role}" for role, count in counts.items()))


@dataset.command()
def release(
    folder: Annotated[Path, typer.Argument(help="The training set.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder.")],
    title: Annotated[str, typer.Option()],
    creators: Annotated[str, typer.Option(help="Names, separated by semicolons.")],
    licence: Annotated[str, typer.Option(help="SPDX name, such as CC-BY-4.0.")],
    version: Annotated[str, typer.Option(help="Of the data.")] = "1.0.0",
    description: Annotated[str, typer.Option()] = "",
    url: Annotated[str, typer.Option(help="Where it will be found, best a DOI.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Write the set as a citable data set: split, classes, data sheet, checksums, Croissant."""
    from grainsmith.io.dataset import ReleaseSettings, read_dataset, write_release

    try:
        settings = ReleaseSettings(
            title=title,
            creators=creators,
            license=licence,
            version=version,
            description=description,
            url=url,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    found = read_dataset(folder)
    with progress_bar("Writing fields") as on_progress:
        target = write_release(output, found, settings, on_progress=on_progress)
    if json:
        print_json({"release": str(target), "fields": len(found.fields)})
        return
    show_message(
        f"{len(found.fields)} fields in {target}: fill in what its README.md marks as not stated"
    )


def _role(text: str) -> str:
    from grainsmith.io.dataset import ROLES

    if text not in ROLES:
        raise typer.BadParameter(f"role must be one of {', '.join(ROLES)}, got {text!r}")
    return text


def _facts(field: Any) -> dict[str, Any]:
    return {key: value for key, value in asdict(field).items() if key != "folder"}
