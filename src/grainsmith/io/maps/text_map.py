"""Element maps as tables of numbers: .csv, .txt, .asc, .dat."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.errors import ReadError

SUFFIXES = (".csv", ".txt", ".asc", ".dat")
"""Of the tables that AZtec, Esprit, XMapTools and their like write."""

_LARGEST_BYTES = 1 << 30
_HEAD_LINES = 20
_NUMBER = re.compile(
    r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?|nan|-nan|inf", re.IGNORECASE
)


def read_text_map(path: str | Path) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Read a table of numbers, one row per row of the map.

    Comma, semicolon, tab and blanks may part the columns, and a decimal comma is understood where
    something else does. Lines of words above the numbers are left out; a last row that was cut
    short is filled with NaN. Both are said.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    (Y, X) float array, tuple of str
        The values, and what was noticed.

    Raises
    ------
    ReadError
        The file is missing, empty, holds words among its numbers, or rows of unequal length.
    """
    path = Path(path)
    lines = _lines(path)
    first = _first_row_of_numbers(lines, path)
    separator, decimal = _separator(lines[first])
    notes = [f"{first} line(s) of text above the numbers were left out"] if first else []
    body = lines[first:]
    width = len(_cells(body[0], separator))
    _check_widths(body, separator, width, first, path)
    if len(body) > 1 and len(_cells(body[-1], separator)) < width:
        notes.append("the last row is cut short: the rest of it counts as not measured")
    values = _parse(body, separator, decimal, width, first, path)
    if min(values.shape) < 2:
        raise ReadError(
            f"{path.name} holds {values.shape[0]} row(s) of {values.shape[1]} number(s): a map has "
            "one row of numbers for each row of pixels. Export it as a matrix, not as a list."
        )
    return values, tuple(notes)


def _lines(path: Path) -> list[str]:
    try:
        size = path.stat().st_size
        if size == 0:
            raise ReadError(f"{path.name} is empty (0 bytes). Export it again.")
        if size > _LARGEST_BYTES:
            raise ReadError(f"{path.name} is {size >> 20} MB: too large for a table of one map.")
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise ReadError(f"{path} cannot be read: {error.strerror or error}") from error
    lines = [line.strip(" \r") for line in text.splitlines()]
    lines = [line for line in lines if line.strip()]
    if not lines or "\0" in text[:1000]:
        raise ReadError(f"{path.name} holds no table of numbers.")
    return lines


def _first_row_of_numbers(lines: list[str], path: Path) -> int:
    for number, line in enumerate(lines[:_HEAD_LINES]):
        cells = [cell for cell in _cells(line, _separator(line)[0]) if cell]
        if cells and all(_NUMBER.fullmatch(cell) for cell in cells):
            return number
    raise ReadError(f"{path.name} holds no table of numbers: its first line is {lines[0][:60]!r}.")


def _separator(line: str) -> tuple[str, str]:
    """Return what parts the columns, and the decimal mark."""
    for separator in (";", "\t"):
        if separator in line:
            decimal = "," if "," in line and "." not in line else "."
            return separator, decimal
    if "," in line and not re.search(r"\d,\d+\s+[-\d]", line):
        return ",", "."
    return " ", "," if "," in line else "."


def _cells(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    cells = [cell.strip() for cell in line.split(separator)]
    return cells[:-1] if cells[-1] == "" else cells  # many programs end a row with a separator


def _check_widths(lines: list[str], separator: str, width: int, first: int, path: Path) -> None:
    for number, line in enumerate(lines):
        found = len(_cells(line, separator))
        is_cut = number == len(lines) - 1 and found < width
        if found != width and not is_cut:
            raise ReadError(
                f"{path.name}, line {first + number + 1}: {found} numbers where others have "
                f"{width}. Export the map again, whole."
            )


def _parse(
    lines: list[str], separator: str, decimal: str, width: int, first: int, path: Path
) -> npt.NDArray[np.float64]:
    part = r"\s+" if separator == " " else separator
    try:
        table = pd.read_csv(
            io.StringIO("\n".join(lines)),
            header=None,
            names=range(width),
            usecols=range(width),
            index_col=False,
            sep=part,
            decimal=decimal,
            dtype=np.float64,
            skipinitialspace=True,
            engine="c",
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise ReadError(_word_among_numbers(lines, separator, first, path)) from error
    return table.to_numpy(dtype=np.float64)


def _word_among_numbers(lines: list[str], separator: str, first: int, path: Path) -> str:
    for number, line in enumerate(lines):
        for column, cell in enumerate(_cells(line, separator)):
            if cell and not _NUMBER.fullmatch(cell):
                return (
                    f"{path.name}, line {first + number + 1}, column {column + 1}: {cell[:30]!r} "
                    "is no number. Correct it or export the map again."
                )
    return f"{path.name} is no table of numbers."
