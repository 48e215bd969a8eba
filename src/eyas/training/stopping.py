"""Stop rules: pure functions of Progress, true when the run should end now."""

from __future__ import annotations

from collections.abc import Callable

from eyas.training.progress import Progress, Score
from eyas.training.recipe import Stopping

StopRule = Callable[[Progress], bool]


def better(a: Score, b: Score | None) -> bool:
    """True when `a` is a better score than `b`: more right answers, ties by the smaller loss, then the later."""
    return b is None or (a.correct * b.n, -a.loss) >= (b.correct * a.n, -b.loss)


def best(scores: tuple[Score, ...]) -> Score | None:
    """The best score of those on val; the later of equals."""
    found: Score | None = None
    for score in scores:
        if score.split == "val" and better(score, found):
            found = score
    return found


def reached(until: float) -> StopRule:
    """Stop when the newest score on val is at least `until` (0..1)."""
    return lambda at: bool(at.scores) and at.scores[-1].split == "val" and at.scores[-1].accuracy >= until


def out_of_patience(patience: int) -> StopRule:
    """Stop when the last `patience` evaluations on val brought no better score."""

    def rule(at: Progress) -> bool:
        val = tuple(s for s in at.scores if s.split == "val")
        top = best(val)
        return top is not None and len(val) - 1 - val.index(top) >= patience

    return rule


def reason_to_stop(at: Progress, stopping: Stopping) -> str | None:
    """`until`, `patience` or None."""
    if stopping.until is not None and reached(stopping.until)(at):
        return "until"
    if stopping.patience is not None and out_of_patience(stopping.patience)(at):
        return "patience"
    return None
