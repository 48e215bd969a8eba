"""Where a training run is: one small frozen value that schedules and stop rules are functions of."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Score:
    """What one evaluation found: on `n` images, with the weights that were judged."""

    step: int
    split: str
    weights: str
    """`raw` or `ema`."""
    n: int
    correct: int
    loss: float
    attempt: int = 0
    """The attempt that the step belongs to: after going back there may be two steps of one number."""

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0..1."""
        return self.correct / self.n if self.n else 0.0


@dataclass(frozen=True)
class Progress:
    """Step, position and scores so far; everything that decides is a function of this.

    `position` counts samples seen, `step` optimiser steps that were attempted; they part when a bad window of data is
    passed over. `steps` is the planned total (it may be a decision, with `--time`). `attempt` counts roll-backs.
    """

    step: int = 0
    steps: int = 1
    position: int = 0
    attempt: int = 0
    epoch_size: int = 1
    """Training samples in one epoch."""
    batch_size: int = 1
    stage: str = "full"
    scores: tuple[Score, ...] = ()

    @property
    def epoch(self) -> float:
        """Epochs done, fractional."""
        return self.position / self.epoch_size

    @property
    def done(self) -> float:
        """Share of the planned steps that is done, 0..1."""
        return self.step / self.steps

    def ends_epoch(self) -> bool:
        """True at the first step whose end position reaches a whole number of epochs."""
        before = self.position - self.batch_size
        return self.position // self.epoch_size > before // self.epoch_size
