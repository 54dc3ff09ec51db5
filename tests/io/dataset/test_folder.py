"""Training sets: growing, reading by Cellpose, trust, interrupted updates."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from grainsmith.errors import MismatchError, ReadError, WriteError
from grainsmith.io.dataset import (
    Origin,
    add_field,
    count_unlabelled,
    find_problems,
    propose_split,
    read_dataset,
    remove_field,
    select_trusted,
    set_roles,
)
from grainsmith.io.dataset import folder as folder_module
from grainsmith.io.exchange import LabelledField
from grainsmith.io.files.atomic_write import fingerprint


def _made(seed=0, *, shape=(96, 128), radius=9, step=26, bright=200, name="f"):
    """Discs on a dark ground with noise, no two fields alike."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    labels = np.zeros(shape, np.int32)
    for cy in range(step // 2, shape[0], step):
        for cx in range(step // 2, shape[1], step):
            if rng.random() < 0.75:
                r = radius * rng.uniform(0.7, 1.1)
                labels[np.hypot(y - cy, x - cx) < r] = labels.max() + 1
    image = np.where(labels > 0, bright, 40) + rng.normal(0, 6, shape)
    return LabelledField(
        labels=labels,
        name=name,
        image=image.clip(0, 255).astype(np.uint8),
        pixel_size_um=0.5,
    )


def _plain(name, n=2, **facts):
    labels = np.zeros((20, 30), np.int32)
    for k in range(1, n + 1):
        labels[2:8, 2 + 9 * (k - 1) : 8 + 9 * (k - 1)] = k
    return LabelledField(labels=labels, name=name, image=(labels * 50).astype(np.uint8), **facts)


# --- trust

_LABELS = np.array([[1, 1, 0, 0, 0, 0, 0, 2, 2], [1, 1, 0, 0, 0, 0, 0, 2, 2]], np.int32)


def test_everything_is_trusted_but_rejected_grains():
    labels, trust = select_trusted(_LABELS, {2: "rejected"})
    assert set(np.unique(labels)) == {0, 1}
    np.testing.assert_array_equal(trust, _LABELS != 2)


def test_only_accepted_grains_and_their_rim_are_trusted():
    labels, trust = select_trusted(_LABELS, {1: "accepted", 2: "edited"}, only_accepted=True)
    assert set(np.unique(labels)) == {0, 1}
    np.testing.assert_array_equal(trust[0], [1, 1, 1, 1, 1, 0, 0, 0, 0])


def test_nothing_outside_the_region_is_trusted_but_grains_stay_whole():
    region = np.zeros(_LABELS.shape, bool)
    region[:, 1:5] = True
    labels, trust = select_trusted(_LABELS, {}, region=region)
    np.testing.assert_array_equal(labels == 1, _LABELS == 1)
    assert not (labels == 2).any()
    np.testing.assert_array_equal(trust, region)


# --- the folder


def test_a_field_there_and_back(tmp_path):
    new = _plain("a", pixel_size_um=0.25, minerals={1: "Quartz", 9: "gone"})
    origin = Origin(
        source="/data/a.tif",
        pixel_size_source="Zeiss tag",
        states={1: "edited", 2: "auto"},
        model={"name": "grains", "sha256": "ab"},
        settings={"segment": {"flow_threshold": 0.5}},
        license="CC-BY-4.0",
    )
    add_field(tmp_path / "set", new, origin)
    (back,) = read_dataset(tmp_path / "set").fields
    loaded = back.load()
    np.testing.assert_array_equal(loaded.image, new.image)
    np.testing.assert_array_equal(loaded.labels, new.labels)
    assert (loaded.weight == 1).all()
    assert loaded.weight.dtype == np.float32
    assert (back.name, back.role, back.n_grains) == ("a", "train", 2)
    assert back.origins == {1: "edited"}
    assert back.minerals == {1: "Quartz"}
    assert back.model["name"] == "grains"
    assert back.pixel_size_um == 0.25
    assert back.diameter_px == pytest.approx(2 * np.sqrt(36 / np.pi), abs=0.01)
    assert back.thumbnail.is_file()
    assert set(back.sha256) == {"a.tif", "a_masks.tif", "pixels"}


def test_what_is_not_trusted_gets_weight_0(tmp_path):
    add_field(tmp_path, _plain("a"), Origin(states={1: "accepted"}), only_accepted=True)
    (field,) = read_dataset(tmp_path).fields
    loaded = field.load()
    assert field.weight == "weights/a.png"
    assert set(np.unique(loaded.labels)) == {0, 1}
    assert loaded.weight[4, 4] == 1
    assert loaded.weight[4, 13] == 0  # grain 2, which nobody accepted
    assert loaded.weight[18, 28] == 0
    assert field.trusted_pct < 30
    # Accepted altogether, the same image takes its own place, and the weights go.
    add_field(tmp_path, _plain("again"), Origin())
    (field,) = read_dataset(tmp_path).fields
    assert (field.name, field.weight, field.n_grains) == ("a", "", 2)
    assert not (tmp_path / "weights" / "a.png").exists()


def test_names_are_free_and_mean_nothing_to_cellpose(tmp_path):
    for number, name in enumerate(("a", "a", "A", "b_masks", "c_image", "é / x", "..")):
        add_field(tmp_path, _made(number, name=name), Origin())
    names = [one.name for one in read_dataset(tmp_path).fields]
    assert names == ["a", "a-2", "A-3", "b_field", "c_field", "é_x", "field"]


def test_nothing_to_learn_from_is_refused(tmp_path):
    with pytest.raises(MismatchError, match="accept grains first"):
        add_field(tmp_path / "s", _plain("a"), Origin(), only_accepted=True)
    bare = LabelledField(labels=np.ones((2, 2), np.int32), name="bare")
    with pytest.raises(MismatchError, match="has no image"):
        add_field(tmp_path / "s", bare, Origin())
    assert not (tmp_path / "s").exists()


def test_roles_and_removal(tmp_path):
    for number in range(3):
        add_field(tmp_path, _made(number, name=f"f{number}"), Origin())
    set_roles(tmp_path, {"f1": "validation"})
    dataset = read_dataset(tmp_path)
    assert [one.name for one in dataset.of_role("validation")] == ["f1"]
    add_field(tmp_path, _made(1, name="f1"), Origin())  # brought up to date: the role stays
    assert read_dataset(tmp_path)["f1"].role == "validation"
    with pytest.raises(ValueError, match="unknown fields"):
        set_roles(tmp_path, {"f9": "train"})
    remove_field(tmp_path, "f0")
    assert [one.name for one in read_dataset(tmp_path).fields] == ["f1", "f2"]
    assert (tmp_path / "removed" / "f0_masks.tif").is_file()  # nothing is deleted


def test_cellpose_reads_the_folder_as_it_is(tmp_path):
    cellpose_io = pytest.importorskip("cellpose.io")
    add_field(tmp_path, _made(1, name="a"), Origin())
    add_field(tmp_path, _made(2, name="b"), Origin(states={1: "accepted"}), only_accepted=True)
    images, labels, names = cellpose_io.load_images_labels(str(tmp_path))
    assert [name.rsplit("/", 1)[-1] for name in names] == ["a.tif", "b.tif"]
    for image, label, field in zip(images, labels, read_dataset(tmp_path).fields, strict=True):
        loaded = field.load()
        np.testing.assert_array_equal(image, loaded.image)
        np.testing.assert_array_equal(label, loaded.labels)


def test_folders_of_cellpose_are_sets_too(tmp_path):
    one = _plain("x")
    Image.fromarray(one.image).save(tmp_path / "x.png")
    Image.fromarray(one.labels.astype(np.uint16)).save(tmp_path / "x_masks.png")
    Image.fromarray(np.dstack([one.image] * 3)).save(tmp_path / "y_image.jpg")
    Image.fromarray(one.labels.astype(np.uint16)).save(tmp_path / "y_masks.tif")
    Image.fromarray(one.image).save(tmp_path / "unlabelled.png")
    dataset = read_dataset(tmp_path)
    assert [(f.name, f.n_grains, f.role) for f in dataset.fields] == [
        ("x", 2, "train"),
        ("y", 2, "train"),
    ]
    for field in dataset.fields:
        np.testing.assert_array_equal(field.load().labels, one.labels)
    set_roles(tmp_path, {"y": "validation"})
    assert read_dataset(tmp_path)["y"].role == "validation"


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "cannot be read as JSON"),
        ('{"format": 99}', "update Grainsmith"),
        ('{"format": 1}', "is damaged"),
        ('{"format": 1, "fields": [{"name": "a"}]}', "is damaged"),
        (
            '{"format": 1, "fields": [{"name": "a", "image": "../a.tif", "labels": "b.tif"}]}',
            "lies outside",
        ),
    ],
)
def test_a_broken_list_is_named(content, match, tmp_path):
    (tmp_path / "dataset.json").write_text(content)
    with pytest.raises(ReadError, match=match):
        read_dataset(tmp_path)


