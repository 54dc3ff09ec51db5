"""Weights and state that a tuning run keeps: the best weights, and everything needed to resume."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from grainsmith.train.run_folder import RunFolder
    from grainsmith.train.trainer import Trainer


@dataclass(slots=True, kw_only=True)
class BestScore:
    """Scores of a run and the step whose weights are kept.

    Attributes
    ----------
    value, loss : float
        Score and loss of the best validation so far, or of the start.
    step : int
        Step of the weights that are kept; 0 before the first.
    validations_without_gain : int
        Validations since the best one.
    before, after : float
        AP@0.5 of the start and of the weights that are kept; NaN if unknown.
    """

    value: float = -1.0
    loss: float = math.inf
    step: int = 0
    validations_without_gain: int = 0
    before: float = math.nan
    after: float = math.nan

    def is_exceeded_by(self, value: float, loss: float) -> bool:
        """Return whether a score is better; of equal scores the lower loss is.

        With few grains, many networks reach the same score.
        """
        return value > self.value or (value == self.value and loss < self.loss)


class Checkpoints:
    """Files of a run folder that hold weights.

    Parameters
    ----------
    run : RunFolder
    """

    def __init__(self, run: RunFolder) -> None:
        self._run = run

    def save_best(self, net: torch.nn.Module) -> None:
        """Keep the weights of a network as the best."""
        self._run.save("best.pt", net.state_dict())

    def load_best(self) -> dict[str, torch.Tensor]:
        """Return the best weights."""
        weights: dict[str, torch.Tensor] = self._run.load("best.pt")
        return weights

    def save_state(
        self, trainer: Trainer, best: BestScore, *, elapsed_s: float, validation_s: float
    ) -> None:
        """Save everything that `load_state` restores."""
        state = {
            "trainer": trainer.state(),
            "steps": trainer.settings.steps,
            "best_score": asdict(best),
            "used_s": elapsed_s,
            "validation_s": validation_s,
        }
        self._run.save("state.pt", state)

    def load_state(self) -> dict[str, Any]:
        """Return the saved state; states of earlier versions are converted.

        Raises
        ------
        ModelError
            The state is missing or damaged.
        """
        state: dict[str, Any] = self._run.load("state.pt")
        if "standing" in state:
            standing = state.pop("standing")
            state["validation_s"] = standing.get("validation_s", 0.0)
            state["best_score"] = {
                "value": standing["best"],
                "loss": standing["best_loss"],
                "step": standing["best_step"],
                "validations_without_gain": standing["no_gain"],
                "before": standing.get("before", math.nan),
                "after": standing.get("after", math.nan),
            }
        return state

    def discard_state(self) -> None:
        """Remove the state of a run that is over."""
        (self._run.path / "state.pt").unlink(missing_ok=True)
