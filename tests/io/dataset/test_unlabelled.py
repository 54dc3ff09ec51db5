from grainsmith.io.dataset import unlabelled_images


def test_pictures_without_labels_by_name_and_round(tmp_path):
    for name in ("a.tif", "b.tif", "b_masks.tif", "c.tif", "d.png", "d_seg.npy", "e.txt", "f.jpg"):
        (tmp_path / name).touch()
    assert unlabelled_images(tmp_path / "a.tif") == [tmp_path / "c.tif", tmp_path / "f.jpg"]
    assert unlabelled_images(tmp_path / "c.tif") == [tmp_path / "f.jpg", tmp_path / "a.tif"]
    assert unlabelled_images(tmp_path / "c.tif", ["elsewhere/a.tif"]) == [tmp_path / "f.jpg"]
    assert unlabelled_images(tmp_path / "gone" / "a.tif") == []
