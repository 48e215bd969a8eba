"""Out of memory: the same step again with twice as many parts. The effective batch and the optimiser never change.

The number of parts changes the bits (and with BatchNorm or dropout the mathematics), so each doubling is a decision: it
is written durably before it is used, holds for the rest of the run, and is replayed on a resume.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from eyas.training.events import Decided
from eyas.training.progress import Progress


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a device or here.

    torch has a class for accelerators only; its CPU allocator raises a RuntimeError known by its words
    (c10/core/impl/alloc_cpu.cpp), oneDNN another.
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    text = str(error)
    words = ("DefaultCPUAllocator: ", "not enough memory", "could not create a memory", "out of memory")
    return isinstance(error, RuntimeError) and any(word in text for word in words)


class Parts:
    """How many parts a step has: `first`, then what was decided."""

    def __init__(
        self, first: int, *, recorded: Iterable[Mapping[str, Any]], write: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self.write = write
        self.decided = {(-1, -1): first}
        self.decided |= {(int(d["attempt"]), int(d["step"])): int(d["value"]) for d in recorded if d["name"] == "parts"}

    def now(self, at: Progress) -> int:
        """The parts of the step that begins at `at`."""
        return self.decided[max(key for key in self.decided if key <= (at.attempt, at.step))]

    def double(self, at: Progress) -> Decided | None:
        """Twice as many from this step on, durable; None when a part would have fewer than two rows."""
        value = 2 * self.now(at)
        if 2 * value > at.batch_size:
            return None
        reason = "out of memory"
        self.write({"name": "parts", "step": at.step, "attempt": at.attempt, "value": value, "reason": reason})
        self.decided[at.attempt, at.step] = value
        return Decided(at, "parts", value, reason)
