"""Schedules: functions `Progress -> factor`, where 1 is the peak rate. All are pure, so a resumed run continues them.

Steps that were attempted count, accepted or not: a skipped update must not shift the schedule.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from eyas.training.progress import Progress

Schedule = Callable[[Progress], float]
"""The factor of the peak learning rate at one point of the run, 0..1."""

ScheduleName = Literal["1cycle", "cosine", "step", "constant"]


def constant() -> Schedule:
    """Always the peak rate.

    >>> constant()(Progress(step=5, steps=10))
    1.0
    """
    return lambda at: 1.0


def cosine(final: float = 0.0) -> Schedule:
    """Half a cosine from 1 to `final` (https://arxiv.org/abs/1608.03983, without restarts)."""
    return lambda at: final + (1 - final) * 0.5 * (1 + math.cos(math.pi * min(1.0, at.done)))


def steps_down(milestones: tuple[float, ...] = (0.5, 0.75), factor: float = 0.1) -> Schedule:
    """The rate times `factor` at each of `milestones`, which are shares of the run.

    >>> [steps_down()(Progress(step=s, steps=100)) for s in (0, 50, 75)]
    [1.0, 0.1, 0.01]
    """
    return lambda at: round(math.prod((factor for m in milestones if at.done >= m), start=1.0), 12)


def one_cycle(peak: float = 0.25, start: float = 0.04, final: float = 1e-3) -> Schedule:
    """Cosine up from `start` to 1 at share `peak` of the run, cosine down to `final`.

    Smith and Topin's super-convergence (https://arxiv.org/abs/1708.07120) with fastai's cosine ends.
    """

    def factor(at: Progress) -> float:
        done = min(1.0, at.done)
        low, share = (start, done / peak) if done < peak else (final, (1 - done) / (1 - peak))
        return low + (1 - low) * 0.5 * (1 - math.cos(math.pi * share))

    return factor


def warm_up(after: Schedule, share: float) -> Schedule:
    """Linear from near 0 to the peak over `share` of the run, then `after`, stretched over what is left."""

    def factor(at: Progress) -> float:
        ramp = share * at.steps
        if at.step < ramp:
            return (at.step + 1) / (ramp + 1)
        rest = max(1, round(at.steps - ramp))
        return after(replace(at, step=min(rest, round(at.step - ramp)), steps=rest))

    return factor


@dataclass(frozen=True)
class ScheduleChoice:
    """Which course the learning rate takes: a value that can be written into a recipe and built from it."""

    name: ScheduleName = "1cycle"
    warmup: float = 0.0
    """Share of the run, 0..1; for `1cycle` the place of the peak (0 = its default, 0.25)."""
    final: float = 1e-3

    def build(self) -> Schedule:
        """The function this value stands for."""
        match self.name:
            case "1cycle":
                return one_cycle(peak=self.warmup or 0.25, final=self.final)
            case "cosine":
                base = cosine(self.final)
            case "step":
                base = steps_down()
            case "constant":
                base = constant()
        return warm_up(base, self.warmup) if self.warmup else base
