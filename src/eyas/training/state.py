"""State: what training changes. Weights, moments and averages are changed in place; pretending otherwise costs memory.

Everything here can be laid out as named arrays and put back: that is what a checkpoint holds. The optimiser's moments
are keyed by parameter name, so a head or a stage may change without losing the rest.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from eyas.training.recipe import OptimizerChoice


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: not to norms and biases (https://arxiv.org/abs/1812.01187, section 3.1)."""
    return parameter.ndim > 1 and not name.endswith("bias")


def make_optimizer(choice: OptimizerChoice, model: nn.Module) -> torch.optim.Optimizer:
    """SGD or AdamW over the trainable parameters, in two groups: with and without weight decay.

    A parameter may carry `lr_scale` (a float attribute): its rate is the base rate times that.
    """
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, p in model.named_parameters():
        if p.requires_grad:
            scale = float(getattr(p, "lr_scale", 1.0))
            groups.setdefault((decays(name, p), scale), []).append(p)
    told = [
        {"params": ps, "weight_decay": choice.weight_decay if decay else 0.0, "lr": choice.lr, "lr_scale": scale}
        for (decay, scale), ps in groups.items()
    ]
    if choice.name == "sgd":
        nesterov = choice.nesterov and choice.momentum > 0
        return torch.optim.SGD(told, lr=choice.lr, momentum=choice.momentum, nesterov=nesterov, fused=True)
    return torch.optim.AdamW(told, lr=choice.lr, betas=choice.betas, fused=True)


@dataclass
class State:
    """Model, optimiser, average, and the few numbers that the next step depends on."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    average: nn.Module | None = None
    """A twin of the model whose weights and float buffers are the running average, or None; it can be scored as is."""
    skipped: list[int] = field(default_factory=lambda: [])
    """Steps among the last hundred whose update was skipped."""
    loss_sum: float = 0.0
    """Sum of the accepted losses since the last evaluation…"""
    loss_steps: int = 0
    """…and how many they are."""

    def __post_init__(self) -> None:
        self.names = {p: n for n, p in self.model.named_parameters()}
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.float_buffers = [b for b in self.model.buffers() if b.is_floating_point()]
        self.counters = [b for b in self.model.buffers() if not b.is_floating_point()]
        self.averaged = averaged(self.model)
        self.averages = averaged(self.average) if self.average is not None else []

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """`{"model", "optimizer", "ema"}` -> name -> tensor: everything a checkpoint holds but the small values."""
        moments: dict[str, Tensor] = {}
        for p in self.parameters:
            for key, value in self.optimizer.state.get(p, {}).items():
                if isinstance(value, Tensor):
                    moments[f"{self.names[p]}/{key}"] = value
        out = {"model": dict(self.model.state_dict()), "optimizer": moments}
        if self.average is not None:
            out["ema"] = dict(self.average.state_dict())
        return out

    def load(self, tensors: dict[str, dict[str, Tensor]]) -> None:
        """Put back what `tensors` gave."""
        self.model.load_state_dict(tensors["model"], strict=True)
        by_name = {n: p for p, n in self.names.items()}
        for name, value in tensors.get("optimizer", {}).items():
            parameter, key = name.rsplit("/", 1)
            p = by_name[parameter]
            # A moment lies in memory as its parameter does: the same kernels, so the same bits as before.
            like = torch.empty_like(p) if value.shape == p.shape else torch.empty_like(value)
            self.optimizer.state[p][key] = like.detach().copy_(value)
        if self.average is not None:
            self.average.load_state_dict(tensors["ema"], strict=True)

    def small(self) -> dict[str, object]:
        """The values that are not tensors, for `state.json`."""
        return {"skipped": list(self.skipped), "loss_sum": self.loss_sum, "loss_steps": self.loss_steps}

    def load_small(self, told: dict[str, Any]) -> None:
        """Put back what `small` gave."""
        self.skipped = [int(s) for s in told["skipped"]]
        self.loss_sum = float(told["loss_sum"])
        self.loss_steps = int(told["loss_steps"])


def averaged(model: nn.Module) -> list[Tensor]:
    """What an average of the weights covers: parameters and float buffers (the statistics of BatchNorm)."""
    return [p.detach() for p in model.parameters()] + [b for b in model.buffers() if b.is_floating_point()]


def twin(model: nn.Module) -> nn.Module:
    """A copy of the model to hold the average; it starts at the present weights and never gets gradients."""
    copy = deepcopy(model)
    for p in copy.parameters():
        p.requires_grad_(False)
    return copy.eval()
