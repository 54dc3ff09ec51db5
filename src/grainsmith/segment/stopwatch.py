"""Timing of the stages of a segmentation."""

from __future__ import annotations

import time


class Stopwatch:
    """Accumulate the wall time of named stages.

    Attributes
    ----------
    seconds : dict of str to float
        Time of each stage so far.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Add the time since the last lap to a stage."""
        now = time.perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
