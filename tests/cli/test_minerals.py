import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

from grainsmith.cli import app
from grainsmith.errors import GrainsmithError
from grainsmith.io.labels.label_image import write_labels

RULES = """
units: counts
minerals:
  quartz: {range: {Si: [3, 8], Fe: [0, 1]}}
  magnetite: {range: {Fe: [3, 8]}, density: 5.2}
  zircon: {require: [Zr]}
"""


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(0)
    si, fe = np.repeat([4.5, 0.1], 10), np.repeat([0.1, 5.0], 10)
    table = pd.DataFrame(
        {
            "label": range(1, 21), "area_px": 100,
            "Si_mean": random.poisson(100 * si) / 100, "Si_error": 0.2,
            "Fe_mean": random.poisson(100 * fe) / 100, "Fe_error": 0.2,
        }
    )  # fmt: skip
    table.to_csv(tmp_path / "grains.csv", index=False)
    (tmp_path / "rules.yaml").write_text(RULES)
    pd.DataFrame({"label": [1, 2, 11, 12], "mineral": ["quartz"] * 2 + ["magnetite"] * 2}).to_csv(
        tmp_path / "known.csv", index=False
    )
    labels = np.kron(np.arange(1, 21).reshape(4, 5), np.ones((10, 10))).astype(np.int32)
    write_labels(tmp_path / "labels.tif", labels)
    return tmp_path


