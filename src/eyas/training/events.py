"""What happens in a run, as a closed union of frozen values. `train` yields them; who wants to look consumes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from eyas.training.progress import Progress, Score


@dataclass(frozen=True)
class Stepped:
    """One optimiser step. `loss` may still be on the device: reading it waits, so consumers read it rarely."""

    at: Progress
    loss: Any
    """Mean loss of the batch: a zero-dimensional tensor, or a float on CPU."""
    lr: float
    """Rate of the last parameter group."""
    accepted: bool = True


@dataclass(frozen=True)
class Evaluated:
    """A split was scored. `best` says whether it is the best on val so far."""

    at: Progress
    score: Score
    train_loss: float
    """Mean loss over the accepted steps since the last evaluation (NaN when there was none)."""
    lr: float
    best: bool


@dataclass(frozen=True)
class Saved:
    """A checkpoint is durable (`ok`) or was dropped (`reason` says why; the older one is untouched)."""

    at: Progress
    path: str
    bytes: int
    seconds: float
    ok: bool = True
    reason: str = ""


@dataclass(frozen=True)
class Decided:
    """A decision that the future depends on; it was written durably before it was used."""

    at: Progress
    name: str
    value: Any
    reason: str


@dataclass(frozen=True)
class Recovered:
    """Something went wrong and was put right; `what` is a short code (`out-of-memory`, `not-finite`…)."""

    at: Progress
    what: str
    detail: str


@dataclass(frozen=True)
class Stopped:
    """The last event. `reason`: `finished`, `patience`, `until`, `time`, `sigterm`, `sigint`, `asked`."""

    at: Progress
    reason: str


Event = Stepped | Evaluated | Saved | Decided | Recovered | Stopped
