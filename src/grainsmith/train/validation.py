"""Scores of a network on validation fields, segmented as a user would."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from grainsmith.segment import SegmentSettings
from grainsmith.train.comparison import score_trusted, segment_labels
from grainsmith.train.dataset import load_field
from grainsmith.train.rehearsal import held_out_synthetic_fields
from grainsmith.train.trainer import loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from grainsmith.models.model import Model
    from grainsmith.train.dataset import TrainingData
    from grainsmith.train.sampling import Batch, BatchSampler

_KEYS = ("ap50", "ap75", "n_true", "n_pred", "d50_error_pct", "d84_error_pct")


class StopRequested(Exception):  # noqa: N818 - not an error: the user's request
    """The user asked the run to stop."""


class Validator:
    """Evaluator of networks on the validation fields and on synthetic fields.

    Parameters
    ----------
    data : TrainingData
    sampler : BatchSampler
        Sampler of `data`.
    as_model : callable
        Wraps a network as a Model.
    stop_requested : callable
        Polled between tiles; `StopRequested` is raised as soon as it returns True.
    """

    def __init__(
        self,
        data: TrainingData,
        sampler: BatchSampler,
        as_model: Callable[[torch.nn.Module], Model],
        *,
        stop_requested: Callable[[], bool],
    ) -> None:
        self._data, self._sampler = data, sampler
        self._as_model, self._stop_requested = as_model, stop_requested
        self._batches: list[Batch] = []

    def validate(self, net: torch.nn.Module) -> dict[str, Any]:
        """Return loss, mean AP@0.5 and D50 error, and the scores of every field.

        The key `made_ap50` holds the mean AP@0.5 on synthetic fields.
        """
        self._batches = self._batches or self._sampler.validation_batches()
        model = self._as_model(net)
        settings = SegmentSettings()
        fields = {}
        for field in self._data.validation:
            loaded = load_field(field)
            labels = segment_labels(loaded.image, model, settings, self._check_stop)
            score = asdict(score_trusted(loaded, labels)[0])
            fields[field.name] = {key: score[key] for key in _KEYS}
        synthetic_ap50 = []
        for synthetic in held_out_synthetic_fields():
            loaded = synthetic.load()
            labels = segment_labels(loaded.image, model, settings, self._check_stop)
            synthetic_ap50.append(score_trusted(loaded, labels)[0].ap50)
        return {
            "loss": self._loss(net),
            "ap50": mean([scores["ap50"] for scores in fields.values()]),
            "d50_error_pct": mean([abs(scores["d50_error_pct"]) for scores in fields.values()]),
            "made_ap50": mean(synthetic_ap50),
            "fields": fields,
        }

    def _loss(self, net: torch.nn.Module) -> float:
        values = []
        device = next(net.parameters()).device
        for images, wanted in self._batches:
            self._check_stop()
            with torch.inference_mode():
                output, _ = net(images.to(device))
                values.append(float(loss(output.float(), wanted.to(device))))
        return mean(values)

    def _check_stop(self, *_: int) -> None:
        if self._stop_requested():
            raise StopRequested


def mean(values: list[float]) -> float:
    """Return the mean of the values that are numbers; NaN if none is."""
    numbers = [value for value in values if value == value]
    return float(np.mean(numbers)) if numbers else float("nan")