def run(*arguments):
    """Run in this process; a failure the user can mend rises, as `main` turns it into one line."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_rules_give_modes_and_contacts_as_one_json_object(folder):
    out = folder / "minerals.csv"
    done = run(
        "classify", folder / "grains.csv", "--rules", folder / "rules.yaml",
        "--labels", folder / "labels.tif", "-o", out, "--json",
    )  # fmt: skip
    facts = json.loads(done.stdout)
    assert facts["modal"]["quartz"]["area_pct"] == 50
    assert facts["modal"]["magnetite"]["weight_pct"] == pytest.approx(100 * 5.2 / 7.85)
    assert facts["advice"] == ["zircon needs Zr"]
    assert facts["contacts"]["quartz"]["magnetite"] == 50
    naming = pd.read_csv(out, index_col="label")
    assert naming["mineral"].tolist() == ["quartz"] * 10 + ["magnetite"] * 10


@pytest.mark.parametrize("method", ["centroid", "forest"])
def test_examples_show_their_score(folder, method):
    arguments = ("classify", folder / "grains.csv", "--examples", folder / "known.csv")
    facts = json.loads(run(*arguments, "--method", method, "--json").stdout)
    assert facts["modal"]["quartz"]["n_grains"] == 10
    assert set(facts["importances"]) == {"Si", "Fe"}
    assert sum(map(sum, (row.values() for row in facts["confusion"].values()))) <= 4
    assert "examples named right" in run(*arguments).stderr


def test_counts_become_amounts_by_standards(folder):
    arguments = ("classify", folder / "grains.csv", "--rules", "library")
    facts = json.loads(run(*arguments, "--standards", folder / "known.csv", "--json").stdout)
    assert facts["assumed"] == []
    assert facts["sensitivity"]["Si"] == pytest.approx(4.5 / 46.7, rel=0.1)
    # Silicon and iron alone part no silicates and no iron oxides: the names are those of sets.
    assert [row["n_grains"] for row in facts["modal"].values()] == [10, 10]
    assert sum(name.startswith("Si minerals (") for name in facts["modal"]) == 1
    assert facts["verdicts"] == {"named": 20}
    with pytest.raises(GrainsmithError, match="--standards turns counts into amounts"):
        run(*arguments, "--standards", folder / "known.csv", "--units", "wt%")
    with pytest.raises(GrainsmithError, match="--standards turns counts into amounts"):
        run("classify", folder / "grains.csv", "--clusters", "--standards", folder / "known.csv")


def test_counted_columns_are_counts_whatever_the_rules_say(folder):
    table = pd.read_csv(folder / "grains.csv")
    table = table.assign(Si_counts=100 * table["Si_mean"], Fe_counts=100 * table["Fe_mean"])
    table.to_csv(folder / "counted.csv", index=False)
    with pytest.raises(GrainsmithError, match="counts become amounts only with standards"):
        run("classify", folder / "counted.csv", "--rules", "library")
    weighed = table.assign(Si_counts=np.nan, Fe_counts=np.nan)
    weighed.to_csv(folder / "weighed.csv", index=False)
    assert run("classify", folder / "weighed.csv", "--rules", "library").exit_code == 0


def test_rules_in_counts_need_no_standards(folder):
    rules = ("classify", folder / "grains.csv", "--rules", folder / "rules.yaml", "--json")
    with_standards = json.loads(run(*rules, "--standards", folder / "known.csv").stdout)
    assert "sensitivity" not in with_standards
    assert with_standards["modal"] == json.loads(run(*rules).stdout)["modal"]


def test_clusters_look_like_minerals(folder):
    done = run("classify", folder / "grains.csv", "--clusters", "--json")
    assert set(json.loads(done.stdout)["looks_like"].values()) <= {
        "quartz",
        "magnetite",
        "hematite",
    }
    assert (folder / "grains_minerals.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give one of --rules, --examples and --clusters"),
        (("--rules", "library"), "only with standards"),
        (("--rules", "none.yaml"), "none.yaml cannot be read"),
        (("--examples", "none.csv"), "none.csv does not exist"),
        (("--clusters", "--units", "ppm"), "--units must be"),
    ],
)
def test_bad_calls_say_what_to_do(folder, arguments, message):
    kind = () if "--units" in arguments else ("--units", "counts")
    with pytest.raises(GrainsmithError, match=message):
        run("classify", folder / "grains.csv", *arguments, *kind)


def test_tables_that_are_none(folder):
    (folder / "no.csv").write_text("a,b\n1,2\n")
    with pytest.raises(GrainsmithError, match="has no column label"):
        run("classify", folder / "no.csv", "--clusters")
    (folder / "twice.csv").write_text("label,Si_mean\n1,2\n1,3\n")
    with pytest.raises(GrainsmithError, match="its own label"):
        run("classify", folder / "twice.csv", "--clusters")


def test_the_library_and_what_the_elements_tell_apart():
    facts = json.loads(run("minerals", "--elements", "Si,Al,Fe,Mg,Ca", "--json").stdout)
    assert len(facts["minerals"]) == 31
    assert facts["minerals"]["quartz"]["atomic_pct"] == {"Si": 100}
    assert any("without K, Na" in line for line in facts["advice"])
    printed = run("minerals").stdout
    assert "KAlSi3O8" in printed
    assert "one name for: albite, oligoclase, labradorite, anorthite" in printed
    with pytest.raises(GrainsmithError, match="'Xx' is not an element of the library"):
        run("minerals", "--elements", "Si,Xx")


@pytest.fixture
def pictures(folder):
    random = np.random.default_rng(1)
    maps = folder / "maps"
    maps.mkdir()
    for element in ("Si", "Fe", "Ca"):
        tifffile.imwrite(maps / f"{element} Ka1.tif", random.poisson(3, (40, 50)).astype(np.uint16))
    tifffile.imwrite(folder / "bse.tif", random.integers(0, 255, (40, 50), dtype=np.uint8))
    return ["gallery", folder / "labels.tif", "--image", folder / "bse.tif", "--maps", maps]


def test_a_combo_of_one_grain_from_files(pictures, folder):
    out = folder / "grain.png"
    facts = json.loads(run(*pictures, "--grain", 7, "-o", out, "--json").stdout)
    assert facts["files"] == [str(out)]
    assert set(facts["grain"]["elements"]) == {"Si", "Fe", "Ca"}
    assert facts["grain"]["elements"]["Si"]["alignment"] == "not aligned"
    assert facts["grain"]["elements"]["Si"]["mean"] == pytest.approx(3, abs=1)
    assert out.read_bytes().startswith(b"\x89PNG")


def test_a_grain_table_adds_the_bar_chart(pictures, folder):
    table = pd.read_csv(folder / "grains.csv").assign(Ca_mean=3.0, ecd_px=11.3, purity=0.6)
    table.to_csv(folder / "with_ca.csv", index=False)
    plain, barred = folder / "plain.svg", folder / "barred.svg"
    run(*pictures, "--grain", 7, "-o", plain)
    run(*pictures, "--grain", 7, "--table", folder / "with_ca.csv", "-o", barred)
    assert "against all 20 grains" in barred.read_text(encoding="utf-8")
    assert "against all" not in plain.read_text(encoding="utf-8")
    assert "mixed, 60 % of one mineral" in barred.read_text(encoding="utf-8")


def test_all_combos_and_a_sheet_with_minerals_and_transforms(pictures, folder):
    from grainsmith.data import Transform
    from grainsmith.io.transforms import write_transforms

    run("classify", folder / "grains.csv", "--clusters", "-o", folder / "m.csv")
    here = {f"{e} Ka1": Transform(verdict="aligned") for e in ("Si", "Fe")}
    write_transforms(folder / "t.json", here, reference="bse.tif")
    done = run(
        *pictures, "--transforms", folder / "t.json", "--minerals", folder / "m.csv",
        "--all", folder / "all", "--sheet", folder / "sheet.png",
    )  # fmt: skip
    assert len(list((folder / "all").glob("idx*_ele_combo.png"))) == 20
    assert (folder / "sheet.png").exists()
    assert "drawn as not aligned: Ca" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give --grain N, --all FOLDER or --sheet FILE"),
        (("--grain", 99), "there is no grain 99"),
        (("--grain", 1, "--overlay", "Si,Fe"), "--overlay wants three elements"),
        (("--grain", 1, "--overlay", "Si,Fe,Zr"), "no map of Zr"),
    ],
)
def test_bad_gallery_calls_say_what_to_do(pictures, arguments, message):
    with pytest.raises(GrainsmithError, match=message):
        run(*pictures, *arguments)
