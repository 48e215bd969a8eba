"""Out of memory: the same step in smaller parts, the same effective batches, the same numbers where parts allow."""

import resource
import subprocess
import sys

import pytest
import torch
from test_resume import CPU, Keeper, N, recipe, start, stream, tensors_of

from eyas.errors import TrainingError
from eyas.hardware.replicas import One
from eyas.training.events import Decided, Recovered, Stepped
from eyas.training.feed import StreamFeed
from eyas.training.loop import Hooks, train
from eyas.training.memory import Parts, is_out_of_memory
from eyas.training.optimizer import Optimizer
from eyas.training.recipe import OptimizerChoice
from eyas.training.state import State
from eyas.training.step import supervised

MESSAGE = "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to ..."


class Flat(torch.nn.Module):
    """Neither BatchNorm nor dropout: parts change nothing but the order of sums."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.hidden, self.out = torch.nn.Linear(24 * 24 * 3, 32), torch.nn.Linear(32, 3)

    def forward(self, images):
        return self.out(torch.relu(self.hidden(images.flatten(1).float() / 255)))


def run(told, *, fails=lambda rows: False, recorded=(), written=None, keeper=None, state=None, at=None):
    """`fails(rows of the part)` says whether memory runs out."""
    if state is None:
        model = Flat()
        state = State(model, Optimizer(told.optimizer, model))
    plain = supervised(told, autocast=None)
    sizes = []

    def part_step(state, part):
        sizes.append(len(part.images))
        if fails(len(part.images)):
            raise RuntimeError(MESSAGE)
        return plain(state, part)

    parts = Parts(1, recorded=recorded, write=(written if written is not None else []).append)
    keeper = keeper or Keeper()
    hooks = Hooks(None, keeper.save, lambda at: at.step % 5 == 0, lambda at: None, lambda: None, parts)
    feed = StreamFeed(stream(told), device=CPU, threads=0)
    replicas = One(parts=1, seed=0, device=CPU)
    at = at or start(told, N)
    events = list(train(state, at, told, replicas=replicas, part_step=part_step, feed=feed, hooks=hooks))
    return events, state, sizes


def told():
    return recipe(epochs=12, ema=0.0, clip_norm=None, optimizer=OptimizerChoice("sgd", lr=1e-3))


def losses(events):
    return [e.loss for e in events if isinstance(e, Stepped)]


def test_the_step_is_done_again_in_twice_as_many_parts_for_good_and_learns_the_same():
    whole, _, _ = run(told())
    written = []
    events, _, sizes = run(told(), fails=lambda rows: rows > 5, written=written)
    assert [(e.at.step, e.value) for e in events if isinstance(e, Decided)] == [(0, 2), (0, 4)]
    assert [d["value"] for d in written] == [2, 4]
    assert [e.what for e in events if isinstance(e, Recovered)] == ["out-of-memory"] * 2
    assert set(sizes[2:]) == {4}, "no part is ever tried at a size that did not fit"
    assert [(e.at.step, e.at.position) for e in events if isinstance(e, Stepped)] == [
        (e.at.step, e.at.position) for e in whole if isinstance(e, Stepped)
    ]
    assert losses(events)[:50] == pytest.approx(losses(whole)[:50], abs=1e-5)


def test_memory_that_runs_out_now_and_then_keeps_the_effective_batches():
    count = iter(range(10**9))
    whole, _, _ = run(told())
    events, _, _ = run(told(), fails=lambda rows: next(count) in (20, 45))
    assert [(e.at.step, e.value) for e in events if isinstance(e, Decided)] == [(20, 2), (32, 4)]
    assert losses(events)[:50] == pytest.approx(losses(whole)[:50], abs=1e-5)


def test_a_resume_replays_the_decisions_and_ends_with_the_same_bits():
    count = iter(range(10**9))
    written, keeper = [], Keeper()
    _, whole, _ = run(told(), fails=lambda rows: next(count) == 22, written=written, keeper=keeper)
    for step in (10, 30):  # before and after the decision at 22
        tensors, small, at = keeper.kept[step]
        model = Flat()
        state = State(model, Optimizer(told().optimizer, model))
        state.load(tensors)
        state.load_small(small)
        run(told(), recorded=written, state=state, at=at)
        a, b = tensors_of(whole), tensors_of(state)
        assert all(torch.equal(a[k], b[k]) for k in a)


def test_a_part_of_one_row_is_refused_with_what_to_do():
    with pytest.raises(TrainingError, match="EY-T002"):
        run(told(), fails=lambda rows: True)


def test_other_errors_are_not_taken_for_it():
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not is_out_of_memory(ValueError("not enough memory"))


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_what_torch_says_when_memory_really_runs_out_is_understood():
    code = """
import resource, torch
from eyas.training.memory import is_out_of_memory
torch.ones(10)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
for make in (lambda: torch.ones(2**29), lambda: torch.nn.Conv2d(64, 64, 3)(torch.ones(64, 64, 256, 256)[:, :, :, :])):
    try:
        make()
    except (RuntimeError, MemoryError) as error:
        assert is_out_of_memory(error), error
    else:
        raise AssertionError("it fitted")
print("understood")
"""
    assert resource.getpagesize() > 0
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "understood\n", done.stderr
