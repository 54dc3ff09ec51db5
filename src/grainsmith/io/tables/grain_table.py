"""Grain tables on disk: CSV, Parquet and Excel, every number to its last digit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from grainsmith.errors import ReadError, WriteError
from grainsmith.io.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = (".csv", ".parquet", ".xlsx")

# pandas 2 rounds the last digit unless it is told not to; pandas 3 does not, and wants no telling.
_EXACT = {"float_precision": "round_trip"} if int(pd.__version__.split(".")[0]) < 3 else {}


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a grain table; the ending of the name says how.

    Parameters
    ----------
    path : str or Path
        Ends in .csv, .parquet or .xlsx; never half-written.
    table : DataFrame
        Index `label`, which becomes the first column.

    Raises
    ------
    WriteError
        The ending is another one, a library is missing, or the file cannot be written.
    """
    rows = table.rename_axis("label").reset_index()
    writers: dict[str, Callable[[Path], object]] = {
        ".csv": lambda target: rows.to_csv(target, index=False),
        ".parquet": lambda target: rows.to_parquet(target, index=False),
        ".xlsx": lambda target: rows.to_excel(target, index=False, sheet_name="grains"),
    }
    kind = Path(path).suffix.lower()
    if kind not in writers:
        raise WriteError(f"{path}: a table ends in {', '.join(KINDS)}, not in {kind!r}")
    try:
        with atomic_write(path) as temporary:
            writers[kind](temporary)
    except ImportError as error:
        raise WriteError(
            f"{path} needs a library that is not installed ({error.name}): "
            "pip install pyarrow openpyxl, or choose .csv"
        ) from error


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a grain table that `write_table` has written, or any with a column `label`.

    Raises
    ------
    ReadError
        The file is missing, broken, of another kind, or has no column `label`.
    """
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": _read_csv,
        ".parquet": pd.read_parquet,
        ".xlsx": pd.read_excel,
    }
    source = Path(path)
    if source.suffix.lower() not in readers:
        raise ReadError(f"{path}: a table ends in {', '.join(KINDS)}, not in {source.suffix!r}")
    try:
        table = readers[source.suffix.lower()](source)
    except FileNotFoundError as error:
        raise ReadError(f"{path} does not exist") from error
    except (OSError, ValueError, ImportError) as error:
        raise ReadError(f"{path} is not a readable table: {error}") from error
    if "label" not in table:
        raise ReadError(f"{path} has no column 'label' that names the grains")
    return table.set_index("label")


def _read_csv(source: Path) -> pd.DataFrame:
    table: pd.DataFrame = pd.read_csv(source, **_EXACT)  # type: ignore[call-overload]
    return table
