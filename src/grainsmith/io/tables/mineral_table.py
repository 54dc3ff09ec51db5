"""Tables with one row per grain and a column `label`, as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from grainsmith.errors import ReadError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.limits import MAX_LABEL
from grainsmith.io.tables.grain_table import read_csv

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path


def read_grain_csv(path: str | Path, *, wanted: Collection[str] = ()) -> pd.DataFrame:
    """Read a table with one row per grain.

    Parameters
    ----------
    path : str or Path
        CSV with the column `label`.
    wanted : collection of str
        Further required columns.

    Returns
    -------
    DataFrame
        Index `label`.

    Raises
    ------
    ReadError
        It is missing or not a table, a column is missing, or a label occurs twice or is not a
        whole number.
    """
    table = read_csv(path, comment="#")
    missing = [column for column in ("label", *wanted) if column not in table]
    if missing:
        columns = ", ".join(map(str, table.columns))
        raise ReadError(f"{path} has no column {', '.join(missing)} (it has {columns})")
    labels = pd.to_numeric(table["label"], errors="coerce")
    is_whole = labels.notna() & (labels % 1 == 0) & (labels.abs() <= MAX_LABEL)
    if not is_whole.all() or labels.duplicated().any():
        raise ReadError(f"{path}: every row needs its own label, a whole number")
    return table.assign(label=labels.astype("int64")).set_index("label")


def write_grain_csv(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table with one row per grain atomically."""
    with atomic_write(path) as temporary:
        table.to_csv(temporary, index_label="label")
