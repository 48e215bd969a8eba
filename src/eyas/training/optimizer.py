"""SGD with Nesterov momentum, and AdamW: parameter groups, moments by name, one fused call for each group.

torch's optimiser objects spend four fifths of a small net's update in Python (0.20 ms against 0.04 ms for the fused
kernel alone, 21,840 weights); the kernels are theirs.
"""

# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false
# The fused kernels are what torch.optim calls with fused=True; they are exported with an underscore.

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import torch
from torch import Tensor, nn

from eyas.training.recipe import OptimizerChoice

EPSILON = 1e-8
"""Of AdamW (https://arxiv.org/abs/1711.05101), as in torch."""


def decays(name: str, parameter: nn.Parameter) -> bool:
    """Whether weight decay applies: not to norms and biases (https://arxiv.org/abs/1812.01187, section 3.1)."""
    return parameter.ndim > 1 and not name.endswith("bias")


@dataclass(frozen=True)
class Group:
    """Parameters that share a rate and a decay. Moments lie in memory as their parameters do."""

    names: tuple[str, ...]
    parameters: list[nn.Parameter]
    weight_decay: float
    lr_scale: float
    """The group's rate over the base rate: discriminative rates."""
    moments: dict[str, list[Tensor]]
    """Kind of moment -> one tensor for each parameter."""


@final
class Optimizer:
    """Updates the trainable parameters of a model from their `.grad`.

    A parameter may carry `lr_scale` (a float attribute): its rate is the base rate times that.
    """

    def __init__(self, choice: OptimizerChoice, model: nn.Module) -> None:
        self.choice = choice
        groups: dict[tuple[float, float], tuple[list[str], list[nn.Parameter]]] = {}
        for name, p in model.named_parameters():
            if p.requires_grad:
                decay = choice.weight_decay if decays(name, p) else 0.0
                key = (decay, float(getattr(p, "lr_scale", 1.0)))
                names, parameters = groups.setdefault(key, ([], []))
                names.append(name)
                parameters.append(p)
        kinds = ("momentum",) if choice.name == "sgd" else ("mean", "square")
        self.groups = [
            Group(
                names=tuple(names),
                parameters=ps,
                weight_decay=decay,
                lr_scale=scale,
                moments={kind: [torch.zeros_like(p, requires_grad=False) for p in ps] for kind in kinds},
            )
            for (decay, scale), (names, ps) in groups.items()
        ]
        self.parameters = [p for group in self.groups for p in group.parameters]

    def step(self, lr: float, *, number: int) -> None:
        """One update at base rate `lr`; `number` counts updates from 0 (AdamW corrects its bias by it)."""
        with torch.no_grad():
            for group in self.groups:
                # A parameter that the loss did not reach stays as it is, as in torch.optim.
                at = [i for i, p in enumerate(group.parameters) if p.grad is not None]
                parameters: list[Tensor] = [group.parameters[i] for i in at]
                if not parameters:
                    continue
                gradients = [p.grad for p in parameters if p.grad is not None]
                moments = {kind: [held[i] for i in at] for kind, held in group.moments.items()}
                self._update(group, parameters, gradients, moments, lr * group.lr_scale, number)

    def _update(
        self,
        group: Group,
        parameters: list[Tensor],
        gradients: list[Tensor],
        moments: dict[str, list[Tensor]],
        lr: float,
        number: int,
    ) -> None:
        choice = self.choice
        if choice.name == "sgd":
            torch._fused_sgd_(
                parameters,
                gradients,
                moments["momentum"] if choice.momentum > 0 else [],
                weight_decay=group.weight_decay,
                momentum=choice.momentum,
                lr=lr,
                dampening=0.0,
                nesterov=choice.nesterov and choice.momentum > 0,
                maximize=False,
                is_first_step=False,  # the moments begin at zero, which is the same
            )
            return
        count = torch.full((), float(number + 1), device=parameters[0].device)
        torch._fused_adamw_(
            parameters,
            gradients,
            moments["mean"],
            moments["square"],
            [],
            [count] * len(parameters),
            lr=lr,
            beta1=choice.betas[0],
            beta2=choice.betas[1],
            weight_decay=group.weight_decay,
            eps=EPSILON,
            amsgrad=False,
            maximize=False,
        )

    def moments(self) -> dict[str, Tensor]:
        """`<parameter>/<kind>` -> tensor: what a checkpoint holds."""
        return {
            f"{name}/{kind}": tensor
            for group in self.groups
            for kind, tensors in group.moments.items()
            for name, tensor in zip(group.names, tensors, strict=True)
        }

    def load(self, moments: dict[str, Tensor]) -> None:
        """Put back what `moments` gave; one of another name or shape is left out, so that a head may change."""
        for name, tensor in self.moments().items():
            kept = moments.get(name)
            if kept is not None and kept.shape == tensor.shape:
                tensor.copy_(kept)
