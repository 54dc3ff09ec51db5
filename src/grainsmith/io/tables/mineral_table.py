"""Minerals of grains on disk: a CSV with the column `label`, read and written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def read_grain_csv(path: str | Path, *, wanted: Collection[str] = ()) -> pd.DataFrame:
    """Read a table with one row a grain.

    Parameters
    ----------
    path : str or Path
        CSV with the column `label`.
    wanted : collection of str
        Further columns that must be there.

    Returns
    -------
    DataFrame
        Index `label`.

    Raises
    ------
    ReadError
        The file is missing or no table, a column is missing, or a label is there twice or is no
        number.
    """
    try:
        table = pd.read_csv(path, comment="#")
    except (OSError, UnicodeDecodeError, pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ReadError(f"{path} cannot be read as a table: {error}") from error
    missing = [column for column in ("label", *wanted) if column not in table]
    if missing:
        raise ReadError(
            f"{path} has no column {', '.join(missing)} (it has {', '.join(table.columns)})"
        )
    labels = pd.to_numeric(table["label"], errors="coerce")
    if labels.isna().any() or (labels % 1 != 0).any() or labels.duplicated().any():
        raise ReadError(f"{path}: every row needs a label of its own, a whole number")
    return table.assign(label=labels.astype("int64")).set_index("label")


def write_grain_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table with one row a grain; never half-written."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index_label="label")
