"""Steps and time of a tuning run."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

_VALIDATIONS, _FEWEST_VALIDATIONS = 8, 2
_VALIDATION_TIME_SHARE = 0.2
"""Share of the time limit for validations; where each takes long, there are fewer."""
_FIRST_ESTIMATE = 20
ESTIMATE_AFTER = (_FIRST_ESTIMATE, 40, 80)
"""Steps after which the time per step is measured again. The first steps are slower, as synthetic
fields are still being generated."""


@dataclass(slots=True, kw_only=True)
class Budget:
    """Time limit of a run and how many steps and validations fit into it.

    Attributes
    ----------
    limit_s : float
        Time limit in seconds; 0 = none.
    requested_steps : int
        Steps if time allows.
    few_validations : bool
        Validate as rarely as possible, as the scores decide nothing.
    used_s : float
        Time used by earlier sessions of a resumed run.
    validation_s : float
        Duration of the last validation.
    """

    limit_s: float
    requested_steps: int
    few_validations: bool = False
    used_s: float = 0.0
    validation_s: float = 0.0
    _started: float = field(init=False)

    def __post_init__(self) -> None:
        self._started = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Time used, earlier sessions included."""
        return self.used_s + time.monotonic() - self._started

    @property
    def remaining_s(self) -> float:
        """Time that is left; infinite without a limit."""
        return self.limit_s - self.elapsed_s if self.limit_s else math.inf

    @property
    def n_validations(self) -> int:
        """Number of validations after the one at the start."""
        if self.few_validations:
            return _FEWEST_VALIDATIONS
        available_s = _VALIDATION_TIME_SHARE * self.limit_s
        if not self.limit_s or self.validation_s * _VALIDATIONS <= available_s:
            return _VALIDATIONS
        return max(_FEWEST_VALIDATIONS, int(available_s / self.validation_s))

    def validates_at(self, step: int, steps: int) -> bool:
        """Return whether a step is followed by a validation."""
        return step % -(-steps // self.n_validations) == 0

    def fitting_steps(self, step: int, step_s: float) -> int:
        """Return the total number of steps that fit into the time at `step_s` seconds per step."""
        available_s = self.remaining_s - self.n_validations * self.validation_s
        if math.isinf(available_s):
            return self.requested_steps
        fitting = max(step + int(available_s / step_s), 2 * _FIRST_ESTIMATE)
        return min(self.requested_steps, fitting)
