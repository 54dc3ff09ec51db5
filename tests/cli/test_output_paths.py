import pytest

from grainsmith.cli.output_paths import check_outputs
from grainsmith.errors import WriteError


def test_an_output_must_not_be_an_input_under_any_name(tmp_path, monkeypatch):
    image = tmp_path / "f.tif"
    image.touch()
    (tmp_path / "link.tif").symlink_to(image)
    (tmp_path / "hard.tif").hardlink_to(image)
    monkeypatch.chdir(tmp_path)
    for name in ("f.tif", "./f.tif", "../" + tmp_path.name + "/f.tif", "link.tif", "hard.tif"):
        with pytest.raises(WriteError, match="--output would overwrite the input"):
            check_outputs({"--output": type(image)(name)}, [image])
    with pytest.raises(WriteError, match="overwrite the input"):
        check_outputs({"--output": image}, [None, tmp_path])  # a folder of inputs
    check_outputs({"--output": tmp_path / "g.tif", "--table": None}, [image])


def test_two_outputs_must_not_share_a_path(tmp_path):
    with pytest.raises(WriteError, match="--stats and the numbers of --report would both"):
        check_outputs(
            {"--stats": tmp_path / "r.json", "the numbers of --report": tmp_path / "R.JSON"}, []
        )
