import numpy as np
import tifffile
from tests.fakes import BrightIsGrain

from grainsmith.io.dataset import Dataset, read_dataset
from grainsmith.train import novelty


def test_the_picture_least_like_the_set_is_next(dataset, tiny, tmp_path):
    own = tifffile.imread(dataset / "f0.tif")
    rows = np.arange(64)[:, None] * np.ones(64)
    strange = (255 * (rows > 40)).astype(np.uint8)
    pictures = []
    for name, image in {"a": own[::-1], "b": strange, "c": own[:, ::-1]}.items():
        pictures.append(tmp_path / f"{name}.tif")
        tifffile.imwrite(pictures[-1], image)
    (tmp_path / "broken.tif").write_bytes(b"no image")
    pictures.append(tmp_path / "broken.tif")
    told = []
    found = novelty.most_novel(
        pictures, read_dataset(dataset), str(tiny), on_progress=lambda *done: told.append(done)
    )
    assert found == tmp_path / "b.tif"
    assert told[-1] == (7, 7)


def test_without_anything_to_compare_the_first_is_next(tiny, dataset, tmp_path, monkeypatch):
    pictures = [tmp_path / "a.tif", tmp_path / "b.tif"]
    assert novelty.most_novel(pictures, Dataset(folder=tmp_path), str(tiny)) == pictures[0]
    assert novelty.most_novel([], read_dataset(dataset), str(tiny)) is None
    monkeypatch.setattr(novelty, "load_model", lambda _: BrightIsGrain(0.0))
    assert novelty.most_novel(pictures, read_dataset(dataset), "sam") == pictures[0]
