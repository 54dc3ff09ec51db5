"""States, minerals and examples of grains in a small file beside their labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.provenance import read_json

if TYPE_CHECKING:
    from collections.abc import Mapping


def states_path(labels: str | Path) -> Path:
    """Return the path of the states of a labels file: x_masks.tif -> x_masks_states.json."""
    path = Path(labels)
    return path.with_name(f"{path.stem}_states.json")


def write_states(
    labels: str | Path,
    states: Mapping[int, str],
    *,
    naming: pd.DataFrame | None = None,
    examples: Mapping[int, str] | None = None,
) -> list[str]:
    """Write states, minerals and examples beside a labels file; without any, no file stays.

    Parameters
    ----------
    labels : str or Path
        The labels file.
    states : mapping of int to str
        State by grain.
    naming : DataFrame, optional
        Minerals of the named grains, index `label`.
    examples : mapping of int to str, optional
        Mineral by grain that is an example for classification.

    Returns
    -------
    list of str
        The file that was written, if any.
    """
    path = states_path(labels)
    content: dict[str, Any] = {"states": _with_text_keys(states)}
    if naming is not None and len(naming):
        content["naming"] = _with_text_keys(naming.to_dict("index"))
    if examples:
        content["examples"] = _with_text_keys(examples)
    if not any(content.values()):
        path.unlink(missing_ok=True)
        return []
    with atomic_write(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return [str(path)]


def read_states(labels: str | Path) -> dict[int, str]:
    """Read the states of a labels file; return an empty dict if it has none.

    Raises
    ------
    ReadError
        The file of states is damaged.
    """
    states = _read(labels, "states")
    return {label: str(state) for label, state in states.items()}


def read_naming(labels: str | Path) -> tuple[pd.DataFrame, dict[int, str]]:
    """Return the minerals of a labels file, index `label`, and its examples; empty without any.

    Raises
    ------
    ReadError
        The file is damaged.
    """
    naming = pd.DataFrame.from_dict(_read(labels, "naming"), orient="index")
    examples = {label: str(mineral) for label, mineral in _read(labels, "examples").items()}
    return naming.rename_axis("label"), examples


def _read(labels: str | Path, key: str) -> dict[int, Any]:
    path = states_path(labels)
    if not path.exists():
        return {}
    remedy = "Move it away to open the labels."
    try:
        values = read_json(path).get(key, {})
        return {int(label): value for label, value in values.items()}
    except ReadError as error:
        raise ReadError(f"{error}. {remedy}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(f"{path} is damaged: {error!r}. {remedy}") from error


def _with_text_keys(values: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(label): values[label] for label in sorted(values)}
