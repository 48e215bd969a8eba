"""A time budget as decisions: how many steps there will be is decided when step times are known, and at epoch ends.

Wall-clock time is not reproducible, so each decision is written durably before it is used and replayed on a resume: the
same bits, given the same decisions.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from eyas.training.events import Decided
from eyas.training.progress import Progress

UNKNOWN = 1_000_000_000
"""Stands for the total until it is decided: schedules then stay where they start."""
FIRST_STEPS, FIRST_SECONDS = 8, 1.5
"""The first decision waits for so many steps and seconds; the first three steps are warm-up and not counted."""
WARM = 3


class TimeBudget:
    """Decides `steps` for a run of `seconds`, of which `spent` are gone and `reserve` are kept for the end."""

    def __init__(
        self,
        seconds: float,
        *,
        spent: Callable[[], float],
        reserve: Callable[[], float],
        recorded: Iterable[Mapping[str, Any]],
        write: Callable[[Mapping[str, Any]], None],
    ) -> None:
        self.seconds = seconds
        self.spent = spent
        self.reserve = reserve
        self.write = write
        self.recorded = {int(d["step"]): int(d["value"]) for d in recorded if d["name"] == "steps"}
        self._first = -1
        self._started = 0.0
        self._epoch = -1

    def __call__(self, at: Progress) -> Decided | None:
        """A decision that is due before this step, durable; None mostly."""
        if at.step in self.recorded:
            return Decided(at, "steps", self.recorded[at.step], "as decided before")
        if self.recorded and at.step < max(self.recorded):
            return None  # a replay decides nothing new
        if self._first < 0 or at.step < self._first:
            self._first = at.step
        done = at.step - self._first
        if done < WARM:
            self._started = time.perf_counter()
            self._epoch = int(at.epoch)
            return None
        left = self.seconds - self.spent() - self.reserve()
        if left <= 0:
            return self._decide(at, at.step, "the time is used up")
        stepping = time.perf_counter() - self._started
        fresh_epoch = int(at.epoch) != self._epoch
        known = at.steps != UNKNOWN
        if done < FIRST_STEPS or stepping < FIRST_SECONDS or (known and not fresh_epoch):
            return None
        self._epoch = int(at.epoch)
        step_s = stepping / (done - WARM)  # evaluations and savings in between are in it, as they will be
        return self._decide(
            at, at.step + max(1, int(left / step_s)), f"{step_s * 1e3:.1f} ms a step, {left:.0f} s left"
        )

    def _decide(self, at: Progress, steps: int, reason: str) -> Decided | None:
        if steps == at.steps:
            return None
        self.write({"name": "steps", "step": at.step, "attempt": at.attempt, "value": steps, "reason": reason})
        self.recorded[at.step] = steps
        return Decided(at, "steps", steps, reason)
