"""The first layer of every model: uint8 pixels to numbers of mean 0 and deviation 1, inside the graph."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Normalise(nn.Module):
    """(n, h, w, c) uint8 0..255 -> (n, c, h, w) float, mean 0 and deviation 1 over the training images.

    The permutation makes a channels_last tensor without a copy. `mean` and `std` are shares of the range, 0..1, as
    weights files give them; one value serves several channels.
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        # Not persistent: they belong to Preprocess, and are constants of the graph, not weights.
        self.register_buffer("shift", torch.tensor([255 * m for m in mean]).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor([1 / (255 * s) for s in std]).view(1, -1, 1, 1), persistent=False)
        self.shift: Tensor
        self.scale: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images, channels_last."""
        return (images.permute(0, 3, 1, 2).float() - self.shift) * self.scale
