import numpy as np
import tifffile
from tests.fakes import BrightIsGrain

from grainsmith.io.dataset import Dataset, read_dataset
from grainsmith.train import novelty


def test_the_image_that_differs_most_from_the_set_is_chosen(dataset, tiny, tmp_path):
    own = tifffile.imread(dataset / "f0.tif")
    rows = np.arange(64)[:, None] * np.ones(64)
    strange = (255 * (rows > 40)).astype(np.uint8)
    paths = []
    for name, image in {"a": own[::-1], "b": strange, "c": own[:, ::-1]}.items():
        paths.append(tmp_path / f"{name}.tif")
        tifffile.imwrite(paths[-1], image)
    (tmp_path / "broken.tif").write_bytes(b"no image")
    paths.append(tmp_path / "broken.tif")
    progress = []
    path = novelty.most_novel(
        paths, read_dataset(dataset), str(tiny), on_progress=lambda *done: progress.append(done)
    )
    assert path == tmp_path / "b.tif"
    assert progress[-1] == (7, 7)


def test_the_first_image_is_chosen_if_nothing_can_be_compared(tiny, dataset, tmp_path, monkeypatch):
    paths = [tmp_path / "a.tif", tmp_path / "b.tif"]
    assert novelty.most_novel(paths, Dataset(folder=tmp_path), str(tiny)) == paths[0]
    assert novelty.most_novel([], read_dataset(dataset), str(tiny)) is None
    monkeypatch.setattr(novelty, "load_model", lambda _: BrightIsGrain(0.0))
    assert novelty.most_novel(paths, read_dataset(dataset), "sam") == paths[0]
