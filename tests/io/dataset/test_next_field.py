from grainsmith.io.dataset import next_unlabelled


def test_the_next_picture_without_labels_by_name_and_round(tmp_path):
    for name in ("a.tif", "b.tif", "b_masks.tif", "c.tif", "d.png", "d_seg.npy", "e.txt"):
        (tmp_path / name).touch()
    assert next_unlabelled(tmp_path / "a.tif") == tmp_path / "c.tif"
    assert next_unlabelled(tmp_path / "c.tif") == tmp_path / "a.tif"
    assert next_unlabelled(tmp_path / "c.tif", ["elsewhere/a.tif"]) is None
    assert next_unlabelled(tmp_path / "gone" / "a.tif") is None
