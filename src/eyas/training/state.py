"""State: what training changes. Weights, moments and averages are changed in place; pretending otherwise costs memory.

Everything here can be laid out as named arrays and put back: that is what a checkpoint holds. The optimiser's moments
are keyed by parameter name, so a head or a stage may change without losing the rest.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from eyas.training.optimizer import Optimizer


@dataclass
class State:
    """Model, optimiser, average, and the few numbers that the next step depends on."""

    model: nn.Module
    optimizer: Optimizer
    average: nn.Module | None = None
    """A twin of the model whose weights and float buffers are the running average, or None; it can be scored as is."""
    updates: int = 0
    """Updates that were applied; fewer than steps when some were skipped."""
    skipped: list[int] = field(default_factory=lambda: [])
    """Steps among the last hundred whose update was skipped."""
    loss_sum: float = 0.0
    """Sum of the accepted losses since the last evaluation…"""
    loss_steps: int = 0
    """…and how many they are."""
    losses: list[float] = field(default_factory=lambda: [])
    """The last accepted losses, which a spike is known by (`training.guard`)."""

    def __post_init__(self) -> None:
        self.parameters = self.optimizer.parameters
        self.float_buffers = [b for b in self.model.buffers() if b.is_floating_point()]
        # Only what counts steps: other integer buffers are tables of the net (positions, indices).
        self.counters = [b for n, b in self.model.named_buffers() if n.endswith("num_batches_tracked")]
        self.averaged = averaged(self.model)
        self.averages = averaged(self.average) if self.average is not None else []

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """`{"model", "optimizer", "ema"}` -> name -> tensor: everything a checkpoint holds but the small values."""
        out = {"model": dict(self.model.state_dict()), "optimizer": self.optimizer.moments()}
        if self.average is not None:
            out["ema"] = dict(self.average.state_dict())
        return out

    def load(self, tensors: dict[str, dict[str, Tensor]]) -> None:
        """Put back what `tensors` gave."""
        self.model.load_state_dict(tensors["model"], strict=True)
        self.optimizer.load(tensors.get("optimizer", {}))
        if self.average is not None:
            self.average.load_state_dict(tensors["ema"], strict=True)

    def small(self) -> dict[str, object]:
        """The values that are not tensors, for `state.json`."""
        return {
            "updates": self.updates,
            "skipped": list(self.skipped),
            "loss_sum": self.loss_sum,
            "loss_steps": self.loss_steps,
            "losses": list(self.losses),
        }

    def load_small(self, told: dict[str, Any]) -> None:
        """Put back what `small` gave."""
        self.updates = int(told["updates"])
        self.skipped = [int(s) for s in told["skipped"]]
        self.loss_sum = float(told["loss_sum"])
        self.loss_steps = int(told["loss_steps"])
        self.losses = [float(x) for x in told["losses"]]


def averaged(model: nn.Module) -> list[Tensor]:
    """What an average of the weights covers: parameters and float buffers (the statistics of BatchNorm)."""
    return [p.detach() for p in model.parameters()] + [b for b in model.buffers() if b.is_floating_point()]


def twin(model: nn.Module) -> nn.Module:
    """A copy of the model to hold the average; it starts at the present weights and never gets gradients."""
    copy = deepcopy(model)
    for p in copy.parameters():
        p.requires_grad_(False)
    return copy.eval()
