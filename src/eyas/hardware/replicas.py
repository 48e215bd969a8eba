"""How one step is spread over parts and processes, so that the spreading never changes the bits.

A *part* is the unit of the mathematics: BatchNorm statistics, the dropout key and the gradient are per part, and the
gradients of parts are summed in a fixed tree. Which replica computes a part is then no matter. Only `One` process
exists so far; another final class joins it without touching the loop.
"""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, final

import torch
from torch import Tensor

from eyas.hardware import foreach

MASK = (1 << 64) - 1


class Trainable(Protocol):
    """What a step changes: the parameters with their `.grad`, and the buffers of the model."""

    parameters: list[torch.nn.Parameter]
    float_buffers: list[Tensor]
    counters: list[Tensor]


StateT = TypeVar("StateT", bound=Trainable)
PartT = TypeVar("PartT")


@dataclass(frozen=True)
class Outcome:
    """What one step came to: the mean loss of the batch, and whether the update was applied."""

    loss: float
    accepted: bool


def bounds(size: int, parts: int) -> list[tuple[int, int]]:
    """Contiguous, nearly equal ranges of rows, never empty.

    >>> bounds(10, 4)
    [(0, 3), (3, 6), (6, 8), (8, 10)]
    """
    parts = min(parts, size)
    base, extra = divmod(size, parts)
    edges = [0]
    for k in range(parts):
        edges.append(edges[-1] + base + (k < extra))
    return list(itertools.pairwise(edges))


def part_seed(seed: int, step: int, part: int) -> int:
    """A 63-bit seed for the device's generator in one part of one step (splitmix64 over the three)."""
    x = (seed * 0x9E3779B97F4A7C15 + step * 0xBF58476D1CE4E5B9 + part * 0x94D049BB133111EB) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return (x ^ (x >> 31)) >> 1


def seed_device(device: torch.device, seed: int) -> None:
    """Seed the one generator that the part uses; `torch.manual_seed` walks every backend and is 100 times dearer."""
    if device.type == "cuda":
        torch.cuda.default_generators[device.index or 0].manual_seed(seed)
    else:
        torch.default_generator.manual_seed(seed)


class Tree:
    """Sums lists of tensors pairwise, in an order that depends on nothing but their number.

    A binary counter: equal levels merge at once, so at most log2(n) lists are alive.
    """

    def __init__(self) -> None:
        self._levels: list[tuple[int, list[Tensor]]] = []

    def add(self, leaf: list[Tensor]) -> None:
        """Take over `leaf`; its tensors may be changed in place."""
        level = 0
        while self._levels and self._levels[-1][0] == level:
            left = self._levels.pop()[1]
            foreach.add_(left, leaf)
            leaf, level = left, level + 1
        self._levels.append((level, leaf))

    def total(self) -> list[Tensor]:
        """The sum over all leaves."""
        _, result = self._levels.pop()
        while self._levels:
            left = self._levels.pop()[1]
            foreach.add_(left, result)
            result = left
        return result


class Replicas(ABC):
    """Seeds and runs the parts of a step, sums them in a tree, exchanges, updates."""

    parts: int
    """How many parts the next step has; may be changed between steps."""

    @abstractmethod
    def undo(self, state: Trainable) -> None:
        """After an error in `apply`: buffers as before the step, no gradients."""

    @abstractmethod
    def apply(
        self,
        part_step: Callable[[StateT, PartT], Tensor],
        state: StateT,
        take: Callable[[int, int], PartT],
        *,
        size: int,
        step: int,
        update: Callable[[StateT, float], bool],
        stop: Callable[[], bool],
    ) -> Outcome | None:
        """Do one step over `size` rows; None when `stop()` came true first: the state is then as before the step."""


@final
class One(Replicas):
    """One process. The seed of the run keys dropout."""

    def __init__(self, *, parts: int, seed: int, device: torch.device) -> None:
        self.parts = parts
        self.seed = seed
        self.device = device
        self._start: list[Tensor] = []

    def apply(
        self,
        part_step: Callable[[StateT, PartT], Tensor],
        state: StateT,
        take: Callable[[int, int], PartT],
        *,
        size: int,
        step: int,
        update: Callable[[StateT, float], bool],
        stop: Callable[[], bool],
    ) -> Outcome | None:
        """All parts here, one after another."""
        self._keep(state.float_buffers)
        ranges = bounds(size, self.parts)
        alone = len(ranges) == 1
        gradients, statistics = Tree(), Tree()
        losses: list[Tensor] = []
        for k, (a, b) in enumerate(ranges):
            seed_device(self.device, part_seed(self.seed, step, k))
            _clear(state.parameters)
            if k:
                self._restore(state.float_buffers)  # every part starts from the step's statistics, whoever runs it
            losses.append(part_step(state, take(a, b)))
            if stop():
                self.undo(state)
                return None
            if not alone:
                gradients.add([_gradient(p) for p in state.parameters])
                statistics.add([t.detach().clone() for t in state.float_buffers])
        if not alone:
            for p, g in zip(state.parameters, gradients.total(), strict=True):
                p.grad = g
            _mean_into(state.float_buffers, statistics.total(), len(ranges))
        loss = _sum(losses) / size
        accepted = math.isfinite(loss) and update(state, loss)
        if not accepted:
            self._restore(state.float_buffers)
        for counter in state.counters:
            counter.fill_(step + 1)  # by the step, not by how many parts or processes ran
        return Outcome(loss, accepted)

    def undo(self, state: Trainable) -> None:
        """Puts the buffers back and forgets the gradients."""
        if self._start:
            self._restore(state.float_buffers)
        _clear(state.parameters)

    def _keep(self, buffers: Sequence[Tensor]) -> None:
        if not self._start:
            self._start = [b.detach().clone() for b in buffers]
        else:
            foreach.copy_(self._start, buffers)

    def _restore(self, buffers: Sequence[Tensor]) -> None:
        foreach.copy_(buffers, self._start)


def _clear(parameters: Sequence[torch.nn.Parameter]) -> None:
    for p in parameters:
        p.grad = None


def _gradient(parameter: torch.nn.Parameter) -> Tensor:
    gradient = parameter.grad
    return torch.zeros_like(parameter) if gradient is None else gradient


def _mean_into(buffers: list[Tensor], sums: list[Tensor], parts: int) -> None:
    for b, s in zip(buffers, sums, strict=True):
        b.copy_(s / parts)


def _sum(losses: list[Tensor]) -> float:
    return math.fsum(float(x) for x in losses)
