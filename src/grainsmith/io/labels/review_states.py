"""Review states of grains (edited, accepted, ...) in a JSON file beside their labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.provenance import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping


def states_path(labels: str | Path) -> Path:
    """Return the path of the states of a labels file: x_masks.tif -> x_masks_states.json."""
    path = Path(labels)
    return path.with_name(f"{path.stem}_states.json")


def write_states(labels: str | Path, states: Mapping[int, str]) -> list[str]:
    """Write states beside a labels file; without states, remove an existing file.

    Parameters
    ----------
    labels : str or Path
        The labels file.
    states : mapping of int to str
        State of each grain.

    Returns
    -------
    list of str
        The file that was written, if any.
    """
    path = states_path(labels)
    if not states:
        path.unlink(missing_ok=True)
        return []
    with atomic_write(path) as temporary:
        ordered = {str(label): states[label] for label in sorted(states)}
        temporary.write_text(json.dumps({"states": ordered}, indent=1), encoding="utf-8")
    return [str(path)]


def read_states(labels: str | Path) -> dict[int, str]:
    """Read the states of a labels file; return an empty dict if it has none.

    Raises
    ------
    ReadError
        The file of states is damaged.
    """
    path = states_path(labels)
    if not path.exists():
        return {}
    remedy = "Move it away to open the labels."
    try:
        states = read_json(path)["states"]
        return {int(label): str(state) for label, state in states.items()}
    except ReadError as error:
        raise ReadError(f"{error}. {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"{path} is damaged: {error!r}. {remedy}") from error
