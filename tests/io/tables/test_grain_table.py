import numpy as np
import pandas as pd
import pytest

from grainsmith.errors import ReadError, WriteError
from grainsmith.io.tables.grain_table import read_table, write_table


@pytest.fixture
def table():
    return pd.DataFrame(
        {
            "area_px": [12, 7],
            "ecd_um": [1 / 3, np.nan],
            "touches_edge": [True, False],
            "mineral": ["quartz", "K-feldspar, perthitic"],
        },
        index=pd.Index([3, 900_000], name="label"),
    )


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_what_is_written_is_read_back_to_the_last_digit(kind, table, tmp_path):
    write_table(tmp_path / f"grains.{kind}", table)
    back = read_table(tmp_path / f"grains.{kind}")
    pd.testing.assert_frame_equal(back, table, check_dtype=False, check_exact=True)


def test_other_endings_are_refused_and_nothing_is_left(table, tmp_path):
    with pytest.raises(WriteError, match=r"ends in \.csv, \.parquet, \.xlsx, not in '\.doc'"):
        write_table(tmp_path / "grains.doc", table)
    assert not list(tmp_path.iterdir())


def test_missing_library_is_named(table, tmp_path, monkeypatch):
    def no_library(*_args, **_kwargs):
        raise ImportError(name="pyarrow")

    monkeypatch.setattr(pd.DataFrame, "to_parquet", no_library)
    with pytest.raises(WriteError, match="pip install pyarrow openpyxl, or choose"):
        write_table(tmp_path / "grains.parquet", table)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.csv", None, "does not exist"),
        ("grains.txt", "label\n1\n", "ends in"),
        ("grains.csv", "id,area\n1,2\n", "no column 'label'"),
        ("grains.parquet", "no parquet", "cannot be read as a table"),
    ],
)
def test_what_is_no_table_is_said(name, content, message, tmp_path):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(ReadError, match=message):
        read_table(tmp_path / name)


MINERALS = ["Quarz", "Glimmer, hell", "Feldspat ä"]


@pytest.mark.parametrize(
    ("separator", "decimal", "encoding", "head"),
    [
        pytest.param(";", ",", "cp1252", "", id="German Excel"),
        pytest.param(";", ",", "utf-8-sig", "sep=;\n", id="separator line"),
        pytest.param("\t", ".", "utf-16", "", id="Unicode text"),
        pytest.param("\t", ",", "utf8", "", id="tabs"),
        pytest.param(",", ".", "cp1252", "", id="Windows-1252"),
    ],
)
def test_tables_saved_by_excel(tmp_path, separator, decimal, encoding, head):
    table = pd.DataFrame(
        {"label": [1, 2, 3], "area_px": [10.5, 20.25, 1234.5], "mineral": MINERALS}
    )
    text = head + table.to_csv(sep=separator, decimal=decimal, index=False)
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    back = read_table(path)
    assert back.index.tolist() == [1, 2, 3]
    assert back["area_px"].tolist() == [10.5, 20.25, 1234.5]
    assert back["mineral"].tolist() == MINERALS


def test_minerals_are_no_formulas_in_excel(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    names = ["=cmd|' /C calc'!A1", "=1+1", "quartz"]
    write_table(tmp_path / "t.xlsx", pd.DataFrame({"mineral": names}, index=[1, 2, 3]))
    sheet = openpyxl.load_workbook(tmp_path / "t.xlsx").active
    assert {cell.data_type for cell in sheet["B"]} == {"s"}
    assert read_table(tmp_path / "t.xlsx")["mineral"].tolist() == names


@pytest.mark.parametrize("cut", [0, 10, 300, 2000])
def test_damaged_excel_files_are_refused(tmp_path, cut):
    pytest.importorskip("openpyxl")
    path = tmp_path / "t.xlsx"
    write_table(path, pd.DataFrame({"area_px": np.arange(50.0)}, index=range(1, 51)))
    content = path.read_bytes()
    path.write_bytes(content[:-cut] if cut else content.replace(b"xl/", b"\xff\xfe/"))
    with pytest.raises(ReadError, match=r"t\.xlsx"):
        read_table(path)
