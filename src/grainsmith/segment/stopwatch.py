"""How long the stages take."""

from __future__ import annotations

import time


class Stopwatch:
    """Adds the time since the last lap to the stage that just ended.

    Attributes
    ----------
    seconds : dict of str to float
        Time of the stages so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
