"""What is not trusted changes nothing: garbage planted there leaves the loss as it is."""

import numpy as np
import torch

from grainsmith.io.dataset import Origin, add_field, polygons_to_mask, read_dataset
from grainsmith.io.exchange import LabelledField
from grainsmith.segment.normalize import MARGIN_PX
from grainsmith.train import Tile, loss, training_targets


def _labels():
    labels = np.zeros((64, 64), np.int32)
    labels[8:24, 8:24], labels[8:24, 24:40], labels[44:60, 44:60] = 1, 2, 3
    return labels


def _loss(folder, labels, output, **trust):
    image = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64)
    field = LabelledField(labels=labels, name="f", image=image)
    add_field(folder, field, Origin(states={1: "accepted", 2: "accepted"}), **trust)
    planes = read_dataset(folder).fields[0].load()
    tile = Tile.from_field(planes.image.astype(np.float32), planes.labels, planes.weight)
    return float(loss(output, torch.from_numpy(training_targets(tile))[None]))


def test_garbage_outside_what_is_trusted_changes_no_loss(tmp_path):
    torch.manual_seed(0)
    output = torch.randn(1, 3, *[64 + 2 * MARGIN_PX] * 2)
    garbage = _labels()
    garbage[44:64, 0:64] = 9
    garbage[30:40, 0:64:2] = 77
    region = polygons_to_mask((64, 64), [[(0, 0), (0, 63), (27, 63), (27, 0)]])
    for name, trust in {"accepted": {"only_accepted": True}, "region": {"region": region}}.items():
        clean = _loss(tmp_path / name, _labels(), output, **trust)
        assert _loss(tmp_path / name, garbage, output, **trust) == clean
    assert _loss(tmp_path / "all", garbage, output) != _loss(tmp_path / "all", _labels(), output)