def test_later_additions_to_the_list_are_passed_over(tmp_path):
    add_field(tmp_path, _plain("a"), Origin())
    content = json.loads((tmp_path / "dataset.json").read_text())
    content["fields"][0]["mood"] = "good"
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    assert read_dataset(tmp_path)["a"].n_grains == 2


# --- problems


def _kinds(folder):
    return sorted((one.kind, one.field) for one in find_problems(read_dataset(folder)))


def test_a_good_set_has_no_problems(tmp_path):
    for number in range(4):
        add_field(tmp_path, _made(number, name=f"f{number}"), Origin())
    assert _kinds(tmp_path) == [("split", "")]
    set_roles(tmp_path, {"f1": "validation"})
    assert _kinds(tmp_path) == []


def test_problems_are_found(tmp_path):
    add_field(tmp_path, _made(1, name="good"), Origin())
    again = _made(1, name="again")
    brighter = LabelledField(labels=again.labels, name="again", image=again.image // 2 + 60)
    add_field(tmp_path, brighter, Origin())
    coarse = _made(2, name="coarse", shape=(400, 400), radius=60, step=140)
    add_field(tmp_path, coarse, Origin())
    full = _made(3, name="forgotten")
    some = np.where(full.labels % 3 == 0, 0, full.labels)
    add_field(tmp_path, LabelledField(labels=some, name="forgotten", image=full.image), Origin())
    none = LabelledField(labels=np.zeros((9, 9), np.int32), name="none", image=np.eye(9) * 9.0)
    add_field(tmp_path, none, Origin())
    add_field(tmp_path, _made(4, name="part"), Origin(states={1: "accepted"}), only_accepted=True)
    small = Image.fromarray(np.zeros((5, 5), np.uint16))
    Image.fromarray(np.zeros((6, 6), np.uint8)).save(tmp_path / "odd.png")
    small.save(tmp_path / "odd_masks.tif")
    (tmp_path / "broken.tif").write_bytes(b"II*\0broken")
    small.save(tmp_path / "broken_masks.tif")
    assert _kinds(tmp_path) == [
        ("duplicate", "again"),
        ("no grains", "none"),
        ("partly trusted", "part"),
        ("scale", "coarse"),
        ("split", ""),
        ("unlabelled", "forgotten"),
        ("unreadable", "broken"),
        ("unreadable", "odd"),
    ]
    set_roles(tmp_path, {"again": "validation"})
    assert ("leak", "again") in _kinds(tmp_path)


def test_forgotten_grains_are_counted(tmp_path):
    full = _made(7, shape=(300, 300))
    forgotten = [label for label in range(1, full.labels.max() + 1) if label % 5 == 0]
    some = np.where(np.isin(full.labels, forgotten), 0, full.labels)
    add_field(tmp_path, LabelledField(labels=some, name="s", image=full.image), Origin())
    (field,) = read_dataset(tmp_path).fields
    assert count_unlabelled(field.load()) == pytest.approx(len(forgotten), abs=1)


def test_no_false_alarm_without_contrast(tmp_path):
    field = _made(5)
    some = np.where(field.labels % 2 == 0, 0, field.labels)
    image = np.random.default_rng(0).integers(0, 255, some.shape, np.uint8)
    add_field(tmp_path, LabelledField(labels=some, name="n", image=image), Origin())
    assert count_unlabelled(read_dataset(tmp_path).fields[0].load()) == 0


@pytest.mark.parametrize("name", ["powder_Sc1_001_002", "powder_Sc2_001_001"])
def test_no_false_alarm_on_real_fields(name, shared_data):
    field = read_dataset(shared_data / "sem_ampis_powder")[name]
    loaded = field.load()
    assert count_unlabelled(loaded) <= 2
    drop = np.random.default_rng(0).random(loaded.labels.max() + 1) < 0.2
    loaded.labels[drop[loaded.labels]] = 0
    assert count_unlabelled(loaded) > 0.5 * drop.sum()


# --- split


def test_the_split_is_by_whole_fields_of_some_fifth(tmp_path):
    for number in range(6):
        add_field(tmp_path, _made(number, name=f"f{number}"), Origin())
    set_roles(tmp_path, {"f5": "test"})
    roles = propose_split(read_dataset(tmp_path))
    assert roles["f5"] == "test"
    assert sorted(roles.values()) == ["test", "train", "train", "train", "train", "validation"]


def test_the_validation_field_stands_for_the_rest(tmp_path):
    for number, (radius, step, bright) in enumerate(
        [(9, 26, 200), (9, 26, 205), (9, 26, 195), (9, 26, 202), (3, 12, 90)]
    ):
        field = _made(number, name=f"f{number}", radius=radius, step=step, bright=bright)
        add_field(tmp_path, field, Origin())
    assert propose_split(read_dataset(tmp_path))["f4"] == "train"


def test_groups_and_same_places_stay_together(tmp_path):
    for number in range(4):
        group = "specimen 1" if number < 2 else ""
        add_field(tmp_path, _made(number, name=f"f{number}"), Origin(group=group))
    again = _made(3, name="again")
    again = LabelledField(labels=again.labels, name="again", image=again.image // 2 + 60)
    add_field(tmp_path, again, Origin())
    roles = propose_split(read_dataset(tmp_path))
    assert roles["f0"] == roles["f1"]
    assert roles["f3"] == roles["again"]
    assert "validation" in roles.values()


def test_one_field_is_for_training(tmp_path):
    add_field(tmp_path, _plain("a"), Origin())
    assert propose_split(read_dataset(tmp_path)) == {"a": "train"}


def test_very_many_fields_are_split_quickly(tmp_path):
    (tmp_path / "thumbnails").mkdir()
    from grainsmith.io.dataset import Dataset, TrainingField

    fields = []
    for number in range(40):
        made = _made(number)
        Image.fromarray(made.image).save(tmp_path / "thumbnails" / f"f{number}.png")
        fields.append(
            TrainingField(
                folder=tmp_path, name=f"f{number}", image="", labels="", n_grains=10 + number % 3
            )
        )
    roles = propose_split(Dataset(folder=tmp_path, fields=tuple(fields)))
    assert 6 <= list(roles.values()).count("validation") <= 10


def _change_labels(folder, monkeypatch, *, fail_at):
    """Update the field of a set; fail in a function of the module."""
    labels = _TWO_GRAINS.copy()
    labels[labels == 1] = 0
    monkeypatch.setattr(folder_module, fail_at, _fail)
    with pytest.raises(OSError, match="no space"):
        add_field(folder, LabelledField(labels=labels, name="a", image=_IMAGE), Origin())
    monkeypatch.undo()


def _fail(*_args, **_kwargs):
    raise OSError("no space")


_IMAGE = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
_TWO_GRAINS = np.zeros((64, 64), np.int32)
_TWO_GRAINS[4:20, 4:20], _TWO_GRAINS[30:50, 30:50] = 1, 2


@pytest.mark.parametrize(
    ("fail_at", "n_grains"), [("_write_manifest", 2), ("_finish_update", 2), ("_move", 1)]
)
def test_interrupted_update_keeps_files_and_hashes_together(
    tmp_path, monkeypatch, fail_at, n_grains
):
    add_field(tmp_path, LabelledField(labels=_TWO_GRAINS, name="a", image=_IMAGE), Origin())
    try:
        _change_labels(tmp_path, monkeypatch, fail_at=fail_at)
    except WriteError:
        monkeypatch.undo()
    (field,) = read_dataset(tmp_path).fields
    assert field.n_grains == n_grains == len(np.unique(field.load().labels)) - 1
    assert field.sha256[field.labels] == fingerprint(tmp_path / field.labels)
    assert not (tmp_path / ".update").exists()


def test_states_of_many_grains_are_kept_in_one_pass(tmp_path, monkeypatch):
    labels = np.arange(64 * 64, dtype=np.int32).reshape(64, 64)
    calls = []
    unique = np.unique
    monkeypatch.setattr(np, "unique", lambda *args, **how: calls.append(1) or unique(*args, **how))
    origin = Origin(states=dict.fromkeys(range(1, 3000), "accepted"))
    minerals = dict.fromkeys(range(1, 3000), "quartz")
    added = add_field(
        tmp_path, LabelledField(labels=labels, name="a", image=_IMAGE, minerals=minerals), origin
    )
    assert len(added.origins) == len(added.minerals) == 2999
    assert len(calls) < 20


@pytest.mark.parametrize("name", ["../outside", "a/b", "..", "a\\b"])
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    folder = tmp_path / "set"
    add_field(folder, LabelledField(labels=_TWO_GRAINS, name="a", image=_IMAGE), Origin())
    manifest = folder / "dataset.json"
    content = json.loads(manifest.read_text())
    content["fields"][0]["name"] = name
    manifest.write_text(json.dumps(content))
    with pytest.raises(ReadError, match="outside the folder"):
        read_dataset(folder)


def test_dots_inside_file_names_are_accepted(tmp_path):
    add_field(tmp_path, LabelledField(labels=_TWO_GRAINS, name="a", image=_IMAGE), Origin())
    (tmp_path / "a.tif").rename(tmp_path / "a..b.tif")
    manifest = tmp_path / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"a.tif"', '"a..b.tif"'))
    (field,) = read_dataset(tmp_path).fields
    assert field.load().image.shape == (64, 64)


def test_two_writers_lose_no_field(tmp_path):
    def add(number):
        image = _IMAGE + number
        add_field(
            tmp_path, LabelledField(labels=_TWO_GRAINS, name=f"f{number}", image=image), Origin()
        )

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    fields = read_dataset(tmp_path).fields
    assert sorted(field.name for field in fields) == [f"f{number}" for number in range(8)]
    assert all(field.sha256 for field in fields)


def test_one_huge_label_needs_no_huge_memory():
    labels = np.zeros((72, 80), np.int32)
    labels[5:20, 5:20] = 2**31 - 1
    assert folder_module.grain_summary(labels)["n_grains"] == 1
