"""States of grains (edited, accepted, ...) in a small file beside their labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping


def states_path(labels: str | Path) -> Path:
    """Return where the states of a labels file lie: field_masks.tif -> field_masks_states.json."""
    path = Path(labels)
    return path.with_name(f"{path.stem}_states.json")


def write_states(labels: str | Path, states: Mapping[int, str]) -> list[str]:
    """Write states beside a labels file; where there are none, no file stays.

    Parameters
    ----------
    labels : str or Path
        The labels file.
    states : mapping of int to str
        State by grain.

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
    """Return the states of a labels file; empty where there are none.

    Raises
    ------
    ReadError
        The file of the states is damaged.
    """
    path = states_path(labels)
    if not path.exists():
        return {}
    try:
        states = json.loads(path.read_text(encoding="utf-8"))["states"]
        return {int(label): str(state) for label, state in states.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"{path} is damaged: {error}. Move it away to open the labels.") from error
