"""Losses: functions of logits and the targets of a part; each gives the *sum* over the part."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    smoothing: float = 0.0,
    partner_labels: Tensor | None = None,
    own: Tensor | None = None,
    weights: Tensor | None = None,
) -> Tensor:
    """Summed cross-entropy of `logits` (n, classes) against `labels` int64 (n,), in nats, as a scalar.

    With `partner_labels` and `own` (n,) the target is `own` of the label and `1 - own` of the partner's (mixup,
    https://arxiv.org/abs/1710.09412). `smoothing` moves that share of the target to all classes alike
    (https://arxiv.org/abs/1512.00567). `weights` (n,) multiplies each sample.
    """
    logits = logits.float()  # the sum over a part is not safe in bf16
    if partner_labels is None and weights is None:
        return F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="sum")
    each = F.cross_entropy(logits, labels, label_smoothing=smoothing, reduction="none")
    if partner_labels is not None:
        assert own is not None
        other = F.cross_entropy(logits, partner_labels, label_smoothing=smoothing, reduction="none")
        each = torch.lerp(other, each, own)
    if weights is not None:
        each = each * weights
    return each.sum()
