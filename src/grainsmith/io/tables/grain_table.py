"""Grain tables on disk: CSV, Parquet and Excel, with all digits of every number."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from grainsmith.errors import ReadError, WriteError
from grainsmith.io.files.atomic_write import atomic_write
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import MAX_TEXT_BYTES, check_zip
from grainsmith.io.files.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = (".csv", ".parquet", ".xlsx")

# pandas 2 rounds the last digit without this option; pandas 3 warns about it.
_EXACT = {"float_precision": "round_trip"} if int(pd.__version__.split(".")[0]) < 3 else {}

_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?|[-+]?\d+")


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a grain table in the format of its suffix.

    Parameters
    ----------
    path : str or Path
        Ends in .csv, .parquet or .xlsx; written atomically.
    table : DataFrame
        Its index `label` becomes the first column.

    Raises
    ------
    WriteError
        The suffix is unknown, a library is missing, or the file cannot be written.
    """
    rows = table.rename_axis("label").reset_index()
    writers: dict[str, Callable[[Path], object]] = {
        ".csv": lambda target: rows.to_csv(target, index=False),
        ".parquet": lambda target: rows.to_parquet(target, index=False),
        ".xlsx": lambda target: write_excel(target, {"grains": rows}),
    }
    suffix = Path(path).suffix.lower()
    if suffix not in writers:
        raise WriteError(f"{path}: a table ends in {', '.join(KINDS)}, not in {suffix!r}")
    try:
        with atomic_write(path) as temporary:
            writers[suffix](temporary)
    except ImportError as error:
        raise WriteError(
            f"{path} needs a library that is not installed ({error.name}): "
            "pip install pyarrow openpyxl, or choose .csv"
        ) from error


def write_excel(path: str | Path, sheets: dict[str, pd.DataFrame]) -> None:
    """Write tables as the sheets of an Excel file; text is never stored as a formula.

    Parameters
    ----------
    path : str or Path
        Ends in .xlsx; not written atomically.
    sheets : dict of str to DataFrame
        By the name of the sheet; the index is left out.
    """
    with pd.ExcelWriter(path, engine="openpyxl") as writer:
        for name, table in sheets.items():
            table.to_excel(writer, index=False, sheet_name=name)
            for row in writer.sheets[name].iter_rows():
                for cell in row:
                    # openpyxl takes every text that begins with "=" for a formula.
                    if cell.data_type == "f":
                        cell.data_type = "s"


def read_table(path: str | Path) -> pd.DataFrame:
    """Read a grain table written by `write_table`, or any table with a column `label`.

    Parameters
    ----------
    path : str or Path
        .csv, .parquet or .xlsx. A CSV may be in UTF-8, UTF-16 or Windows-1252; its columns may be
        separated by commas, semicolons or tabs, with decimal points or, beside semicolons and
        tabs, decimal commas.

    Raises
    ------
    ReadError
        It is missing, damaged, of another type, or has no column `label`.
    """
    readers: dict[str, Callable[[Path], pd.DataFrame]] = {
        ".csv": read_csv,
        ".parquet": pd.read_parquet,
        ".xlsx": _read_excel,
    }
    source = Path(path)
    if source.suffix.lower() not in readers:
        raise ReadError(f"{path}: a table ends in {', '.join(KINDS)}, not in {source.suffix!r}")
    with reading(path, "a table"):
        table = readers[source.suffix.lower()](source)
    if "label" not in table:
        raise ReadError(f"{path} has no column 'label' that names the grains")
    return table.set_index("label")


def read_csv(path: str | Path, *, comment: str | None = None) -> pd.DataFrame:
    """Read a CSV as Python, R, Excel or LibreOffice write it, in any of their languages.

    Parameters
    ----------
    path : str or Path
    comment : str, optional
        Character that begins a comment.

    Raises
    ------
    ReadError
        It is missing, too large, or not a table.
    """
    with reading(path, "a table"):
        source = Path(path)
        size = source.stat().st_size
        if size > MAX_TEXT_BYTES:
            raise ReadError(f"{path} has {size:,} bytes, the limit is {MAX_TEXT_BYTES:,}")
        text = decode_text(source.read_bytes())
        match = _SEPARATOR_LINE.match(text)
        text = text[match.end() :] if match else text
        separator = match.group(1) if match else _separator(text)
        options: dict[str, Any] = {"sep": separator, "comment": comment, **_EXACT}
        table: pd.DataFrame = pd.read_csv(io.StringIO(text), **options)
        if separator != ",":
            table = table.apply(_decimal_commas_to_numbers)
    return table


def _separator(text: str) -> str:
    heading = next((line for line in text.splitlines() if line.strip()), "")
    cells = {mark: len(next(csv.reader([heading], delimiter=mark))) for mark in (",", ";", "\t")}
    return max(cells, key=lambda mark: cells[mark])


def _decimal_commas_to_numbers(column: pd.Series) -> pd.Series:
    """Convert a column of texts such as "10,5" to numbers; leave any other column alone."""
    if not pd.api.types.is_string_dtype(column.dtype):
        return column
    texts = column.dropna().astype(str).str.strip()
    if texts.empty or not texts.map(lambda text: bool(_DECIMAL_COMMA.fullmatch(text))).all():
        return column
    return pd.to_numeric(column.str.strip().str.replace(",", ".", regex=False))


def _read_excel(path: Path) -> pd.DataFrame:
    check_zip(path)
    table: pd.DataFrame = pd.read_excel(path)
    return table
