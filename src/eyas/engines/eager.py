"""The engine that runs the trained module itself, in PyTorch."""

from __future__ import annotations

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from eyas.engines.engine import Engine


@final
class Eager(Engine):
    """A built module in evaluation mode; `batch` images at a time, so that memory does not grow with n.

    Every call runs batches of one fixed size (the last one is padded with zeros): kernels choose their way by shape,
    and a picture's answer must not depend on how many others were asked for with it.
    """

    def __init__(self, module: nn.Module, *, batch: int = 256, autocast: torch.dtype | None = None) -> None:
        self.module = module
        self.batch = batch
        self.autocast = autocast
        first = next(module.parameters(), None)
        self.device = first.device if first is not None else torch.device("cpu")

    def logits(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """What the module says, in batches of one size."""
        was_training = self.module.training
        self.module.eval()
        starts = range(0, max(1, len(images)), self.batch)
        try:
            with torch.inference_mode():
                return np.concatenate([self._some(images[a : a + self.batch]) for a in starts])
        finally:
            self.module.train(was_training)

    def _some(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        n = len(images)
        padded = np.zeros((self.batch, *images.shape[1:]), np.uint8)
        padded[:n] = images
        with torch.autocast(self.device.type, dtype=self.autocast, enabled=self.autocast is not None):
            answers = self.module(torch.from_numpy(padded).to(self.device))
        return answers[:n].float().cpu().numpy()
