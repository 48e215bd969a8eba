"""One optimiser step in three small functions: a part forward and backward, the guard, the update.

`part_step` is the piece a user may replace: it gets the state and one part of the batch, and adds the part's share of
the gradient. Everything around it (seeds, parts, sums, guards) is `hardware.replicas`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from eyas.hardware import foreach
from eyas.training.average import ema_keep
from eyas.training.losses import cross_entropy
from eyas.training.progress import Progress
from eyas.training.recipe import Recipe
from eyas.training.state import State


@dataclass(frozen=True)
class Part:
    """A slice of a batch on the device: `images` uint8 (n, h, w, c) and targets; `batch_size` is the whole batch's."""

    images: Tensor
    labels: Tensor
    batch_size: int
    partner_labels: Tensor | None = None
    own: Tensor | None = None
    weights: Tensor | None = None


PartStep = Callable[[State, Part], Tensor]
"""Adds the gradient of the part's share of the mean loss; gives the summed loss of the part, detached."""


@runtime_checkable
class Supervises(Protocol):
    """A net that knows a faster way to its gradients under plain cross-entropy than autograd does."""

    def supervise(self, images: Tensor, labels: Tensor, *, smoothing: float, batch_size: int) -> Tensor | None:
        """The summed loss, with the gradients of loss / `batch_size` added to `.grad`; None: not in this case."""
        ...


def supervised(recipe: Recipe, *, autocast: torch.dtype | None) -> PartStep:
    """The ordinary part step: cross-entropy of what the net says, with the recipe's smoothing."""

    def part_step(state: State, part: Part) -> Tensor:
        plain = autocast is None and part.partner_labels is None and part.weights is None
        if plain and isinstance(state.model, Supervises):
            loss = state.model.supervise(
                part.images, part.labels, smoothing=recipe.smoothing, batch_size=part.batch_size
            )
            if loss is not None:
                return loss
        if autocast is None:
            logits = state.model(part.images)
        else:
            with torch.autocast(part.images.device.type, dtype=autocast):
                logits = state.model(part.images)
        loss = cross_entropy(
            logits,
            part.labels,
            smoothing=recipe.smoothing,
            partner_labels=part.partner_labels,
            own=part.own,
            weights=part.weights,
        )
        (loss / part.batch_size).backward()
        return loss.detach()

    return part_step


def update(state: State, recipe: Recipe, lr: float, at: Progress) -> bool:
    """Apply `.grad` of every parameter at rate `lr`, or leave everything as it is and give False when not finite.

    Clipping is by global norm (https://arxiv.org/abs/1211.5063).
    """
    gradients = [p.grad for p in state.parameters if p.grad is not None]
    norm = float(foreach.norm(gradients))  # waits for the device; on CPU there is nothing to wait for
    if not math.isfinite(norm):
        return False
    if recipe.clip_norm is not None and norm > recipe.clip_norm:
        foreach.mul_(gradients, recipe.clip_norm / norm)
    state.optimizer.step(lr, number=state.updates)
    state.updates += 1
    if state.average is not None:
        keep = ema_keep(at, recipe.ema)
        with torch.no_grad():
            foreach.lerp_(state.averages, state.averaged, 1 - keep)
    return True
