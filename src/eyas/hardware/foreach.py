"""torch's foreach operations over lists of tensors, which are exported with an underscore: typed, in one place."""

# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def copy_(into: Sequence[Tensor], source: Sequence[Tensor]) -> None:
    """`into[i] = source[i]`, in place; nothing for empty lists."""
    if into:
        torch._foreach_copy_(list(into), list(source))


def add_(into: Sequence[Tensor], other: Sequence[Tensor]) -> None:
    """`into[i] += other[i]`, in place; nothing for empty lists."""
    if into:
        torch._foreach_add_(list(into), list(other))


def mul_(into: Sequence[Tensor], factor: float) -> None:
    """`into[i] *= factor`, in place."""
    torch._foreach_mul_(list(into), factor)


def lerp_(into: Sequence[Tensor], other: Sequence[Tensor], weight: float) -> None:
    """`into[i] += weight * (other[i] - into[i])`, in place; nothing for empty lists."""
    if into:
        torch._foreach_lerp_(list(into), list(other), weight)


def norm(tensors: Sequence[Tensor]) -> Tensor:
    """Euclidean norm over all elements of all tensors, a scalar; not finite when any element is not."""
    return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(tensors))))
