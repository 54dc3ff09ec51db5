import csv
import hashlib
import json
from dataclasses import replace

import pandas as pd
import pytest
from tests.pipeline.fields import QUICK, RULES, make_field, make_samples
from typer.testing import CliRunner

from grainsmith.clean import CleanSettings
from grainsmith.cli import app
from grainsmith.errors import MismatchError, WriteError
from grainsmith.pipeline.batch import runner
from grainsmith.pipeline.batch.discovery import find_fields
from grainsmith.pipeline.batch.runner import run_batch
from grainsmith.pipeline.recipe import ClassifySettings, Recipe, ReportSettings

WHOLE = {"field.json", "field_masks.json", "field_masks.tif", "grains.csv", "recipe.yaml",
         "statistics.json", "transforms.json"}  # fmt: skip


def tables(out):
    """SHA-256 of every table by its place."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("grains.csv"))
        if not any(part.startswith(".") for part in path.relative_to(out).parts)
    }


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    return make_samples(tmp_path_factory.mktemp("in"))


@pytest.fixture(scope="module")
def rules(tmp_path_factory):
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(RULES)
    return str(path)


@pytest.fixture(scope="module")
def done(samples, rules, tmp_path_factory):
    """A batch with everything in it."""
    out = tmp_path_factory.mktemp("done") / "out"
    recipe = replace(QUICK, classify=ClassifySettings(rules=rules), report=ReportSettings())
    states = []
    result = run_batch(find_fields([samples]), recipe, out, on_state=states.append)
    assert result.whole
    return out, result, states


def test_every_field_has_all_its_files_and_says_where_it_comes_from(done, samples):
    out, result, states = done
    assert list(result.states) == [f"{s}/f{n}" for s in "AB" for n in range(3)]
    for name in result.states:
        files = {one.name for one in (out / name).iterdir()}
        assert files == WHOLE | {"report.html", "report.json", "overview.png", "sheet.png"}
        origin = json.loads((out / name / "field_masks.json").read_text())["provenance"]
        assert len(origin["inputs"]) == 3
        table = pd.read_csv(out / name / "grains.csv")
        assert len(table) == 16
        assert set(table.mineral) == {"quartz", "olivine"}
    assert not (out / ".in-work").exists()
    assert not (out / "errors.csv").exists()
    assert {one.state for one in states} == {"in work", "done"}
    assert max(one.percent for one in states if one.state == "in work") == 100


def test_samples_are_pooled_by_field_and_compared(done):
    out, result, _ = done
    assert set(result.summaries) == {"A", "B"}
    pooled = pd.read_csv(out / "A" / "grains.csv")
    assert len(pooled) == 48
    assert pooled.groupby("field").size().to_dict() == {"f0": 16, "f1": 16, "f2": 16}
    found = json.loads((out / "A" / "statistics.json").read_text())
    assert found["statistics"]["n_fields"] == 3
    assert 0 <= found["between_fields"]["between_share"] <= 1
    assert found["modal"]["quartz"]["area_pct_low"] < found["modal"]["quartz"]["area_pct"]
    assert "B" in found["against"]
    compared = rows(out / "comparison.csv")
    assert {(row["first_sample"], row["second_sample"]) for row in compared} == {("A", "B")}
    assert "d50_um_number" in {row["quantity"] for row in compared}
    page = (out / "A" / "report.html").read_text()
    for text in (
        "Between the fields",
        "Modal percentages",
        "Comparison with other samples",
        "f1/report.html",
    ):
        assert text in page
    assert "All samples, by number" in page
    other = json.loads((out / "B" / "statistics.json").read_text())["against"]["A"]
    ours = found["against"]["B"]["differences"]["d50_um_number"]
    turned = other["differences"]["d50_um_number"]
    assert turned["difference"] == -ours["difference"]
    assert (turned["low"], turned["high"]) == (-ours["high"], -ours["low"])
    assert turned["ratio_low"] <= turned["ratio"] <= turned["ratio_high"]


def test_one_bad_field_stops_nobody_and_is_listed_with_its_reason(tmp_path):
    root = make_samples(tmp_path / "in", per_sample=1)
    (root / "A" / "broken").mkdir()
    (root / "A" / "broken" / "BSE.tif").write_bytes(b"II*\0 no image")
    (root / "A" / "mapless").mkdir()
    make_field(root / "A" / "mapless", 7, maps=False)
    bad_maps = make_field(root / "B" / "badmaps", 8, maps=False).parent
    (bad_maps / "Si Ka1.tif").write_bytes(b"no map")
    out = tmp_path / "out"
    result = run_batch(find_fields([root]), QUICK, out)
    assert not result.whole
    listed = {(row["sample"], row["field"]): row["reason"] for row in rows(out / "errors.csv")}
    assert set(listed) == {("A", "broken"), ("B", "badmaps")}
    assert "BSE.tif" in listed["A", "broken"]
    assert "none of its maps could be read" in listed["B", "badmaps"]
    assert "no element maps" in result.states["A/mapless"].reason
    assert (out / "A" / "mapless" / "grains.csv").exists()
    assert not (out / "A" / "broken").exists()
    assert json.loads((out / "A" / "statistics.json").read_text())["failed"].keys() == {"broken"}


def test_resume_makes_only_what_is_not_there_or_changed(tmp_path):
    root = make_samples(tmp_path / "in", per_sample=2, samples=("A",))
    out = tmp_path / "out"
    run_batch(find_fields([root / "A"]), QUICK, out)
    first = tables(out)
    with pytest.raises(MismatchError, match="resume it, or choose another output"):
        run_batch(find_fields([root / "A"]), QUICK, out)
    make_field(root / "A" / "f1", 99)
    make_field(root / "A" / "f2", 5)
    result = run_batch(find_fields([root / "A"]), QUICK, out, resume=True)
    assert {name: one.state for name, one in result.states.items()} == {
        "A/f0": "done before", "A/f1": "done", "A/f2": "done",
    }  # fmt: skip
    again = tables(out)
    assert again["A/f0/grains.csv"] == first["A/f0/grains.csv"]
    assert again["A/f1/grains.csv"] != first["A/f1/grains.csv"]
    other = replace(QUICK, clean=CleanSettings(drop_border=True))
    result = run_batch(find_fields([root / "A"]), other, out, resume=True)
    assert result.count("done") == 3


def test_corrections_by_hand_are_set_aside_and_never_lost(tmp_path):
    root = make_samples(tmp_path / "in", per_sample=1, samples=("A",))
    out = tmp_path / "out"
    run_batch(find_fields([root / "A"]), QUICK, out)
    (out / "A" / "f0" / "field_masks.tif").write_bytes(b"my corrections")
    other = replace(QUICK, clean=CleanSettings(drop_border=True))
    run_batch(find_fields([root / "A"]), other, out, resume=True)
    kept = list((out / "set-aside").rglob("field_masks.tif"))
    assert [one.read_bytes() for one in kept] == [b"my corrections"]
    assert (out / "A" / "f0" / "field_masks.tif").stat().st_size > 100


def test_a_stop_leaves_whole_fields_only_and_resume_goes_on(tmp_path):
    root = make_samples(tmp_path / "in", per_sample=3, samples=("A",))
    out, whole = tmp_path / "out", tmp_path / "whole"
    fields = find_fields([root / "A"])

    class StopError(Exception):
        pass

    def stop(state):
        if state.name == "A/f1" and state.percent > 50:
            raise StopError

    with pytest.raises(StopError):
        run_batch(fields, QUICK, out, on_state=stop)
    assert {one.name for one in (out / "A").iterdir()} == {"f0"}
    assert {one.name for one in (out / "A" / "f0").iterdir()} == WHOLE
    assert not (out / ".in-work").exists()
    assert [row["state"] for row in rows(out / "fields.csv")] == ["done", "in work", "waiting"]
    assert run_batch(fields, QUICK, out, resume=True).whole
    run_batch(fields, QUICK, whole)
    assert tables(out) == tables(whole)


def test_a_second_batch_into_one_folder_is_refused_and_disturbs_nothing(tmp_path):
    make_samples(tmp_path / "in", per_sample=2, samples=("A",))
    fields, out = find_fields([tmp_path / "in"]), tmp_path / "out"
    told = []

    def start_another(state):
        if state.state == "in work" and not told:
            for resume in (False, True):
                with pytest.raises(WriteError, match="another batch is writing into") as error:
                    run_batch(fields, QUICK, out, resume=resume)
                told.append(str(error.value))

    assert run_batch(fields, QUICK, out, on_state=start_another).whole
    assert told[0].endswith("wait until it ends, or choose another output")
    assert run_batch(fields, QUICK, out, resume=True).count("done before") == 2


def test_a_line_cut_off_by_death_and_a_lost_line_do_no_harm(tmp_path):
    root = make_samples(tmp_path / "in", per_sample=2, samples=("A",))
    out = tmp_path / "out"
    fields = find_fields([root / "A"])
    run_batch(fields, QUICK, out)
    manifest = out / "manifest.jsonl"
    lines = [line for line in manifest.read_text().splitlines() if line]
    manifest.write_text(lines[0] + "\n" + lines[1][: len(lines[1]) // 2])
    result = run_batch(fields, QUICK, out, resume=True)
    assert result.count("done before") == 2
    good = [json.loads(line) for line in manifest.read_text().splitlines() if line.endswith("}")]
    assert [one["field"] for one in good] == ["f0", "f1"]


def test_a_full_disk_ends_the_batch_and_loses_nothing(tmp_path, monkeypatch):
    root = make_samples(tmp_path / "in", per_sample=3, samples=("A",))
    out = tmp_path / "out"
    fields = find_fields([root / "A"])
    real = runner.process_field

    def full(job, on_progress):
        if job.files.field == "f1":
            raise WriteError("no space left on device")
        return real(job, on_progress)

    monkeypatch.setattr(runner, "process_field", full)
    result = run_batch(fields, QUICK, out)
    assert "no space left" in str(result.stopped)
    assert [one.state for one in result.states.values()] == ["done", "failed", "waiting"]
    monkeypatch.undo()
    assert run_batch(fields, QUICK, out, resume=True).whole


def test_fields_with_and_without_a_pixel_size_are_not_pooled_and_that_is_told(tmp_path):
    root = tmp_path / "in"
    make_field(root / "A" / "f0", 1)
    make_field(root / "A" / "f1", 2, pixel_size_um=0)
    result = run_batch(find_fields([root / "A"]), QUICK, tmp_path / "out")
    assert result.count("done") == 2
    assert not result.whole
    assert "1 of 2 fields have no pixel size" in result.problems["A"]
    assert rows(tmp_path / "out" / "errors.csv")[0]["sample"] == "A"


def test_results_do_not_go_among_the_pictures(samples):
    with pytest.raises(MismatchError, match="choose another output"):
        run_batch(find_fields([samples]), QUICK, samples)


def test_no_engine_and_two_processes_write_the_same_bytes(samples, rules, tmp_path):
    pytest.importorskip("distributed")
    recipe = replace(QUICK, classify=ClassifySettings(rules=rules))
    fields = find_fields([samples])
    run_batch(fields, recipe, tmp_path / "none")
    run_batch(fields, recipe, tmp_path / "two", scheduler="local:2")
    assert len(tables(tmp_path / "none")) == 8
    assert tables(tmp_path / "none") == tables(tmp_path / "two")


@pytest.fixture
def run(tmp_path):
    recipe = tmp_path / "quick.yaml"
    QUICK.write(recipe)

    def command(*arguments):
        return CliRunner().invoke(app, ["batch", *map(str, arguments), "--recipe", str(recipe)])

    return command


def test_the_command_prints_json_and_its_exit_code_tells_of_failures(run, tmp_path):
    root = make_samples(tmp_path / "in", per_sample=1)
    done = run(root, "-o", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert facts["n_done"] == 2
    assert facts["fields"]["A/f0"]["state"] == "done"
    (root / "A" / "x.tif").write_bytes(b"broken")
    again = run(root, "-o", tmp_path / "out", "--resume")
    assert again.exit_code == 1
    assert "A/x failed:" in again.stderr
    assert "errors.csv" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["{root}", "--scheduler", "loca"], "must be none, local"),
        (["{root}", "--scheduler", "tcp://127.0.0.1:9"], "no scheduler answers at tcp://127"),
        ([], "give folders or images, or a sheet"),
        (["{root}", "--sheet", "{root}"], "one of the two"),
        (["{root}/missing"], "does not exist"),
    ],
)
def test_a_bad_call_is_refused_before_anything_is_written(run, tmp_path, arguments, word):
    root = make_samples(tmp_path / "in", per_sample=1, samples=("A",))
    done = run(*(one.format(root=root) for one in arguments), "-o", tmp_path / "out")
    assert done.exit_code != 0
    assert word in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_a_recipe_with_rules_that_cannot_be_read_is_refused_at_once(samples, tmp_path):
    recipe = Recipe(classify=ClassifySettings(rules=str(tmp_path / "none.yaml")))
    with pytest.raises(Exception, match=r"none\.yaml"):
        run_batch(find_fields([samples]), recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()
