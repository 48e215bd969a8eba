"""Scores of a split by an engine, from the packed outputs of Preprocess."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eyas.data.samples import Split
from eyas.engines.engine import Engine
from eyas.flows.prepare import Prepared


def logits_of(engine: Engine, prepared: Prepared, split: Split, *, chunk: int = 4096) -> NDArray[np.float32]:
    """Logits float32 (n, classes) for val or test, in the order of their rows; `chunk` images in memory at a time."""
    images, slots = prepared.images(split)
    return np.concatenate([engine.logits(images[slots[a : a + chunk]]) for a in range(0, max(1, len(slots)), chunk)])


def mean_loss(logits: NDArray[np.float32], labels: NDArray[Any]) -> float:
    """Mean cross-entropy in nats, in float64."""
    x = logits.astype(np.float64)
    top = x.max(axis=1)
    logs = top + np.log(np.exp(x - top[:, None]).sum(axis=1))
    return float((logs - x[np.arange(len(x)), labels]).mean())
