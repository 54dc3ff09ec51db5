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
