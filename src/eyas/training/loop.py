"""The training loop, as a generator of events. Whoever wants to log, plot or stop consumes them.

    with closing(train(...)) as events:
        for event in events:
            observe(event)

A run that was killed and resumed from a checkpoint yields what the uninterrupted run would have yielded, because the
batch of every step, its augmentation, its dropout and its rate are functions of `Progress` alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Protocol

from eyas.errors import TrainingError
from eyas.hardware.replicas import Replicas
from eyas.training.events import Decided, Evaluated, Event, Recovered, Saved, Stepped, Stopped
from eyas.training.guard import ROLLBACKS_ALLOWED, SKIPS_ALLOWED, SPAN, is_spike, keep
from eyas.training.memory import Parts, is_out_of_memory
from eyas.training.progress import Progress, Score
from eyas.training.recipe import Recipe
from eyas.training.state import State
from eyas.training.step import Part, PartStep, update
from eyas.training.stopping import best, better, reason_to_stop


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
    parts: Parts = field(default_factory=lambda: Parts(1, recorded=(), write=lambda told: None))
    """How many parts a step has."""
    go_back: Callable[[State, int], Progress | None] = lambda state, step: None
    """Puts the newest checkpoint of at most this step into the state; where it was, or None when there is none."""
    name: Callable[[int, int], str] = lambda position, size: "-"
    """The first samples of a batch, for people."""


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

    An update whose loss or gradient is not finite, or whose loss is a spike, is skipped. After ten of those in a
    hundred steps training goes back to the last checkpoint from before them, and on past their data, as a new attempt;
    TrainingError EY-T001 when that did not help three times.
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

        def apply_update(state: State, loss: float, lr: float = lr, at: Progress = at) -> bool:
            return not is_spike(loss, state.losses) and update(state, recipe, lr, at)

        replicas.parts = hooks.parts.now(at)
        try:
            outcome = replicas.apply(
                part_step,
                state,
                feed(at.position, at.batch_size),
                size=at.batch_size,
                step=at.step,
                update=apply_update,
                stop=lambda: hooks.stop() is not None,
            )
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            yield from _in_more_parts(state, at, replicas, hooks.parts, error)
            continue
        if outcome is None:  # asked to leave: the half-done step is dropped, the state is the last step's
            reason = hooks.stop() or "asked"
            break
        at = replace(at, step=at.step + 1, position=at.position + at.batch_size)
        _account(state, at, outcome.loss, accepted=outcome.accepted)
        yield Stepped(at, outcome.loss, lr, outcome.accepted)
        if not outcome.accepted:
            finite = math.isfinite(outcome.loss)
            what = "spike" if finite and is_spike(outcome.loss, state.losses) else "not-finite"
            yield Recovered(at, what, f"loss {outcome.loss:.6g}: the update of this step was skipped")
            if len(state.skipped) >= SKIPS_ALLOWED:
                at = _go_back(state, at, hooks)
                yield Recovered(at, "rolled-back", f"to step {at.step}; on from sample {at.position:,}")
                yield from hooks.save(state, at, False)
                continue

        last = at.step == at.steps
        top = False
        if last or _crosses(at, recipe.eval_every):
            at, events = _evaluate(hooks.evaluate, state, at, lr, last=last)
            top = any(e.best for e in events)
            yield from events
        calm = len(state.skipped) < SKIPS_ALLOWED // 3  # else what would be kept may be what one has to go back from
        if last or top or (calm and (at.ends_epoch() or hooks.due(at))):
            yield from hooks.save(state, at, top)
        if not last and (found := reason_to_stop(at, recipe.stopping)):
            reason = found
            break
    yield from hooks.save(state, at, False)
    yield Stopped(at, reason)


def _account(state: State, at: Progress, loss: float, *, accepted: bool) -> None:
    state.skipped = [s for s in state.skipped if s > at.step - SPAN]
    if accepted:
        state.loss_sum += loss
        state.loss_steps += 1
        keep(state.losses, loss)
    else:
        state.skipped.append(at.step)


def _in_more_parts(
    state: State, at: Progress, replicas: Replicas, parts: Parts, error: BaseException
) -> Generator[Event]:
    """Twice as many parts from this step on. Raises TrainingError EY-T002 when they are as small as can be."""
    first = str(error).splitlines()[0] if str(error) else type(error).__name__
    error.__traceback__ = None  # its frames hold the tensors that did not fit
    replicas.undo(state)
    decided = parts.double(at)
    if decided is None:
        raise TrainingError("EY-T002", step=at.step, parts=parts.now(at), batch=at.batch_size, reason=first)
    yield decided
    yield Recovered(at, "out-of-memory", f"{first}; the step is done again in {decided.value} parts")


def _go_back(state: State, at: Progress, hooks: Hooks) -> Progress:
    """The state as it was before the first skipped update, and where to go on: past the data of the last."""
    skipped, before = len(state.skipped), min(state.skipped) - 1
    found = hooks.go_back(state, before) if at.attempt < ROLLBACKS_ALLOWED else None
    if found is None:
        samples = hooks.name(at.position - at.batch_size, at.batch_size)
        raise TrainingError("EY-T001", skipped=skipped, step=at.step, rollbacks=at.attempt, samples=samples)
    state.skipped = []
    return replace(found, attempt=at.attempt + 1, position=at.position, steps=at.steps)


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
