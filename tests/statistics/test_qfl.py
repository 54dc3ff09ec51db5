import pandas as pd
import pytest

from grainsmith.statistics import qfl_shares
from grainsmith.statistics.qfl import qfl_corner


def test_unknown_unmapped_and_unnamed_grains_are_no_corner():
    minerals = ["quartz"] * 4 + ["unknown"] * 3 + ["unmapped", "", None, "zircon", "albite"]
    table = pd.DataFrame({"mineral": minerals, "area_px": 50})
    shares = qfl_shares(table)
    assert shares["number"] == {"quartz": 4, "feldspar": 1, "other": 1}
    assert shares["area"] == {"quartz": 200, "feldspar": 50, "other": 50}


@pytest.mark.parametrize(
    ("mineral", "corner"),
    [
        ("Quartz", "quartz"),
        (" quartz ", "quartz"),
        ("SiO2", "quartz"),
        ("Orthoclase", "feldspar"),
        ("microcline", "feldspar"),
        ("plagioclase", "feldspar"),
        ("alkali feldspar or plagioclase", "feldspar"),
        ("SiO2 or plagioclase", "other"),
        ("Unknown", ""),
        ("calcite", "other"),
    ],
)
def test_synonyms_and_groups(mineral, corner):
    assert qfl_corner(mineral) == corner


def test_groups_of_a_rules_file_count():
    table = pd.DataFrame({"mineral": ["Kfs-1", "Qz-1", "rock"], "area_px": 1})
    groups = {"Kfs-1": "alkali feldspar", "Qz-1": "SiO2"}
    assert qfl_shares(table, groups)["number"] == {"quartz": 1, "feldspar": 1, "other": 1}
