"""Twenty errors in a real field, mended through the public actions; every click and key counts."""

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from skimage.draw import disk
from skimage.measure import regionprops
from skimage.morphology import dilation

from grainsmith.io.images.reader import read_image
from grainsmith.io.labels.label_image import read_labels
from grainsmith.score import score_labels
from grainsmith.ui.editing.editor import Editor
from grainsmith.ui.session import session_of

N = 5


class User:
    """Clicks, presses and turns the wheel, and counts."""

    def __init__(self, editor):
        self.editor, self.acts = editor, 0

    def press(self, action, *args):
        self.acts += 1
        getattr(self.editor, action)(*args)

    def click(self, point, *, additive=False):
        self.acts += 1
        self.editor.on_click(point, additive=additive)

    def drag(self, points):
        self.acts += 1
        self.editor.on_stroke(points, done=False)
        self.editor.on_stroke(points, done=True)

    def turn(self, notches):
        self.acts += 1
        self.editor.on_wheel(notches)


def touching_pairs(labels):
    """Pairs of grains with a long common border, and the ends of that border."""
    found = {}
    for dy, dx in ((0, 1), (1, 0)):
        one = labels[: labels.shape[0] - dy, : labels.shape[1] - dx]
        other = labels[dy:, dx:]
        for y, x in zip(*np.nonzero((one != other) & (one > 0) & (other > 0)), strict=True):
            found.setdefault(tuple(sorted((one[y, x], other[y, x]))), []).append((y, x))
    return {pair: np.array(spots) for pair, spots in found.items() if len(spots) >= 12}


def plant(truth, rng):
    """Return labels with 4 x 5 errors, and where they are."""
    labels, used = truth.copy(), set()
    props = {p.label: p for p in regionprops(truth)}
    merged, split, missed, false = [], [], [], []
    for (a, b), spots in touching_pairs(truth).items():
        if len(merged) < N and not {a, b} & used:
            labels[labels == b] = a
            merged.append(spots)
            used |= {a, b}
    inner = [
        n
        for n, p in props.items()
        if p.area > 600
        and 0 not in p.bbox
        and p.bbox[2] < truth.shape[0]
        and p.bbox[3] < truth.shape[1]
        and p.solidity > 0.93
        and n not in used
    ]
    for n in rng.permutation(inner)[: 2 * N].tolist():
        y, x = props[n].centroid
        if len(split) < N:
            half = (labels == n) & (np.indices(truth.shape)[1] > x)
            labels[half] = labels.max() + 1
            split.append([(y, x - 6), (y, x + 6)])
        else:
            labels[labels == n] = 0
            missed.append((n, (y, x)))
    bare = dilation(labels, disk_of(9)) == 0
    for spot in rng.permutation(np.argwhere(bare)):
        if len(false) < N and all(np.hypot(*(spot - other)) > 40 for other in false):
            labels[disk(spot, 6, shape=truth.shape)] = labels.max() + 1
            false.append(spot)
    return labels, merged, split, missed, false


def disk_of(radius):
    footprint = np.zeros((2 * radius + 1, 2 * radius + 1), bool)
    footprint[disk((radius, radius), radius + 0.5)] = True
    return footprint


def iou(found, wanted):
    return np.count_nonzero(found & wanted) / np.count_nonzero(found | wanted)


def test_twenty_errors_take_forty_clicks_and_keys_at_most(shared_data):
    folder = shared_data / "sem_ampis_powder"
    picture = read_image(folder / "powder_Sc1_001_001_image.png").cropped
    truth = read_labels(folder / "powder_Sc1_001_001_masks.tif")[: picture.shape[0]]
    labels, merged, split, missed, false = plant(truth, np.random.default_rng(4))
    assert [len(kind) for kind in (merged, split, missed, false)] == [N] * 4
    assert score_labels(truth, labels).ap50 < 0.95
    model = ViewerModel()
    model.add_image(picture)
    model.add_labels(labels)
    editor = session_of(model).part(Editor)
    user = User(editor)

    user.press("set_mode", "cut")
    for spots in merged:
        middle = spots.mean(axis=0)
        _, _, axes = np.linalg.svd(spots - middle)
        along = (spots - middle) @ axes[0]
        user.drag([tuple(middle + axes[0] * end) for end in (along.min() - 2, along.max() + 2)])
    user.press("set_mode", "join")
    for line in split:
        user.drag(line)
    user.press("set_mode", "insert")
    for number, spot in missed:
        user.click(spot)
        wanted = truth == number
        if iou(np.isin(editor.layer.data, editor.selected), wanted) < 0.75:
            user.turn(3)
    user.press("set_mode", "choose")
    for spot in false:
        user.click(tuple(spot), additive=spot is not false[0])
    user.press("delete")

    result = score_labels(truth, editor.layer.data)
    assert (result.n_pred, result.ap50, result.ap75) == (result.n_true, 1.0, 1.0)
    assert result.mean_iou > 0.99
    assert user.acts <= 40
    editor.history.go_to(0)
    np.testing.assert_array_equal(editor.layer.data, labels)
