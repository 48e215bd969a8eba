"""Averages of the weights over the run."""

from __future__ import annotations

from eyas.training.progress import Progress


def ema_keep(at: Progress, half_life: float) -> float:
    """How much of the average stays at this step, 0..1, for a half-life given as a share of the run.

    A fixed decay is useless when runs have 500 or 500,000 steps; a share of the run is not. The average warms up: early
    on it follows the weights closely, so that a short run does not end near its random start.
    """
    steps = max(1.0, half_life * at.steps)
    return min(0.5 ** (1 / steps), (1 + at.step) / (10 + at.step))
