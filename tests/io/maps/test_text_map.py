"""Tables of numbers as Excel, pandas, GIS and EDS programs write them."""

import numpy as np
import pytest

from grainsmith.errors import ReadError
from grainsmith.io.maps.reader import MapGuess, read_map
from grainsmith.io.maps.text_map import read_text_map

COUNTS = np.random.default_rng(4).integers(9, 36, (12, 16)).astype(float)
PERCENT = COUNTS + 0.25


def _rows(values, separator=",", style="{:g}"):
    return [separator.join(style.format(value) for value in row) for row in values]


def _with_comma(values, separator):
    return [row.replace(".", ",") for row in _rows(values, separator)]


def _read(tmp_path, lines, encoding="utf8"):
    path = tmp_path / "Fe.csv"
    path.write_bytes("\n".join(lines).encode(encoding))
    return read_text_map(path)


def _with_zero_row(lines, separator):
    return [separator.join(["0"] * 16), *lines[1:]]


ZERO_ROW = np.vstack([np.zeros(16), PERCENT[1:]])
CASES = {
    "decimal comma after a row of whole numbers, semicolons": (
        _with_zero_row(_with_comma(PERCENT, ";"), ";"), "utf8", ZERO_ROW
    ),
    "decimal comma after a row of whole numbers, spaces": (
        _with_zero_row(_with_comma(PERCENT, " "), " "), "utf8", ZERO_ROW
    ),
    "decimal comma after a row of whole numbers, tabs": (
        _with_zero_row(_with_comma(PERCENT, "\t"), "\t"), "utf8", ZERO_ROW
    ),
    "UTF-16": (_rows(COUNTS), "utf-16", COUNTS),
    "byte order mark": (_rows(COUNTS), "utf-8-sig", COUNTS),
    "quoted": (['"' + row.replace(",", '","') + '"' for row in _rows(COUNTS)], "utf8", COUNTS),
    "quoted with decimal comma": (
        ['"' + row.replace(";", '","') + '"' for row in _with_comma(PERCENT, ";")], "utf8", PERCENT
    ),
    "pandas index": (
        ["," + ",".join(map(str, range(16)))]
        + [f"{number},{row}" for number, row in enumerate(_rows(COUNTS))], "utf8", COUNTS
    ),
    "pandas heading": ([",".join(map(str, range(16))), *_rows(COUNTS)], "utf8", COUNTS),
    "coordinates": (
        ["," + ",".join(str(x * 0.5) for x in range(16))]
        + [f"{y * 0.5},{row}" for y, row in enumerate(_rows(COUNTS))], "utf8", COUNTS
    ),
    "first column numbered": (
        [f"{number + 1},{row}" for number, row in enumerate(_rows(COUNTS))], "utf8", COUNTS
    ),
    "separator at every end": ([row + "," for row in _rows(COUNTS)], "utf8", COUNTS),
    "list of x, y and value": (
        ["x,y,value"]
        + [f"{x},{y},{COUNTS[y, x]:g}" for y in range(12) for x in range(16)], "utf8", COUNTS
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_tables_of_other_programs(tmp_path, case):
    lines, encoding, expected = CASES[case]
    values, _ = _read(tmp_path, lines, encoding)
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("word", ["NA", "--", "-1.#IND", "nan", "", "inf"])
def test_gap_in_the_first_row_is_no_heading(tmp_path, word):
    lines = _rows(COUNTS)
    lines[0] = word + lines[0][lines[0].index(",") :]
    values, notes = _read(tmp_path, lines)
    assert values.shape == (12, 16)
    assert np.argwhere(np.isnan(values)).tolist() == [[0, 0]]
    np.testing.assert_array_equal(values[1:], COUNTS[1:])
    assert "1 cells without a number count as not measured" in notes


def test_empty_last_cell_is_a_gap(tmp_path):
    lines = _rows(COUNTS)
    lines[1] = lines[1][: lines[1].rindex(",") + 1]
    values, _ = _read(tmp_path, lines)
    assert values.shape == (12, 16)
    assert np.argwhere(np.isnan(values)).tolist() == [[1, 15]]


@pytest.mark.parametrize("marker", [-1, -9999])
def test_a_single_negative_number_marks_gaps(tmp_path, marker):
    marked = COUNTS.copy()
    marked[2, 3] = marked[5, 6] = marker
    path = tmp_path / "Fe.csv"
    path.write_text("\n".join(_rows(marked)))
    element_map, notes = read_map(MapGuess(path=str(path), what="map", element="Fe"))
    assert element_map.kind == "counts"
    assert np.argwhere(np.isnan(element_map.values)).tolist() == [[2, 3], [5, 6]]
    assert any("not measured" in note for note in notes)


def test_negative_numbers_of_several_values_are_kept(tmp_path):
    noisy = PERCENT.copy()
    noisy[0, :2] = -0.5, -1
    values, _ = _read(tmp_path, _rows(noisy))
    np.testing.assert_array_equal(values, noisy)


def _esri(rows, columns, nodata=-32):
    return [f"ncols {columns}", f"nrows {rows}", "xllcorner 0", "yllcorner 0", "cellsize 1",
            f"NODATA_value {nodata}"]  # fmt: skip


def test_esri_grid_states_its_gaps_and_its_size(tmp_path):
    marked = COUNTS.copy()
    marked[4, 4] = -32
    values, _ = _read(tmp_path, [*_esri(12, 16), *_rows(marked, " ")])
    assert np.argwhere(np.isnan(values)).tolist() == [[4, 4]]
    with pytest.raises(ReadError, match="states 12 rows and 16 columns but holds 10 and 16"):
        _read(tmp_path, [*_esri(12, 16), *_rows(marked[:10], " ")])


@pytest.mark.parametrize(
    "row", ["1,234;2,345;3,456", "1.234,5;2,5;3,5", "1,234,567;2,345;3,456"], ids=str
)
def test_thousands_separators_are_refused(tmp_path, row):
    with pytest.raises(ReadError, match="decimal mark or a thousands separator"):
        _read(tmp_path, [row] * 4)


def test_rising_numbers_are_pixels(tmp_path):
    ramp = np.arange(192.0).reshape(12, 16)
    values, _ = _read(tmp_path, _rows(ramp))
    np.testing.assert_array_equal(values, ramp)
