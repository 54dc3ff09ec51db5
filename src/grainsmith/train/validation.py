"""How good the weights are now: on the validation fields, as a user would see it."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from grainsmith.segment import SegmentSettings
from grainsmith.train.comparison import score_trusted, segmented
from grainsmith.train.dataset import load
from grainsmith.train.rehearsal import rehearsed_fields
from grainsmith.train.trainer import loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.models.model import Model
    from grainsmith.train.dataset import TrainingData
    from grainsmith.train.sampling import Batch, Batches

_KEYS = ("ap50", "ap75", "n_true", "n_pred", "d50_error_pct", "d84_error_pct")


class Cancelled(Exception):  # noqa: N818 - not an error: the user's wish
    """Somebody asked to stop."""


class Validator:
    """Judges networks on the validation fields of a study, and on made fields.

    Parameters
    ----------
    study : TrainingData
    batches : Batches
        Of the study.
    as_model : callable
        Makes a network a Model.
    wants_stop : callable
        Asked often; once it says yes, `Cancelled` is raised.
    """

    def __init__(
        self,
        study: TrainingData,
        batches: Batches,
        as_model: Callable[[torch.nn.Module], Model],
        *,
        wants_stop: Callable[[], bool],
    ) -> None:
        self._study, self._wants_stop = study, wants_stop
        self._as_model = as_model
        self._batches = batches
        self._tiles: list[Batch] = []

    def judge(self, net: torch.nn.Module) -> dict[str, Any]:
        """Return loss, mean AP@0.5 and D50 error, and the scores of every field."""
        self._tiles = self._tiles or self._batches.for_validation()
        model = self._as_model(net)
        settings = SegmentSettings()
        fields = {}
        for one in self._study.validation:
            loaded = load(one)
            labels = segmented(loaded.image, model, settings, self._look_up)
            score = asdict(score_trusted(loaded, labels)[0])
            fields[one.name] = {key: score[key] for key in _KEYS}
        made = []
        for other in rehearsed_fields():
            loaded = other.load()
            labels = segmented(loaded.image, model, settings, self._look_up)
            made.append(score_trusted(loaded, labels)[0].ap50)
        return {
            "loss": self._loss(net),
            "ap50": mean([one["ap50"] for one in fields.values()]),
            "d50_error_pct": mean([abs(one["d50_error_pct"]) for one in fields.values()]),
            "made_ap50": mean(made),
            "fields": fields,
        }

    def _loss(self, net: torch.nn.Module) -> float:
        values = []
        device = next(net.parameters()).device
        for images, wanted in self._tiles:
            self._look_up()
            with torch.inference_mode():
                output, _ = net(images.to(device))
                values.append(float(loss(output.float(), wanted.to(device))))
        return mean(values)

    def _look_up(self, *_: int) -> None:
        if self._wants_stop():
            raise Cancelled


def mean(values: list[float]) -> float:
    """Mean of the numbers among some values; NaN without any."""
    numbers = [value for value in values if value == value]
    return float(np.mean(numbers)) if numbers else float("nan")
