"""Scores of a network on validation images, set by set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from embedded_sets import LabeledImage, read_pair, scale_diameter_px

from grainsmith.io.dataset import LoadedField
from grainsmith.models.grainnet_model import GrainNetModel
from grainsmith.segment import SegmentSettings
from grainsmith.segment.prediction import MAX_SCALE
from grainsmith.train.comparison import score_trusted, segment_labels
from grainsmith.train.validation import mean

if TYPE_CHECKING:
    from grainsmith.models.grainnet import GrainNet

_PER_SET = 8
_SIDE_PX = 512
"""Side of the piece from the middle of an image that is scored, on the network's grid."""


class Validation:
    """Pieces of validation images, segmented at the true scale.

    The scale is given so that a set's curve shows the network, not the size estimate;
    `benchmarks/accuracy.py` scores whole images without any setting.

    Parameters
    ----------
    members : list of LabeledImage
        Up to eight of each set are used.
    """

    def __init__(self, members: list[LabeledImage]) -> None:
        self._groups = images_by_set(members)

    def score(self, net: GrainNet, *, device: str) -> list[dict[str, Any]]:
        """Return one row of mean scores per set."""
        model = GrainNetModel("validation", net.eval(), fingerprint="", device=device)
        rows = []
        for name, members in self._groups.items():
            scores = [_score(member, model) for member in members]
            row: dict[str, Any] = {"set": name, "images": len(scores)}
            row["ap50"] = round(mean([one.ap50 for one in scores]), 4)
            row["ap75"] = round(mean([one.ap75 for one in scores]), 4)
            row["abs_d50_error_pct"] = round(mean([abs(one.d50_error_pct) for one in scores]), 2)
            rows.append(row)
        return rows


def images_by_set(
    members: list[LabeledImage], per_set: int = _PER_SET
) -> dict[str, list[LabeledImage]]:
    """Return up to `per_set` images of each set, evenly spread, as neighbours are of one series."""
    groups: dict[str, list[LabeledImage]] = {}
    for member in members:
        groups.setdefault(member.set_name, []).append(member)
    return {
        name: [group[k] for k in np.linspace(0, len(group) - 1, per_set).astype(int)]
        if len(group) > per_set
        else group
        for name, group in groups.items()
    }


def _score(member: LabeledImage, model: GrainNetModel) -> Any:
    image, labels, weight = read_pair(member)
    diameter = scale_diameter_px(labels)
    side = int(_SIDE_PX / min(MAX_SCALE, model.diameter_px / diameter))
    top, left = (max(0, (n - side) // 2) for n in labels.shape)
    cut = np.s_[top : top + side, left : left + side]
    loaded = LoadedField(image[cut], np.ascontiguousarray(labels[cut]), weight[cut])
    found = segment_labels(loaded.image, model, SegmentSettings(diameter_px=diameter))
    return score_trusted(loaded, found)[0]
