"""The training loop, as a generator of events. Whoever wants to log, plot or stop consumes them.

    with closing(train(...)) as events:
        for event in events:
            observe(event)

A run that was killed and resumed from a checkpoint yields what the uninterrupted run would have yielded, because the
batch of every step, its augmentation, its dropout and its rate are functions of `Progress` alone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Protocol

from eyas.errors import TrainingError
from eyas.hardware.replicas import Replicas
from eyas.training.events import Decided, Evaluated, Event, Recovered, Saved, Stepped, Stopped
from eyas.training.progress import Progress, Score
from eyas.training.recipe import Recipe
from eyas.training.state import State
from eyas.training.step import Part, PartStep, update
from eyas.training.stopping import best, better, reason_to_stop

SKIPS_ALLOWED = 10
"""Skipped updates in a hundred steps, after which the run has diverged."""


class Feed(Protocol):
    """Gives the parts of any batch: `feed(position, size)(a, b)` are its rows a..b on the device."""

    def __call__(self, position: int, size: int) -> Callable[[int, int], Part]:
        """The parts of one batch."""
        ...


@dataclass(frozen=True)
class Hooks:
    """What the loop asks for but does not know how to do; flows hand it in."""

    evaluate: Callable[[State, Progress, str], Score] | None
    """Scores val with the `raw` weights or the `ema`; None when there is no val: epochs then end without a score."""
    save: Callable[[State, Progress, bool], Iterator[Saved]]
    """Begins a save of this point (True: it is the best so far); yields the saves that became durable since."""
    due: Callable[[Progress], bool]
    """Whether it is time to save."""
    decide: Callable[[Progress], Decided | None]
    """A decision that is due before this step, made durable before it is given."""
    stop: Callable[[], str | None]
    """The reason to leave now (`sigterm`, `sigint`, `asked`), asked after every part."""


def start(recipe: Recipe, epoch_size: int, *, steps: int | None = None) -> Progress:
    """Progress before the first step. With a time budget the total is not known yet: `steps` stands in for it."""
    size = recipe.batch_size
    total = steps if recipe.epochs is None else max(1, -(-round(recipe.epochs * epoch_size) // size))
    assert total is not None
    return Progress(steps=total, epoch_size=epoch_size, batch_size=size)


def train(
    state: State, at: Progress, recipe: Recipe, *, replicas: Replicas, part_step: PartStep, feed: Feed, hooks: Hooks
) -> Generator[Event]:
    """Train from `at` to the last step, yielding each event as it happens; the last one is `Stopped`.

    Raises TrainingError EY-T001 when too many updates had to be skipped because loss or gradient were not finite.
    """
    factor = recipe.schedule.build()
    reason = "finished"
    if at.step == 0:
        yield from hooks.save(state, at, False)
    while at.step < at.steps:
        if decided := hooks.decide(at):
            if decided.name == "steps":
                at = replace(at, steps=max(at.step, int(decided.value)))
            yield decided
            if at.step >= at.steps:
                reason = "time"
                break
        lr = recipe.optimizer.lr * factor(at)

        def apply_update(state: State, lr: float = lr, at: Progress = at) -> bool:
            return update(state, recipe, lr, at)

        outcome = replicas.apply(
            part_step,
            state,
            feed(at.position, at.batch_size),
            size=at.batch_size,
            step=at.step,
            update=apply_update,
            stop=lambda: hooks.stop() is not None,
        )
        if outcome is None:  # asked to leave: the half-done step is dropped, the state is the last step's
            reason = hooks.stop() or "asked"
            break
        at = replace(at, step=at.step + 1, position=at.position + at.batch_size)
        _account(state, at, outcome.loss, accepted=outcome.accepted)
        yield Stepped(at, outcome.loss, lr, outcome.accepted)
        if not outcome.accepted:
            yield Recovered(at, "not-finite", f"loss {outcome.loss}: the update of this step was skipped")
            _give_up_if_diverged(state, at)

        last = at.step == at.steps
        top = False
        if last or _crosses(at, recipe.eval_every):
            at, events = _evaluate(hooks.evaluate, state, at, lr, last=last)
            top = any(e.best for e in events)
            yield from events
        if last or top or at.ends_epoch() or hooks.due(at):
            yield from hooks.save(state, at, top)
        if not last and (found := reason_to_stop(at, recipe.stopping)):
            reason = found
            break
    yield from hooks.save(state, at, False)
    yield Stopped(at, reason)


def _account(state: State, at: Progress, loss: float, *, accepted: bool) -> None:
    if accepted:
        state.loss_sum += loss
        state.loss_steps += 1
    else:
        state.skipped = [s for s in state.skipped if s > at.step - 100] + [at.step]


def _give_up_if_diverged(state: State, at: Progress) -> None:
    recent = [s for s in state.skipped if s > at.step - 100]
    if len(recent) >= SKIPS_ALLOWED:
        raise TrainingError("EY-T001", skipped=len(recent), step=at.step)


def _crosses(at: Progress, every: float) -> bool:
    """True at the first step that reaches another multiple of `every` epochs."""
    span = every * at.epoch_size
    return at.position // span > (at.position - at.batch_size) // span


def _evaluate(
    evaluate: Callable[[State, Progress, str], Score] | None, state: State, at: Progress, lr: float, *, last: bool
) -> tuple[Progress, list[Evaluated]]:
    """Score the average when there is one, else the weights; at the very end the weights too."""
    train_loss = state.loss_sum / state.loss_steps if state.loss_steps else float("nan")
    state.loss_sum, state.loss_steps = 0.0, 0
    if evaluate is None:
        nothing = Score(at.step, "none", "raw", 0, 0, float("nan"))
        return at, [Evaluated(at, nothing, train_loss, lr, best=False)]
    judged = ["raw"] if state.average is None else ["ema", "raw"] if last else ["ema"]
    events: list[Evaluated] = []
    for weights in judged:
        score = evaluate(state, at, weights)
        is_best = better(score, best(at.scores))
        at = replace(at, scores=(*at.scores, score))
        events.append(Evaluated(at, score, train_loss, lr, is_best))
    return at, events
