"""Engine: images in, probabilities out. One abstract class, final implementations, one contract suite over all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import final

import numpy as np
from numpy.typing import NDArray


class Engine(ABC):
    """Answers for a batch of preprocessed images. An image's answer does not depend on the others in its batch."""

    @abstractmethod
    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Raw scores float32 (n, classes) of `images` uint8 (n, h, w, c), 0..255; n may be 0."""

    @final
    def probabilities(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities float32 (n, classes), rows sum to 1."""
        return softmax(self.logits(images))


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of logits (n, classes), computed in float64 so that every engine rounds alike."""
    x = logits.astype(np.float64)
    x -= x.max(axis=1, keepdims=True, initial=-np.inf) if x.size else 0.0
    e = np.exp(x)
    return (e / e.sum(axis=1, keepdims=True)).astype(np.float32)
