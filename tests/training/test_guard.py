"""Bad losses: skipped, gone back from, given up on; never in the weights and never in a checkpoint."""

import math

import pytest
import torch
from test_resume import CPU, Keeper, N, facts, new_state, recipe, score, stream, tensors_of

from eyas.errors import TrainingError
from eyas.hardware.replicas import One
from eyas.training.events import Recovered, Stepped, Stopped
from eyas.training.feed import StreamFeed
from eyas.training.guard import SKIPS_ALLOWED, is_spike, keep
from eyas.training.loop import Hooks, start, train
from eyas.training.step import supervised


class Memory(Keeper):
    """Checkpoints in memory that can be gone back to."""

    def go_back(self, state, step):
        kept = [(at.attempt, at.step) for _, _, at in self.kept.values() if at.step <= step]
        if not kept:
            return None
        tensors, small, at = self.kept[max(kept)]
        state.load(tensors)
        state.load_small(small)
        return at

    def save(self, state, at, best):
        tensors = {f: {n: t.detach().clone() for n, t in named.items()} for f, named in state.tensors().items()}
        assert all(t.isfinite().all() for named in tensors.values() for t in named.values())
        self.kept[at.attempt, at.step] = (tensors, state.small(), at)
        yield from ()


def poisoned(told, bad):
    """The ordinary part step, where `bad(first sample of the part)` gives a factor for the loss, or None."""
    plain = supervised(told, autocast=None)

    def part_step(state, part):
        loss = plain(state, part)
        factor = bad(part)
        if factor is None:
            return loss
        for p in state.parameters:
            p.grad.mul_(factor)
        return loss * factor

    return part_step


def run(told, bad, *, memory=None, parts=1):
    state, memory = new_state(told), memory or Memory()
    hooks = Hooks(
        score, memory.save, lambda at: at.step % 5 == 0, lambda at: None, lambda: None,
        go_back=memory.go_back, name=lambda position, size: f"sample {position}",
    )  # fmt: skip
    feed = StreamFeed(stream(told), device=CPU, threads=0)
    events = list(
        train(
        state, start(told, N), told, replicas=One(parts=parts, seed=told.seed, device=CPU),
        part_step=poisoned(told, bad), feed=feed, hooks=hooks,
        )
    )  # fmt: skip
    return events, state


def at_calls(numbers, factor):
    """Bad at these calls of the part step, counted from 0."""
    count = iter(range(10**9))
    return lambda part: factor if next(count) in numbers else None


@pytest.mark.parametrize("factor", [math.nan, math.inf, -math.inf])
def test_one_bad_loss_changes_no_weight_and_the_rest_goes_on_by_the_same_schedule(factor):
    told = recipe(epochs=4)
    events, state = run(told, at_calls({7}, factor))
    steps = [e for e in events if isinstance(e, Stepped)]
    assert [e.at.step for e in steps if not e.accepted] == [8]
    assert [e.what for e in events if isinstance(e, Recovered)] == ["not-finite"]
    clean, _ = run(told, lambda part: None)
    assert [e.lr for e in steps] == [e.lr for e in clean if isinstance(e, Stepped)]
    assert all(t.isfinite().all() for t in tensors_of(state).values())


def test_a_hundredfold_loss_is_a_spike_once_there_is_something_to_compare_with():
    told = recipe(epochs=25)
    events, _ = run(told, at_calls({5, 100}, 100.0))
    assert [(e.at.step, e.what) for e in events if isinstance(e, Recovered)] == [(101, "spike")]


def test_ordinary_training_is_never_called_a_spike():
    for seed in range(3):
        events, _ = run(recipe(epochs=30, seed=seed), lambda part: None)
        assert not [e for e in events if isinstance(e, Recovered)]


def test_ten_bad_steps_go_back_to_before_them_and_past_their_data():
    told = recipe(epochs=10)
    memory = Memory()
    bad = set(range(12, 12 + SKIPS_ALLOWED))
    events, state = run(told, at_calls(bad, math.nan), memory=memory)
    back = [e for e in events if isinstance(e, Recovered) and e.what == "rolled-back"]
    assert [(e.at.step, e.at.attempt) for e in back] == [(10, 1)]
    seen = [e.at.position for e in events if isinstance(e, Stepped)]
    assert seen == sorted(set(seen)), "no sample twice: the data of the bad steps is passed over"
    last = events[-1]
    assert isinstance(last, Stopped)
    assert (last.reason, last.at.step, last.at.attempt) == ("finished", last.at.steps, 1)
    assert (1, 10) in memory.kept, "where it went on from is a checkpoint of its own"
    assert all(t.isfinite().all() for t in tensors_of(state).values())


def test_a_run_that_went_back_resumes_to_the_same_bits():
    told = recipe(epochs=10)
    memory = Memory()
    events, whole = run(told, at_calls(set(range(12, 22)), math.nan), memory=memory)
    tensors, small, at = memory.kept[1, 15]
    state = new_state(told)
    state.load(tensors)
    state.load_small(small)
    hooks = Hooks(score, Memory().save, lambda at: False, lambda at: None, lambda: None)
    feed = StreamFeed(stream(told), device=CPU, threads=0)
    rest = list(
        train(
            state, at, told, replicas=One(parts=1, seed=told.seed, device=CPU),
            part_step=supervised(told, autocast=None), feed=feed, hooks=hooks,
        )
    )  # fmt: skip
    assert facts(rest) == facts(events)[-len(facts(rest)) :]
    a, b = tensors_of(whole), tensors_of(state)
    assert all(torch.equal(a[k], b[k]) for k in a)


def test_what_stays_bad_ends_after_three_ways_back_and_names_samples():
    told = recipe(epochs=60)
    with pytest.raises(TrainingError, match="EY-T001") as caught:
        run(told, at_calls(set(range(20, 10**6)), math.nan))
    assert "after going back 3 times" in caught.value.text()
    assert "sample " in caught.value.text()


def test_the_window_forgets():
    window = []
    for _ in range(500):
        keep(window, 1.0)
    assert len(window) == 128
    assert is_spike(1.7, window)
    assert not is_spike(1.5, window)
    assert not is_spike(math.nan, window)
