"""Properties of the loop without a command line: resumed = uninterrupted, decisions replayed, divergence stopped."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from eyas.data.augment import Augment
from eyas.data.order import Shuffled
from eyas.data.pack import Pack
from eyas.data.stream import Stream
from eyas.errors import TrainingError
from eyas.hardware.replicas import One
from eyas.models import catalog
from eyas.training.budget import UNKNOWN, TimeBudget
from eyas.training.events import Decided, Evaluated, Saved, Stepped, Stopped
from eyas.training.feed import StreamFeed
from eyas.training.loop import Hooks, start, train
from eyas.training.memory import Parts
from eyas.training.optimizer import Optimizer
from eyas.training.progress import Progress, Score
from eyas.training.recipe import OptimizerChoice, Recipe, Stopping
from eyas.training.state import State, twin
from eyas.training.step import supervised

CPU = torch.device("cpu")
N = 70


def recipe(**changes):
    base = Recipe(
        "small-net", epochs=3, batch_size=16, ema=0.1, smoothing=0.1, clip_norm=2.0,
        augment=Augment(flip="random", pad_crop=2, mixup=0.3, erase=0.3),
    )  # fmt: skip
    return replace(base, **changes)


def stream(told):
    g = np.random.default_rng(0)
    images = g.integers(0, 256, (N, 24, 24, 3), dtype=np.uint8)
    labels = g.integers(0, 3, N).astype(np.int32)
    return Stream(Pack.in_memory(images), np.arange(N), labels, Shuffled(N, told.seed), told.augment, told.seed, 24, 24)


def new_state(told):
    inputs = catalog.Inputs(3, 24, 24, 3, [0.5] * 3, [0.25] * 3)
    model = catalog.build(catalog.find("small-net"), inputs, arguments={"width": 8}, seed=told.seed)
    return State(model, Optimizer(told.optimizer, model), twin(model) if told.ema else None)


class Keeper:
    """Keeps a copy of everything at every save, as a checkpoint would."""

    def __init__(self):
        self.kept = {}

    def save(self, state, at, best):
        tensors = {f: {n: t.detach().clone() for n, t in named.items()} for f, named in state.tensors().items()}
        self.kept[at.step] = (tensors, state.small(), at)
        yield Saved(at, "memory", 0, 0.0)


def run(told, state, at, *, keeper=None, threads=0, parts=2, decide=lambda at: None, evaluate=None, stop=lambda: None):
    keeper = keeper or Keeper()
    fixed = Parts(parts, recorded=(), write=lambda told: None)
    hooks = Hooks(evaluate, keeper.save, lambda at: at.step % 3 == 0, decide, stop, fixed)
    feed = StreamFeed(stream(told), device=CPU, threads=threads)
    replicas = One(parts=parts, seed=told.seed, device=CPU)
    events = list(
        train(state, at, told, replicas=replicas, part_step=supervised(told, autocast=None), feed=feed, hooks=hooks)
    )
    feed.close()
    return events


def score(state, at, weights):
    """A stand-in for val that depends on the weights, so that a wrong resume shows in the scores."""
    model = state.average if weights == "ema" else state.model
    total = sum(float(p.detach().double().sum()) for p in model.parameters())
    return Score(at.step, "val", weights, 1000, int(abs(total) * 1e3) % 1000, abs(total))


def facts(events):
    return [
        (e.at.step, e.loss, e.lr) if isinstance(e, Stepped) else (e.at.step, e.score, e.train_loss)
        for e in events
        if isinstance(e, Stepped | Evaluated)
    ]


def tensors_of(state):
    return {f"{f}/{n}": t for f, named in state.tensors().items() for n, t in named.items()}


@pytest.mark.parametrize("optimizer", [OptimizerChoice("sgd", lr=0.05), OptimizerChoice("adamw", lr=1e-3)])
def test_resumed_anywhere_is_uninterrupted(optimizer):
    told = recipe(optimizer=optimizer)
    keeper, whole = Keeper(), new_state(told)
    events = run(told, whole, start(told, N), keeper=keeper, evaluate=score)
    assert len(keeper.kept) > 3
    for step, (tensors, small, at) in keeper.kept.items():
        resumed = new_state(told)
        resumed.load(tensors)
        resumed.load_small(small)
        rest = run(told, resumed, at, evaluate=score)
        assert facts(rest) == [f for f in facts(events) if f[0] > step]
        a, b = tensors_of(whole), tensors_of(resumed)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_batches_made_ahead_are_the_batches_made_inline():
    told = recipe()
    inline = facts(run(told, new_state(told), start(told, N), threads=0, evaluate=score))
    assert facts(run(told, new_state(told), start(told, N), threads=2, evaluate=score)) == inline


def test_an_epoch_ends_where_its_last_sample_is_seen():
    told = recipe(epochs=2, eval_every=1.0)
    events = run(told, new_state(told), start(told, N), evaluate=score)
    at = [e.at.step for e in events if isinstance(e, Evaluated) and e.score.weights == "ema"]
    assert at == [math.ceil(N / 16), math.ceil(2 * N / 16)]


def test_a_signal_ends_the_run_with_a_saved_state_of_whole_steps():
    told = recipe()
    state, keeper, asked = new_state(told), Keeper(), []

    def stop():
        asked.append(1)
        return "sigterm" if len(asked) > 9 else None

    events = run(told, state, start(told, N), keeper=keeper, stop=stop)
    last = events[-1]
    assert isinstance(last, Stopped)
    assert last.reason == "sigterm"
    saved, _, at = keeper.kept[last.at.step]
    assert at.step == last.at.step
    assert all(torch.equal(saved["model"][n], t) for n, t in state.model.state_dict().items())


def test_until_stops_as_soon_as_val_says_so():
    told = recipe(stopping=Stopping(until=0.5))

    def perfect(state, at, weights):
        return Score(at.step, "val", weights, 10, 9, 0.1)

    events = run(told, new_state(told), start(told, N), evaluate=perfect)
    assert isinstance(events[-1], Stopped)
    assert events[-1].reason == "until"
    assert events[-1].at.step == math.ceil(N / 16)


def test_a_loss_that_stays_not_finite_ends_in_a_clear_error():
    told = recipe(optimizer=OptimizerChoice("sgd", lr=1e30), clip_norm=None, epochs=10)
    with pytest.raises(TrainingError, match="EY-T001"):
        run(told, new_state(told), start(told, N))


def budget(recorded, written, spent):
    return TimeBudget(10.0, spent=spent, reserve=lambda: 0.0, recorded=recorded, write=written.append)


def test_a_time_budget_decides_writes_first_and_is_replayed():
    told = recipe(epochs=None, time_s=10.0)
    clock = iter(np.arange(0, 1e6, 0.4))  # every question finds 0.4 s gone
    written = []

    def fresh():
        return new_state(told), start(told, N, steps=UNKNOWN)

    first = run(told, *fresh(), evaluate=score, decide=budget([], written, lambda: float(next(clock))))
    decided = [e for e in first if isinstance(e, Decided)]
    assert decided
    assert [d["value"] for d in written] == [e.value for e in decided]
    again = run(told, *fresh(), evaluate=score, decide=budget(written, [], lambda: 0.0))
    assert facts(again) == facts(first)
    last = first[-1]
    assert isinstance(last, Stopped)
    assert last.reason in ("time", "finished")


def test_progress_counts_epochs_by_position():
    at = Progress(step=5, steps=9, position=5 * 16, epoch_size=N, batch_size=16)
    assert at.ends_epoch()
    assert math.isclose(at.epoch, 80 / 70)
