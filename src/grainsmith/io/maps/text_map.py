"""Read element maps stored as tables of numbers: .csv, .txt, .asc, .dat."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from grainsmith.errors import ReadError
from grainsmith.io.files.integrity import reading
from grainsmith.io.files.limits import MAX_TEXT_BYTES
from grainsmith.io.files.text import decode_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    Values = npt.NDArray[np.float64]

SUFFIXES = (".csv", ".txt", ".asc", ".dat")
"""Of the tables that AZtec, Esprit, XMapTools and similar programs write."""

_MAX_HEADING_LINES = 20
_NUMBER = re.compile(r"[-+]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][-+]?\d+)?")
_MISSING = frozenset(
    (
        "", "-", "--", "---", "*", "?", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nd",
        "n.d.", "bdl", "inf", "-inf", "+inf", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
        "1.#inf", "-1.#inf",
    )
)  # fmt: skip
_QUOTED_SEPARATOR = re.compile(r'"([;,\t])"')
_GROUPED = re.compile(r"[-+]?\d{1,3}(?:[.,]\d{3})+(?:[.,]\d+)?")
_THOUSANDS = re.compile(r"[-+]?[1-9]\d{0,2}(?:,\d{3})+")
_GRID_KEYS = frozenset(("ncols", "nrows", "nodata_value"))
"""Keys in the heading of an ESRI grid that matter."""

_SENTINELS = frozenset([-1, -9, -99, -999, -9999, -99999, -32768, -2147483648])
_MIN_INDEX = 4
"""A shorter series of numbers is not taken for an index."""


@dataclass(slots=True)
class _Table:
    """Lines of a table, and how to parse them."""

    path: Path
    lines: list[str]
    first_line: int
    separator: str
    decimal: str
    heading: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def cells(self, line: str) -> list[str]:
        return _cells(line, self.separator)


def read_text_map(path: str | Path) -> tuple[Values, tuple[str, ...]]:
    """Read a table of numbers with one row per row of the map.

    Columns may be separated by commas, semicolons, tabs or spaces. The decimal mark is decided by
    the whole file. Lines of words, numbered headings and numbered first columns are left out. Empty
    cells, words such as "NA", the NODATA value of an ESRI grid, and a single negative number that
    marks gaps (-1, -9999, ...) become NaN. A complete list of x, y and value becomes a map.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    (Y, X) float array, tuple of str
        The values, and what was converted or left out.

    Raises
    ------
    ReadError
        It is missing, empty or too large, holds words among its numbers, rows of unequal length or
        thousands separators, or has another size than its heading states.
    """
    path = Path(path)
    with reading(path, "a table of numbers"):
        table = _split_table(path)
        values = _parse(table)
        values = _drop_index(values, table.notes)
        n_gaps = int(np.isnan(values).sum())
        if n_gaps:
            table.notes.append(f"{n_gaps:,} cells without a number count as not measured")
        grid = _grid_heading(table.heading)
        _check_grid(values, grid, path)
        values = _list_to_map(values, table.notes)
        values = _mask_gaps(values, grid, table.notes)
        if min(values.shape) < 2:
            raise ReadError(
                f"{path.name} holds {values.shape[0]} row(s) of {values.shape[1]} number(s): a map "
                "has one row of numbers per row of pixels. Export it as a matrix, not as a list."
            )
    return values, tuple(table.notes)


# --- lines and cells


def _split_table(path: Path) -> _Table:
    lines, numbers = _lines(path)
    lines = _without_quotes(lines)
    separator = _separator(lines)
    first = _first_row(lines, separator, path)
    body = [line for line in lines[first:] if line.strip()]
    body = _without_trailing_separators(body, separator)
    table = _Table(
        path, body, numbers[first], separator, _decimal_mark(body, separator, path), lines[:first]
    )
    if first:
        table.notes.append(f"{first} line(s) of text above the numbers were left out")
    _check_widths(table)
    return table


def _lines(path: Path) -> tuple[list[str], list[int]]:
    """Return the lines that are not empty, and their numbers in the file."""
    size = path.stat().st_size
    if size == 0:
        raise ReadError(f"{path.name} is empty (0 bytes). Export it again.")
    if size > MAX_TEXT_BYTES:
        raise ReadError(f"{path.name} has {size:,} bytes, the limit is {MAX_TEXT_BYTES:,}.")
    text = decode_text(path.read_bytes())
    numbered = [
        (line.strip(" \r"), number)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    if not numbered or "\0" in text[:1000]:
        raise ReadError(f"{path.name} holds no table of numbers.")
    return [line for line, _ in numbered], [number for _, number in numbered]


def _without_quotes(lines: list[str]) -> list[str]:
    """Return quoted cells as cells separated by tabs; lines without quotes unchanged."""
    match = next((found for line in lines if (found := _QUOTED_SEPARATOR.search(line))), None)
    if match is None:
        return lines
    return ["\t".join(row) for row in csv.reader(lines, delimiter=match.group(1))]


def _separator(lines: Sequence[str]) -> str:
    """Return the separator of most lines; the first ones may be a heading."""
    votes: dict[str, int] = {}
    for line in lines[-200:]:
        separator = _separator_of_line(line)
        votes[separator] = votes.get(separator, 0) + 1
    return max(votes, key=lambda separator: votes[separator])


def _separator_of_line(line: str) -> str:
    for separator in (";", "\t"):
        if separator in line:
            return separator
    words = line.split()
    if "," not in line or (len(words) > 1 and all(_is_cell(word) for word in words)):
        return " "
    return ","


def _cells(line: str, separator: str) -> list[str]:
    if separator == " ":
        return line.split()
    return [cell.strip() for cell in line.split(separator)]


def _is_cell(text: str) -> bool:
    return _is_number(text) or text.lower() in _MISSING


def _is_number(text: str) -> bool:
    """Return whether a text is a number, with thousands separators or without."""
    return bool(_NUMBER.fullmatch(text) or _GROUPED.fullmatch(text))


def _first_row(lines: list[str], separator: str, path: Path) -> int:
    """Return the first line of numbers; gaps in it count as cells."""
    for number, line in enumerate(lines[:_MAX_HEADING_LINES]):
        cells = _cells(line, separator)
        n_numbers = sum(_is_number(cell) for cell in cells)
        if all(_is_cell(cell) for cell in cells) and 2 * n_numbers >= len(cells):
            return number
    raise ReadError(f"{path.name} holds no table of numbers: its first line is {lines[0][:60]!r}.")


def _without_trailing_separators(lines: list[str], separator: str) -> list[str]:
    """Drop the separator at the end of the longest lines if all of them have one."""
    if separator == " ":
        return lines
    widest = max(line.count(separator) for line in lines)
    ends = [line.endswith(separator) for line in lines if line.count(separator) == widest]
    if not all(ends) or len(lines) < 2:
        return lines
    return [
        line.removesuffix(separator) if line.count(separator) == widest else line for line in lines
    ]


def _check_widths(table: _Table) -> None:
    """Refuse rows of unequal length; only the last one may be cut short."""
    widths = [_width(line, table.separator) for line in table.lines]
    width = max(widths[:-1], default=widths[-1])
    for number, found in enumerate(widths):
        is_last = number == len(widths) - 1
        if found != width and not (is_last and found < width):
            raise ReadError(
                f"{table.path.name}, line {table.first_line + number}: {found} numbers where "
                f"others have {width}. Export the map again, whole."
            )
    if widths[-1] < width:
        table.notes.append("the last row is cut short: its other pixels count as not measured")


def _width(line: str, separator: str) -> int:
    return len(line.split()) if separator == " " else line.count(separator) + 1


# --- numbers


def _decimal_mark(lines: list[str], separator: str, path: Path) -> str:
    """Return the decimal mark of all numbers; refuse thousands separators."""
    if separator == "," or not any("," in line for line in lines):
        return "."
    cells = [cell for line in lines for cell in _cells(line, separator)]
    with_comma = [cell for cell in cells if "," in cell]
    has_point = any("." in cell and _is_number(cell) for cell in cells)
    grouped = all(_THOUSANDS.fullmatch(cell) for cell in with_comma)
    if has_point or grouped or any(cell.count(",") > 1 for cell in with_comma):
        raise ReadError(
            f"{path.name}: is the comma in {with_comma[0]!r} a decimal mark or a thousands "
            "separator? Export the map without thousands separators."
        )
    return ","


def _parse(table: _Table) -> Values:
    width = max(_width(line, table.separator) for line in table.lines)
    separator = r"\s+" if table.separator == " " else table.separator
    text = "\n".join(table.lines)
    if table.separator != " ":
        text = re.sub(rf" *{table.separator} *", table.separator, text)
    cases = (str.lower, str.upper, str.title)
    words = {in_case(word) for word in _MISSING if word for in_case in cases}
    try:
        parsed = pd.read_csv(
            io.StringIO(text),
            header=None,
            names=range(width),
            index_col=False,
            sep=separator,
            decimal=table.decimal,
            na_values=sorted({*words, "NaN", "-NaN"}),
            dtype=np.float64,
            skipinitialspace=True,
            skip_blank_lines=False,
            engine="c",
        )
    except (ValueError, pd.errors.ParserError) as error:
        raise ReadError(_word_among_numbers(table)) from error
    values = parsed.to_numpy(dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def _word_among_numbers(table: _Table) -> str:
    for number, line in enumerate(table.lines):
        for column, cell in enumerate(table.cells(line)):
            if not _NUMBER.fullmatch(cell) and cell.lower() not in _MISSING:
                return (
                    f"{table.path.name}, line {table.first_line + number}, column {column + 1}: "
                    f"{cell[:30]!r} is not a number. Correct it or export the map again."
                )
    return f"{table.path.name} is not a table of numbers."


# --- headings, indices and lists


def _grid_heading(heading: Sequence[str]) -> dict[str, float]:
    """Return the numbers in the heading of an ESRI grid by their keys in lower case."""
    grid = {}
    for line in heading:
        words = line.replace("\t", " ").split()
        if len(words) == 2 and words[0].lower() in _GRID_KEYS:
            number = words[1].replace(",", ".")
            grid[words[0].lower()] = float(number) if _NUMBER.fullmatch(number) else np.nan
    return grid


def _check_grid(values: Values, grid: dict[str, float], path: Path) -> None:
    stated = (grid.get("nrows", values.shape[0]), grid.get("ncols", values.shape[1]))
    if stated != values.shape:
        raise ReadError(
            f"{path.name} states {stated[0]:g} rows and {stated[1]:g} columns but holds "
            f"{values.shape[0]} and {values.shape[1]}: is it cut off? Export it again."
        )


def _drop_index(values: Values, notes: list[str]) -> Values:
    """Drop a numbered heading and a numbered first column, as pandas writes them."""
    has_corner = bool(np.isnan(values[0, 0])) and min(values.shape) > 2
    if has_corner and _is_series(values[0, 1:]) and _is_series(values[1:, 0]):
        notes.append("a numbered heading and a numbered first column were left out")
        return values[1:, 1:]
    if _is_count(values[0]) and len(values) > 2 and not _is_series(values[1]):
        notes.append("a numbered heading was left out")
        values = values[1:]
    if values.shape[1] > 3 and _is_count(values[:, 0]) and not _is_series(values[:, 1]):
        notes.append("a numbered first column was left out")
        values = values[:, 1:]
    return values


def _is_series(numbers: Values) -> bool:
    """Return whether numbers rise by one step throughout."""
    steps = np.diff(numbers)
    return bool(
        len(numbers) >= _MIN_INDEX
        and np.isfinite(steps).all()
        and steps[0] > 0
        and np.allclose(steps, steps[0], rtol=1e-3)
    )


def _is_count(numbers: Values) -> bool:
    """Return whether numbers are 0, 1, 2, ... or 1, 2, 3, ..."""
    return _is_series(numbers) and numbers[0] in (0, 1) and bool(numbers[1] - numbers[0] == 1)


def _list_to_map(values: Values, notes: list[str]) -> Values:
    """Arrange a complete list of x, y and value as a map; return any other table unchanged."""
    if values.shape[1] != 3 or len(values) < _MIN_INDEX or not np.isfinite(values[:, :2]).all():
        return values
    (x, columns), (y, rows) = (np.unique(values[:, axis], return_inverse=True) for axis in (0, 1))
    if min(len(x), len(y)) < 2 or len(x) * len(y) != len(values):
        return values
    arranged = np.full((len(y), len(x)), np.nan)
    arranged[rows, columns] = values[:, 2]
    if len(np.unique(rows * len(x) + columns)) != len(values):
        return values
    notes.append(f"a list of x, y and value: {len(x)} x {len(y)} points, y downwards")
    return arranged


def _mask_gaps(values: Values, grid: dict[str, float], notes: list[str]) -> Values:
    """Set pixels that were not measured to NaN."""
    marker = grid.get("nodata_value", np.nan)
    if np.isnan(marker):
        negative = np.unique(values[values < 0])
        marker = negative[0] if len(negative) == 1 and negative[0] in _SENTINELS else np.nan
    gaps = values == marker
    if not gaps.any() or gaps.all():
        return values
    notes.append(f"{int(gaps.sum()):,} pixels of {marker:g} count as not measured")
    return np.where(gaps, np.nan, values)
